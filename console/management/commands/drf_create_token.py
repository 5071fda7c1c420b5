"""`manage.py drf_create_token`: the REST framework's, recorded in the audit log."""

from django.db import transaction
from rest_framework.authtoken.management.commands import drf_create_token
from rest_framework.authtoken.models import Token

from clusters.access.audit import record_command


class Command(drf_create_token.Command):
    @transaction.atomic
    def create_user_token(self, username: str, reset_token: bool) -> Token:
        had_one = Token.objects.filter(user__username=username).exists()
        token: Token = super().create_user_token(username, reset_token)
        if reset_token or not had_one:
            record_command("drf_create_token", "token.rotate" if had_one else "token.add", token.user)
        return token
