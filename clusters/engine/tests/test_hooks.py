import pytest

from clusters.engine.hooks import describe_answer, describe_done, read_check, read_predeploy


def make_check(address):
    return read_check("web", {"windlass.check": address})


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("http://:8080/ready", ("http", "", 8080, "/ready")),
        ("http:///ready?deep=1", ("http", "", 80, "/ready?deep=1")),
        ("http://proxy:81", ("http", "proxy", 81, "")),
        ("http://[::1]:81/", ("http", "::1", 81, "/")),
        ("tcp://:5432", ("tcp", "", 5432, "")),
    ],
)
def test_an_address_is_read(address, found):
    check = make_check(address)
    assert (check.scheme, check.host, check.port, check.path) == found
    assert check.timeout == 60.0


def test_what_is_asked_is_a_whole_request():
    command = make_check("http://[::1]:81/a").make_command("::1")
    assert command[:2] == ["sh", "-c"]
    assert command[3:6] == ["windlass-check", "::1", "81"]
    assert command[6] == "GET /a HTTP/1.0\r\nHost: [::1]\r\nUser-Agent: windlass\r\nConnection: close\r\n\r\n"
    assert make_check("tcp://:5432").make_command("127.0.0.1")[5:] == ["5432", ""]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["HTTP/1.1 503 Service Unavailable\r"], "http://:80/ answered 503 Service Unavailable"),
        (
            ["HTTP/1.1 503 x", "nc: can't connect to remote host (127.0.0.1): Connection refused"],
            "http://:80/ did not answer (Connection refused)",
        ),
        (["no answer"], "http://:80/ did not answer"),
        ([], "http://:80/ did not answer"),
    ],
    ids=["status", "refused", "silent", "nothing"],
)
def test_an_answer_is_told_in_words(lines, sentence):
    assert describe_answer(make_check("http://:80/"), lines) == sentence


def test_a_command_is_a_list_of_words_without_a_shell():
    step = read_predeploy(
        "web", {"windlass.predeploy": """sh -c 'migrate && seed' "$HOME" """, "windlass.predeploy.timeout": "90s"}
    )
    assert (step.command, step.entrypoint, step.timeout) == (("sh", "-c", "migrate && seed", "$HOME"), None, 90.0)
    assert read_predeploy("web", {"windlass.predeploy": "  "}) is None
    assert read_check("web", {}) is None


def test_the_sentence_of_success_fits_an_event_whatever_the_services_name():
    assert len(describe_done("x" * 5000)) < 4000
    assert "\n" not in describe_done("a\nb")
