-- For wrk: sends the requests in the file that PATHS names, one after the other, and prints the result as JSON. A line is an
-- address for a GET; or an address, a body of JSON and a header of a POST, with tabs between them. The header can be empty.
local requests, position = {}, 0

function init() -- when the host is known
    for line in io.lines(os.getenv("PATHS")) do
        local path, body, name, value = line:match("^([^\t]*)\t([^\t]*)\t([^:]*):? ?(.*)$")
        if path then
            local headers = { ["Content-Type"] = "application/json", ["Host"] = wrk.headers["Host"] }
            if name ~= "" then headers[name] = value end
            requests[#requests + 1] = wrk.format("POST", path, headers, body)
        else
            requests[#requests + 1] = wrk.format("GET", line)
        end
    end
end

function request()
    position = position % #requests + 1
    return requests[position]
end

function done(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format(
        '\n{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "failed": %d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), failed
    ))
end
