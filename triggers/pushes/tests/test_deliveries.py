"""Stored deliveries are few, whatever is sent, and they are pruned."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.batches import SurplusPruner
from clusters.models import Registry
from triggers.models import Decision, Delivery, DeliveryLine
from triggers.pushes.deliveries import EXCERPT_LENGTH, WHOLE_A_MINUTE, prune_deliveries, surplus
from triggers.pushes.tests.messages import APP, NEW, decisions, make_trigger, message, push, send
from triggers.tests.calling import link_parameters
from triggers.tests.floods import FLOOD, NOON, Clock, count_bytes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_senders")]

PADDING = "x y " * 25_000  # 100 kB


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


class TestRefused:
    @pytest.fixture(autouse=True)
    def signing(self, registry):
        Registry.objects.update(signing_secret="quill")

    def test_a_flood_leaves_one_short_row_a_minute(self, client, registry, clock, caplog):
        for number in range(FLOOD):
            answer = send(client, registry, push(id=str(number), padding=PADDING), headers={"X-Signature": f"{number}"})
            assert (answer.status_code, answer.json()["message"][:24]) == (401, "The signature is wrong: ")
            if number == FLOOD // 2:
                clock.move(minutes=1)
        first, second = Delivery.objects.order_by("received_at")
        assert [first.repeated, second.repeated] == [FLOOD // 2, FLOOD - FLOOD // 2 - 2]
        assert (first.received_at, first.repeated_at) == (NOON, NOON)
        assert answer.json()["deliveryId"] == str(second.pk)
        rows, size = count_bytes()
        assert rows < 4
        assert size < 4000
        assert len(first.body) == EXCERPT_LENGTH
        lines = [record for record in caplog.records if record.name == "windlass.deliveries"]
        assert len(lines) == 2

    def test_the_last_one_is_known(self, client, registry, clock):
        send(client, registry, push())
        clock.move(seconds=20)
        send(client, registry, push())
        assert Delivery.objects.get().repeated_at == NOON + timedelta(seconds=20)

    def test_each_registry_has_its_own(self, client, registry, clock):
        other = Registry.objects.create(host="other.example.com", signing_secret="quill")
        for one in (registry, other, registry):
            send(client, one, push())
        assert sorted(Delivery.objects.values_list("registry__host", "repeated")) == [
            ("other.example.com", 0),
            (registry.host, 1),
        ]

    def test_what_names_another_signing_registry_is_counted_too(self, client, registry, clock):
        other = Registry.objects.create(host="plain.example.com")
        for number in range(20):
            names = [(f"{registry.host}/team/app{number}-{part}", "1", NEW) for part in range(50)]
            assert send(client, other, message(*names, sender="relay", padding=PADDING)).status_code == 401
        assert (Delivery.objects.get().repeated, DeliveryLine.objects.count()) == (19, 10)
        rows, size = count_bytes()
        assert rows < 12
        assert size < 6000

    def test_a_refused_one_hides_no_other(self, client, registry, clock):
        make_trigger()
        assert send(client, registry, push()).status_code == 401
        Registry.objects.update(signing_secret="")
        assert decisions(send(client, registry, push())) == ["triggered"]
        assert sorted(Delivery.objects.values_list("decision", flat=True)) == ["bad_signature", "triggered"]


class TestIgnored:
    @pytest.mark.parametrize(
        ("body", "decision"),
        [
            (push(name="team/none", padding=PADDING), Decision.IMAGE),
            (push(tag="other", padding=PADDING), Decision.TAG),
            (json.dumps({"unknown": PADDING}), Decision.UNREADABLE),
            (message(passed_over=["Something was deleted."], padding=PADDING), Decision.UNSUPPORTED),
        ],
    )
    def test_a_flood_leaves_a_bounded_number_of_rows(self, client, registry, clock, body, decision):
        make_trigger()
        for _ in range(FLOOD):
            assert send(client, registry, body).status_code == 200
        rows = Delivery.objects.filter(decision=decision)
        assert rows.count() == WHOLE_A_MINUTE + 1
        (counted,) = rows.filter(repeated__gt=0)
        assert counted.repeated == FLOOD - WHOLE_A_MINUTE - 1
        assert len(counted.body) <= EXCERPT_LENGTH
        assert count_bytes()[1] < WHOLE_A_MINUTE * 21_000

    def test_many_names_leave_no_more_than_one(self, client, registry, clock):
        for number in range(FLOOD):
            answer = send(client, registry, push(name=f"team/{number}"))
        assert Delivery.objects.count() == DeliveryLine.objects.count() == WHOLE_A_MINUTE + 1
        (line,) = answer.json()["lines"]  # truthful also for those that are only counted
        assert (line["image"], line["decision"]) == (f"{registry.host}/team/{FLOOD - 1}", "image")
        clock.move(minutes=1)
        send(client, registry, push(name="team/later"))
        assert DeliveryLine.objects.filter(image__endswith="later").exists()

    def test_at_a_triggers_own_link_too(self, client, registry, clock):
        trigger, other = make_trigger(), make_trigger()
        for one in [trigger] * (WHOLE_A_MINUTE + 10) + [other]:
            query = link_parameters(one)
            client.post("/hook/trigger", push(tag="other"), content_type="application/json", query_params=query)
        assert Delivery.objects.filter(trigger=trigger).count() == WHOLE_A_MINUTE + 1
        assert Delivery.objects.get(trigger=other).repeated == 0

    def test_a_push_that_makes_a_call_is_always_stored_whole(self, client, registry, clock):
        make_trigger()
        for number in range(WHOLE_A_MINUTE + 10):
            send(client, registry, push(name=f"team/{number}"))
        assert decisions(send(client, registry, push(padding=PADDING))) == ["triggered"]
        row = Delivery.objects.get(decision=Decision.TRIGGERED)
        assert (row.repeated, row.lines.get().image) == (0, APP)
        assert len(row.body) > EXCERPT_LENGTH

    def test_rejected_pushes_are_counted_as_their_calls_are(self, client, registry, clock):
        trigger = make_trigger(enabled=False)
        for _ in range(FLOOD):
            assert decisions(send(client, registry, push())) == ["rejected"]
        assert trigger.calls.get().repeated == FLOOD - 1
        assert Delivery.objects.count() == WHOLE_A_MINUTE + 1
        assert set(DeliveryLine.objects.values_list("call", flat=True)) == {trigger.calls.get().pk}


class TestPruning:
    def test_old_and_surplus_deliveries_are_deleted_with_their_lines(self, client, registry, settings):
        settings.DELIVERY_RETENTION_DAYS, settings.DELIVERY_RETENTION_COUNT = 30, 2
        for number in range(4):
            send(client, registry, push(n=number))
            Delivery.objects.filter(received_at__gt=timezone.now() - timedelta(hours=1)).update(
                received_at=timezone.now() - timedelta(days=40 - 10 * number)
            )
        assert prune_deliveries() == 2
        assert (Delivery.objects.count(), DeliveryLine.objects.count()) == (2, 2)
        settings.DELIVERY_RETENTION_DAYS = 15
        assert prune_deliveries() == 1

    def test_every_stored_one_is_noted_and_no_counted_one(self, client, registry, clock, monkeypatch):
        noted = []
        monkeypatch.setattr(SurplusPruner, "note_added", lambda pruner: noted.append(pruner))  # noqa: PLW0108 - so that it is bound
        make_trigger()
        for body in [push(), *[push(name="team/none")] * (WHOLE_A_MINUTE + 10)]:
            send(client, registry, body)
        assert noted.count(surplus) == Delivery.objects.count() == WHOLE_A_MINUTE + 1
