import pytest

from clusters.engine.errors import EngineRefused
from clusters.engine.evidence import BYTES, CONTAINERS, LINES, Evidence, EvidenceReader, make_masker, mask_lines
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.engine.masking import MASK


@pytest.fixture
def engine():
    fake = FakeEngine()
    fake.add_image("shop:1")
    return fake


def read(engine, name="web", reader=None, **config):
    container = engine.run(name, "shop:1", **config)
    return lambda: (reader or EvidenceReader()).read_container(engine, container, name, "It did not keep running.")


def test_the_last_lines_are_read_with_stream_time_image_and_service(engine):
    take = read(engine, Labels={"com.docker.compose.project": "shop", "com.docker.compose.service": "web"})
    engine.write_log("web", "starting")
    engine.write_log("web", "error: no disk", stream="stderr")
    found = take()
    assert [(line.stream, line.text) for line in found.lines] == [("stdout", "starting"), ("stderr", "error: no disk")]
    assert found.lines[0].time.startswith("2026-01-01T")
    assert (found.service, found.image, found.first_error) == ("web", "shop:1", "error: no disk")
    assert found.image_id.startswith("sha256:")
    assert not found.is_cut


def test_only_the_last_lines_are_kept_and_that_is_said(engine):
    take = read(engine)
    engine.write_log("web", *map(str, range(LINES + 50)))
    found = take()
    assert [found.lines[0].text, found.lines[-1].text, len(found.lines)] == ["50", str(LINES + 49), LINES]
    assert found.is_cut


def test_long_lines_are_bounded_together(engine):
    take = read(engine)
    engine.write_log("web", *["ä" * 9000] * LINES)
    found = take()
    assert 0 < sum(len(line.text.encode()) for line in found.lines) <= BYTES
    assert found.is_cut


def test_secrets_are_masked(engine):
    take = read(engine, Env=["DB_PASSWORD=hunter2hunter2", "MODE=fast"])
    engine.write_log("web", "login with hunter2hunter2 failed", "postgres://u:pa55word@db/x", "\x1b[31mhun\x1b[0mter2hunter2")
    found = take()
    assert [line.text for line in found.lines] == [f"login with {MASK} failed", f"postgres://u:{MASK}@db/x", MASK]


def test_a_private_key_over_several_lines_is_masked():
    lines = ["loading", "-----BEGIN RSA PRIVATE KEY-----", "MIIEow", "-----END RSA PRIVATE KEY-----", "ready"]
    assert mask_lines(make_masker([]), lines) == ["loading", MASK, MASK, MASK, "ready"]


def test_a_private_key_whose_beginning_was_cut_off_is_masked():
    lines = ["ready", "MIIEowIBAAKCAQEA0123", "abcdefghijklmnop/+==", "-----END RSA PRIVATE KEY-----", "bye"]
    assert mask_lines(make_masker([]), lines) == ["ready", MASK, MASK, "-----END RSA PRIVATE KEY-----", "bye"]


def test_each_line_of_a_secret_is_masked():
    masker = make_masker(["TLS_PRIVATE_KEY=first line\nsecond line"])
    assert mask_lines(masker, ["bad: second line."]) == [f"bad: {MASK}."]


def test_output_that_cannot_be_read_is_said_and_nothing_is_raised(engine, monkeypatch):
    take = read(engine, HostConfig={"LogConfig": {"Type": "none"}})
    assert take().problem == "the engine reports: configured logging driver does not support reading"

    def refuse(container):
        raise EngineRefused("no")

    monkeypatch.setattr(engine, "inspect_container", refuse)
    assert take().image == ""


def test_a_container_that_is_gone_leaves_its_name(engine):
    found = EvidenceReader().read_container(engine, "f" * 64, "web", "web exited and was removed.")
    assert (found.name, found.lines, found.problem) == ("web", (), "it no longer exists on the engine.")


def test_a_task_that_never_ran_is_not_asked_for_its_log(engine):
    found = EvidenceReader().read_task(engine, Evidence("t1", "web.1", cause="no such image"), [], "it never ran.")
    assert (found.problem, found.lines) == ("it never ran.", ())
    assert "open_logs" not in engine.requests


def test_a_log_that_nobody_understands_becomes_a_problem(engine, monkeypatch):
    take = read(engine)
    monkeypatch.setattr(engine, "open_logs", lambda *arguments: 1 // 0)
    assert take().problem == "it could not be understood (ZeroDivisionError)."


def test_each_container_is_read_once_and_too_many_are_only_counted(engine):
    reader = EvidenceReader()
    takes = [read(engine, f"web-{number}", reader) for number in range(CONTAINERS + 1)]
    found = [take() for take in takes]
    assert [one.is_left_out for one in found] == [False] * CONTAINERS + [True]
    assert takes[0]() is None
