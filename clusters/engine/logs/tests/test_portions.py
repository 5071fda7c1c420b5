"""Portions of logs, on an engine in memory."""

import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clusters.engine.errors import EngineUnreachable
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.engine.fakes.fake_logs import FIRST_MOMENT
from clusters.engine.logs import portions
from clusters.engine.logs.cursor import LogCursor
from clusters.engine.logs.portions import LogLimits, LogNotice, LogSource, read_newest, read_since, read_whole
from clusters.engine.logs.stream_format import SECOND
from clusters.engine.logs.tests.lines import texts

SMALL = LogLimits(lines=4, bytes=100_000, short_tail=6, long_tail=10_000)


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
# The first line is out of order, and before the last three, with the time of the last one.
@example(first=[(0, 1, 0), (0, 0, 1), (0, 0, 0), (0, 0, 0)], growth=[], newest=True)
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
        for source in sources:  # lines before the newest are not read
            mine = [line.text for line in shown if line.source == source.name]
            written[source.name] = written[source.name][len(written[source.name]) - len(mine) :]
            assert mine == written[source.name]
    else:
        portion, shown = read_since(engine, sources, LogCursor(), SMALL), []
        shown += portion.lines
    for steps in [*growth, []]:
        write(steps)
        portion = read_since(engine, sources, LogCursor.decode(portion.cursor.encode()), SMALL)
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
    portion = read_since(engine, sources, LogCursor())
    shown = list(portion.lines)
    assert 100 < len(shown) < 200  # as many as half of the bytes hold: the calm log's later lines have to wait
    while portion.more:
        portion = read_since(engine, sources, portion.cursor)
        shown += portion.lines
    assert len(shown) == 404
    assert [line.moment for line in shown] == sorted(line.moment for line in shown)


def test_a_log_that_has_lost_its_old_lines_continues_with_the_newer(engine):
    source = add(engine, "web")
    engine.write_log("web", *"abc")
    portion = read_newest(engine, [source], 10)
    del engine.logs[source.id][:]
    engine.write_log("web", *"de")
    assert texts(read_since(engine, [source], portion.cursor).lines) == ["d", "e"]


def test_portions_are_limited_in_bytes(engine):
    source = add(engine, "web")
    engine.write_log("web", *("x" * 9_000 for _ in range(300)))
    newest = read_newest(engine, [source], 1000)
    assert 50 < len(newest.lines) < 120
    oldest = read_since(engine, [source], LogCursor())
    assert oldest.more
    assert 50 < len(oldest.lines) < 120


def test_a_container_that_cannot_be_read_is_a_notice_and_does_not_stop_the_others(engine):
    silent = add(engine, "silent", HostConfig={"LogConfig": {"Type": "none"}})
    web = add(engine, "web")
    gone = LogSource("containers", "f" * 64, "gone")
    engine.write_log("web", "hello")
    for portion in (read_newest(engine, [silent, web, gone], 10), read_since(engine, [silent, web, gone], LogCursor())):
        assert texts(portion.lines) == ["hello"]
        assert portion.notices == (
            LogNotice("silent", "the engine reports: configured logging driver does not support reading"),
            LogNotice("gone", "it no longer exists on the engine."),
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
    monkeypatch.setattr(portions.Deadline.__init__, "__defaults__", (0.2,))
    portion = read_since(engine, sources, LogCursor())
    release.set()
    assert texts(portion.lines) == ["hello"]
    assert not portion.more
    assert [(notice.source, "did not send it" in notice.text) for notice in portion.notices] == [("stuck", True)]


def test_an_engine_that_is_lost_in_between_is_a_notice_and_no_line_is_lost(engine):
    source = add(engine, "web")
    engine.write_log("web", "a")
    portion = read_newest(engine, [source], 10)
    engine.unreachable = "Connection refused."
    lost = read_since(engine, [source], portion.cursor)
    assert (lost.lines, [notice.text for notice in lost.notices]) == ((), ["Connection refused."])
    engine.unreachable = ""
    engine.write_log("web", "b")
    assert texts(read_since(engine, [source], lost.cursor).lines) == ["b"]


def test_a_connection_that_cannot_be_made_is_a_notice(engine, monkeypatch):
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
    assert found[0] == LogNotice("gone", "it no longer exists on the engine.")
    assert texts(found[1:]) == ["w0", "k0", "w1", "k1"]
    cut_short = read_whole(engine, sources[:1])
    next(cut_short)
    cut_short.close()
    assert next(cut_short, None) is None
