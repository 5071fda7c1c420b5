from clusters.roles import Role
from clusters.tests.users import make_user


def test_who_may_only_look_cannot_let_a_call_run(client, fleet):
    client.force_login(make_user("viewer", Role.VIEWER))
    assert client.get(f"/calls/{fleet.call.pk}/release/").status_code == 403
