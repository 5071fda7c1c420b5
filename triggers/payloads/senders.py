"""All senders, and which of them a message is from."""

from triggers.payloads.payload import Body, Headers, Sender

SENDERS: tuple[Sender, ...] = ()


def find_sender(headers: Headers, body: Body) -> Sender | None:
    """The sender whose shape the message has; None for a message that nobody knows."""
    return next((sender for sender in SENDERS if sender.recognizes(headers, body)), None)
