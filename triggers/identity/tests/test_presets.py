"""What is shown of a job, and the page of its run."""

import pytest

from triggers.identity.presets import HOSTS, PUBLIC_ISSUERS, Preset, build_run_url, describe_job

CLAIMS = {
    Preset.GITHUB: {"repository": "team/app", "ref": "refs/heads/main", "sha": "abc", "run_id": "7", "actor": "ann"},
    Preset.GITLAB: {"project_path": "team/sub/app", "ref": "main", "sha": "abc", "pipeline_id": "7", "user_login": "ann"},
    Preset.FORGEJO: {"repository": "team/app", "ref": "refs/heads/main", "sha": "abc", "run_number": "7", "actor": "ann"},
    Preset.BUILDKITE: {
        "organization_slug": "team",
        "pipeline_slug": "app",
        "build_branch": "main",
        "build_commit": "abc",
        "build_number": 7,
        "agent_id": "ann",
    },
}
PAGES = {
    Preset.GITHUB: "https://github.com/team/app/actions/runs/7",
    Preset.GITLAB: "https://gitlab.com/team/sub/app/-/pipelines/7",
    Preset.FORGEJO: "https://codeberg.org/team/app/actions/runs/7",
    Preset.BUILDKITE: "https://buildkite.com/team/app/builds/7",
}


@pytest.mark.parametrize("preset", CLAIMS)
def test_what_is_shown_of_a_job(preset):
    described = describe_job(preset, HOSTS[preset].issuer, CLAIMS[preset])
    ref = "refs/heads/main" if preset in (Preset.GITHUB, Preset.FORGEJO) else "main"
    repository = "team/sub/app" if preset == Preset.GITLAB else "team/app"
    expected = {"repository": repository, "ref": ref, "commit": "abc", "run": "7", "actor": "ann", "run_url": PAGES[preset]}
    assert described == expected


def test_the_page_of_a_run_at_a_host_of_ones_own():
    assert build_run_url("github", "https://git.example.com/_services/token", "a/b", "7") == (
        "https://git.example.com/a/b/actions/runs/7"
    )
    assert (
        build_run_url("gitlab", "https://git.example.com:8443", "a/b", "7") == "https://git.example.com:8443/a/b/-/pipelines/7"
    )
    assert build_run_url("forgejo", "https://git.example.com/x/api/actions", "a/b", "7") == (
        "https://git.example.com/x/a/b/actions/runs/7"
    )


@pytest.mark.parametrize(
    ("preset", "issuer", "repository", "run"),
    [
        ("custom", "https://ci.example.com", "a/b", "7"),
        ("github", "https://ci.example.com", "a/b", "7"),
        ("buildkite", "https://ci.example.com", "a/b", "7"),
        ("forgejo", "https://ci.example.com", "a/b", "7"),
        ("gitlab", "http://127.0.0.1", "a/b", "7"),
        ("gitlab", "https://gitlab.com", "a", "7"),
        ("gitlab", "https://gitlab.com", "a/../b", "7"),
        ("gitlab", "https://gitlab.com", "a/b?x=y", "7"),
        ("gitlab", "https://gitlab.com", "//evil.example.com/a", "7"),
        ("gitlab", "https://gitlab.com", "é/b", "7"),
        ("gitlab", "https://gitlab.com", "a/b", "7/../8"),
        ("gitlab", "https://gitlab.com", "a/b", ""),
    ],
)
def test_no_page_of_a_run(preset, issuer, repository, run):
    assert build_run_url(preset, issuer, repository, run) == ""


def test_hostile_claims():
    claims = {"repository": {"a": 1}, "ref": "\u202e\x00main\n", "sha": "x" * 999, "run_id": True, "actor": "\ud800é"}
    assert describe_job("github", HOSTS["github"].issuer, claims) == {"ref": "main", "commit": "x" * 255, "actor": "é"}


def test_public_issuers_are_those_of_the_known_hosts():
    assert len(PUBLIC_ISSUERS) == 4
    assert all(issuer.startswith("https://") for issuer in PUBLIC_ISSUERS)
