import pytest

from clusters.engine.first_error import LENGTH, choose_first_error

PYTHON = """Starting.
Traceback (most recent call last):
  File "/app/main.py", line 3, in <module>
    connect()
KeyError: 'DATABASE_URL'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/main.py", line 5, in <module>
    raise SystemError("no database")
SystemError: no database"""
JAVA = """INFO  Starting the error handler
Exception in thread "main" java.lang.IllegalStateException: no database
\tat shop.Main.main(Main.java:7)
Caused by: java.net.ConnectException: refused"""
NODE = """/app/index.js:3
throw new Error("no database");
^

Error: no database
    at Object.<anonymous> (/app/index.js:3:7)

Node.js v22.1.0"""
GO = """2026/11/30 10:00:00 ready
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation]

goroutine 1 [running]:"""
NGINX = """/docker-entrypoint.sh: Configuration complete; ready for start up
2026/11/30 10:00:00 [notice] 1#1: error_log is on
2026/11/30 10:00:00 [emerg] 1#1: host not found in upstream "app" in /etc/nginx/conf.d/default.conf:3
nginx: [emerg] host not found in upstream "app" in /etc/nginx/conf.d/default.conf:3"""
POSTGRESQL = """2026-11-30 10:00:00.000 UTC [1] LOG:  starting PostgreSQL 17.2
2026-11-30 10:00:00.001 UTC [1] FATAL:  database files are incompatible with server
2026-11-30 10:00:00.002 UTC [1] DETAIL:  The data directory was initialized by PostgreSQL version 16."""


def choose(text, stream="stderr"):
    return choose_first_error([(stream, line) for line in text.split("\n")])


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param(PYTHON, "SystemError: no database", id="python"),
        pytest.param(JAVA, 'Exception in thread "main" java.lang.IllegalStateException: no database', id="java"),
        pytest.param(NODE, "Error: no database", id="node"),
        pytest.param(GO, "panic: runtime error: invalid memory address or nil pointer dereference", id="go"),
        pytest.param(NGINX, NGINX.split("\n")[2], id="nginx"),
        pytest.param(POSTGRESQL, POSTGRESQL.split("\n")[1].replace("  ", " "), id="postgresql"),
        pytest.param("done, 0 errors\nno error found\nbye", "bye", id="no error"),
    ],
)
def test_the_line_that_says_what_went_wrong_is_chosen(output, expected):
    assert choose(output) == expected


def test_without_such_a_word_the_last_line_of_stderr_counts_then_the_last_line():
    assert choose_first_error([("stderr", "cannot bind"), ("stdout", "bye"), ("stdout", " ")]) == "cannot bind"
    assert choose_first_error([("stdout", "hello"), ("stdout", "bye")]) == "bye"
    assert choose_first_error([("stdout", "")]) == ""
    assert choose_first_error([]) == ""


def test_an_unfinished_traceback_is_no_line_of_its_own():
    assert choose('Traceback (most recent call last):\n  File "x"') == 'File "x"'


def test_the_line_is_short_and_has_no_control_characters():
    line = choose("error: \x1b]0;owned\x07\u202egnp.exe\t" + "x" * 1000)
    assert len(line) == LENGTH
    assert line.isprintable()
    assert line.endswith("…")
