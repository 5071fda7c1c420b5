"""The list of all senders, and the search for the sender of a message."""

from triggers.payloads import (
    acr,
    alibaba,
    artifact_registry,
    artifactory,
    distribution,
    diun,
    dockerhub,
    ecr,
    generic,
    gitea,
    github,
    harbor,
    keel,
    nexus,
    quay,
    wud,
)
from triggers.payloads.payload import Body, Headers, Sender

# The first sender that recognises a message counts. Senders with headers of their own come before those known by shape; Gitea
# comes before GitHub, because it sends GitHub's headers too; of shapes that share fields, the stricter one comes first.
SENDERS: tuple[Sender, ...] = (
    gitea,
    github,
    nexus,
    harbor,
    ecr,
    artifact_registry,
    artifactory,
    distribution,
    diun,
    alibaba,
    dockerhub,
    quay,
    acr,
    wud,
    generic,
    keel,
)


def find_sender(headers: Headers, body: Body) -> Sender | None:
    """Return the sender that recognises the message; None for an unknown message."""
    return next((sender for sender in SENDERS if sender.recognizes(headers, body)), None)
