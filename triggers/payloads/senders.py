"""All senders, and which of them a message is from."""

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

# The first that recognises a message counts: headers of one's own before shapes, Gitea before GitHub, whose headers it sends
# too, and of shapes that share fields the one that asks for more.
SENDERS: tuple[Sender, ...] = (
    *(gitea, github, nexus),
    *(harbor, ecr, artifact_registry, artifactory, distribution, diun),
    *(alibaba, dockerhub, quay, acr, wud, generic, keel),
)


def find_sender(headers: Headers, body: Body) -> Sender | None:
    """The sender whose shape the message has; None for a message that nobody knows."""
    return next((sender for sender in SENDERS if sender.recognizes(headers, body)), None)
