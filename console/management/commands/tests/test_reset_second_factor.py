import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command

from clusters.models import AuditEntry
from clusters.roles import Role
from clusters.tests.users import make_user
from console.factors.tests.device import store_passkey

pytestmark = pytest.mark.django_db


def test_it_removes_the_factors_and_is_recorded(capsys):
    store_passkey(make_user("ada", Role.ADMINISTRATOR))
    call_command("reset_second_factor", "ada")
    assert "ada has no second factor now. Removed: 1 passkey." in capsys.readouterr().out
    assert not Authenticator.objects.exists()
    entry = AuditEntry.objects.get(action="factor.reset")
    assert (entry.actor, entry.target, entry.details["removed"]) == ("manage.py reset_second_factor", "ada", "1 passkey")


def test_an_unknown_user_is_reported():
    with pytest.raises(CommandError, match="There is no user 'nobody'"):
        call_command("reset_second_factor", "nobody")
