"""The texts that call a link without its secret: signed in a shell, or from a build job with its identity token.

The link in them holds no secret, so they can be kept in a repository. The texts are quoted like those of snippet_texts.
"""

import shlex
from urllib.parse import quote

from console.pages.shared.quoting import quote_yaml
from console.pages.shared.trigger_panel.snippet_texts import CURL, SECRET_VARIABLE, WAIT
from triggers.identity.presets import Preset

KEY_VARIABLE = "WINDLASS_SIGNATURE_KEY"
TOKEN_VARIABLE = "WINDLASS_TOKEN"  # noqa: S105 - a name


def write_signed_lines(link: str, body: str, *, with_secret: bool = False) -> str:
    """Return lines for a POSIX shell with openssl that sign `body`, which is sent, as Standard Webhooks demands. The key is in
    the environment, the whole `whsec_…`; and `with_secret`, so is the link's secret."""
    secret = f' -H "X-Trigger-Secret: ${SECRET_VARIABLE}"' if with_secret else ""
    return f"""body={shlex.quote(body)}
id="call-$(date +%s)-$$"
now=$(date +%s)
key=$(printf %s "${{{KEY_VARIABLE}#whsec_}}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \\n')
signature=$(printf %s "$id.$now.$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
{CURL} -X POST -H "webhook-id: $id" -H "webhook-timestamp: $now" -H "webhook-signature: v1,$signature" \\
  -H 'Content-Type: application/json'{secret} --data-binary "$body" {shlex.quote(link)}"""


def write_signed_grafana(link: str, uid: str, *, resolved: bool = False) -> str:
    """Return a file of Grafana's provisioning/alerting whose messages are signed, with their time. The key is in Grafana's
    environment. A `$` of the link is doubled, since Grafana replaces variables in these files."""
    return f"""apiVersion: 1
contactPoints:
  - name: windlass-{uid}
    receivers:
      - uid: windlass-{uid}
        type: webhook
        settings:
          url: {quote_yaml(link.replace("$", "$$"))}
          httpMethod: POST
          hmacConfig:
            secret: ${KEY_VARIABLE}
            header: X-Grafana-Alerting-Signature
            timestampHeader: X-Grafana-Alerting-Timestamp
        disableResolveMessage: {"false" if resolved else "true"}"""


def write_token_request(audience: str) -> str:
    """Return a shell line that asks GitHub or Forgejo for the job's identity token. It needs no jq."""
    address = f'"$ACTIONS_ID_TOKEN_REQUEST_URL&audience={quote(audience, safe="")}"'
    read = 'sed -n \'s/.*"value" *: *"\\([^"]*\\)".*/\\1/p\''
    return f'token=$({CURL} -H "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" {address} | {read})'


def write_job_call(link: str, token: str) -> str:
    """Return a shell line that calls the link with an identity token, and fails if the call fails. `token` is shell text."""
    address = shlex.quote(f"{link}&wait={WAIT}")
    return f'{CURL} -X POST -H "Authorization: Bearer {token}" {address}'


def write_actions_step(link: str, audience: str) -> str:
    return f"""- name: Deploy
        run: {write_lines([write_token_request(audience), write_job_call(link, "$token")], 10)}"""


def write_github_job(link: str, audience: str) -> str:
    """Return a job of a GitHub workflow."""
    return f"""jobs:
  deploy:
    runs-on: ubuntu-latest
    permissions:
      id-token: write
    steps:
      {write_actions_step(link, audience)}"""


def write_forgejo_job(link: str, audience: str) -> str:
    """Return a job of a Forgejo workflow."""
    return f"""jobs:
  deploy:
    runs-on: docker
    enable-openid-connect: true
    steps:
      {write_actions_step(link, audience)}"""


def write_gitlab_job(link: str, audience: str) -> str:
    """Return a job of a .gitlab-ci.yml. A `$` is doubled outside of the script, where GitLab replaces variables."""
    return f"""deploy:
  stage: deploy
  image:
    name: curlimages/curl
    entrypoint: [""]
  id_tokens:
    {TOKEN_VARIABLE}:
      aud: {quote_yaml(audience.replace("$", "$$"))}
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  script:
    - {write_lines([write_job_call(link, f"${TOKEN_VARIABLE}")], 6)}"""


def write_buildkite_step(link: str, audience: str) -> str:
    """Return a step of a Buildkite pipeline. A `$` is doubled, since Buildkite replaces variables when it uploads the file."""
    request = f"token=$(buildkite-agent oidc request-token --audience {shlex.quote(audience)})"
    lines = [line.replace("$", "$$") for line in (request, write_job_call(link, "$token"))]
    return f"""steps:
  - label: "Deploy"
    command: {write_lines(lines, 6)}"""


def write_custom_lines(link: str, audience: str) -> str:
    """Return a shell line. How the job gets its token is the issuer's own."""
    return f"# {TOKEN_VARIABLE} is the job's identity token, made for the audience {audience}\n" + write_job_call(
        link, f"${TOKEN_VARIABLE}"
    )


WRITERS = {
    Preset.GITHUB: write_github_job,
    Preset.GITLAB: write_gitlab_job,
    Preset.FORGEJO: write_forgejo_job,
    Preset.BUILDKITE: write_buildkite_step,
    Preset.CUSTOM: write_custom_lines,
}


def write_lines(lines: list[str], indent: int) -> str:
    """Return the lines as a literal block of YAML; quoted where a block cannot hold them."""
    if all(line.isprintable() for line in lines):
        return "|-" + "".join(f"\n{' ' * indent}{line}" for line in lines)
    return quote_yaml("\n".join(lines))
