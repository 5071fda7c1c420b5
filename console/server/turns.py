"""Whose work comes next when requests wait for a thread.

Requests wait in lanes, and each lane has its turn. Whoever sends many requests at a time waits behind their own. A link that
was answered well lately has a lane of its own, whatever address it is called from; all other requests are in the lane of their
client's address. The two kinds of lanes alternate, so many addresses do not delay a link, nor links the pages.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from clusters.callers import find_client_address
from console.server.environ import LINKS_PREFIX
from triggers.hook.authentication import REGISTRY_PATH

KNOWN_LINKS = 10_000  # that are remembered
SECRET = re.compile(r"(?:^|&)(?:secret|token)=([^&]+)")

Work = Callable[[], None]


@dataclass(frozen=True)
class Lane:
    """`is_known`: that of a link that was answered well."""

    name: Hashable
    is_known: bool = False


ANY = Lane(None)


class Turns:
    """Work by lane."""

    def __init__(self) -> None:
        self._next: OrderedDict[Lane, deque[Work]] = OrderedDict()
        self._after: OrderedDict[Lane, deque[Work]] = OrderedDict()
        self._kinds = {True: self._next, False: self._after}

    def __bool__(self) -> bool:
        return bool(self._next or self._after)

    def add(self, work: Work, lane: Lane) -> None:
        self._kinds[lane.is_known].setdefault(lane, deque()).append(work)

    def take(self) -> Work:
        """Return the work whose turn it is. There must be some."""
        lanes = self._next or self._after
        self._next, self._after = self._after, self._next
        lane, waiting = lanes.popitem(last=False)
        work = waiting.popleft()
        if waiting:
            lanes[lane] = waiting
        return work


class KnownLinks:
    """The links that were answered well lately. What is kept of each is a hash of its secret."""

    def __init__(self, limit: int = KNOWN_LINKS) -> None:
        self._limit = limit
        self._known: OrderedDict[int, None] = OrderedDict()

    def choose_lane(self, environ: Mapping[str, Any]) -> Lane:
        """`environ` is WSGI's."""
        if (secret := hash_secret(environ)) in self._known:
            return Lane(secret, is_known=True)
        return Lane(find_client_address(environ))

    def learn(self, environ: Mapping[str, Any]) -> None:
        """Remember the link of a request that was answered well."""
        if secret := hash_secret(environ):
            self._known[secret] = None
            self._known.move_to_end(secret)
            if len(self._known) > self._limit:
                self._known.popitem(last=False)


def hash_secret(environ: Mapping[str, Any]) -> int | None:
    """Return a hash of the secret that the address or a header of a link has. Nobody can choose what it is: the interpreter's
    own hash has a key."""
    path = environ["PATH_INFO"]
    if not path.startswith(LINKS_PREFIX):
        return None
    if path.startswith(REGISTRY_PATH):
        return hash(path.removeprefix(REGISTRY_PATH).rstrip("/"))
    if header := environ.get("HTTP_X_TRIGGER_SECRET"):
        return hash(header)
    found = SECRET.search(environ["QUERY_STRING"])
    return hash(found[1]) if found else None
