"""What allauth is asked to do, and what it is kept from: nobody signs up, and it sends no mail and shows no messages."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def send_mail(self, *args: Any, **kwargs: Any) -> None:
        """The console sends no mail about accounts: the audit log records what happens to them."""

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """The pages say for themselves what happened."""
