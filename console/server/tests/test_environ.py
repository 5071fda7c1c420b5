import io

import pytest

from console.server.environ import StartResponse, build_environ, count_cookies, remove_prefix
from console.server.tests.asgi import make_scope


def environ_of(length=None, **scope):
    return build_environ(make_scope(**scope), io.BytesIO(), length)


def test_the_request_is_described_as_wsgi_asks_for():
    environ = environ_of(method="PUT", path="/a%20b/%C3%BC%ff", query=b"x=%20", headers=[("host", "h"), ("x-some-thing", "1")])
    assert environ["REQUEST_METHOD"] == "PUT"
    assert environ["PATH_INFO"].encode("latin-1") == b"/a b/\xc3\xbc\xff"
    assert (environ["QUERY_STRING"], environ["HTTP_HOST"], environ["HTTP_X_SOME_THING"]) == ("x=%20", "h", "1")
    assert (environ["REMOTE_ADDR"], environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("192.0.2.7", "127.0.0.1", "8000")


def test_a_header_with_an_underscore_speaks_for_no_other():
    environ = environ_of(
        headers=[("x-forwarded-for", "192.0.2.1"), ("x_forwarded_for", "198.51.100.1"), ("content_length", "5")]
    )
    assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.1"
    assert "CONTENT_LENGTH" not in environ


def test_repeated_headers_are_joined():
    environ = environ_of(headers=[("accept", "a"), ("accept", "b"), ("cookie", "c=1"), ("cookie", "d=2")])
    assert (environ["HTTP_ACCEPT"], environ["HTTP_COOKIE"]) == ("a,b", "c=1; d=2")


def test_links_look_at_no_cookies():
    assert "HTTP_COOKIE" not in environ_of(path="/hook/trigger", headers=[("cookie", "c=1")])


def test_a_file_is_never_asked_for_in_parts():
    environ = environ_of(headers=[("range", "bytes=0-"), ("if-range", '"a"'), ("accept-ranges", "bytes")])
    assert {name for name in environ if "RANGE" in name} == {"HTTP_ACCEPT_RANGES"}


def test_a_body_that_was_read_has_a_length_however_it_was_sent():
    environ = environ_of(length=3, headers=[("transfer-encoding", "chunked")])
    assert environ["CONTENT_LENGTH"] == "3"
    assert "HTTP_TRANSFER_ENCODING" not in environ


@pytest.mark.parametrize(
    ("sent", "passed_on"),
    [
        ("application/json; charset=utf-8", "application/json; charset=utf-8"),
        ('text/plain; charset="ISO-8859-1"; x=y', 'text/plain; charset="ISO-8859-1"; x=y'),
        ("text/plain; charset=undefined", "text/plain"),
        ("text/plain;CHARSET = base64 ; x=y", "text/plain ; x=y"),
        ("text/plain; charset=", "text/plain"),
        ("multipart/form-data; boundary=charset", "multipart/form-data; boundary=charset"),
    ],
)
def test_a_charset_that_no_sender_means_is_left_out(sent, passed_on):
    assert environ_of(headers=[("content-type", sent)])["CONTENT_TYPE"] == passed_on


def test_cookies_are_counted_over_all_headers():
    assert count_cookies(make_scope(headers=[("cookie", "a=1"), ("x", "long value"), ("cookie", "b")])) == 4


def test_the_answers_head_is_kept_for_asgi():
    start = StartResponse()
    write = start("404 Not Found", [("Content-Type", "text/plain")])
    assert (start.status, start.headers) == (404, [(b"Content-Type", b"text/plain")])
    with pytest.raises(NotImplementedError):
        write(b"")


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("//hook/trigger", "/hook/trigger"),
        ("/hook//trigger", "/hook/trigger"),
        ("//login/", "//login/"),
        ("/hook/calls/1%0A", "/hook/calls/1"),
        ("/hook/registry/abc%20%0D%0A", "/hook/registry/abc"),
        ("/login%20", "/login "),
        ("/hook", "/hook"),
    ],
)
def test_the_path_of_a_link_is_repaired(path, read):
    assert environ_of(path=path)["PATH_INFO"] == read


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("/windlass/hook/trigger", "/hook/trigger"),
        ("/hook/trigger", "/hook/trigger"),
        ("/windlass", "/"),
        ("/windlass/", "/"),
        ("/windlasses/", "/windlasses/"),
        ("/windlass/windlass/", "/windlass/"),
    ],
)
def test_the_path_of_the_public_address_may_be_left_on_or_not(path, left):
    scope = remove_prefix(make_scope(path=path), "/windlass")
    assert (scope["path"], scope["raw_path"]) == (left, left.encode())
    assert remove_prefix(make_scope(path=path), "")["path"] == path
