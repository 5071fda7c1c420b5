"""By what a message of each kind of channel is sent."""

from collections.abc import Callable
from functools import partial
from typing import Any

from triggers.models import ChannelKind
from triggers.notifications.chats import PLUGINS, send_chat
from triggers.notifications.forges import send_commit_status
from triggers.notifications.kinds import find_problems
from triggers.notifications.mail import send_mail
from triggers.notifications.messages import Message
from triggers.notifications.outcomes import NotSent, Receipt
from triggers.notifications.webhook import send_webhook

Sender = Callable[[dict[str, Any], Message], Receipt]  # takes the channel's configuration; raises NotSent

SENDERS: dict[str, Sender] = {
    ChannelKind.MAIL: send_mail,
    ChannelKind.WEBHOOK: send_webhook,
    ChannelKind.COMMIT: send_commit_status,
    **{kind: partial(send_chat, kind) for kind in PLUGINS},
}


def send_message(kind: str, values: dict[str, Any], message: Message) -> Receipt:
    """Send the message over a channel of this kind, if what is stored of it is right. Raises NotSent."""
    for name, problem in find_problems(kind, values).items():
        raise NotSent(f"The channel's configuration is wrong at {name}. {problem}", is_final=True)
    return SENDERS[kind](values, message)
