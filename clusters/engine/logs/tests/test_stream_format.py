import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.engine.errors import EngineRefused
from clusters.engine.fakes.fake_logs import FIRST_MOMENT, FakeLine, cut_pieces, send_logs
from clusters.engine.logs.stream_format import format_moment, read_log_lines
from clusters.engine.logs.tests.lines import texts

AT = b"2026-01-01T00:00:00.000000005Z "


def frame(stream, content):
    return bytes([stream, 0, 0, 0]) + len(content).to_bytes(4, "big") + content


@given(
    lines=st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.text(max_size=60)), max_size=12),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    terminal=st.booleans(),
)
def test_lines_arrive_whole_however_the_bytes_are_cut(lines, cuts, terminal):
    written = [
        FakeLine(FIRST_MOMENT + number, "stdout" if terminal else stream, text.replace("\n", " ").encode() + b"\n")
        for number, (stream, text) in enumerate(lines)
    ]
    sent = b"".join(send_logs(written, None, 0, terminal))
    chunks, start = [], 0
    while start < len(sent):
        size = cuts[len(chunks) % len(cuts)]
        chunks.append(sent[start : start + size])
        start += size
    if terminal and any(chunk[:4].isdigit() for chunk in chunks[1:]):
        chunks = [sent]  # a chunk that begins with a time is a line: so the engine sends them
    found = [(line.moment, line.stream, line.text.rstrip("\r")) for line in read_log_lines(chunks)]
    assert found == [(line.moment, line.stream, line.text.decode()[:-1].rstrip("\r")) for line in written]


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("length", [16_384, 16_385, 40_000])
def test_a_long_line_is_put_together_and_then_cut(terminal, length):
    text = "äx" * length
    pieces = cut_pieces(FIRST_MOMENT, "stdout", text.encode() + b"\n")
    found = list(read_log_lines(send_logs([*pieces, *cut_pieces(FIRST_MOMENT + 1, "stdout", b"after\n")], None, 0, terminal)))
    assert texts(found) == [text[:10_000] + "…", "after"]
    assert sum(line.pieces for line in found) == len(pieces) + 1
    whole = next(read_log_lines(send_logs(pieces, None, 0, terminal), longest=1_000_000))
    assert whole.text == text


def test_the_last_output_of_a_process_without_a_newline_is_a_line():
    for terminal in (False, True):
        last, restarted = FakeLine(FIRST_MOMENT, "stdout", b"> "), FakeLine(FIRST_MOMENT + 9, "stdout", b"again\n")
        assert texts(read_log_lines(send_logs([last], None, 0, terminal))) == ["> "]
        assert texts(read_log_lines(send_logs([last, restarted], None, 0, terminal))) == ["> ", "again"]


def test_a_line_whose_end_is_missing_is_marked():
    piece = FakeLine(FIRST_MOMENT, "stdout", b"a" * 16_384)
    other = FakeLine(FIRST_MOMENT + 1, "stdout", b"b\n")
    assert texts(read_log_lines(send_logs([piece], None, 0, False), 20_000)) == ["a" * 16_384 + "…"]
    assert texts(read_log_lines(send_logs([piece, other], None, 0, False), 20_000)) == ["a" * 16_384 + "…", "b"]


def test_the_engines_own_message_ends_the_stream_after_the_lines_before_it():
    sent = frame(1, AT + b"hello\n") + frame(3, b"Error grabbing logs: node n2 is not available\n")
    with pytest.raises(EngineRefused, match="node n2 is not available"):
        list(read_log_lines([sent]))
    assert texts(itertools.islice(read_log_lines([sent]), 1)) == ["hello"]
    with pytest.raises(EngineRefused, match="^no such node$"):
        list(read_log_lines([AT + b"hello\r\n", b"Error grabbing logs: no such node\n"]))


@pytest.mark.parametrize("chunks", [[b"\x01\x00\x00\x00\xff\xff\xff\xff" + AT], [frame(1, AT), b"<html>   "]])
def test_bytes_that_are_not_a_log_are_refused(chunks):
    with pytest.raises(EngineRefused, match="not a log"):
        list(read_log_lines(chunks))


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_no_bytes_break_the_reader(chunks):
    with contextlib.suppress(EngineRefused):
        list(read_log_lines(chunks))


def test_a_time_keeps_its_nanoseconds_and_a_wrong_one_is_text():
    [line] = read_log_lines([frame(2, b"2026-02-03T04:05:06.000000789Z x\n")])
    assert (format_moment(line.moment), line.stream, line.text) == ("2026-02-03T04:05:06.000000789Z", "stderr", "x")
    [line] = read_log_lines([frame(1, b"2026-02-03T06:05:06.5+02:00 x\n")])
    assert format_moment(line.moment) == "2026-02-03T04:05:06.500000000Z"
    assert texts(read_log_lines([frame(1, b"2026-02-31T00:00:00Z x\n")])) == ["2026-02-31T00:00:00Z x"]
