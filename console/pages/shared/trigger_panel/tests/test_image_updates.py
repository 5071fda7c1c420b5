"""Associated with Image Update in the dialogs: a box for each repository, offered where its registry takes a push."""

import re
import threading

import pytest
from django.test import Client

from clusters.models import Application, AuditEntry
from clusters.registries import PushPermission
from clusters.registry.errors import RegistryError
from clusters.roles import Role
from clusters.tests.factories import RegistryFactory, ServiceFactory
from clusters.tests.users import make_user
from console.pages.tests.reading import text_of
from triggers.models import Decision, ImageSubscription, Trigger
from triggers.pushes import subscriptions
from triggers.pushes.subscription_forms import prefix_of
from triggers.tests.factories import (
    DeliveryLineFactory,
    ImageSubscriptionFactory,
    ScalingTriggerFactory,
    TriggerCallFactory,
    TriggerFactory,
)

DIALOG = {"HX-Request": "true", "HX-Target": "dialog"}
PIECE = {"HX-Request": "true", "HX-Target": "repositories"}
SHOP = "docker.io/library/shop"
API = "registry.example.com:5000/team/api"
REASON = "The account 'ci' may pull, not push. Give it the right to push."


def new_url(application):
    return f"/applications/{application.pk}/triggers/new/"


def piece_url(application, query=""):
    return f"/applications/{application.pk}/triggers/repositories/{query}"


def sent(repository=SHOP, **fields):
    """Return a ticked box as a browser sends it."""
    return {
        f"{prefix_of(repository)}-{name}": value for name, value in ({"shown": "True", "associated": "on"} | fields).items()
    }


def confirm(reader, application, *boxes, **more):
    data = {"action": "redeploy", "name": "images"} | more
    for box in boxes:
        data |= box
    return reader.post(new_url(application), data)


def made():
    return Trigger.objects.get(name="images")


def box_of(text, repository=SHOP):
    """Return the tag of the repository's check box."""
    return re.search(rf'<input type="checkbox" id="id_{prefix_of(repository)}-associated"[^>]*>', text)[0]


def errors_of(response, repository=SHOP):
    return next(box.errors for box in response.context["boxes"] if box.repository == repository)


@pytest.fixture
def second(fleet):
    return ServiceFactory(application=fleet.application, name="api", image=f"{API}:1.4")


class TestBoxes:
    def test_the_dialog_opens_without_querying_a_registry(self, reader, fleet, monkeypatch):
        monkeypatch.setattr(subscriptions, "find_push_permission", lambda name: pytest.fail("a registry is asked"))
        text = text_of(reader.get(new_url(fleet.application), headers=DIALOG))
        assert 'hx-trigger="load"' in text
        assert f'hx-get="{piece_url(fleet.application)}"' in text
        assert "Checking the registry" in text

    def test_without_scripts_the_page_has_queried_them(self, reader, fleet):
        text = text_of(reader.get(new_url(fleet.application)))
        assert 'hx-trigger="load"' not in text
        assert "disabled" not in box_of(text)
        assert "Associated with Image Update" in text

    def test_one_box_for_each_repository_in_the_order_of_their_names(self, reader, fleet, second):
        ServiceFactory(application=fleet.application, name="web2", image="shop:2")
        ServiceFactory(application=fleet.application, name="gone", image="gone:1", status=Application.Status.ABSENT)
        ServiceFactory(application=fleet.application, name="odd", image="sha256:" + "1" * 64 + "!")
        boxes = reader.get(piece_url(fleet.application), headers=PIECE).context["boxes"]
        assert [box.repository for box in boxes] == [SHOP, API]
        assert "The tag that runs: 1, 2" in text_of(reader.get(piece_url(fleet.application)))

    def test_a_refused_box_is_disabled_and_says_why_and_where_to_mend_it(self, reader, fleet, second, permissions):
        registry = RegistryFactory(host="registry.example.com:5000")
        permissions |= {SHOP: "No registry is stored for docker.io.", API: REASON}
        text = text_of(reader.get(piece_url(fleet.application)))
        assert "disabled" in box_of(text)
        assert "disabled" in box_of(text, API)
        assert "No registry is stored for docker.io." in text
        assert "may pull, not push" in text
        assert 'href="/registries/new/?host=docker.io"' in text
        assert f'href="/registries/{registry.pk}/"' in text
        assert "Check again" in text
        client = Client()
        client.force_login(make_user("deployer", Role.DEPLOYER, fleet.cluster))
        text = text_of(client.get(piece_url(fleet.application)))
        assert "may pull, not push" in text
        assert "/registries/" not in text

    def test_no_registry_is_queried_for_an_image_by_its_digest(self, reader, fleet, monkeypatch):
        fleet.service.image = "shop@sha256:" + "1" * 64
        fleet.service.save()
        monkeypatch.setattr(subscriptions, "find_push_permission", lambda name: pytest.fail("a registry is asked"))
        text = text_of(reader.get(piece_url(fleet.application)))
        assert "disabled" in box_of(text)
        assert "names the image by digest" in text
        assert "by digest" in errors_of(confirm(reader, fleet.application, sent()))["associated"][0]

    def test_images_built_on_the_engine_are_said_once_and_without_a_way_to_mend_it(self, reader, fleet, second, monkeypatch):
        built = {"image_id": "sha256:" + "1" * 64, "image_digests": []}
        for name in ("web", "worker"):
            ServiceFactory(application=fleet.application, name=f"hello-{name}", image=f"hello-{name}", **built)
        unknown = PushPermission(False, "No registry is stored for docker.io. Add it.", is_stored=False)
        monkeypatch.setattr(
            subscriptions, "find_push_permission", lambda name: unknown if "hello" in name else PushPermission(True)
        )
        piece = text_of(reader.get(piece_url(fleet.application), headers=PIECE))
        words = " ".join(re.sub(r"<[^>]*>", "", piece).split())
        assert "hello-web and hello-worker were built on this engine: no registry holds them." in words
        assert "docker.io. Add it" not in piece
        assert "Check again" not in piece
        assert 'href="/registries/' not in piece
        assert "disabled" not in box_of(piece, API)
        refused = confirm(reader, fleet.application, sent("docker.io/library/hello-web"))
        assert not Trigger.objects.filter(name="images").exists()
        assert "No registry is stored" in str(errors_of(refused, "docker.io/library/hello-web"))

    def test_an_image_that_a_registry_gave_or_could_give_keeps_its_box(self, reader, fleet, monkeypatch):
        known = {"image_id": "sha256:" + "1" * 64}
        ServiceFactory(application=fleet.application, name="a", image="pulled", image_digests=["pulled@sha256:1"], **known)
        ServiceFactory(application=fleet.application, name="b", image="built", image_digests=[], **known)
        answers = {"docker.io/library/built": PushPermission(False, "It does not let 'ci' push."), SHOP: PushPermission(True)}
        unknown = PushPermission(False, "No registry is stored.", is_stored=False)
        monkeypatch.setattr(subscriptions, "find_push_permission", lambda name: answers.get(name, unknown))
        piece = text_of(reader.get(piece_url(fleet.application), headers=PIECE))
        assert "disabled" in box_of(piece, "docker.io/library/pulled")
        assert "disabled" in box_of(piece, "docker.io/library/built")
        assert "no registry holds" not in piece

    def test_an_application_without_images_says_so(self, reader, fleet):
        fleet.service.delete()
        assert "runs an image that can be pushed" in text_of(reader.get(new_url(fleet.application), headers=DIALOG))

    def test_registries_are_queried_in_parallel_and_a_slow_one_is_not_waited_for(self, reader, fleet, second, monkeypatch):
        both, slow_may_end = threading.Barrier(2, timeout=20), threading.Event()

        def find(repository):
            both.wait()  # fails unless both are asked at the same time
            if repository == API:
                slow_may_end.wait(20)
            return PushPermission(True)

        monkeypatch.setattr(subscriptions, "find_push_permission", find)
        monkeypatch.setattr(subscriptions, "LOOKUP_SECONDS", 0.5)
        try:
            text = text_of(reader.get(piece_url(fleet.application)))
        finally:
            slow_may_end.set()
        assert "disabled" not in box_of(text)
        assert "disabled" in box_of(text, API)
        assert "registry.example.com:5000 did not answer within 0.5 seconds" in text

    def test_what_goes_wrong_at_a_registry_is_the_reason(self, reader, fleet, monkeypatch):
        def find(repository):
            raise RegistryError("docker.io does not answer.", "unreachable")

        monkeypatch.setattr(subscriptions, "find_push_permission", find)
        assert "docker.io does not answer." in text_of(reader.get(piece_url(fleet.application)))

    def test_the_boxes_follow_the_chosen_service_and_keep_what_was_typed(self, reader, fleet, second):
        response = reader.get(
            piece_url(fleet.application), {"only_service": second.pk} | sent(API, condition="tags", tags="a b")
        )
        assert [box.repository for box in response.context["boxes"]] == [API]
        assert "checked" in box_of(text_of(response), API)
        assert 'value="a b"' in text_of(response)

    def test_what_others_named_is_escaped(self, reader, fleet, permissions):
        permissions[SHOP] = "<script>alert(1)</script>"
        assert "<script>alert" not in text_of(reader.get(piece_url(fleet.application)))

    def test_readers_who_may_not_subscribe_see_no_boxes(self, fleet, admin_user):
        from django.contrib.auth.models import Permission

        user = make_user("plain", Role.VIEWER)
        user.user_permissions.add(Permission.objects.get(codename="add_trigger"))
        client = Client()
        client.force_login(user)
        assert "Associated" not in text_of(client.get(new_url(fleet.application)))
        assert client.get(piece_url(fleet.application)).status_code == 403
        confirm(client, fleet.application, sent())
        assert not made().subscriptions.exists()


class TestConfirm:
    def test_two_clicks_still_make_a_trigger(self, reader, fleet, monkeypatch):
        monkeypatch.setattr(subscriptions, "find_push_permission", lambda name: pytest.fail("a registry is asked"))
        assert confirm(reader, fleet.application).status_code == 302
        assert not made().subscriptions.exists()

    def test_a_ticked_box_follows_the_tag_that_runs_and_the_audit_log_says_so(self, reader, fleet):
        confirm(reader, fleet.application, sent())
        subscription = made().subscriptions.get()
        assert (subscription.repository, subscription.condition, subscription.poll_seconds) == (SHOP, "service_tag", 0)
        assert subscription.poll_due_at is None
        entry = AuditEntry.objects.get(action="trigger.create")
        assert entry.details["images_added"] == [f"{SHOP}: the tag that runs"]

    @pytest.mark.parametrize(
        ("fields", "kept"),
        [
            ({"condition": "every", "pattern": "left over"}, {"condition": "every", "pattern": ""}),
            ({"condition": "pattern", "pattern": "v[0-9]+", "tags": "a"}, {"pattern": "v[0-9]+", "tags": []}),
            ({"condition": "tags", "tags": " 1, 2  3,,2 "}, {"tags": ["1", "2", "3"]}),
            ({"poll_minutes": "5"}, {"condition": "service_tag", "poll_seconds": 300}),
        ],
    )
    def test_each_condition(self, reader, fleet, fields, kept):
        confirm(reader, fleet.application, sent(**fields))
        subscription = made().subscriptions.get()
        assert {name: getattr(subscription, name) for name in kept} == kept
        assert (subscription.poll_due_at is not None) == bool(subscription.poll_seconds)

    @pytest.mark.parametrize(
        ("fields", "field", "words"),
        [
            ({"condition": "pattern"}, "pattern", "Give an expression"),
            ({"condition": "pattern", "pattern": "(a"}, "pattern", "cannot be used"),
            ({"condition": "pattern", "pattern": r"(a+)+\1"}, "pattern", "cannot be used"),
            ({"condition": "pattern", "pattern": "((a{1000}){1000}){1000}"}, "pattern", "cannot be used"),
            ({"condition": "pattern", "pattern": "a" * 201}, "pattern", "at most 200"),
            ({"condition": "pattern", "pattern": "a\0"}, "pattern", "Null characters"),
            ({"condition": "tags"}, "tags", "at least one"),
            ({"condition": "tags", "tags": " ".join(map(str, range(11)))}, "tags", "At most 10"),
            ({"condition": "tags", "tags": "ok -no"}, "tags", "is not a tag"),
            ({"condition": "nonsense"}, "condition", "valid choice"),
            ({"poll_minutes": "0.5"}, "poll_minutes", "From 1 to 1440"),
            ({"poll_minutes": "-5"}, "poll_minutes", "From 1 to 1440"),
            ({"poll_minutes": "1e308"}, "poll_minutes", "From 1 to 1440"),
            ({"poll_minutes": "nan"}, "poll_minutes", "number"),
        ],
    )
    def test_an_error_is_shown_at_its_field_and_nothing_typed_is_lost(self, reader, fleet, fields, field, words):
        response = confirm(reader, fleet.application, sent(**fields), cooldown_seconds=-1)
        assert words in errors_of(response)[field][0]
        assert "cooldown_seconds" in response.context["form"].errors
        text = text_of(response)
        assert f'id="id_{prefix_of(SHOP)}-{field}_error"' in text
        assert "checked" in box_of(text)
        assert not Trigger.objects.filter(name="images").exists()

    def test_what_stands_below_a_box_that_is_not_ticked_counts_for_nothing(self, reader, fleet):
        box = sent(condition="pattern", pattern="(a", poll_minutes="x")
        del box[f"{prefix_of(SHOP)}-associated"]
        assert confirm(reader, fleet.application, box).status_code == 302
        assert not made().subscriptions.exists()

    def test_a_forged_box_is_refused_with_the_reason_at_its_field(self, reader, fleet, second, permissions):
        permissions[API] = REASON
        response = confirm(reader, fleet.application, sent(), sent(API))
        assert errors_of(response, API)["associated"] == [REASON]
        assert errors_of(response) == {}
        assert "disabled" in box_of(text_of(response), API)
        assert not Trigger.objects.filter(name="images").exists()

    def test_a_box_of_an_image_that_is_not_run_is_refused(self, reader, fleet, second):
        for box, more in ((sent("docker.io/library/other"), {}), (sent(API), {"only_service": fleet.service.pk})):
            response = confirm(reader, fleet.application, box, **more)
            assert "Check the boxes again." in text_of(response)
        assert not Trigger.objects.filter(name="images").exists()

    def test_several_boxes_and_one_service(self, reader, fleet, second):
        confirm(reader, fleet.application, sent(), sent(API, condition="every"))
        assert {one.repository: one.condition for one in made().subscriptions.all()} == {SHOP: "service_tag", API: "every"}
        made().delete()
        confirm(reader, fleet.application, sent(API), only_service=second.pk)
        assert (made().service, made().subscriptions.get().repository) == (second, API)

    def test_a_scaling_trigger_follows_no_image(self, reader, fleet):
        confirm(reader, fleet.application, sent(condition="pattern", pattern="(a"), action="scaling", service=fleet.service.pk)
        assert not made().subscriptions.exists()

    def test_the_page_says_which_step_is_left(self, reader, fleet, monkeypatch):
        registry = RegistryFactory(host="docker.io")
        response = reader.post(new_url(fleet.application), {"action": "redeploy"} | sent(), follow=True)
        text = text_of(response)
        assert "One step is left" in text
        assert f'href="/registries/{registry.pk}/"' in text


class TestEdit:
    @pytest.fixture
    def followed(self, fleet):
        ImageSubscription.objects.all().delete()
        trigger = TriggerFactory(application=fleet.application, name="images")
        ImageSubscriptionFactory(trigger=trigger, repository=SHOP, condition="pattern", pattern="v.*", poll_seconds=90)
        return trigger

    def edit(self, reader, trigger, *boxes):
        data = {"name": trigger.name, "cooldown_seconds": "0"}
        for box in boxes:
            data |= box
        return reader.post(f"/triggers/{trigger.pk}/edit/", data)

    def test_what_it_follows_is_shown(self, reader, followed):
        text = text_of(reader.get(f"/triggers/{followed.pk}/edit/"))
        assert "checked" in box_of(text)
        assert 'value="v.*"' in text
        assert 'value="1.5"' in text
        asking = text_of(reader.get(f"/triggers/{followed.pk}/edit/", headers=DIALOG))
        assert f"/triggers/repositories/?trigger={followed.pk}" in asking
        piece = reader.get(piece_url(followed.application, f"?trigger={followed.pk}"), headers=PIECE)
        assert "checked" in box_of(text_of(piece))

    def test_boxes_are_added_changed_and_removed(self, reader, followed, second):
        self.edit(reader, followed, sent(condition="every"), sent(API))
        found = {one.repository: (one.condition, one.poll_seconds) for one in followed.subscriptions.all()}
        assert found == {SHOP: ("every", 0), API: ("service_tag", 0)}
        removed = {f"{prefix_of(SHOP)}-shown": "True"}
        self.edit(reader, followed, removed, sent(API))
        assert followed.subscriptions.get().repository == API
        changed, gone = AuditEntry.objects.filter(action="trigger.change").order_by("pk")
        details = {"application": followed.application.name}
        assert changed.details == details | {
            "images_added": [f"{API}: the tag that runs"],
            "images_changed": [f"{SHOP}: tags that match v.*; polled every 90 s → {SHOP}: every tag"],
        }
        assert gone.details == details | {"images_removed": [f"{SHOP}: every tag"]}

    def test_saving_before_the_registries_have_answered_changes_no_box(self, reader, followed, monkeypatch):
        monkeypatch.setattr(subscriptions, "find_push_permission", lambda name: pytest.fail("a registry is asked"))
        assert self.edit(reader, followed).status_code == 302
        assert followed.subscriptions.get().pattern == "v.*"
        assert not AuditEntry.objects.filter(action="trigger.change").exists()

    def test_saving_what_was_shown_changes_nothing(self, reader, followed):
        self.edit(reader, followed, sent(condition="pattern", pattern="v.*", poll_minutes="1.5"))
        assert not AuditEntry.objects.filter(action="trigger.change").exists()

    def test_without_the_permission_it_can_be_changed_and_removed_but_not_added_again(self, reader, followed, permissions):
        permissions[SHOP] = REASON
        text = text_of(reader.get(f"/triggers/{followed.pk}/edit/"))
        assert "disabled" not in box_of(text)
        assert "You can change or remove it, but not select it again." in text
        self.edit(reader, followed, sent(condition="every"))
        assert followed.subscriptions.get().condition == "every"
        self.edit(reader, followed, {f"{prefix_of(SHOP)}-shown": "True"})
        assert not followed.subscriptions.exists()
        assert errors_of(self.edit(reader, followed, sent()))["associated"] == [REASON]
        assert not followed.subscriptions.exists()

    def test_an_image_that_no_longer_runs_can_be_removed(self, reader, fleet, followed):
        fleet.service.image = "other:1"
        fleet.service.save()
        text = text_of(reader.get(f"/triggers/{followed.pk}/edit/"))
        assert "checked" in box_of(text)
        assert "No service that this trigger redeploys runs an image of this repository." in text

    def test_a_scaling_trigger_has_no_boxes(self, reader, fleet):
        trigger = ScalingTriggerFactory(application=fleet.application, service=fleet.service)
        assert "Associated" not in text_of(reader.get(f"/triggers/{trigger.pk}/edit/"))
        assert reader.get(piece_url(fleet.application, f"?trigger={trigger.pk}")).status_code == 403

    @pytest.mark.parametrize("known", ["x", "9" * 30, "999999"])
    def test_a_trigger_that_is_not_the_applications_is_not_found(self, reader, fleet, known):
        assert reader.get(piece_url(fleet.application, f"?trigger={known}")).status_code == 404
        other = TriggerFactory()
        assert reader.get(piece_url(fleet.application, f"?trigger={other.pk}")).status_code == 404


class TestPanel:
    @pytest.fixture
    def subscription(self, fleet):
        ImageSubscription.objects.all().delete()
        return ImageSubscriptionFactory(trigger=fleet.trigger, repository=SHOP)

    def show(self, reader, fleet):
        both = [text_of(reader.get(path)) for path in (f"/applications/{fleet.application.pk}/", "/triggers/")]
        assert all("Image update" in text for text in both)
        return both

    def test_what_a_trigger_follows_and_that_nothing_came_yet(self, reader, fleet, subscription):
        for text in self.show(reader, fleet):
            assert f"<bdi>{SHOP}</bdi>, <bdi>the tag that runs</bdi>" in text
            assert "no push yet" in text

    def test_the_newest_decision_leads_to_its_call(self, reader, fleet, subscription):
        DeliveryLineFactory(trigger=fleet.trigger, image=SHOP, decision=Decision.TAG)
        call = TriggerCallFactory(trigger=fleet.trigger)
        DeliveryLineFactory(trigger=fleet.trigger, image=SHOP, call=call)
        DeliveryLineFactory(trigger=fleet.trigger, image=API, decision=Decision.UNCHANGED)
        DeliveryLineFactory(trigger=fleet.scaling_trigger, image=SHOP, decision=Decision.UNCHANGED)
        for text in self.show(reader, fleet):
            assert re.search(rf'href="/calls/{call.pk}/"><span class="badge badge-ok">.*?Triggered', text)
            assert "no push yet" not in text
            assert "Unchanged" not in text

    def test_a_problem_of_polling(self, reader, fleet, subscription):
        subscription.poll_seconds, subscription.poll_problem = 300, "<b>Too many pulls.</b>"
        subscription.save()
        for text in self.show(reader, fleet):
            assert "&lt;b&gt;Too many pulls.&lt;/b&gt;" in text
            assert "no push yet" not in text

    def test_whatever_is_stored_is_shown_as_text(self, reader, fleet, subscription):
        odd = "<script>no image</script>"
        words = {"repository": odd, "condition": "tags", "tags": [odd], "poll_problem": odd}
        ImageSubscription.objects.filter(pk=subscription.pk).update(**words)
        for text in (*self.show(reader, fleet), text_of(reader.get(f"/triggers/{fleet.trigger.pk}/edit/"))):
            assert "<script>no image" not in text
            assert "&lt;script&gt;no image" in text
