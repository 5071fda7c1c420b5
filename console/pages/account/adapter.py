"""What allauth is asked to do, and what it is kept from: nobody signs up, and it sends no mail and shows no messages."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.urls import reverse


class AccountAdapter(DefaultAccountAdapter):
    def get_login_stages(self) -> list[str]:
        return ["console.pages.account.factor_stage.SecondFactorStage"]

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        return [{"id": "confirm", "description": "Confirm that it is you", "url": reverse("confirm")}]

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def send_mail(self, *args: Any, **kwargs: Any) -> None:
        """The console sends no mail about accounts: the audit log records what happens to them."""

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """The pages say for themselves what happened."""
