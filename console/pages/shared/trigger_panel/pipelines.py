"""A trigger's link written for the tools that call it, each quoted for its language.

No name from an engine goes into a text: within the link they are base64. What is kept in a repository (a Jenkinsfile, a
workflow) holds no secret: the tool's own store does, and the secret travels in a header.
"""

import shlex

SECRET_VARIABLE = "WINDLASS_SECRET"  # noqa: S105 - a name
SECRET_CREDENTIAL = "windlass-secret"  # noqa: S105 - a name
WAIT = 300  # seconds in which a pipeline gets the outcome as its verdict


def write_curl_line(link: str) -> str:
    """Quoted for a POSIX shell: unquoted, the shell would cut the link at its first `&`."""
    return f"curl {shlex.quote(link)}"


def write_pipeline_line(link: str) -> str:
    """A shell line that fails where the call does. `link` without its secret, which the environment has."""
    return f'curl -fsS -H "X-Trigger-Secret: ${SECRET_VARIABLE}" {shlex.quote(f"{link}&wait={WAIT}")}'


def write_jenkins_stage(link: str) -> str:
    """A stage of a declarative Jenkinsfile; `link` without its secret."""
    return f"""stage('Deploy') {{
  steps {{
    withCredentials([string(credentialsId: '{SECRET_CREDENTIAL}', variable: '{SECRET_VARIABLE}')]) {{
      sh {quote_groovy(write_pipeline_line(link))}
    }}
  }}
}}"""


def write_github_step(link: str) -> str:
    """A step of a job in a workflow of GitHub Actions; `link` without its secret."""
    return f"""- name: Deploy
  env:
    {SECRET_VARIABLE}: ${{{{ secrets.{SECRET_VARIABLE} }}}}
  run: {write_yaml_block(write_pipeline_line(link), 4)}"""


def write_gitlab_job(link: str) -> str:
    """A job of a .gitlab-ci.yml; `link` without its secret."""
    return f"""deploy:
  stage: deploy
  image:
    name: curlimages/curl
    entrypoint: [""]
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  script:
    - {write_yaml_block(write_pipeline_line(link), 6)}"""


def write_alertmanager_receiver(link: str, *, resolved: bool = False) -> str:
    """A receiver of alertmanager.yml. The end of an alert is told of only where the trigger acts on it."""
    return f"""receivers:
  - name: windlass
    webhook_configs:
      - url: {quote_yaml(link)}
        send_resolved: {"true" if resolved else "false"}"""


def write_grafana_contact_point(link: str, uid: str, *, resolved: bool = False) -> str:
    """A file of Grafana's provisioning/alerting. `uid` tells it from other contact points. A `$` is doubled: Grafana replaces
    variables in what it reads there."""
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


def quote_groovy(text: str) -> str:
    """A Groovy string in which nothing is interpolated: `$` stays for the shell."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def quote_yaml(text: str) -> str:
    """A double-quoted YAML scalar on one line."""
    return '"' + "".join(_escape_for_yaml(character) for character in text) + '"'


def _escape_for_yaml(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def write_yaml_block(text: str, indent: int) -> str:
    """One line with quotes of its own, as a literal block that needs no more of them; quoted where a block cannot hold it."""
    return f"|-\n{' ' * indent}{text}" if text.isprintable() else quote_yaml(text)
