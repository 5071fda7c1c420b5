"""Log streams and portions of them, on an engine in memory."""

import contextlib
import itertools
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.engine.errors import EngineRefused, EngineUnreachable
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.engine.fakes.fake_logs import FIRST_MOMENT, FakeLine, cut_pieces, send_logs
from clusters.engine.logs import portions as logs
from clusters.engine.logs.cursor import Cursor, Position, make_key
from clusters.engine.logs.portions import LogLimits, LogNotice, LogSource, read_newest, read_since, read_whole
from clusters.engine.logs.stream import SECOND, format_moment, read_lines

SMALL = LogLimits(lines=4, bytes=100_000, short_tail=6, long_tail=10_000)


def texts(lines):
    return [line.text for line in lines]


def frame(stream, content):
    return bytes([stream, 0, 0, 0]) + len(content).to_bytes(4, "big") + content


AT = b"2026-01-01T00:00:00.000000005Z "


# Streams


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
    found = [(line.moment, line.stream, line.text.rstrip("\r")) for line in read_lines(chunks)]
    assert found == [(line.moment, line.stream, line.text.decode()[:-1].rstrip("\r")) for line in written]


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("length", [16_384, 16_385, 40_000])
def test_a_long_line_is_put_together_and_then_cut(terminal, length):
    text = "äx" * length
    pieces = cut_pieces(FIRST_MOMENT, "stdout", text.encode() + b"\n")
    found = list(read_lines(send_logs([*pieces, *cut_pieces(FIRST_MOMENT + 1, "stdout", b"after\n")], None, 0, terminal)))
    assert texts(found) == [text[:10_000] + "…", "after"]
    assert sum(line.pieces for line in found) == len(pieces) + 1
    whole = next(read_lines(send_logs(pieces, None, 0, terminal), longest=1_000_000))
    assert whole.text == text


def test_what_a_process_wrote_last_without_a_newline_is_a_line():
    for terminal in (False, True):
        last, restarted = FakeLine(FIRST_MOMENT, "stdout", b"> "), FakeLine(FIRST_MOMENT + 9, "stdout", b"again\n")
        assert texts(read_lines(send_logs([last], None, 0, terminal))) == ["> "]
        assert texts(read_lines(send_logs([last, restarted], None, 0, terminal))) == ["> ", "again"]


def test_a_line_whose_end_is_missing_is_marked():
    piece = FakeLine(FIRST_MOMENT, "stdout", b"a" * 16_384)
    other = FakeLine(FIRST_MOMENT + 1, "stdout", b"b\n")
    assert texts(read_lines(send_logs([piece], None, 0, False), 20_000)) == ["a" * 16_384 + "…"]
    assert texts(read_lines(send_logs([piece, other], None, 0, False), 20_000)) == ["a" * 16_384 + "…", "b"]


def test_the_engines_own_words_end_the_stream_after_what_came_before():
    sent = frame(1, AT + b"hello\n") + frame(3, b"Error grabbing logs: node n2 is not available\n")
    with pytest.raises(EngineRefused, match="node n2 is not available"):
        list(read_lines([sent]))
    assert texts(itertools.islice(read_lines([sent]), 1)) == ["hello"]
    with pytest.raises(EngineRefused, match="^no such node$"):
        list(read_lines([AT + b"hello\r\n", b"Error grabbing logs: no such node\n"]))


@pytest.mark.parametrize("chunks", [[b"\x01\x00\x00\x00\xff\xff\xff\xff" + AT], [frame(1, AT), b"<html>   "]])
def test_what_is_no_log_is_refused(chunks):
    with pytest.raises(EngineRefused, match="no log"):
        list(read_lines(chunks))


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_no_bytes_break_the_reader(chunks):
    with contextlib.suppress(EngineRefused):
        list(read_lines(chunks))


def test_a_time_keeps_its_nanoseconds_and_a_wrong_one_is_text():
    [line] = read_lines([frame(2, b"2026-02-03T04:05:06.000000789Z x\n")])
    assert (format_moment(line.moment), line.stream, line.text) == ("2026-02-03T04:05:06.000000789Z", "stderr", "x")
    [line] = read_lines([frame(1, b"2026-02-03T06:05:06.5+02:00 x\n")])
    assert format_moment(line.moment) == "2026-02-03T04:05:06.500000000Z"
    assert texts(read_lines([frame(1, b"2026-02-31T00:00:00Z x\n")])) == ["2026-02-31T00:00:00Z x"]


# Cursors


@given(
    st.integers(0, 10**19 - 1),
    st.dictionaries(
        st.text(max_size=9), st.builds(Position, st.integers(0, 10**19 - 1), st.integers(0, 10**9 - 1)), max_size=5
    ),
)
def test_a_cursor_comes_back_as_it_was(floor, positions):
    cursor = Cursor(floor, {make_key(name): position for name, position in positions.items()})
    assert Cursor.decode(cursor.encode()) == cursor


@pytest.mark.parametrize(
    "text", ["", "2.0", "1.-1", "1.0~", "1.0~abc.1.1", "1.0~aaaaaaaaaaaa.1", "1.٣", "1." + "9" * 20, "1.0\n"]
)
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(ValueError, match="cursor"):
        Cursor.decode(text)


def test_a_cursor_of_too_many_positions_is_refused():
    with pytest.raises(ValueError, match="too many"):
        Cursor.decode("1.0" + "~aaaaaaaaaaaa.1.1" * 201)


# Portions


@pytest.fixture
def engine():
    fake = FakeEngine()
    fake.add_image("app:1")
    return fake


def add(engine, name, **config):
    return LogSource("containers", engine.run(name, "app:1", **config), name)


WRITES = st.lists(  # (which log, nanoseconds since the last line of all, how late it is written)
    st.tuples(st.integers(0, 2), st.sampled_from([0, 0, 1, 40_000_000, SECOND]), st.sampled_from([0, 0, 1, 50_000_000])),
    max_size=8,
)


@settings(max_examples=150)
@given(first=WRITES, growth=st.lists(WRITES, max_size=5), newest=st.booleans())
def test_repeated_portions_of_growing_logs_give_every_line_once_and_in_order(first, growth, newest):
    engine = FakeEngine()
    engine.add_image("app:1")
    sources = [add(engine, f"c{number}") for number in range(3)]
    now, serial = FIRST_MOMENT, 0
    written = {source.name: [] for source in sources}

    def write(steps):
        nonlocal now, serial
        for which, later, late in steps:
            now += later
            serial += 1
            name = sources[which].name
            engine.write_log(name, f"{serial}", moment=max(now - late, FIRST_MOMENT))
            written[name].append(f"{serial}")

    write(first)
    if newest:
        portion = read_newest(engine, sources, 3, SMALL)
        shown = list(portion.lines)
        for source in sources:  # those before the newest are not asked for
            mine = [line.text for line in shown if line.source == source.name]
            written[source.name] = written[source.name][len(written[source.name]) - len(mine) :]
            assert mine == written[source.name]
    else:
        portion, shown = read_since(engine, sources, Cursor(), SMALL), []
        shown += portion.lines
    for steps in [*growth, []]:
        write(steps)
        portion = read_since(engine, sources, Cursor.decode(portion.cursor.encode()), SMALL)
        shown += portion.lines
        assert len(portion.lines) <= SMALL.lines
    for _ in range(serial):
        portion = read_since(engine, sources, portion.cursor, SMALL)
        shown += portion.lines
        assert portion.lines or not portion.more
    for source in sources:
        assert [line.text for line in shown if line.source == source.name] == written[source.name]


def test_logs_are_interleaved_by_time(engine):
    web, worker = add(engine, "web"), add(engine, "worker")
    for number in range(3):
        engine.write_log("web", f"w{number}")
        engine.write_log("worker", f"k{number}", stream="stderr")
    portion = read_newest(engine, [web, worker], 5)
    assert texts(portion.lines) == ["k0", "w1", "k1", "w2", "k2"]
    assert [(line.source, line.stream) for line in portion.lines[:2]] == [("worker", "stderr"), ("web", "stdout")]
    assert [line.time for line in portion.lines] == sorted(line.time for line in portion.lines)


def test_a_backlog_comes_in_order_over_portions_though_one_log_is_much_longer(engine):
    sources = [add(engine, "busy"), add(engine, "calm")]
    for number in range(400):
        engine.write_log("busy", f"b{number} {'x' * 3000}")
        if number % 100 == 50:
            engine.write_log("calm", f"c{number}")
    portion = read_since(engine, sources, Cursor())
    shown = list(portion.lines)
    assert 100 < len(shown) < 200  # as many as half of the bytes hold: the calm log's later lines have to wait
    while portion.more:
        portion = read_since(engine, sources, portion.cursor)
        shown += portion.lines
    assert len(shown) == 404
    assert [line.moment for line in shown] == sorted(line.moment for line in shown)


def test_a_log_that_has_lost_its_old_lines_goes_on_with_the_younger(engine):
    source = add(engine, "web")
    engine.write_log("web", *"abc")
    portion = read_newest(engine, [source], 10)
    del engine.logs[source.id][:]
    engine.write_log("web", *"de")
    assert texts(read_since(engine, [source], portion.cursor).lines) == ["d", "e"]


def test_portions_are_bounded_in_bytes(engine):
    source = add(engine, "web")
    engine.write_log("web", *("x" * 9_000 for _ in range(300)))
    newest = read_newest(engine, [source], 1000)
    assert 50 < len(newest.lines) < 120
    oldest = read_since(engine, [source], Cursor())
    assert oldest.more
    assert 50 < len(oldest.lines) < 120


def test_a_container_that_cannot_be_read_is_told_and_does_not_hinder_the_others(engine):
    silent = add(engine, "silent", HostConfig={"LogConfig": {"Type": "none"}})
    web = add(engine, "web")
    gone = LogSource("containers", "f" * 64, "gone")
    engine.write_log("web", "hello")
    for portion in (read_newest(engine, [silent, web, gone], 10), read_since(engine, [silent, web, gone], Cursor())):
        assert texts(portion.lines) == ["hello"]
        assert portion.notices == (
            LogNotice("silent", "the engine says: configured logging driver does not support reading"),
            LogNotice("gone", "it is no longer on the engine."),
        )


def test_an_engine_that_falls_silent_costs_no_more_than_the_deadline(engine, monkeypatch):
    sources = [add(engine, "web"), add(engine, "stuck")]
    engine.write_log("web", "hello")
    release = threading.Event()
    original = engine.open_logs

    def open_logs(kind, name, *more):
        if name == sources[1].id:
            release.wait(20)
        return original(kind, name, *more)

    monkeypatch.setattr(engine, "open_logs", open_logs)
    monkeypatch.setattr(logs.Deadline.__init__, "__defaults__", (0.2,))
    portion = read_since(engine, sources, Cursor())
    release.set()
    assert texts(portion.lines) == ["hello"]
    assert not portion.more
    assert [(notice.source, "did not answer" in notice.text) for notice in portion.notices] == [("stuck", True)]


def test_an_engine_that_is_lost_between_is_a_notice_and_nothing_is_lost(engine):
    source = add(engine, "web")
    engine.write_log("web", "a")
    portion = read_newest(engine, [source], 10)
    engine.unreachable = "Connection refused."
    lost = read_since(engine, [source], portion.cursor)
    assert (lost.lines, [notice.text for notice in lost.notices]) == ((), ["Connection refused."])
    engine.unreachable = ""
    engine.write_log("web", "b")
    assert texts(read_since(engine, [source], lost.cursor).lines) == ["b"]


def test_a_connection_that_cannot_be_made_is_told(engine, monkeypatch):
    def fail():
        raise EngineUnreachable("Connection refused.")

    monkeypatch.setattr(engine, "sibling", fail)
    portion = read_newest(engine, [add(engine, "a"), add(engine, "b")], 10)
    assert [notice.text for notice in portion.notices] == ["Connection refused."] * 2


def test_a_whole_log_is_interleaved_and_its_connections_are_closed(engine):
    sources = [add(engine, "web"), add(engine, "worker"), LogSource("containers", "f" * 64, "gone")]
    for number in range(2):
        engine.write_log("web", f"w{number}")
        engine.write_log("worker", f"k{number}")
    found = list(read_whole(engine, sources))
    assert found[0] == LogNotice("gone", "it is no longer on the engine.")
    assert texts(found[1:]) == ["w0", "k0", "w1", "k1"]
    cut_short = read_whole(engine, sources[:1])
    next(cut_short)
    cut_short.close()
    assert next(cut_short, None) is None
