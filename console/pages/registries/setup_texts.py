"""The texts that set a sender up to call a registry's inbound link: parts of configuration files, and commands.

Each is quoted for its language. The senders' own documentation is the source of each.
"""

import json
import re
import shlex

from clusters.models import Registry
from console.pages.shared.quoting import quote_compose, quote_ruby, quote_yaml

ECR_HOST = re.compile(r"[0-9]+\.dkr\.ecr\.([a-z0-9-]+)\..+")
EXAMPLE_IMAGE = "team/app"
EXAMPLE_DIGEST = "sha256:" + "0" * 64
SIGNING_PLACE = "SIGNING-SECRET"  # stands for the signing secret in a text


def write_link(registry: Registry, link: str) -> str:
    return link


def write_distribution(registry: Registry, link: str) -> str:
    """Return a part of config.yml of registry:2 and registry:3. Pulls are not reported."""
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
    """Return a part of /etc/gitlab/gitlab.rb of the Omnibus package."""
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
    """Return commands of the AWS CLI. A connection needs a credential; Windlass does not read it: the link is the secret."""
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
    """Return a part of diun.yml."""
    return f"""notif:
  webhook:
    endpoint: {quote_yaml(link)}
    method: POST
    timeout: 10s"""


def write_wud(registry: Registry, link: str) -> str:
    """Return a part of a compose.yaml."""
    return f"""services:
  wud:
    environment:
      WUD_TRIGGER_HTTP_WINDLASS_URL: {quote_compose(link)}
      WUD_TRIGGER_HTTP_WINDLASS_METHOD: POST"""


def write_curl(registry: Registry, link: str) -> str:
    """Return a shell line. Where the registry has a signing secret, the line signs as GitHub does, with the secret from
    WINDLASS_SIGNING_SECRET in the environment."""
    body = shlex.quote(json.dumps({"image": f"{registry.host}/{EXAMPLE_IMAGE}", "tag": "1.2", "digest": EXAMPLE_DIGEST}))
    call = "curl --fail-with-body -sS -H 'Content-Type: application/json'"
    if not registry.signing_secret:
        return f"{call} \\\n  -d {body} \\\n  {shlex.quote(link)}"
    return f"""BODY={body}
SIGNATURE=$(printf %s "$BODY" | openssl dgst -sha256 -hmac "$WINDLASS_SIGNING_SECRET" -r | cut -d ' ' -f 1)
{call} -H "X-Hub-Signature-256: sha256=$SIGNATURE" \\
  -d "$BODY" \\
  {shlex.quote(link)}"""
