import io

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from clusters.access.tokens import MOST, create_token, find_token
from clusters.models import ApiToken, AuditEntry
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def eve():
    return make_user("eve", Role.VIEWER)


def run(*arguments):
    out = io.StringIO()
    call_command("create_api_token", *arguments, stdout=out)
    return out.getvalue()


def test_it_prints_the_token_alone_and_records_it(eve):
    ClusterFactory(name="quay")
    token = find_token(run("eve", "pipeline", "--role=operator", "--cluster=quay", "--days=7").removesuffix("\n"))
    assert (token.user, token.name, token.role, token.all_clusters) == (eve, "pipeline", "operator", False)
    entry = AuditEntry.objects.get(action="token.create")
    assert (entry.actor, entry.target, entry.details["user"]) == ("manage.py create_api_token", "pipeline", "eve")
    assert (entry.details["role"], entry.details["clusters"]) == ("Operator", ["quay"])


def test_without_clusters_it_is_for_all():
    run("eve", "pipeline", "--role=viewer")
    assert ApiToken.objects.get().all_clusters


def test_one_without_an_end_is_for_administrators():
    with pytest.raises(CommandError, match="Only administrators of all clusters"):
        run("eve", "pipeline", "--role=viewer", "--never")
    User.objects.create_superuser("root")
    run("root", "pipeline", "--role=viewer", "--never")
    assert ApiToken.objects.get().expiry is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tom", "pipeline", "--role=viewer"], "There is no user tom."),
        (["gone", "pipeline", "--role=viewer"], "gone is deactivated"),
        (["eve", " ", "--role=viewer"], "The name must have"),
        (["eve", "a\nb", "--role=viewer"], "The name must have"),
        (["eve", "n" * 65, "--role=viewer"], "The name must have"),
        (["eve", "taken", "--role=viewer"], "There is a token of this name."),
        (["eve", "pipeline", "--role=viewer", "--days=0"], "--days must be"),
        (["eve", "pipeline", "--role=viewer", "--days=99999999"], "--days must be"),
        (["eve", "pipeline", "--role=viewer", "--cluster=quay"], "There is no cluster quay."),
        (["eve", "pipeline"], "--role"),
        (["eve", "pipeline", "--role=emperor"], "invalid choice"),
    ],
)
def test_wrong_values_get_a_sentence_and_make_none(eve, arguments, sentence):
    User.objects.create_user("gone", is_active=False)
    create_token(eve, "taken", Role.VIEWER, None, 1)
    with pytest.raises(CommandError, match=sentence):
        run(*arguments)
    assert ApiToken.objects.count() == 1
    assert not AuditEntry.objects.exists()


def test_the_fiftieth_is_the_last(eve):
    for number in range(MOST):
        create_token(eve, str(number), Role.VIEWER, None, 1)
    with pytest.raises(CommandError, match="A user can have 50 tokens"):
        run("eve", "pipeline", "--role=viewer")
