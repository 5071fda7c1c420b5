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


@receiver(user_logged_in)
def limit_session(request: HttpRequest, user: Any, **_: Any) -> None:
    if any(each["method"] == METHOD for each in get_authentication_records(request, user)):
        request.session[MAXIMUM_SECONDS] = settings.PROVIDER_SESSION_SECONDS
    else:
        request.session.pop(MAXIMUM_SECONDS, None)
