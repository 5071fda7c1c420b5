"""The texts that call a trigger: each is one valid text of its language, whatever the application is called."""

import ast
import re
import shlex

import pytest
import yaml

from console.pages.shared.trigger_panel import snippet_texts
from triggers import links

HOSTILE = [
    "shop",
    "it's; rm -rf / #",
    'x"\n- run: id',
    "$(id) `id` ${HOME} ${{ secrets.TOKEN }}",
    "{{ .CommonLabels }} %{x} \\\\ '''",
    "\u202egnp.exe\u2028\U0001f600",
    "a: b, c | d & e > f",
]
SECRET = "5" * 64
BASES = ["https://windlass.example.com", "http://[::1]:8000", 'https://example.com/it\'s/$HOME/`id`\\n/"x"']
PIPELINES = [snippet_texts.write_jenkins_stage, snippet_texts.write_github_step, snippet_texts.write_gitlab_job]

RUNS = dict(zip(PIPELINES, ("$BUILD_TAG", "$GITHUB_RUN_ID-$GITHUB_RUN_ATTEMPT", "$CI_JOB_ID"), strict=True))


def build_link(base, name, secret=SECRET):
    return links.build_link(base, links.LinkFields("c0ffee", name, "scaling", "0123456789abc"), secret)


def read_groovy_string(text):
    """Return the one string that `sh` gets. Python reads Groovy's escapes alike."""
    (literal,) = re.findall(r"sh ('(?:[^'\\\n]|\\.)*')$", text, re.MULTILINE)
    return ast.literal_eval(literal)


def read_command(write, text):
    if write is snippet_texts.write_jenkins_stage:
        return read_groovy_string(text)
    loaded = yaml.safe_load(text)
    return loaded[0]["run"] if isinstance(loaded, list) else loaded["deploy"]["script"][0]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", HOSTILE)
class TestQuoting:
    def test_the_link_is_one_shell_word_of_the_curl_line(self, base, name):
        link = build_link(base, name) + "&type=scale_out&step=5"
        assert shlex.split(snippet_texts.write_curl_line(link)) == ["curl", "--fail-with-body", "-sS", link]

    @pytest.mark.parametrize("write", PIPELINES)
    def test_a_pipeline_runs_curl_with_the_address_as_one_word_and_the_secret_in_a_header(self, base, name, write):
        address = build_link(base, name, "").removesuffix("&secret=") + "&type=scale_out&step=5"
        words = shlex.split(read_command(write, write(address)))
        headers = ["-H", "X-Trigger-Secret: $WINDLASS_SECRET", "-H", f"Idempotency-Key: {RUNS[write]}"]
        assert words == ["curl", "--fail-with-body", "-sS", *headers, f"{address}&wait=300"]

    def test_alertmanager_gets_the_link_and_sends_no_resolved_alerts(self, base, name):
        link = build_link(base, name)
        (receiver,) = yaml.safe_load(snippet_texts.write_alertmanager_receiver(link))["receivers"]
        assert receiver["webhook_configs"] == [{"url": link, "send_resolved": False}]

    def test_grafana_gets_the_link_and_no_variable_to_replace(self, base, name):
        link = build_link(base, name)
        (point,) = yaml.safe_load(snippet_texts.write_grafana_contact_point(link, "0123456789abc"))["contactPoints"]
        (receiver,) = point["receivers"]
        assert (receiver["uid"], receiver["type"]) == ("windlass-0123456789abc", "webhook")
        assert receiver["settings"]["url"].replace("$$", "") == link.replace("$", "")
        assert receiver["settings"]["url"].replace("$$", "$") == link
        assert receiver["disableResolveMessage"] is True


def test_a_workflow_takes_the_secret_from_its_store():
    (step,) = yaml.safe_load(snippet_texts.write_github_step(build_link(BASES[0], "shop", "")))
    assert step["env"] == {"WINDLASS_SECRET": "${{ secrets.WINDLASS_SECRET }}"}
