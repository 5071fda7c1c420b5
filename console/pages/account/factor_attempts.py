"""What a wrong code, passkey or confirming password costs: an entry in the audit log, as a failed sign-in."""

from collections.abc import Callable
from typing import Any, TypeVar

from allauth.mfa.models import Authenticator
from django.http import HttpRequest
from django.utils.formats import date_format

from clusters.access.counted_acts import counted_acts
from clusters.callers import client_address
from clusters.waits import NoPlace
from console.factors import passkeys
from console.factors.codes import TooManyCodes
from console.factors.passkeys import PasskeyRefused
from console.pages.account.factor_forms import PasskeyForm
from console.pages.account.throttle import SignInLocked, note_failure, take_turn

Found = TypeVar("Found")


def attempt(request: HttpRequest, name: str, what: str, check: Callable[[], Found]) -> Found:
    """Run `check` and return what it found. Nothing (None, False or empty text) and PasskeyRefused are failures of the user
    `name`; `what` says what was tried. This is the one place that all such attempts pass. `check` can raise codes.TooManyCodes,
    which every caller shows: nothing was checked then."""
    try:
        with take_turn(request, name):
            found = check()
    except SignInLocked as locked:
        raise TooManyCodes(f"{locked} Try again at {date_format(locked.until, 'H:i')} UTC.") from locked
    except NoPlace as error:
        raise TooManyCodes("Others are signing in. Nothing was checked; try again in a few seconds.") from error
    except PasskeyRefused as error:
        _note_failure(request, name or error.owner, what, reason=str(error))
        raise
    if not found:
        _note_failure(request, name, what)
    return found


def _note_failure(request: HttpRequest, name: str, what: str, **details: str) -> None:
    note_failure(request, name)
    kind = f"{what} {details}"
    counted_acts.count(None, "sign_in.fail", actor=name, address=client_address(request), kind=kind, method=what, **details)


def use_passkey(request: HttpRequest, purpose: str, user: Any = None) -> Authenticator:
    """Return the passkey whose answer the request's form holds (passkeys.finish_use). Raises PasskeyRefused."""

    def check() -> Authenticator:
        form = PasskeyForm(request.POST)
        if not form.is_valid():
            raise PasskeyRefused("The browser sent no passkey.")
        return passkeys.finish_use(request, purpose, user=user, **form.cleaned_data)

    return attempt(request, user.get_username() if user else "", "passkey", check)
