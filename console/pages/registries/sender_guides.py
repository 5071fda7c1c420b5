"""How to set each sender up to call a registry's inbound link: steps to follow, and a text to paste.

The link is its own secret, so every text is written twice: with the token masked for everybody who can see the registry, and in
full for a reader who asked to see it. The senders' own documentation is the source of the steps.
"""

from collections.abc import Callable
from dataclasses import dataclass

from clusters.models import Registry
from console.pages.registries import setup_texts

MASK = "•" * 12
SIGNING = "the signing secret from this registry's settings"


@dataclass(frozen=True)
class SenderGuide:
    """How to set up one kind of sender.

    `steps` are for people, in order. `write(registry, link)` returns the text to paste. `signs` is True for a sender that can
    sign its requests or send a secret along."""

    key: str
    label: str
    steps: tuple[str, ...]
    write: Callable[[Registry, str], str]
    signs: bool = False


@dataclass(frozen=True)
class SenderSetup:
    """A guide filled in for one registry. `revealed` is the text with the whole link, empty unless the reader asked for it."""

    guide: SenderGuide
    text: str
    revealed: str = ""
    is_open: bool = False

    @property
    def holds_place(self) -> bool:
        """True if the reader must put the signing secret into the text."""
        return setup_texts.SIGNING_PLACE in self.text


def list_setups(registry: Registry, base_url: str, whole: bool = False) -> list[SenderSetup]:
    """Return the registry's own kind first, then what works for any registry, then the others. `whole`: include the token."""
    masked, link = build_inbound_link(base_url, MASK), build_inbound_link(base_url, registry.hook_token)
    guides = sorted(GUIDES, key=lambda guide: (guide.key != registry.kind, guide.key not in ANYWHERE))
    return [
        SenderSetup(guide, guide.write(registry, masked), guide.write(registry, link) if whole else "", place == 0)
        for place, guide in enumerate(guides)
    ]


def build_inbound_link(base_url: str, token: str) -> str:
    return f"{base_url}/hook/registry/{token}"


def build_inbound_secrets(registry: Registry, base_url: str) -> dict[str, str]:
    """Return the inbound link as `link`, and by the keys of their guides the texts that hold it."""
    texts = {setup.guide.key: setup.revealed for setup in list_setups(registry, base_url, whole=True)}
    return {"link": build_inbound_link(base_url, registry.hook_token), **texts}


GUIDES = (
    SenderGuide(
        "distribution",
        "Distribution",
        ("Add this to the registry's config.yml.", "Restart the registry. It keeps what it could not deliver and retries."),
        setup_texts.write_distribution,
        signs=True,
    ),
    SenderGuide(
        "dockerhub",
        "Docker Hub",
        ("Open the repository on Docker Hub, then Webhooks.", "Name it Windlass, paste the link and choose Create."),
        setup_texts.write_link,
    ),
    SenderGuide(
        "harbor",
        "Harbor",
        (
            "Open the project, then Webhooks, then New Webhook.",
            "Notify type: http. Payload format: Default or CloudEvents. Event type: Artifact pushed.",
            "Endpoint URL: the link.",
            f"Auth Header: {SIGNING}, if there is one.",
        ),
        setup_texts.write_link,
        signs=True,
    ),
    SenderGuide(
        "quay",
        "Quay",
        (
            "Open the repository's settings, then Events and Notifications, then Create Notification.",
            "When this event occurs: Push to Repository. Then issue a notification: Webhook POST.",
            "Webhook URL: the link. Leave the POST body template empty.",
        ),
        setup_texts.write_link,
    ),
    SenderGuide(
        "ghcr",
        "GitHub",
        (
            "Open the settings of the repository or of the organization, then Webhooks, then Add webhook.",
            "Payload URL: the link. Content type: application/json.",
            f"Secret: {SIGNING}. Set one there, so that nobody else can call in GitHub's name.",
            "Let me select individual events: Packages and Registry packages.",
        ),
        setup_texts.write_link,
        signs=True,
    ),
    SenderGuide(
        "gitea",
        "Gitea, Forgejo",
        (
            "Open the settings of the organization or user that owns the packages (not of the repository), then "
            "Webhooks, then Add Webhook: Gitea or Forgejo.",
            "Target URL: the link. HTTP method: POST. Content type: application/json.",
            f"Secret: {SIGNING}.",
            "Trigger on: Custom events, then Package.",
        ),
        setup_texts.write_link,
        signs=True,
    ),
    SenderGuide(
        "gitlab",
        "GitLab",
        (
            "For a GitLab that you run yourself: add this to /etc/gitlab/gitlab.rb and run gitlab-ctl reconfigure.",
            "GitLab.com sends no such events: call the link at the end of a pipeline, as under curl.",
        ),
        setup_texts.write_gitlab,
        signs=True,
    ),
    SenderGuide(
        "acr",
        "Azure",
        ("Run this with the Azure CLI, or create the same webhook in the portal under the registry's Services, Webhooks.",),
        setup_texts.write_azure,
        signs=True,
    ),
    SenderGuide(
        "alibaba",
        "Alibaba Cloud",
        (
            "Open the repository in the Container Registry console, then Triggers, then Create.",
            "Trigger URL: the link. Trigger mode: All.",
        ),
        setup_texts.write_link,
    ),
    SenderGuide(
        "ecr",
        "Amazon ECR",
        (
            "ROLE_ARN is a role that EventBridge can assume and that allows events:InvokeApiDestination.",
            "Run this with the AWS CLI. The link must be reachable by HTTPS.",
        ),
        setup_texts.write_ecr,
    ),
    SenderGuide(
        "artifact_registry",
        "Artifact Registry",
        (
            "Run this in the registry's project. The topic gcr may already exist: the registry publishes to it.",
            "The link must be reachable by HTTPS.",
        ),
        setup_texts.write_artifact_registry,
    ),
    SenderGuide(
        "artifactory",
        "JFrog",
        (
            "Open Administration, then General, then Webhooks, then New Webhook.",
            "URL: the link. Event: Docker, Tag was pushed. Choose the repositories.",
        ),
        setup_texts.write_link,
    ),
    SenderGuide(
        "nexus",
        "Nexus",
        (
            "Open Administration, then System, then Capabilities, then Create capability: Webhook: Repository.",
            "Repository: the Docker repository. Event types: component. URL: the link.",
            f"Secret Key: {SIGNING}.",
        ),
        setup_texts.write_link,
        signs=True,
    ),
    SenderGuide(
        "curl",
        "curl",
        ("Use this in a pipeline or to try the link out. It sends the image, tag and digest of what was pushed.",),
        setup_texts.write_curl,
        signs=True,
    ),
    SenderGuide(
        "diun", "Diun", ("Add this to diun.yml. Diun watches registries that cannot call webhooks.",), setup_texts.write_diun
    ),
    SenderGuide("wud", "WUD", ("Add this to the environment of What's up Docker.",), setup_texts.write_wud),
)
ANYWHERE = ("curl", "diun", "wud")  # these work for every registry
