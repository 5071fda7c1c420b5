"""The ways to call a trigger: each is one valid text of its language, whatever the application is called."""

import ast
import re
import shlex

import pytest
import yaml

from console.pages.shared.trigger_panel import pipelines
from console.pages.shared.trigger_panel.snippets import build_secrets, build_snippets
from triggers import links
from triggers.models import Action, AlertState

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
PIPELINES = [pipelines.write_jenkins_stage, pipelines.write_github_step, pipelines.write_gitlab_job]


def build_link(base, name, secret=SECRET):
    return links.build_link(base, links.LinkFields("c0ffee", name, "scaling", "0123456789abc"), secret)


def read_groovy_string(text):
    """The one string that `sh` is given; what Groovy escapes in it, Python reads alike."""
    (literal,) = re.findall(r"sh ('(?:[^'\\\n]|\\.)*')$", text, re.MULTILINE)
    return ast.literal_eval(literal)


def read_command(write, text):
    if write is pipelines.write_jenkins_stage:
        return read_groovy_string(text)
    loaded = yaml.safe_load(text)
    return loaded[0]["run"] if isinstance(loaded, list) else loaded["deploy"]["script"][0]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", HOSTILE)
class TestQuoting:
    def test_the_curl_line_is_two_shell_words(self, base, name):
        link = build_link(base, name) + "&type=scale_out&step=5"
        assert shlex.split(pipelines.write_curl_line(link)) == ["curl", link]

    @pytest.mark.parametrize("write", PIPELINES)
    def test_a_pipeline_runs_curl_with_the_address_as_one_word_and_the_secret_in_a_header(self, base, name, write):
        address = build_link(base, name, "").removesuffix("&secret=") + "&type=scale_out&step=5"
        words = shlex.split(read_command(write, write(address)))
        assert words == ["curl", "-fsS", "-H", "X-Trigger-Secret: $WINDLASS_SECRET", f"{address}&wait=300"]

    def test_alertmanager_gets_the_link_and_is_told_of_alarms_alone(self, base, name):
        link = build_link(base, name)
        (receiver,) = yaml.safe_load(pipelines.write_alertmanager_receiver(link))["receivers"]
        assert receiver["webhook_configs"] == [{"url": link, "send_resolved": False}]

    def test_grafana_gets_the_link_and_no_variable_to_replace(self, base, name):
        link = build_link(base, name)
        (point,) = yaml.safe_load(pipelines.write_grafana_contact_point(link, "0123456789abc"))["contactPoints"]
        (receiver,) = point["receivers"]
        assert (receiver["uid"], receiver["type"]) == ("windlass-0123456789abc", "webhook")
        assert receiver["settings"]["url"].replace("$$", "") == link.replace("$", "")
        assert receiver["settings"]["url"].replace("$$", "$") == link
        assert receiver["disableResolveMessage"] is True


@pytest.mark.parametrize("text", ["", "a\nb", "tab\t", "\x85\u2028\x7f\0", '"\\', "\U0001f600\u202e", "- a: b # c"])
def test_a_yaml_scalar_says_what_it_was_given(text):
    assert yaml.safe_load(pipelines.quote_yaml(text)) == text
    assert yaml.safe_load(f"- {pipelines.write_yaml_block('x' + text, 6)}") == ["x" + text]


def test_a_workflow_takes_the_secret_from_its_store():
    (step,) = yaml.safe_load(pipelines.write_github_step(build_link(BASES[0], "shop", "")))
    assert step["env"] == {"WINDLASS_SECRET": "${{ secrets.WINDLASS_SECRET }}"}


@pytest.mark.parametrize("action", Action.values)
def test_no_way_holds_the_secret_or_a_name_before_it_is_asked_for(rf, fleet, action):
    trigger = fleet.trigger if action == Action.REDEPLOY else fleet.scaling_trigger
    trigger.application.name = "it's-a-trap"
    snippets = build_snippets(rf.get("/"), trigger)
    assert [one.label for one in snippets.ways] == [
        "Link",
        "curl",
        "Jenkinsfile",
        "GitHub Actions",
        "GitLab CI",
        "Alertmanager",
        "Grafana",
    ]
    for way in snippets.ways:
        assert trigger.secret not in way.text + way.revealed
        assert "trap" not in way.text
    assert trigger.secret not in "".join((snippets.head, snippets.tail, snippets.example))


@pytest.mark.parametrize("state", AlertState.values)
def test_the_end_of_an_alert_is_told_of_only_where_the_trigger_acts_on_it(rf, fleet, state):
    fleet.scaling_trigger.alert_state = state
    texts = {way.key: yaml.safe_load(way.text) for way in build_snippets(rf.get("/"), fleet.scaling_trigger).ways[-2:]}
    (receiver,) = texts["alertmanager"]["receivers"]
    (point,) = texts["grafana"]["contactPoints"]
    told = (receiver["webhook_configs"][0]["send_resolved"], not point["receivers"][0]["disableResolveMessage"])
    assert told == (state == "resolved",) * 2


def test_once_asked_for_it_stands_only_where_it_is_needed(rf, fleet):
    request = rf.get("/")
    ways = build_snippets(request, fleet.trigger, build_secrets(request, fleet.trigger)).ways
    assert {way.key for way in ways if fleet.trigger.secret in way.text + way.revealed} == {
        "link",
        "curl",
        "alertmanager",
        "grafana",
    }
    assert all(way.masked == bool(way.revealed) for way in ways)


def test_the_page_shows_every_way_with_its_tab_and_its_copy_button(reader, fleet):
    text = reader.get(f"/applications/{fleet.application.pk}/?trigger={fleet.scaling_trigger.pk}").content.decode()
    assert text.count('role="tab"') == text.count('role="tabpanel"') == 7
    assert text.count('aria-selected="true"') == 1
    for key in ("link", "curl", "alertmanager", "grafana"):
        assert f'data-copy-of="{key}"' in text
    assert text.count('data-copied="Snippet copied"') == 3
