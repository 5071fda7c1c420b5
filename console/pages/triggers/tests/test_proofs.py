"""Signed calls and trusted jobs on the pages: made, changed and removed, each with its entry in the audit log."""

import json

import pytest
import yaml

from clusters.models import AuditEntry
from clusters.roles import Role
from clusters.tests.users import make_user
from console.pages.shared.trigger_panel import proof_texts
from console.pages.tests.reading import DIALOG, text_of
from triggers.identity.presets import HOSTS, Preset
from triggers.models import Signature, TrustedJob
from triggers.tests.factories import TrustedJobFactory
from triggers.tests.signing import require_signature

GITHUB = {
    "name": "deploy",
    "preset": "github",
    "repository_how": "exact",
    "repository": "team/app",
    "ref_how": "exact",
    "ref": "refs/heads/main",
    "audience": "http://testserver",
}
MAIN = {"ref": {"exact": "refs/heads/main"}}


def address_of(trigger, *parts):
    return f"/triggers/{trigger.pk}/{'/'.join(map(str, parts))}/"


def last_act(trigger):
    entry = AuditEntry.objects.filter(target_id=str(trigger.pk)).order_by("-pk").first()
    return entry.action, entry.details


class TestSignature:
    def test_a_key_is_shown_once_and_never_recorded(self, reader, fleet):
        trigger = fleet.trigger
        page = reader.post(address_of(trigger, "signature"), {"signature": "instead"}, follow=True)
        trigger.refresh_from_db()
        key = trigger.signature_key
        assert (trigger.signature, key[:6]) == (Signature.INSTEAD, "whsec_")
        assert text_of(page).count(f"<code>{key}</code>") == 1
        for address in (address_of(trigger, "signature"), f"/triggers/{trigger.pk}/", "/audit/", "/triggers/"):
            assert key not in text_of(reader.get(address))
        action, details = last_act(trigger)
        assert (action, details["changes"]) == (
            "trigger.signature",
            {"signature": ["Off", "Instead of the secret"], "signature_key": "set"},
        )
        assert key not in json.dumps(details)

    def test_the_dialog_leads_to_the_page_with_the_key(self, reader, fleet):
        response = reader.post(address_of(fleet.trigger, "signature"), {"signature": "required"}, headers=DIALOG)
        assert response["HX-Redirect"] == address_of(fleet.trigger, "signature")

    def test_a_new_key_replaces_the_old_one_only_when_asked(self, reader, fleet):
        key = require_signature(fleet.trigger)
        reader.post(address_of(fleet.trigger, "signature"), {"signature": "required"})
        fleet.trigger.refresh_from_db()
        assert (fleet.trigger.signature, fleet.trigger.signature_key) == (Signature.REQUIRED, key)
        reader.post(address_of(fleet.trigger, "signature"), {"signature": "required", "new_key": "on"})
        fleet.trigger.refresh_from_db()
        assert fleet.trigger.signature_key != key
        assert last_act(fleet.trigger)[1]["changes"] == {"signature_key": "changed"}

    def test_turned_off_no_key_is_kept(self, reader, fleet):
        require_signature(fleet.trigger)
        reader.post(address_of(fleet.trigger, "signature"), {"signature": "off"})
        fleet.trigger.refresh_from_db()
        assert (fleet.trigger.signature, fleet.trigger.signature_key) == (Signature.OFF, None)

    def test_nothing_changed_is_not_recorded(self, reader, fleet):
        reader.post(address_of(fleet.trigger, "signature"), {"signature": "off"})
        assert not AuditEntry.objects.filter(action="trigger.signature").exists()

    @pytest.mark.parametrize("sent", [{}, {"signature": "none"}])
    def test_another_word_is_refused(self, reader, fleet, sent):
        response = reader.post(address_of(fleet.trigger, "signature"), sent)
        assert response.context["form"].errors.keys() == {"signature"}

    def test_the_pages_show_a_link_without_a_secret(self, reader, fleet):
        require_signature(fleet.trigger)
        for address in (f"/applications/{fleet.application.pk}/?trigger={fleet.trigger.pk}", f"/triggers/{fleet.trigger.pk}/"):
            text = text_of(reader.get(address))
            assert "WINDLASS_SIGNATURE_KEY" in text
            assert fleet.trigger.signature_key not in text
            assert f"trigger-{fleet.trigger.pk}" in text or "Signed calls" in text


class TestTrustedJob:
    def test_a_job_is_trusted_changed_and_removed(self, reader, fleet):
        trigger = fleet.trigger
        TrustedJob.objects.all().delete()
        response = reader.post(address_of(trigger, "jobs", "new"), GITHUB | {"more": "environment = production\n"})
        assert response.url == f"/triggers/{trigger.pk}/"
        job = trigger.trusted_jobs.get()
        assert (job.issuer, job.created_by.username) == (HOSTS[Preset.GITHUB].issuer, "admin")
        assert job.conditions == {"repository": {"exact": "team/app"}, "environment": {"exact": "production"}} | MAIN
        assert last_act(trigger)[0] == "trigger.trust"

        edit = address_of(trigger, "jobs", job.pk, "edit")
        assert 'value="refs/heads/main"' in text_of(reader.get(edit))
        reader.post(edit, GITHUB | {"ref_how": "pattern", "ref": "refs/tags/v.+"})
        job.refresh_from_db()
        assert job.conditions == {"repository": {"exact": "team/app"}, "ref": {"pattern": "refs/tags/v.+"}}
        reader.post(address_of(trigger, "jobs", job.pk, "delete"))
        assert not trigger.trusted_jobs.exists()
        assert last_act(trigger)[0] == "trigger.distrust"

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            ({"preset": "gitlab", "ref": "main"}, {"project_path": "team/app", "ref": "main", "ref_type": "branch"}),
            ({"preset": "gitlab", "ref": "refs/tags/v1"}, {"project_path": "team/app", "ref": "v1", "ref_type": "tag"}),
            ({"preset": "forgejo"}, {"repository": "team/app", "ref": "refs/heads/main"}),
            (
                {"preset": "buildkite", "ref": "main"},
                {"organization_slug": "team", "pipeline_slug": "app", "build_branch": "main"},
            ),
        ],
        ids=["gitlab branch", "gitlab tag", "forgejo", "buildkite"],
    )
    def test_each_host_has_its_own_words(self, reader, fleet, sent, expected):
        TrustedJob.objects.all().delete()
        reader.post(address_of(fleet.trigger, "jobs", "new"), GITHUB | sent)
        job = TrustedJob.objects.get()
        assert job.conditions == {name: {"exact": value} for name, value in expected.items()}
        page = reader.get(address_of(fleet.trigger, "jobs", job.pk, "edit"))
        reader.post(address_of(fleet.trigger, "jobs", job.pk, "edit"), {**page.context["form"].initial, "issuer": ""})
        again = TrustedJob.objects.get()
        assert again.conditions == job.conditions

    @pytest.mark.parametrize(
        "changes",
        [
            {"repository": ""},
            {"ref": ""},
            {"ref": "main"},
            {"name": ""},
            {"audience": ""},
            {"preset": "jenkins"},
            {"repository_how": "pattern", "repository": ".*"},
            {"repository_how": "pattern", "repository": "("},
            {"more": "no condition"},
            {"more": "a = b\na = c"},
            {"more": "repository = other/app"},
            {"more": "aud = x"},
            {"preset": "buildkite", "repository": "team"},
            {"preset": "buildkite", "repository": ".*/app"},
            {"issuer": "http://gitlab.example.com"},
            {"issuer": "https://169.254.169.254"},
            {"audience": "a b"},
        ],
        ids=str,
    )
    def test_what_cannot_be_trusted_is_refused_with_a_reason(self, reader, fleet, changes):
        known = TrustedJob.objects.count()
        response = reader.post(address_of(fleet.trigger, "jobs", "new"), GITHUB | changes)
        assert response.status_code == 200
        assert response.context["form"].errors
        assert TrustedJob.objects.count() == known

    def test_a_loose_ref_is_warned_of(self, reader, fleet):
        TrustedJob.objects.all().delete()
        sent = GITHUB | {"ref_how": "pattern", "ref": "refs/(heads|pull)/.*"}
        response = reader.post(address_of(fleet.trigger, "jobs", "new"), sent, follow=True)
        assert text_of(response).count("whoever opens one can call this trigger") == 2  # once as a message, and for good

    def test_an_issuer_of_ones_own_takes_the_right_to_choose_engines(self, client, fleet):
        user = make_user("deployer", Role.DEPLOYER, fleet.cluster)
        client.force_login(user)
        sent = GITHUB | {"preset": "gitlab", "ref": "main", "issuer": "https://gitlab.example.com"}
        response = client.post(address_of(fleet.trigger, "jobs", "new"), sent)
        assert response.context["form"].errors.keys() == {"issuer"}
        job = TrustedJobFactory(trigger=fleet.trigger, issuer="https://git.example.com", name="theirs")
        edited = GITHUB | {"issuer": "https://git.example.com", "name": "ours"}
        assert client.post(address_of(fleet.trigger, "jobs", job.pk, "edit"), edited).status_code == 302
        response = client.post(address_of(fleet.trigger, "jobs", job.pk, "edit"), edited | {"issuer": "https://b.example.com"})
        assert response.context["form"].errors.keys() == {"issuer"}
        job.refresh_from_db()
        assert (job.name, job.issuer) == ("ours", "https://git.example.com")

    def test_a_job_of_another_trigger_is_not_found(self, reader, fleet):
        assert reader.get(address_of(fleet.scaling_trigger, "jobs", fleet.job.pk, "edit")).status_code == 404

    @pytest.mark.parametrize("preset", Preset.values)
    def test_the_snippets_hold_no_secret_and_are_valid(self, fleet, preset):
        link = "https://example.com/it's/$HOME/hook/trigger?triggerUrl=abc%3D"
        text = proof_texts.WRITERS[Preset(preset)](link, "https://example.com/it's/$HOME")
        assert "secret" not in text.lower()
        if preset != Preset.CUSTOM:
            assert yaml.safe_load(text)


class TestApi:
    def test_jobs(self, reader, fleet):
        path = f"/api/v1/triggers/{fleet.trigger.pk}/jobs/"
        sent = {"name": "b", "preset": "github", "conditions": {"repository": {"exact": "team/b"}} | MAIN}
        made = reader.post(path, sent, content_type="application/json").json()
        assert (made["issuer"], made["audience"], made["warning"]) == (HOSTS["github"].issuer, "http://testserver", "")
        assert [job["name"] for job in reader.get(path).json()] == ["deploy", "b"]
        own = f"{path}{made['id']}/"
        loose = {"conditions": {"repository": {"exact": "team/b"}, "ref": {"pattern": "refs/.*"}}}
        assert "pull requests" in reader.patch(own, loose, content_type="application/json").json()["warning"]
        assert reader.delete(own).status_code == 204
        assert reader.delete(own).status_code == 404

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"conditions": {}}, "conditions"),
            ({"conditions": []}, "conditions"),
            ({"conditions": {"repository": {"pattern": ".*"}} | MAIN}, "conditions"),
            ({"issuer": "https://[::1"}, "issuer"),
            ({"preset": "x"}, "preset"),
            ({"name": ""}, "name"),
        ],
        ids=str,
    )
    def test_refused(self, reader, fleet, changes, field):
        sent = {"name": "b", "preset": "github", "conditions": {"repository": {"exact": "team/b"}} | MAIN}
        answer = reader.post(f"/api/v1/triggers/{fleet.trigger.pk}/jobs/", sent | changes, content_type="application/json")
        assert (answer.status_code, list(answer.json())) == (400, [field])

    def test_signature(self, reader, fleet):
        path = f"/api/v1/triggers/{fleet.trigger.pk}/signature/"
        answer = reader.post(path, {"signature": "instead"}, content_type="application/json").json()
        fleet.trigger.refresh_from_db()
        assert answer == {"signature": "instead", "signature_key": fleet.trigger.signature_key}
        again = reader.post(path, {"signature": "required"}, content_type="application/json").json()
        assert again == {"signature": "required", "signature_key": None}

    def test_a_link_without_a_secret(self, reader, fleet):
        key = require_signature(fleet.trigger)
        shown = reader.post(f"/api/v1/triggers/{fleet.trigger.pk}/reveal/").json()
        assert (shown["secret"], "secret" in shown["link"], shown["signature"]) == (None, False, "instead")
        assert key not in json.dumps(shown)
