"""The texts that call a trigger's link from a shell, a pipeline or a monitoring system, each quoted for its language.

No text contains a name from an engine: within the link, names are base64. What is kept in a repository (a Jenkinsfile, a
workflow) holds no secret: the tool's own secret store does, and the secret is sent in a header.
"""

import shlex

from console.pages.shared.quoting import quote_groovy, quote_yaml, write_yaml_block

SECRET_VARIABLE = "WINDLASS_SECRET"  # noqa: S105 - a name
SECRET_CREDENTIAL = "windlass-secret"  # noqa: S105 - a name
EXAMPLE_STEP = 5  # containers
WAIT = 300  # seconds that a pipeline waits for the outcome
# What each tool calls one run of a job. A retry by a person is another run.
JENKINS_RUN, GITHUB_RUN, GITLAB_RUN = "$BUILD_TAG", "$GITHUB_RUN_ID-$GITHUB_RUN_ATTEMPT", "$CI_JOB_ID"
CURL = "curl --fail-with-body -sS"  # a refusal is a failure, and its reason is printed; needs curl 7.76 (2021)
POST = "-X POST "  # for a trigger that does not act on GET


def write_example(*, scales: bool) -> str:
    """Return the parameters that an example adds to a link; a link that redeploys needs none."""
    return f"&type=scale_out&step={EXAMPLE_STEP}" if scales else ""


def write_curl_line(link: str, *, post: bool = False, secret: str = "") -> str:
    """Return a line for a POSIX shell, which fails if the call is refused. Unquoted, the shell would cut the link off at its
    first `&`. `post`: not with GET. `secret`: goes into a header, since the link comes without it."""
    header = f"-H {shlex.quote(f'X-Trigger-Secret: {secret}')} " if secret else ""
    return f"{CURL} {POST if post else ''}{header}{shlex.quote(link)}"


def write_pipeline_line(link: str, run: str, *, post: bool = False) -> str:
    """Return a shell line that fails, with the answer, if the call fails.

    `link` comes without its secret, which is in the environment. `run` is shell text that names the pipeline's run, so that no
    retry counts twice."""
    headers = f'-H "X-Trigger-Secret: ${SECRET_VARIABLE}" -H "Idempotency-Key: {run}"'
    return f"{CURL} {POST if post else ''}{headers} {shlex.quote(f'{link}&wait={WAIT}')}"


def write_jenkins_stage(link: str, *, post: bool = False) -> str:
    """Return a stage of a declarative Jenkinsfile. `link` comes without its secret."""
    return f"""stage('Deploy') {{
  steps {{
    withCredentials([string(credentialsId: '{SECRET_CREDENTIAL}', variable: '{SECRET_VARIABLE}')]) {{
      sh {quote_groovy(write_pipeline_line(link, JENKINS_RUN, post=post))}
    }}
  }}
}}"""


def write_github_step(link: str, *, post: bool = False) -> str:
    """Return a step of a GitHub Actions job. `link` comes without its secret."""
    return f"""- name: Deploy
  env:
    {SECRET_VARIABLE}: ${{{{ secrets.{SECRET_VARIABLE} }}}}
  run: {write_yaml_block(write_pipeline_line(link, GITHUB_RUN, post=post), 4)}"""


def write_gitlab_job(link: str, *, post: bool = False) -> str:
    """Return a job of a .gitlab-ci.yml. `link` comes without its secret."""
    return f"""deploy:
  stage: deploy
  image:
    name: curlimages/curl
    entrypoint: [""]
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  script:
    - {write_yaml_block(write_pipeline_line(link, GITLAB_RUN, post=post), 6)}"""


def write_alertmanager_receiver(link: str, *, resolved: bool = False) -> str:
    """Return a receiver of alertmanager.yml. `resolved`: report the end of an alert too."""
    return f"""receivers:
  - name: windlass
    webhook_configs:
      - url: {quote_yaml(link)}
        send_resolved: {"true" if resolved else "false"}"""


def write_grafana_contact_point(link: str, uid: str, *, resolved: bool = False) -> str:
    """Return a file of Grafana's provisioning/alerting. `uid` makes the contact point unique; `resolved`: report the end of an
    alert too. A `$` is doubled, since Grafana replaces variables in these files."""
    return f"""apiVersion: 1
contactPoints:
  - name: windlass-{uid}
    receivers:
      - uid: windlass-{uid}
        type: webhook
        settings:
          url: {quote_yaml(link.replace("$", "$$"))}
          httpMethod: POST
        disableResolveMessage: {"false" if resolved else "true"}"""
