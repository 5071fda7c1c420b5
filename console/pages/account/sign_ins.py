"""Record sign-ins, failed sign-ins and sign-outs in the audit log, note in a session when it began, and list it. Sessions end
when their user gets another password or is deactivated."""

from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from clusters.access.audit import record
from clusters.access.counted_acts import counted_acts
from clusters.callers import client_address
from console.factors.store import NAMES
from console.pages.account.first_password import CHANGE_PASSWORD, has_first_password
from console.pages.account.fresh import CONFIRMED_AT
from console.pages.account.provider_sessions import METHOD, describe_way
from console.session_list import end_sessions, list_session
from console.sessions import SIGNED_IN_AT


@receiver(user_logged_in)
def record_sign_in(request: HttpRequest, user: Any, **_: Any) -> None:
    methods = name_methods(request, user)
    details = describe_way(request, user) | ({"method": ", ".join(methods)} if methods else {})
    record(user, "sign_in", address=client_address(request), **details)
    request.session[SIGNED_IN_AT] = request.session[CONFIRMED_AT] = timezone.now().timestamp()
    if has_first_password(user):
        request.session[CHANGE_PASSWORD] = True
    list_session(request, user)


def name_methods(request: HttpRequest, user: Any) -> list[str]:
    """Return how the user showed who they are, in the order of the steps, such as "password" and "authenticator app"."""
    records = get_authentication_records(request, user)
    methods = (NAMES.get(one.get("type", ""), one["method"]) for one in records)
    return list(dict.fromkeys("identity provider" if method == METHOD else method for method in methods))


@receiver(user_login_failed)
def record_failed_sign_in(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Record the name that was tried, and count repetitions. Django has replaced the password with stars, and no part of it is
    kept."""
    address = client_address(request) if request else None
    actor = str(credentials.get("username") or "").replace("\0", "")
    counted_acts.count(None, "sign_in.fail", actor=actor, address=address)


@receiver(user_logged_out)
def record_sign_out(request: HttpRequest, user: Any, **_: Any) -> None:
    """Record a sign-out, unless the session had already ended."""
    if user is not None:
        record(user, "sign_out", address=client_address(request))


@receiver(post_save, sender=User)
def end_sessions_of_the_deactivated(instance: User, created: bool, **_: Any) -> None:
    """Otherwise they would be there again once the user is activated."""
    if not created and not instance.is_active:
        end_sessions(instance)


class SessionsEnd:
    """The password validator that notices a new password, wherever it is set: all sessions of its user end. The page where
    users change their own then gives the session there a new key."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Any password will do."""

    def password_changed(self, password: str, user: User | None = None) -> None:
        if user and user.pk:
            end_sessions(user)

    def get_help_text(self) -> str:
        return "A new password ends the user's sessions."
