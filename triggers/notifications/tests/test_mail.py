import socket
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes
from email.policy import default

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.harness.certificates import make_authority, sign
from triggers.notifications.mail import send_mail
from triggers.notifications.messages import Message, clean_line
from triggers.notifications.outcomes import NotSent

MESSAGE = Message("msg_1", "shop on prod: redeploy failed", "It failed.\nTime: now", "failure", {}, None, {}, 1)
PASSWORD = "of a test"  # noqa: S105 - of tests


class Keeper:
    """Keeps mails; refuses these recipients, and answers the data with `answer`."""

    def __init__(self):
        self.mails, self.refused, self.answer = [], set(), "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if address in self.refused:
            return "550 No such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.answer.startswith("250"):
            self.mails.append((envelope.mail_from, envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
        return self.answer


def find_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@contextmanager
def serve(**options):
    """Yield a mail server's Keeper, and the configuration of a channel that sends to it."""
    keeper = Keeper()
    controller = Controller(keeper, hostname="127.0.0.1", port=find_port(), **options)
    controller.start()
    values = {"host": "127.0.0.1", "port": str(controller.port), "tls": "none", "sender": "console@example.com"}
    try:
        yield keeper, values | {"recipients": "ann@example.com\nbob@example.com"}
    finally:
        controller.stop()


@pytest.fixture(scope="module")
def authority():
    return make_authority("mail")


@pytest.fixture(scope="module")
def server_context(authority, tmp_path_factory):
    signed, folder = sign("mail server", authority), tmp_path_factory.mktemp("mail")
    (folder / "both.pem").write_text(signed.certificate_pem + signed.key_pem)
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(folder / "both.pem")
    return server_context


def check_password(server, session, envelope, mechanism, data):
    return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


def test_a_mail_arrives_whole():
    with serve() as (keeper, values):
        assert send_mail(values, MESSAGE).status == 250
    sender, recipients, mail = keeper.mails[0]
    assert (sender, recipients) == ("console@example.com", ["ann@example.com", "bob@example.com"])
    assert mail["Subject"] == "[Windlass] shop on prod: redeploy failed"
    assert mail["Message-ID"] == "<msg_1@example.com>"  # the same at each attempt
    assert mail.get_content().splitlines() == ["shop on prod: redeploy failed", "", "It failed.", "Time: now"]


@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_a_password_is_sent_with_encryption(authority, server_context, mode):
    options = {"ssl_context": server_context} if mode == "tls" else {"tls_context": server_context, "require_starttls": True}
    with serve(**options, authenticator=check_password, auth_required=True, auth_require_tls=mode != "tls") as (keeper, values):
        values |= {"tls": mode, "ca": authority.certificate_pem, "username": "console", "password": PASSWORD}
        assert send_mail(values, MESSAGE).status == 250
        assert len(keeper.mails) == 1
        with pytest.raises(NotSent, match="answered 535") as caught:
            send_mail(values | {"password": "another"}, MESSAGE)
        assert caught.value.is_final
        with pytest.raises(NotSent, match=r"The certificate of 127\.0\.0\.1 was refused"):
            send_mail(values | {"ca": ""}, MESSAGE)


def test_no_password_goes_in_clear():
    """Whatever the server offers, and whatever was stored before the rule."""
    with serve(authenticator=check_password, auth_require_tls=False) as (keeper, values):
        with pytest.raises(NotSent, match="only sent with encryption"):
            send_mail(values | {"username": "console", "password": PASSWORD}, MESSAGE)
        with pytest.raises(NotSent, match="does not offer what the channel needs"):
            send_mail(values | {"username": "console", "password": PASSWORD, "tls": "starttls"}, MESSAGE)
    assert keeper.mails == []


def test_a_refused_recipient_is_named_and_the_others_get_the_mail():
    with serve() as (keeper, values):
        keeper.refused = {"bob@example.com"}
        assert send_mail(values, MESSAGE).note == "1 recipients were refused: bob@example.com."
        keeper.refused |= {"ann@example.com"}
        with pytest.raises(NotSent, match="refused every recipient") as caught:
            send_mail(values, MESSAGE)
    assert (caught.value.is_final, caught.value.status, caught.value.answer) == (True, 550, "No such user")
    assert len(keeper.mails) == 1


@pytest.mark.parametrize(("answer", "is_final"), [("451 Later", False), ("554 Never", True)])
def test_whether_another_attempt_can_help(answer, is_final):
    with serve() as (keeper, values):
        keeper.answer = answer
        with pytest.raises(NotSent, match=f"answered {answer[:3]}") as caught:
            send_mail(values, MESSAGE)
    assert (caught.value.is_final, caught.value.answer) == (is_final, answer[4:])


def test_a_name_cannot_add_a_header():
    with serve() as (keeper, values):
        send_mail(values, replace(MESSAGE, title=clean_line("shop\r\nBcc: eve@example.com", 100)))
    mail = keeper.mails[0][2]
    assert (mail["Subject"], mail["Bcc"]) == ("[Windlass] shop Bcc: eve@example.com", None)


def test_a_server_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr("triggers.notifications.mail.SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        values = {"host": "127.0.0.1", "port": port, "sender": "a@example.com", "recipients": "b@example.com"}
        with pytest.raises(NotSent, match="did not answer in time"):
            send_mail(values, MESSAGE)


def test_a_server_whose_greeting_never_ends_is_cut_off(monkeypatch):
    """Each byte is within the time that a socket may be silent."""
    monkeypatch.setattr("triggers.notifications.mail.SECONDS", 0.3)
    is_cut = threading.Event()

    def drip(listener):
        connected, _ = listener.accept()
        with connected:
            try:
                while True:
                    connected.sendall(b"2")
                    time.sleep(0.02)
            except OSError:
                is_cut.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        port = listener.getsockname()[1]
        values = {"host": "127.0.0.1", "port": port, "sender": "a@example.com", "recipients": "b@example.com"}
        with pytest.raises(NotSent, match="did not answer in time"):
            send_mail(values, MESSAGE)
        assert is_cut.wait(10)


def test_a_forbidden_address_is_not_connected_to():
    with pytest.raises(NotSent, match="where clouds serve credentials") as caught:
        send_mail({"host": "169.254.169.254", "port": "25", "sender": "a@example.com", "recipients": "b@example.com"}, MESSAGE)
    assert caught.value.is_final
