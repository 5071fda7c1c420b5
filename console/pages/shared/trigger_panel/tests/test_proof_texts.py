"""The texts that call a link without its secret: each is valid in its language, and a shell sees one address."""

import json
import shlex
import subprocess

import pytest
import yaml

from console.pages.shared.trigger_panel import proof_texts
from console.pages.shared.trigger_panel.tests.test_snippet_texts import BASES, HOSTILE, build_link
from triggers.identity.presets import Preset
from triggers.tests.signing import sign_standard

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STUB = 'curl() { for word; do printf \'%s\\n\' "$word"; done; }\nbuildkite-agent() { printf %s "$*" >&2; printf token; }\n'
WHERE = {
    Preset.GITHUB: lambda loaded: loaded["jobs"]["deploy"]["steps"][0]["run"],
    Preset.FORGEJO: lambda loaded: loaded["jobs"]["deploy"]["steps"][0]["run"],
    Preset.GITLAB: lambda loaded: loaded["deploy"]["script"][0],
    Preset.BUILDKITE: lambda loaded: loaded["steps"][0]["command"].replace("$$", "$"),
}


def run_words(script, **variables):
    """Run the script with a curl that only says what it was given, one word a line."""
    done = subprocess.run(
        ["bash", "-ec", STUB + script], env={"PATH": "/usr/bin:/bin", **variables}, check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("preset", WHERE)
def test_a_job_calls_the_link_as_one_word(base, name, preset):
    link = build_link(base, name, "")
    script = WHERE[preset](yaml.safe_load(proof_texts.WRITERS[preset](link, base)))
    last = shlex.split(script.splitlines()[-1])
    assert last[-1] == f"{link}&wait=300"
    assert last[:4] == ["curl", "--fail-with-body", "-sS", "-X"]


def test_a_gitlab_job_asks_for_a_token_for_this_console():
    job = yaml.safe_load(proof_texts.write_gitlab_job("https://example.com/x", "https://example.com/$x"))["deploy"]
    assert job["id_tokens"] == {"WINDLASS_TOKEN": {"aud": "https://example.com/$$x"}}


def test_a_forgejo_job_turns_tokens_on():
    assert yaml.safe_load(proof_texts.write_forgejo_job("https://a/x", "https://a"))["jobs"]["deploy"]["enable-openid-connect"]


def test_a_buildkite_step_sends_what_the_agent_gives():
    script = WHERE[Preset.BUILDKITE](yaml.safe_load(proof_texts.write_buildkite_step("https://a.b/x?y=1", "https://a.b")))
    words, asked = run_words(script)
    assert asked == "oidc request-token --audience https://a.b"
    assert "Authorization: Bearer token" in words


@pytest.mark.parametrize("spacing", [(",", ":"), (", ", ": ")], ids=["packed", "loose"])
def test_a_token_is_read_without_jq(spacing):
    answer = json.dumps({"count": 1, "value": "eyJ.eyJ.s-_"}, separators=spacing)
    script = proof_texts.write_token_request("https://a.b").replace("curl", f"printf %s {shlex.quote(answer)} #curl", 1)
    line, _, pipe = script.partition(" #curl")
    done = subprocess.run(
        ["sh", "-c", f"{line} {pipe[pipe.index('|') :]}; echo $token"], check=True, capture_output=True, text=True
    )
    assert done.stdout == "eyJ.eyJ.s-_\n"


@pytest.mark.parametrize("body", ["{}", '{"type": "scale_out", "step": "5"}', "it's $HOME `id`", ""])
def test_the_shell_signs_as_standard_webhooks_demands(body):
    words, _ = run_words(proof_texts.write_signed_lines("https://a.b/x", body), WINDLASS_SIGNATURE_KEY=KEY)
    sent = dict(word.split(": ", 1) for word in words if word.startswith("webhook-"))
    assert sent == sign_standard(KEY, body.encode(), sent["webhook-id"], sent["webhook-timestamp"])
    assert words[-2:] == [body, "https://a.b/x"]


def test_the_secret_comes_from_the_environment_where_both_are_needed():
    lines = proof_texts.write_signed_lines("https://a.b/x", "{}", with_secret=True)
    words, _ = run_words(lines, WINDLASS_SIGNATURE_KEY=KEY, WINDLASS_SECRET="5" * 64)
    assert f"X-Trigger-Secret: {'5' * 64}" in words


def test_grafana_signs_with_its_time():
    text = proof_texts.write_signed_grafana("https://a.b/$x", "abc", resolved=True)
    settings = yaml.safe_load(text)["contactPoints"][0]["receivers"][0]["settings"]
    assert settings["url"] == "https://a.b/$$x"
    assert settings["hmacConfig"] == {
        "secret": "$WINDLASS_SIGNATURE_KEY",
        "header": "X-Grafana-Alerting-Signature",
        "timestampHeader": "X-Grafana-Alerting-Timestamp",
    }
