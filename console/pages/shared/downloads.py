"""Files that are sent while they are read, such as exports and logs.

A slow reader holds a thread, so only so many files are sent at a time. Meanwhile the thread holds no database connection.
"""

from collections.abc import Callable, Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from clusters.waits import NoPlace, Places, release_connection

RETRY_SECONDS = 30

OpenFile = Callable[[], Iterator[str]]

places = Places(settings.DOWNLOADS, settings.DOWNLOADS_FOR_EACH)


class Download:
    """The pieces of a file that is being sent. Closing it gives the place of `user` up, once."""

    def __init__(self, pieces: Iterator[str], user: str) -> None:
        self._pieces, self._user = pieces, user
        self._is_open = True

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        release_connection()
        try:
            return next(self._pieces)
        finally:
            release_connection()

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        places.free(self._user)
        if close := getattr(self._pieces, "close", None):
            close()

    __del__ = close  # a response that a middleware drops is never closed


def send_download(request: HttpRequest, name: str, content_type: str, open_file: OpenFile) -> HttpResponseBase:
    """Send a file under that name. `open_file` returns its pieces; what it raises is raised here.

    Where too many downloads are under way, the response has status 503 and says so.
    """
    user = str(request.user.pk)
    try:
        places.take(user)
    except NoPlace as error:
        return refuse_download(error)
    try:
        pieces = open_file()
    except BaseException:
        places.free(user)
        raise
    response = StreamingHttpResponse(Download(pieces, user), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def refuse_download(error: NoPlace) -> HttpResponse:
    whose = "of your downloads" if error.is_same else "downloads"
    message = f"{error.number} {whose} are under way, and no more can be at a time. Let one end, then try again.\n"
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return HttpResponse(message, content_type="text/plain; charset=utf-8", status=503, headers=headers)
