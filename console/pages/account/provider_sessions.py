"""Sessions of those who signed in at a provider end after some hours, however much they are used: at the next sign-in their
groups are read again."""

from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from console.sessions import MAXIMUM_SECONDS

METHOD = "socialaccount"  # allauth's word for it


def describe_way(request: HttpRequest, user: Any) -> dict[str, str]:
    """Return what the audit entry of a sign-in says about a provider: its issuer; nothing after a password."""
    found = [each for each in get_authentication_records(request, user) if each["method"] == METHOD]
    return {"by": str(found[-1].get("provider", ""))} if found else {}


@receiver(user_logged_in)
def limit_session(request: HttpRequest, user: Any, **_: Any) -> None:
    if describe_way(request, user):
        request.session[MAXIMUM_SECONDS] = settings.SSO_SESSION_SECONDS
    else:
        request.session.pop(MAXIMUM_SECONDS, None)
