"""The step of a sign-in between the password, or the identity provider, and the session: the second factor."""

from typing import Any

from allauth.account.internal.stagekit import clear_login, stash_login
from allauth.account.stages import LoginStage, LoginStageController
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.crypto import constant_time_compare

from console.factors.store import has_factor

MOST_FAILURES = 5  # wrong codes until the password has to be entered again
BY_PASSKEY = "passkey"  # in a login's state: it began with a passkey, which is two factors


class SecondFactorStage(LoginStage):
    """Asks whoever has a factor. What waits for it is in a session of nobody, whose key the browser did not have before."""

    key = "second_factor"
    urlname = "sign_in_factor"

    def handle(self) -> tuple[Any, bool]:
        user = self.login.user
        if user is None or self.login.state.get(BY_PASSKEY) or not has_factor(user):
            return None, True
        self.state["password"] = user.get_session_auth_hash()
        self.request.session.cycle_key()
        return redirect(self.urlname), True

    def is_open(self) -> bool:
        """Return whether the user is still who signed in: active, with the same password and with a factor."""
        user: Any = self.login.user
        if user is None or not user.is_active or not has_factor(user):
            return False
        return constant_time_compare(self.state.get("password", ""), user.get_session_auth_hash())

    def note_failure(self) -> bool:
        """Return whether there is another try. If not, the sign-in begins anew."""
        self.state["failures"] = self.state.get("failures", 0) + 1
        if self.state["failures"] >= MOST_FAILURES:
            clear_login(self.request)
            return False
        stash_login(self.request, self.login)
        return True


def find_stage(request: HttpRequest) -> SecondFactorStage | None:
    """Return the stage that this browser's sign-in waits at. A sign-in that can no longer be finished is forgotten."""
    stage = LoginStageController.enter(request, SecondFactorStage.key)
    if stage is None:
        return None
    if not stage.is_open():
        clear_login(request)
        return None
    return stage
