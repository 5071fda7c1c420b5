"""How each sender is told to call a registry's inbound link: what to click, and a text to paste, quoted for its language.

The link is its own secret, so every text is written twice: with the token masked for anybody who may see the registry, and
whole for who asked for it. A sender that can sign is told so. The senders' own documentation is the source of each.
"""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from clusters.models import Registry
from console.pages.shared.trigger_panel.pipelines import quote_yaml

MASK = "•" * 12
ECR_HOST = re.compile(r"[0-9]+\.dkr\.ecr\.([a-z0-9-]+)\..+")
EXAMPLE_IMAGE = "team/app"
EXAMPLE_DIGEST = "sha256:" + "0" * 64

# What a sender that signs is given, and what stands for it in a text.
SIGNING_PLACE = "SIGNING-SECRET"
SIGNING = "the signing secret of this registry's settings"


@dataclass(frozen=True)
class Sender:
    """`steps`: what to do, in order, for people. `write(registry, link)`: the text to paste. `signs`: whether it can sign,
    or send a secret along."""

    key: str
    label: str
    steps: tuple[str, ...]
    write: Callable[[Registry, str], str]
    signs: bool = False


@dataclass(frozen=True)
class SetUp:
    """A sender's instructions for one registry. `revealed` holds the link, where it was asked for."""

    sender: Sender
    text: str
    revealed: str = ""
    is_open: bool = False

    @property
    def holds_place(self) -> bool:
        """Whether the signing secret has to be put into the text."""
        return SIGNING_PLACE in self.text


def list_set_ups(registry: Registry, base_url: str, whole: bool = False) -> list[SetUp]:
    """The registry's own kind first, then what works for any registry, then the others. `whole`: with the token."""
    masked, link = build_link(base_url, MASK), build_link(base_url, registry.hook_token)
    senders = sorted(SENDERS, key=lambda sender: (sender.key != registry.kind, sender.key not in ANYWHERE))
    return [
        SetUp(sender, sender.write(registry, masked), sender.write(registry, link) if whole else "", place == 0)
        for place, sender in enumerate(senders)
    ]


def build_link(base_url: str, token: str) -> str:
    return f"{base_url}/hook/registry/{token}"


def build_secrets(registry: Registry, base_url: str) -> dict[str, str]:
    """The link, and by their keys the texts that hold it."""
    texts = {set_up.sender.key: set_up.revealed for set_up in list_set_ups(registry, base_url, whole=True)}
    return {"link": build_link(base_url, registry.hook_token), **texts}


def write_link(registry: Registry, link: str) -> str:
    return link


def write_distribution(registry: Registry, link: str) -> str:
    """Part of config.yml of registry:2 and registry:3. A pull is of no interest here."""
    headers = f"\n      headers:\n        Authorization: [{SIGNING_PLACE}]" if registry.signing_secret else ""
    return f"""notifications:
  endpoints:
    - name: windlass
      url: {quote_yaml(link)}{headers}
      timeout: 5s
      threshold: 5
      backoff: 10s
      ignore:
        actions:
          - pull"""


def write_gitlab(registry: Registry, link: str) -> str:
    """Part of /etc/gitlab/gitlab.rb of the Omnibus package."""
    headers = f"\n    'headers' => {{ 'Authorization' => ['{SIGNING_PLACE}'] }}," if registry.signing_secret else ""
    return f"""registry['notifications'] = [
  {{
    'name' => 'windlass',
    'url' => {quote_ruby(link)},{headers}
    'timeout' => '5s',
    'threshold' => 5,
    'backoff' => '10s'
  }}
]"""


def write_azure(registry: Registry, link: str) -> str:
    headers = f" \\\n  --headers Authorization={SIGNING_PLACE}" if registry.signing_secret else ""
    name = shlex.quote(registry.host.partition(".")[0])
    return f"az acr webhook create --registry {name} --name windlass --actions push \\\n  --uri {shlex.quote(link)}{headers}"


def write_ecr(registry: Registry, link: str) -> str:
    """Commands of the AWS CLI. A connection must have a credential; ours is the link, and the header is not read."""
    found = ECR_HOST.fullmatch(registry.host)
    region = found[1] if found else "eu-central-1"
    pattern = json.dumps(
        {"source": ["aws.ecr"], "detail-type": ["ECR Image Action"], "detail": {"action-type": ["PUSH"], "result": ["SUCCESS"]}}
    )
    authority = json.dumps({"ApiKeyAuthParameters": {"ApiKeyName": "X-Windlass", "ApiKeyValue": "unused"}})
    return f"""export AWS_REGION={shlex.quote(region)}
CONNECTION=$(aws events create-connection --name windlass --authorization-type API_KEY \\
  --auth-parameters {shlex.quote(authority)} \\
  --query ConnectionArn --output text)
DESTINATION=$(aws events create-api-destination --name windlass --connection-arn "$CONNECTION" \\
  --http-method POST --invocation-endpoint {shlex.quote(link)} \\
  --query ApiDestinationArn --output text)
aws events put-rule --name windlass --event-pattern {shlex.quote(pattern)}
aws events put-targets --rule windlass --targets "Id=windlass,Arn=$DESTINATION,RoleArn=$ROLE_ARN\""""


def write_artifact_registry(registry: Registry, link: str) -> str:
    return f"""gcloud pubsub topics create gcr
gcloud pubsub subscriptions create windlass --topic=gcr --push-endpoint={shlex.quote(link)}"""


def write_diun(registry: Registry, link: str) -> str:
    """Part of diun.yml."""
    return f"""notif:
  webhook:
    endpoint: {quote_yaml(link)}
    method: POST
    timeout: 10s"""


def write_wud(registry: Registry, link: str) -> str:
    """Part of a compose.yaml."""
    return f"""services:
  wud:
    environment:
      WUD_TRIGGER_HTTP_WINDLASS_URL: {quote_compose(link)}
      WUD_TRIGGER_HTTP_WINDLASS_METHOD: POST"""


def write_curl(registry: Registry, link: str) -> str:
    """Signed as GitHub does it, where the registry has a secret for that: WINDLASS_SIGNING_SECRET in the environment."""
    body = shlex.quote(json.dumps({"image": f"{registry.host}/{EXAMPLE_IMAGE}", "tag": "1.2", "digest": EXAMPLE_DIGEST}))
    call = "curl -fsS -H 'Content-Type: application/json'"
    if not registry.signing_secret:
        return f"{call} \\\n  -d {body} \\\n  {shlex.quote(link)}"
    return f"""BODY={body}
SIGNATURE=$(printf %s "$BODY" | openssl dgst -sha256 -hmac "$WINDLASS_SIGNING_SECRET" -r | cut -d ' ' -f 1)
{call} -H "X-Hub-Signature-256: sha256=$SIGNATURE" \\
  -d "$BODY" \\
  {shlex.quote(link)}"""


def quote_ruby(text: str) -> str:
    """A Ruby string in which nothing is interpolated."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_compose(text: str) -> str:
    """A YAML scalar in which Compose finds no variable."""
    return quote_yaml(text.replace("$", "$$"))


SENDERS = (
    Sender(
        "distribution",
        "Distribution",
        ("Add this to the registry's config.yml.", "Restart the registry. It keeps what it could not deliver and tries again."),
        write_distribution,
        signs=True,
    ),
    Sender(
        "dockerhub",
        "Docker Hub",
        ("Open the repository on Docker Hub, then Webhooks.", "Name it Windlass, paste the link and choose Create."),
        write_link,
    ),
    Sender(
        "harbor",
        "Harbor",
        (
            "Open the project, then Webhooks, then New Webhook.",
            "Notify type: http. Payload format: Default or CloudEvents. Event type: Artifact pushed.",
            "Endpoint URL: the link.",
            f"Auth Header: {SIGNING}, if it has one.",
        ),
        write_link,
        signs=True,
    ),
    Sender(
        "quay",
        "Quay",
        (
            "Open the repository's settings, then Events and Notifications, then Create Notification.",
            "When this event occurs: Push to Repository. Then issue a notification: Webhook POST.",
            "Webhook URL: the link. Leave the POST body template empty.",
        ),
        write_link,
    ),
    Sender(
        "ghcr",
        "GitHub",
        (
            "Open the settings of the repository or of the organization, then Webhooks, then Add webhook.",
            "Payload URL: the link. Content type: application/json.",
            f"Secret: {SIGNING}; set one there, so that nobody else can call in GitHub's name.",
            "Let me select individual events: Packages and Registry packages.",
        ),
        write_link,
        signs=True,
    ),
    Sender(
        "gitea",
        "Gitea, Forgejo",
        (
            "Open the settings of the organization or the user who owns the packages (not of the repository), then "
            "Webhooks, then Add Webhook: Gitea or Forgejo.",
            "Target URL: the link. HTTP method: POST. Content type: application/json.",
            f"Secret: {SIGNING}.",
            "Trigger on: Custom events, and of these Package.",
        ),
        write_link,
        signs=True,
    ),
    Sender(
        "gitlab",
        "GitLab",
        (
            "For GitLab that you run yourselves: add this to /etc/gitlab/gitlab.rb and run gitlab-ctl reconfigure.",
            "GitLab.com sends no such events: call the link at the end of a pipeline, as under curl.",
        ),
        write_gitlab,
        signs=True,
    ),
    Sender(
        "acr",
        "Azure",
        ("Run this with the Azure CLI, or make the same webhook in the portal under the registry's Services, Webhooks.",),
        write_azure,
        signs=True,
    ),
    Sender(
        "alibaba",
        "Alibaba Cloud",
        (
            "Open the repository in the Container Registry console, then Triggers, then Create.",
            "Trigger URL: the link. Trigger mode: All.",
        ),
        write_link,
    ),
    Sender(
        "ecr",
        "Amazon ECR",
        (
            "ROLE_ARN is a role that EventBridge may assume and that allows events:InvokeApiDestination.",
            "Run this with the AWS CLI. The link must be reachable by HTTPS.",
        ),
        write_ecr,
    ),
    Sender(
        "artifact_registry",
        "Artifact Registry",
        (
            "Run this in the registry's project. The topic gcr may exist already; that is the one it publishes to.",
            "The link must be reachable by HTTPS.",
        ),
        write_artifact_registry,
    ),
    Sender(
        "artifactory",
        "JFrog",
        (
            "Open Administration, then General, then Webhooks, then New Webhook.",
            "URL: the link. Event: Docker, Tag was pushed. Choose the repositories.",
        ),
        write_link,
    ),
    Sender(
        "nexus",
        "Nexus",
        (
            "Open Administration, then System, then Capabilities, then Create capability: Webhook: Repository.",
            "Repository: the Docker repository. Event types: component. URL: the link.",
            f"Secret Key: {SIGNING}.",
        ),
        write_link,
        signs=True,
    ),
    Sender(
        "curl", "curl", ("For a pipeline, or to try it: image, tag and digest of what was pushed.",), write_curl, signs=True
    ),
    Sender("diun", "Diun", ("Add this to diun.yml. Diun looks at registries that cannot call anybody.",), write_diun),
    Sender("wud", "WUD", ("Add this to the environment of What's up Docker.",), write_wud),
)
ANYWHERE = ("curl", "diun", "wud")  # whatever the registry is
