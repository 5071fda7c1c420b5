import pytest
from django.core.management import CommandError, call_command
from rest_framework.authtoken.models import Token

from clusters.tests.users import make_user
from console.management.commands.drf_create_token import Command


@pytest.mark.django_db
def test_it_names_the_command_that_is_there_now():
    make_user("eve")
    with pytest.raises(CommandError, match=r"manage\.py create_api_token"):
        call_command("drf_create_token", "eve")
    assert not Token.objects.exists()


@pytest.mark.parametrize("arguments", [[], ["eve"], ["-r", "eve"], ["eve", "--reset"]])
def test_so_it_does_whatever_it_is_asked(arguments, capsys):
    with pytest.raises(SystemExit):
        Command().run_from_argv(["manage.py", "drf_create_token", *arguments])
    assert "manage.py create_api_token" in capsys.readouterr().err
