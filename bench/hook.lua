-- For wrk: calls the addresses in the file that PATHS names, one after the other, and prints the result as JSON.
local paths, position = {}, 0
for line in io.lines(os.getenv("PATHS")) do paths[#paths + 1] = line end

function request()
    position = position % #paths + 1
    return wrk.format("GET", paths[position])
end

function done(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format(
        '\n{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "failed": %d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), failed
    ))
end
