import pytest

from triggers.calls.tests.test_frozen import freeze
from triggers.freezes import (
    explain_label,
    find_present_freeze,
    list_windows,
    load_many_rules,
    load_rules,
    place_of,
    refuses_now,
)
from triggers.models import Behaviour, FreezeWindow
from triggers.tests.factories import FreezeWindowFactory, TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def application():
    return TriggerFactory(application__freeze_label="Fri 18:00-Mon 06:00").application


def test_the_rules_of_an_application(application, django_assert_num_queries):
    own = FreezeWindowFactory(application=application, name="own")
    FreezeWindow.objects.create(
        cluster=application.cluster, name="cluster", starts_at=own.starts_at, ends_at=own.ends_at, behaviour=Behaviour.REFUSE
    )
    FreezeWindowFactory(name="elsewhere")
    with django_assert_num_queries(1):
        rules = load_rules(place_of(application))
    assert [rule.name for rule in rules] == ["own", "cluster", "the label windlass.freeze"]
    with django_assert_num_queries(2):
        found = load_many_rules([application.pk])[application.pk]
    assert {rule.name for rule in found} == {rule.name for rule in rules}
    assert [window.name for window in list_windows(application)] == ["cluster", "own"]


def test_what_is_refused_now(application):
    trigger = TriggerFactory(application=application)
    window = freeze(application)
    assert not refuses_now(trigger)
    window.behaviour = Behaviour.REFUSE
    window.save()
    assert refuses_now(trigger)
    assert find_present_freeze(application, "redeploy").refuses
    trigger.during_freezes = True
    assert not refuses_now(trigger)


def test_a_label_is_explained():
    assert explain_label("") == explain_label("daily 01:00-02:00") == ""
    assert "cannot be read" in explain_label("always")
