"""Links without a secret, with real parts: a build job with an identity token of a real issuer, and shell lines that sign.

The commands are those that the pages show, run by sh with curl and openssl.
"""

import html
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest
import yaml

from tests.harness.console import RunningConsole, run_console
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.projects import Project, read_ids
from triggers.identity.tests.issuing import JOB_SECRET, TOKEN_PATH, LocalIssuer, describe_key, serve_issuer

SLEEP = {"Cmd": ["sleep", "3600"], "StopSignal": "SIGKILL"}
JOB = {
    "name": "deploy",
    "preset": "github",
    "conditions": {"repository": {"exact": "team/app"}, "ref": {"exact": "refs/heads/main"}},
}
# A look for a key that was unknown a moment ago takes a minute (triggers.identity.key_sets), after a failure ten seconds.
PATIENCE = 120


@pytest.fixture(scope="module")
def console(session_engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with run_console(tmp_path_factory.mktemp("console") / "data", session_engine.endpoint_url) as running:
        yield running


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    with serve_issuer() as served:
        yield served


@pytest.fixture
def trigger(
    console: RunningConsole, api: docker.APIClient, unique_name: Callable[[str], str], image: Callable[..., str]
) -> dict[str, Any]:
    name = unique_name("shop")
    image(f"{name}:1", **SLEEP)
    Project(api, name).add("web", f"{name}:1")
    return console.create_trigger(name, "redeploy")


def read_page(console: RunningConsole, path: str) -> str:
    console.request("GET", "/api/v1/clusters/")  # signs in
    assert console.session
    answer = console.session.get(f"{console.url}{path}", timeout=60)
    assert answer.status_code == 200
    return answer.text


def read_snippet(page: str, label: str) -> str:
    (found,) = re.findall(rf'<pre tabindex="0" aria-label="{label}"><code>(.*?)</code></pre>', page, re.DOTALL)
    return html.unescape(found)


def run_shell(script: str, **variables: str) -> tuple[int, dict[str, Any]]:
    """Run a script as a runner does. Return curl's status and the answer."""
    environment = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(["sh", "-ec", script], env=environment, check=False, capture_output=True, text=True, timeout=200)
    return done.returncode, json.loads(done.stdout or "{}")


def trust(console: RunningConsole, trigger: dict[str, Any], issuer: LocalIssuer) -> str:
    """Trust the issuer's jobs, and return the script of a job of a workflow as the page shows it."""
    path = f"/api/v1/triggers/{trigger['id']}/jobs/"
    status, job = console.request("POST", path, JOB | {"issuer": issuer.address})
    assert (status, job["audience"]) == (201, console.url), job
    page = read_page(console, f"/triggers/{trigger['id']}/jobs/{job['id']}/edit/")
    workflow = yaml.safe_load(read_snippet(page, "How a job of deploy calls the link"))["jobs"]["deploy"]
    assert workflow["permissions"] == {"id-token": "write"}
    (step,) = workflow["steps"]
    assert trigger["secret"] not in step["run"]
    return str(step["run"])


def run_job(script: str, issuer: LocalIssuer, **changes: str) -> tuple[int, dict[str, Any]]:
    issuer.claims = changes
    return run_shell(
        script,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN=JOB_SECRET,
        ACTIONS_ID_TOKEN_REQUEST_URL=f"{issuer.address}{TOKEN_PATH}?api-version=2.0",
    )


def test_a_job_on_github_redeploys_through_a_link_without_a_secret(console, api, issuer, trigger):
    script, before = trust(console, trigger, issuer), read_ids(api)
    status, answer = run_job(script, issuer)
    assert (status, answer["state"]) == (0, "succeeded"), answer
    after = read_ids(api)
    assert not set(after.values()) & set(before.values())
    call = console.request("GET", f"/api/v1/calls/{answer['requestId']}/")[1]
    assert call["proof"] == "identity"
    assert (call["identity"]["repository"], call["identity"]["actor"]) == ("team/app", "ann")
    page = read_page(console, f"/calls/{answer['requestId']}/")
    assert "refs/heads/main" in page

    status, answer = run_job(script, issuer, ref="refs/pull/1/merge")
    assert (status, answer["code"], answer["reason"]) == (22, "401", "identity")
    assert read_ids(api) == after


def test_an_issuer_hangs_comes_back_goes_away_and_rotates_its_keys(console, issuer, trigger):
    script = trust(console, trigger, issuer)
    issuer.answers.clear()
    status, answer = run_job(script, issuer)
    assert (status, answer["code"], answer["reason"]) == (22, "503", "identity"), answer

    issuer.answers.set()
    eventually(
        lambda: run_job(script, issuer)[0] == 0, within=PATIENCE, every=4, what="the issuer that came back is asked again"
    )

    issuer.is_away = True
    assert run_job(script, issuer)[0] == 0  # its keys are known

    issuer.is_away = False
    issuer.keys = [describe_key("rsa-2", number=2)]
    issuer.signed_by = {"key_id": "rsa-2", "number": 2}
    status, answer = run_job(script, issuer)
    assert (status, answer["code"]) == (22, "401"), answer  # it was asked a moment ago
    eventually(lambda: run_job(script, issuer)[0] == 0, within=PATIENCE, every=4, what="the new key is found")
    issuer.signed_by = {"key_id": "rsa-1"}
    assert run_job(script, issuer)[1]["code"] == "401"


def test_shell_lines_with_openssl_make_a_signed_call(console, api, trigger):
    path = f"/triggers/{trigger['id']}/signature/"
    console.request("GET", "/api/v1/clusters/")
    fields = {"signature": "instead", "csrfmiddlewaretoken": console.session.cookies["csrftoken"]}
    answer = console.session.post(f"{console.url}{path}", fields, headers={"Referer": console.url}, timeout=60)
    key = read_snippet(answer.text, "Key")
    script = read_snippet(answer.text, "Shell lines that make a signed call")
    assert (key[:6], trigger["secret"] in script, key in script) == ("whsec_", False, False)
    assert key not in read_page(console, path)

    before = read_ids(api)
    status, made = run_shell(script.replace("triggerUrl=", "wait=120&triggerUrl="), WINDLASS_SIGNATURE_KEY=key)
    assert (status, made["state"]) == (0, "succeeded"), made
    assert not set(read_ids(api).values()) & set(before.values())
    status, refused = run_shell(script, WINDLASS_SIGNATURE_KEY=key[:-4] + "AAA=")
    assert (status, refused["code"], refused["reason"]) == (22, "401", "signature")
