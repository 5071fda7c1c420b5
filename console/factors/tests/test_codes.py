import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import generate_totp_secret
from django.db import connections

from clusters.roles import Role
from clusters.tests.users import make_user
from console.factors import codes
from console.factors.tests.device import compute_code

pytestmark = pytest.mark.django_db
NOON = 1_800_000_000.0


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """The time that codes are made of; a test moves it."""
    moment = [NOON]
    monkeypatch.setattr("time.time", lambda: moment[0])
    return moment


@pytest.fixture
def ada(db):
    return make_user("ada", Role.ADMINISTRATOR)


@pytest.fixture
def secret(ada, clock):
    """The secret of ada's app, set up a while ago."""
    made = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert codes.add_app(ada, made, compute_code(made))
    clock[0] += 300
    return made


def test_the_codes_are_those_of_rfc_6238(ada, clock):
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # its appendix B, the last six digits
    for at, code in [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")]:
        clock[0] = at
        assert codes.find_step(secret, code, after=-1) == at // 30
        assert codes.find_step(secret, f" {code[:3]} {code[3:]} ", after=-1) == at // 30


def test_a_code_is_accepted_once_and_none_before_it(ada, secret, clock):
    assert codes.check_code(ada, compute_code(secret)) == codes.APP
    assert codes.check_code(ada, compute_code(secret)) == ""
    assert codes.check_code(ada, compute_code(secret, -1)) == ""
    assert codes.check_code(ada, compute_code(secret, 1)) == codes.APP
    clock[0] += 30
    assert codes.check_code(ada, compute_code(secret)) == ""
    assert codes.check_code(ada, compute_code(secret, 1)) == codes.APP


def test_the_code_of_the_set_up_is_used(ada):
    secret = generate_totp_secret()
    assert codes.add_app(ada, secret, compute_code(secret))
    assert codes.check_code(ada, compute_code(secret)) == ""


@pytest.mark.parametrize("steps", [-3, -2, 2, 3])
def test_a_code_of_another_time_is_wrong(ada, secret, steps):
    assert codes.check_code(ada, compute_code(secret, steps)) == ""


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "-", "0" * 32])
def test_what_is_no_code_is_wrong(ada, secret, code):
    codes.make_recovery_codes(ada)
    assert codes.check_code(ada, code) == ""


def test_what_is_secret_is_encrypted_and_used_by_its_user_alone(ada, secret):
    bob = make_user("bob", Role.VIEWER)
    made = codes.make_recovery_codes(ada)
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored
    assert not any(code in stored for code in made)
    assert codes.check_code(bob, compute_code(secret)) == codes.check_code(bob, made[0]) == ""


def test_a_recovery_code_is_accepted_once_however_it_is_typed(ada, secret):
    made = codes.make_recovery_codes(ada)
    assert len(set(made)) == 10
    assert all(len(code) == 10 and code.isdigit() for code in made)
    row = Authenticator.objects.get(type=codes.RECOVERY_CODES)
    assert codes.check_code(ada, f" {made[3][:5]}-{made[3][5:]} ") == codes.RECOVERY_CODES
    assert codes.check_code(ada, made[3]) == ""
    row.refresh_from_db()
    assert codes.count_recovery_codes(row) == 9
    assert row.last_used_at


def test_new_recovery_codes_end_the_old_ones(ada, secret):
    old = codes.make_recovery_codes(ada)
    codes.make_recovery_codes(ada)
    assert not any(codes.check_code(ada, code) for code in old)


def test_only_the_types_that_are_wanted_count(ada, secret):
    made = codes.make_recovery_codes(ada)
    assert codes.check_code(ada, made[0], (codes.APP,)) == ""
    assert codes.check_code(ada, made[0]) == codes.RECOVERY_CODES


def test_guesses_from_anywhere_are_bounded_by_user(ada, secret, clock):
    for _ in range(codes.MOST_FAILURES):
        assert codes.check_code(ada, "000") == ""
    with pytest.raises(codes.TooManyCodes, match="try again in an hour"):
        codes.check_code(ada, compute_code(secret))
    clock[0] += codes.FAILURE_SECONDS + 1
    assert codes.check_code(ada, compute_code(secret)) == codes.APP


def test_a_right_code_forgets_the_wrong_ones(ada, secret, clock):
    for _ in range(3):
        for _ in range(codes.MOST_FAILURES - 1):
            codes.check_code(ada, "000")
        assert codes.check_code(ada, compute_code(secret)) == codes.APP
        clock[0] += 60


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_of_many_who_send_one_code_at_once_one_signs_in(ada, secret, kind):
    code = compute_code(secret) if kind == "app" else codes.make_recovery_codes(ada)[0]
    gate = threading.Barrier(8)

    def send(_):
        gate.wait()
        try:
            return codes.check_code(ada, code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(send, range(8)))
    assert len([used for used in found if used]) == 1
