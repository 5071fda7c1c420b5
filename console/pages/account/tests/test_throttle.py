"""The throttle at the sign-in page and at the page that changes a password."""

import re

import pytest
from axes.models import AccessAttempt, AccessFailureLog
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.test import Client, RequestFactory

from clusters.models import AuditEntry
from clusters.waits import NoPlace
from console.pages.account import throttle
from console.pages.account.tests.conftest import PASSWORD
from console.pages.tests.reading import text_of
from console.sign_in_locks import FAILURES_OF_ADDRESS, FAILURES_OF_NAME, LOCK_SPAN, list_locks
from triggers.models import Notification, NotificationChannel, NotificationRule

pytestmark = pytest.mark.django_db
HERE, THERE = "192.0.2.7", "192.0.2.8"


@pytest.fixture
def checked(monkeypatch):
    """The names whose passwords were checked."""
    names = []
    real = authenticate
    monkeypatch.setattr(
        "django.contrib.auth.forms.authenticate",
        lambda request, **given: names.append(given["username"]) or real(request, **given),
    )
    return names


def sign_in(name="bob", password="wrong", address=HERE, **headers):
    return Client(REMOTE_ADDR=address, **headers).post("/login/", {"username": name, "password": password})


def lock(name="bob", address=HERE):
    for _ in range(FAILURES_OF_NAME):
        sign_in(name, address=address)


def read_alerts(response):
    """What the page says in red, without the time."""
    found = re.findall(r'role="alert">(.*?)</p>', response.content.decode(), re.DOTALL)
    return [re.sub(r"<time.*?</time>|\d\d:\d\d", "", text) for text in found]


def is_signed_in(response):
    return response.status_code == 302


class TestSignIn:
    def test_the_failure_that_locks_says_so_and_the_next_is_not_checked(self, bob, checked):
        for _ in range(FAILURES_OF_NAME - 1):
            assert "The user name or the password is wrong." in text_of(sign_in())
        for response in (sign_in(), sign_in(), sign_in(password=PASSWORD)):
            assert response.status_code == 429
            assert LOCK_SPAN.total_seconds() - 60 <= int(response["Retry-After"]) <= LOCK_SPAN.total_seconds()
            page = text_of(response)
            assert "Too many sign-ins with this user name from your address have failed." in page
            assert "UTC" in page
            assert "The user name or the password is wrong." not in page
            assert 'value="bob"' in response.content.decode()
        assert checked == ["bob"] * FAILURES_OF_NAME

    def test_the_same_user_signs_in_from_another_address(self, bob):
        lock()
        assert is_signed_in(sign_in(password=PASSWORD, address=THERE))

    def test_another_user_signs_in_from_the_same_address(self, bob, administrator):
        lock()
        assert is_signed_in(sign_in("ada", PASSWORD))

    def test_a_name_that_nobody_has_is_answered_alike(self, bob):
        known, unknown = ([sign_in(name) for _ in range(FAILURES_OF_NAME + 1)] for name in ("bob", "eve"))
        for one, other in zip(known, unknown, strict=True):
            assert one.status_code == other.status_code
            assert read_alerts(one) == read_alerts(other) != []

    def test_fifty_names_from_one_address_lock_all_of_it(self, bob):
        for number in range(FAILURES_OF_ADDRESS):
            response = sign_in(f"user-{number}")
        assert response.status_code == 429
        assert "Too many sign-ins from your address have failed." in text_of(sign_in(password=PASSWORD))

    def test_an_ipv6_customer_is_one_address(self, bob):
        for number in range(FAILURES_OF_NAME):
            sign_in(address=f"2001:db8:1:2::{number}")
        assert sign_in(password=PASSWORD, address="2001:db8:1:2:ffff::1").status_code == 429
        assert is_signed_in(sign_in(password=PASSWORD, address="2001:db8:1:3::1"))

    def test_behind_a_trusted_proxy_its_clients_count_and_a_forged_header_does_not(self, bob, settings):
        settings.TRUSTED_PROXIES = ["192.0.2.1"]
        for number in range(FAILURES_OF_NAME):
            sign_in(address="192.0.2.1", HTTP_X_FORWARDED_FOR=f"10.0.0.{number}, {HERE}")
        assert sign_in(password=PASSWORD, address="192.0.2.1", HTTP_X_FORWARDED_FOR=HERE).status_code == 429
        assert is_signed_in(sign_in(password=PASSWORD, address="192.0.2.1", HTTP_X_FORWARDED_FOR=THERE))

    def test_a_success_begins_anew(self, bob):
        for _ in range(3):
            for _ in range(FAILURES_OF_NAME - 1):
                sign_in()
            assert is_signed_in(sign_in(password=PASSWORD))
        assert not AccessFailureLog.objects.exists()

    def test_the_way_into_the_admin_is_the_same(self, bob):
        assert Client().get("/admin/login/")["Location"].startswith("/login/")
        assert Client().post("/admin/login/")["Location"].startswith("/login/")

    def test_whoever_is_locked_out_takes_no_place_in_the_line(self, bob):
        lock()
        with throttle.line.turn(HERE):
            assert "Too many sign-ins" in text_of(sign_in())

    def test_guesses_of_one_ipv6_customer_wait_for_each_other(self, bob):
        with throttle.line.turn("2001:db8:1:2::"):
            assert "Others are signing in." in text_of(sign_in(address="2001:db8:1:2::7"))

    def test_whichever_view_asks_the_lock_holds(self, bob):
        lock()
        request = RequestFactory(REMOTE_ADDR=HERE).post("/elsewhere/")
        assert authenticate(request, username="bob", password=PASSWORD) is None
        assert authenticate(None, username="bob", password=PASSWORD) == bob  # a command has no address

    def test_what_is_odd_is_no_error(self, bob):
        for name in ("", "\0", "x" * 4000, "\ufb00"):
            assert sign_in(name).status_code in (200, 429)


class TestNews:
    @pytest.fixture(autouse=True)
    def rule(self, db):
        channel = NotificationChannel.objects.create(name="duty", kind="webhook")
        NotificationRule.objects.create(channel=channel, news="sign_in_lock")

    def test_a_lock_is_news_once(self, bob):
        lock()
        sign_in()
        facts = Notification.objects.get().facts
        assert facts["sentence"] == f"Sign-in from {HERE} is locked for the user bob for 15 min: 5 sign-ins failed."

    def test_what_a_stranger_types_is_not_sent_to_people(self, bob):
        lock("see evil.example.com")
        facts = Notification.objects.get().facts
        assert "evil" not in str(facts)
        assert "an unknown user name" in facts["sentence"]

    def test_a_lock_of_a_whole_address(self, bob):
        for number in range(FAILURES_OF_ADDRESS):
            throttle.note_failure(RequestFactory(REMOTE_ADDR=HERE).get("/"), f"name {number}")
        assert "is locked for every user" in Notification.objects.get().facts["sentence"]


class TestAudit:
    def test_locks_and_unlocks_are_recorded_and_repetitions_counted(self, bob, reader):
        lock()
        entry = AuditEntry.objects.get(action="sign_in.lock")
        assert (entry.actor, entry.address) == ("bob", HERE)
        assert entry.count == 1
        sign_in()
        throttle.counted_acts.store()
        entry.refresh_from_db()
        assert entry.count == 2
        reader.post(f"/users/locks/{list_locks()[0].pk}/unlock/")
        entry = AuditEntry.objects.get(action="sign_in.unlock")
        assert (entry.actor, entry.details) == ("ada", {"name": "bob", "locked_address": HERE})

    @pytest.mark.parametrize(
        "command",
        [("axes_reset",), ("axes_reset_ip", HERE), ("axes_reset_username", "bob"), ("axes_reset_ip_username", HERE, "bob")],
        ids=lambda command: command[0],
    )
    def test_the_commands_of_axes_unlock(self, bob, command, capsys):
        lock()
        call_command("axes_list_attempts")
        assert f"{HERE}\tbob\t5" in capsys.readouterr().out
        call_command(*command)
        assert is_signed_in(sign_in(password=PASSWORD))
        assert AuditEntry.objects.get(action="sign_in.unlock").actor == "manage.py axes_reset"


class TestOwnPassword:
    def change(self, client, old):
        new = "another horse battery"
        return client.post("/password/", {"old_password": old, "new_password1": new, "new_password2": new})

    def test_guesses_of_the_current_password_are_locked_too(self, bob):
        client = Client()
        client.force_login(bob)
        for _ in range(FAILURES_OF_NAME):
            assert self.change(client, "wrong").status_code == 200
        response = self.change(client, PASSWORD)
        assert (response.status_code, "Retry-After" in response) == (429, True)
        assert "Locked for some minutes" in text_of(response)
        bob.refresh_from_db()
        assert bob.check_password(PASSWORD)

    def test_a_weak_new_password_is_no_failure(self, bob):
        client = Client()
        client.force_login(bob)
        client.post("/password/", {"old_password": PASSWORD, "new_password1": "short", "new_password2": "short"})
        assert not AccessFailureLog.objects.exists()

    def test_it_waits_for_the_same_turn(self, bob):
        client = Client(REMOTE_ADDR=HERE)
        client.force_login(bob)
        with throttle.line.turn(HERE):
            response = self.change(client, PASSWORD)
        assert (response.status_code, response["Retry-After"]) == (429, "5")
        assert "Nothing was checked" in text_of(response)


class TestOtherViews:
    """What a view that checks a code of its own uses."""

    @pytest.fixture
    def request_here(self):
        return RequestFactory(REMOTE_ADDR=HERE).post("/code/")

    def test_codes_and_passwords_count_together(self, bob, request_here):
        for _ in range(FAILURES_OF_NAME):
            with throttle.take_turn(request_here, "bob"):
                throttle.note_failure(request_here, "bob")
        with pytest.raises(throttle.SignInLocked) as refused, throttle.take_turn(request_here, "bob"):
            pytest.fail("a code is checked")
        assert throttle.answer_locked(request_here, refused.value).status_code == 429
        assert sign_in(password=PASSWORD).status_code == 429

    def test_a_turn_is_one_at_a_time(self, request_here):
        with throttle.take_turn(request_here, "bob"), pytest.raises(NoPlace), throttle.take_turn(request_here, "eve"):
            pytest.fail("two are checked")

    def test_success_forgets(self, request_here):
        throttle.note_failure(request_here, "bob")
        throttle.note_success(request_here, "bob")
        assert not AccessFailureLog.objects.exists()
        assert not AccessAttempt.objects.exists()
