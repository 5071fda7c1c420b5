import pytest

from clusters.engine.standalone.plan import Ref, Rename, SetRestartPolicy

TEMPORARY = "web.windlass-new.0123456789ab.r"


@pytest.mark.parametrize(
    ("container", "name", "text"),
    [
        (TEMPORARY, "web", f"rename {TEMPORARY} to web"),
        ("web", "web", "give web its name back"),
        (TEMPORARY, TEMPORARY, "give web its temporary name back"),
    ],
)
def test_a_rename_in_a_rollback_says_that_the_name_comes_back(container, name, text):
    assert Rename(container=Ref(container), name=name, cause="test").describe() == text


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ({"Name": "no", "MaximumRetryCount": 0}, "disable the restart policy of web"),
        ({}, "disable the restart policy of web"),
        ({"Name": "always"}, "set the restart policy of web to always"),
        ({"Name": "on-failure", "MaximumRetryCount": 3}, "set the restart policy of web to on-failure:3"),
    ],
)
def test_a_restart_policy_is_set_or_disabled(policy, text):
    assert SetRestartPolicy(container=Ref("web"), policy=policy, cause="test").describe() == text
