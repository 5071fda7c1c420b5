"""Mail by SMTP: one message in plain text to all recipients."""

import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.utils import formatdate
from functools import partial
from typing import Any

from django.core.mail.utils import DNS_NAME

from clusters.registry.errors import RegistryError
from clusters.registry.transport import Lifeline, make_context
from triggers.notifications.addresses import connect
from triggers.notifications.kinds import list_recipients
from triggers.notifications.messages import Message
from triggers.notifications.outcomes import NotSent, Receipt, clean_answer
from triggers.notifications.transport import SECONDS, explain_failure, run_within

PERMANENT = 500  # a reply from here on is final (RFC 5321, 4.2.1)


class JudgedSMTP(smtplib.SMTP):
    """A client whose lifeline holds the socket from the beginning: the greeting is read within the constructor. With a context
    it begins with TLS."""

    def __init__(self, lifeline: Lifeline, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self.lifeline, self.context = lifeline, context
        super().__init__(host, port, DNS_NAME.get_fqdn(), timeout=SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connected = connect(host, port, timeout)
        if self.context:
            connected = self.context.wrap_socket(connected, server_hostname=host)
        self.lifeline.hold(connected)
        return connected


def send_mail(values: dict[str, Any], message: Message) -> Receipt:
    """Send the message. A recipient that is refused while others are not is named in the receipt. Raises NotSent."""
    place = str(values.get("host", ""))
    try:
        return run_within(SECONDS, partial(deliver, values, build_mail(values, message)), place)
    except smtplib.SMTPRecipientsRefused as error:
        status, answer = next(iter(error.recipients.values()), (None, b""))
        raise refuse(f"{place} refused every recipient.", status, answer) from error
    except smtplib.SMTPResponseException as error:
        raise refuse(f"{place} answered {error.smtp_code}.", error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise NotSent(f"{place} does not offer what the channel needs: {error}", is_final=True) from error
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise explain_failure(error, place) from error


def refuse(sentence: str, status: int | None, answer: bytes | str) -> NotSent:
    raw = answer if isinstance(answer, bytes) else answer.encode()
    return NotSent(sentence, is_final=(status or 0) >= PERMANENT, status=status, answer=clean_answer(raw))


def build_mail(values: dict[str, Any], message: Message) -> EmailMessage:
    sender = str(values["sender"])
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = ", ".join(list_recipients(str(values["recipients"])))
    mail["Subject"] = f"[Windlass] {message.title}"
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{message.webhook_id}@{sender.rpartition('@')[2]}>"  # the same at each attempt
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"{message.title}\n\n{message.text}\n")
    return mail


def deliver(values: dict[str, Any], mail: EmailMessage, lifeline: Lifeline) -> Receipt:
    """Raises NotSent, SMTPException and OSError."""
    try:
        context = make_context(str(values.get("ca", "")))
    except RegistryError as error:
        raise NotSent(error.message, is_final=True) from error
    host, port, tls = str(values["host"]), int(values["port"]), values.get("tls", "starttls")
    client = JudgedSMTP(lifeline, host, port, context if tls == "tls" else None)
    try:
        if tls == "starttls":
            client.starttls(context=context)
            lifeline.hold(client.sock)
        if values.get("username"):
            if tls == "none":
                raise NotSent("A password is only sent with encryption. Choose STARTTLS or TLS.", is_final=True)
            client.login(str(values["username"]), str(values.get("password", "")))
        refused = client.send_message(mail)
    except BaseException:
        client.close()
        raise
    try:
        client.quit()
    except (smtplib.SMTPException, OSError):  # the message was taken
        client.close()
    note = f"{len(refused)} recipients were refused: {', '.join(refused)[:300]}." if refused else ""
    return Receipt(250, note=note)
