"""The WSGI environment (PEP 3333) of a request in the form of ASGI (https://asgi.readthedocs.io/en/latest/specs/www.html)."""

import re
import sys
from collections.abc import Callable, Mapping
from typing import IO, Any
from urllib.parse import unquote_to_bytes

COOKIES_LIMIT = 8192  # bytes, as much as nginx takes of one header
LINKS_PREFIX = "/hook/"
DOUBLED_SLASHES = re.compile(r"\A/+hook/+")  # of a base address with a slash at its end
PLAIN_NAMES = {"CONTENT_TYPE", "CONTENT_LENGTH"}
# Django reads a request in whatever charset its Content-Type names, as long as Python has a codec of that name: `undefined` and
# `base64` are such names too, and fail.
CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\";\s]*)\"?", re.IGNORECASE)
USUAL_CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "latin-1", "windows-1252"}
# A proxy that adds X-Forwarded-For leaves a header `X_Forwarded_For` of the client alone, and both have one name in WSGI.
UNDERSCORE = "_"
# A part of a file is streamed, so a client that takes nothing would hold a thread. Whoever asks for a part gets the whole file,
# which the server sends alone. HTTP allows that (RFC 9110, 14.2).
LEFT_OUT = {"range", "if-range"}


def remove_prefix(scope: Mapping[str, Any], prefix: str) -> Mapping[str, Any]:
    """Return the scope as if a proxy had removed the public address's path, such as `/windlass`. Some do, some do not."""
    raw: bytes = scope["raw_path"]
    start = prefix.encode()
    if not start or not (raw == start or raw.startswith(start + b"/")):
        return scope
    return {**scope, "raw_path": raw[len(start) :] or b"/", "path": scope["path"][len(prefix) :] or "/"}


def build_environ(scope: Mapping[str, Any], body: IO[bytes], length: int | None) -> dict[str, Any]:
    """Return the environment. `length` is the body's, in bytes; None for the length that the client states.

    Headers whose names have an underscore are left out, and LEFT_OUT, and the cookies of links, which look at none.
    """
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": repair_path(unquote_to_bytes(scope["raw_path"]).decode("latin-1")),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": "HTTP/1.0" if scope["http_version"] == "1" else "HTTP/1.1",
        "SERVER_NAME": scope["server"][0],
        "SERVER_PORT": str(scope["server"][1]),
        "REMOTE_ADDR": scope["client"][0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    is_link = environ["PATH_INFO"].startswith(LINKS_PREFIX)
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if UNDERSCORE in name or name in LEFT_OUT or (is_link and name == "cookie"):
            continue
        key = name.replace("-", UNDERSCORE).upper()
        key = key if key in PLAIN_NAMES else f"HTTP_{key}"
        environ[key] = f"{environ[key]}{'; ' if name == 'cookie' else ','}{value}" if key in environ else value
    if "CONTENT_TYPE" in environ:
        environ["CONTENT_TYPE"] = drop_unusual_charset(environ["CONTENT_TYPE"])
    if length is not None:
        # The whole body is there, whichever way it was sent.
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ["CONTENT_LENGTH"] = str(length)
    return environ


def repair_path(path: str) -> str:
    """Return the path; that of a link without doubled slashes, and without blanks and line ends at its end."""
    repaired = DOUBLED_SLASHES.sub(LINKS_PREFIX, path)
    return repaired.rstrip(" \t\r\n") if repaired.startswith(LINKS_PREFIX) else path


def drop_unusual_charset(content_type: str) -> str:
    """Return the content type without a charset that no sender means. The body counts as UTF-8 then."""
    return CHARSET.sub(lambda found: found[0] if found[1].lower() in USUAL_CHARSETS else "", content_type)


def count_cookies(scope: Mapping[str, Any]) -> int:
    """Return the bytes of all cookies."""
    return sum(len(value) for name, value in scope["headers"] if name == b"cookie")


class StartResponse:
    """WSGI's `start_response`. It keeps the status and the headers in the form of ASGI."""

    status = 500
    headers: list[tuple[bytes, bytes]]

    def __init__(self) -> None:
        self.headers = []

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], object]:
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return refuse_write


def refuse_write(_: bytes) -> object:
    raise NotImplementedError("Return the body; WSGI's write() is only for programs from before 2003.")
