import pytest
from allauth.mfa.models import Authenticator
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, RequestFactory

from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user
from console.factors import codes, passkeys, store
from console.factors.tests.device import Device, compute_code, store_passkey
from console.management.commands.tests.test_rotate_key import make_key

pytestmark = pytest.mark.django_db
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.fixture
def ada(db):
    return make_user("ada", Role.ADMINISTRATOR)


def add_app(user):
    assert codes.add_app(user, SECRET, compute_code(SECRET))
    Authenticator.objects.filter(type=codes.APP).update(data=Authenticator.objects.get(type=codes.APP).data | {"counter": 0})


def test_recovery_codes_alone_are_no_factor(ada):
    codes.make_recovery_codes(ada)
    assert not store.has_factor(ada)
    store_passkey(ada)
    assert store.has_factor(ada)


def test_factors_are_named(ada):
    assert store.describe_factors([]) == ""
    store_passkey(ada)
    assert store.describe_factors(list(Authenticator.objects.all())) == "1 passkey"
    add_app(ada)
    store_passkey(ada)
    codes.make_recovery_codes(ada)
    assert store.describe_factors(list(Authenticator.objects.all())) == "authenticator app, 2 passkeys"


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("nobody", set()),
        ("administrators", {"root", "everywhere", "here"}),
        ("everybody", {"root", "everywhere", "here", "deployer", "nothing"}),
    ],
)
def test_who_must_have_one(db, settings, setting, expected):
    settings.SECOND_FACTOR = setting
    users = [
        make_user("root", is_superuser=True),
        make_user("everywhere", Role.ADMINISTRATOR),
        make_user("here", Role.ADMINISTRATOR, ClusterFactory()),
        make_user("deployer", Role.DEPLOYER),
        make_user("nothing"),
    ]
    assert {user.username for user in users if store.must_have_factor(user)} == expected


def test_a_reset_removes_everything_of_one_user_and_ends_their_sessions(ada):
    bob = make_user("bob", Role.VIEWER)
    add_app(ada)
    codes.make_recovery_codes(ada)
    kept = store_passkey(bob)
    clients = [Client(), Client()]
    for client, user in zip(clients, (ada, bob), strict=True):
        client.force_login(user)
    assert store.reset_factors(ada) == "authenticator app"
    assert list(Authenticator.objects.all()) == [kept]
    assert [client.get("/password/").status_code for client in clients] == [302, 200]
    assert store.reset_factors(ada) == ""


def test_after_a_rotation_the_new_key_alone_reads_every_factor(ada, settings, rf: RequestFactory):
    device, request = Device(), rf.get("/")
    add_app(ada)
    made = codes.make_recovery_codes(ada)
    store_passkey(ada, device=device)
    settings.OLD_ENCRYPTION_KEYS, settings.ENCRYPTION_KEY = [settings.ENCRYPTION_KEY], make_key()
    assert store.reencrypt_factors() == 3
    settings.OLD_ENCRYPTION_KEYS = []
    assert codes.check_code(ada, compute_code(SECRET)) == codes.APP
    assert codes.check_code(ada, made[0]) == codes.RECOVERY_CODES
    begun = passkeys.begin_use(request, "sign in")
    assert passkeys.finish_use(request, "sign in", begun["token"], device.use(begun["options"])).user == ada


def test_a_factor_that_no_key_reads_changes_nothing(ada, settings):
    add_app(ada)
    store_passkey(ada)
    before = list(Authenticator.objects.values_list("data", flat=True))
    settings.ENCRYPTION_KEY = make_key()
    with pytest.raises(ImproperlyConfigured):
        store.reencrypt_factors()
    assert list(Authenticator.objects.values_list("data", flat=True)) == before
