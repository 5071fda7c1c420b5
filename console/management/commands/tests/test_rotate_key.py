import base64
import os

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from clusters.models import Cluster, Registry
from clusters.tests.factories import ClusterFactory, RegistryFactory
from clusters.tests.users import make_user
from console.factors import codes
from triggers.models import Trigger
from triggers.tests.factories import TriggerFactory

pytestmark = pytest.mark.django_db


def make_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def read_columns() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM triggers_trigger")
        found = cursor.fetchall()
        cursor.execute("SELECT tls_key FROM clusters_cluster WHERE tls_key <> ''")
        found += cursor.fetchall()
        cursor.execute("SELECT password FROM clusters_registry UNION ALL SELECT hook_token FROM clusters_registry")
        return [text for (text,) in found + cursor.fetchall()]


def test_afterwards_every_secret_can_be_read_with_the_new_key_alone(settings, capsys):
    cluster = ClusterFactory(tls_key="a key")
    registry = RegistryFactory(username="ci", password="a password")
    trigger = TriggerFactory()
    token, before = registry.hook_token, read_columns()

    settings.OLD_ENCRYPTION_KEYS, settings.ENCRYPTION_KEY = [settings.ENCRYPTION_KEY], make_key()
    assert Trigger.objects.get().secret == trigger.secret  # nothing stops working while both keys are known
    call_command("rotate_key")
    assert "are now encrypted with WINDLASS_ENCRYPTION_KEY" in capsys.readouterr().out

    settings.OLD_ENCRYPTION_KEYS = []
    assert not set(before) & set(read_columns())
    assert Cluster.objects.get(pk=cluster.pk).tls_key == "a key"
    found = Registry.objects.get(pk=registry.pk)
    assert (found.password, found.hook_token) == ("a password", token)
    assert Trigger.objects.get().secret == trigger.secret


def test_a_secret_encrypted_with_an_unknown_key_is_reported_and_nothing_changes(settings):
    TriggerFactory()
    before = read_columns()
    settings.ENCRYPTION_KEY = make_key()
    with pytest.raises(CommandError, match="cannot be decrypted"):
        call_command("rotate_key")
    assert read_columns() == before


def test_second_factors_are_rotated_with_the_rest(settings):
    user = make_user("ada")
    made = codes.make_recovery_codes(user)
    settings.OLD_ENCRYPTION_KEYS, settings.ENCRYPTION_KEY = [settings.ENCRYPTION_KEY], make_key()
    call_command("rotate_key")
    settings.OLD_ENCRYPTION_KEYS = []
    assert codes.check_code(user, made[0])


def test_a_factor_that_cannot_be_read_leaves_all_secrets_as_they_were(settings):
    TriggerFactory()
    before = read_columns()
    old, settings.ENCRYPTION_KEY = settings.ENCRYPTION_KEY, make_key()
    codes.make_recovery_codes(make_user("ada"))
    settings.OLD_ENCRYPTION_KEYS, settings.ENCRYPTION_KEY = [old], make_key()
    with pytest.raises(CommandError, match="cannot be decrypted"):
        call_command("rotate_key")
    assert read_columns() == before
