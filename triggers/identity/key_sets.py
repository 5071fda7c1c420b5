"""The keys of issuers, kept in memory for ten minutes, so that a call waits for its issuer only rarely.

Whoever knows a link can send a token that names one of its issuers. So an issuer is asked by one thread at a time; those who
wait for it have places (clusters.waits); after a failure it is left alone for a while; and a key that it has not published is
looked for once a minute.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from clusters.waits import NoPlace, freeing, places
from triggers.identity.issuers import SECONDS, IssuerFailed, fetch_keys
from triggers.identity.tokens import BadIdentity, IssuerKey
from triggers.refusals import CallRefused

log = structlog.get_logger("windlass.hook")

KEPT_SECONDS = 600.0
UNKNOWN_KEY_SECONDS = 60.0  # between two looks for a key that the issuer had not published
RETRY_SECONDS = 10.0  # after a failure
ISSUERS_MAXIMUM = 100  # whose keys are kept; those that were asked longest ago are forgotten


class IssuerUnavailable(CallRefused):
    """The issuer's keys are not known now, so nobody can say whether the token is right."""

    status, code, reason = 503, "issuer", "identity"

    def __init__(self, seconds: float, noted: str) -> None:
        super().__init__(
            "The issuer of the identity token gives no keys at the moment, so the token cannot be checked. Nothing was done; "
            "try again later.",
            retry_after=max(1, round(seconds)),
        )
        self.noted = noted


@dataclass
class KnownIssuer:
    """What is known of an issuer. The times are those of the clock; None for never."""

    keys: Mapping[str, IssuerKey] = field(default_factory=dict)
    fetched_at: float | None = None
    tried_at: float | None = None
    failure: str = ""  # of the last attempt
    fetching: threading.Event | None = None

    def is_fresh(self, now: float) -> bool:
        return self.fetched_at is not None and now - self.fetched_at < KEPT_SECONDS

    def find_pause(self, now: float) -> float:
        """Return for how many seconds the issuer is not asked again."""
        if self.tried_at is None or not (self.failure or self.is_fresh(now)):
            return 0.0
        return self.tried_at + (UNKNOWN_KEY_SECONDS if self.is_fresh(now) else RETRY_SECONDS) - now


class KeySets:
    """The keys of all issuers that this process knows. Any thread can call its methods."""

    def __init__(
        self,
        fetch: Callable[[str], Mapping[str, IssuerKey]] = fetch_keys,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch, self._clock = fetch, clock
        self._lock = threading.Lock()  # never held while anything is waited for
        self._issuers: dict[str, KnownIssuer] = {}

    def find_key(self, issuer: str, key_id: str) -> IssuerKey:
        """Return the issuer's key with this id. Raises BadIdentity if it publishes no such key, and IssuerUnavailable."""
        for is_last in (False, True):
            key, others = self._look_up(issuer, key_id)
            if key:
                return key
            if is_last:
                break
            self._ask(issuer, others)
        raise BadIdentity("kid", "Its issuer publishes no such key.")

    def _look_up(self, issuer: str, key_id: str) -> tuple[IssuerKey | None, threading.Event | None]:
        """Return the key if it is known; else the event that ends another thread's look for it, or None: this one has to look.

        Raises BadIdentity and IssuerUnavailable where nobody may look now."""
        with self._lock:
            known, now = self._issuers.setdefault(issuer, KnownIssuer()), self._clock()
            if known.is_fresh(now) and (key := known.keys.get(key_id)):
                return key, None
            if known.fetching:
                return None, known.fetching
            if (pause := known.find_pause(now)) > 0:
                if known.failure:
                    raise IssuerUnavailable(pause, known.failure)
                raise BadIdentity("kid", "Its issuer publishes no such key.")
            known.fetching, known.tried_at = threading.Event(), now
            self._forget_oldest()
        return None, None

    def _ask(self, issuer: str, others: threading.Event | None) -> None:
        """Ask the issuer, or wait until the thread that asks it is done. Raises IssuerUnavailable."""
        name = f"issuer {issuer}"
        try:
            places.take(name)
        except NoPlace as error:
            if others is None:
                self._end(issuer, None, "Too many requests wait.")
            raise IssuerUnavailable(SECONDS, "Too many requests wait for engines, registries and issuers.") from error
        with freeing(name):
            if others is not None:
                if not others.wait(SECONDS + 1):
                    raise IssuerUnavailable(SECONDS, "It did not answer in time.")
                return
            self._refresh(issuer)

    def _refresh(self, issuer: str) -> None:
        """Raises IssuerUnavailable."""
        keys, failure = None, "The look for its keys was given up."
        try:
            keys, failure = self._fetch(issuer), ""
        except IssuerFailed as error:
            failure = str(error)
            log.warning("an issuer of identity tokens gives no keys", issuer=issuer, error=failure)
            raise IssuerUnavailable(RETRY_SECONDS, failure) from error
        finally:
            self._end(issuer, keys, failure)

    def _end(self, issuer: str, keys: Mapping[str, IssuerKey] | None, failure: str) -> None:
        with self._lock:
            known = self._issuers.setdefault(issuer, KnownIssuer())
            known.failure = failure
            if keys is not None:
                known.keys, known.fetched_at = keys, self._clock()
            if known.fetching:
                known.fetching.set()
            known.fetching = None

    def _forget_oldest(self) -> None:
        idle = sorted((known.tried_at or 0.0, issuer) for issuer, known in self._issuers.items() if not known.fetching)
        for _, issuer in idle[: max(0, len(self._issuers) - ISSUERS_MAXIMUM)]:
            del self._issuers[issuer]

    def forget(self) -> None:
        """Begin anew, without any keys."""
        with self._lock:
            self._issuers = {}


key_sets = KeySets()
