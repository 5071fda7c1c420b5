"""Images of a cluster's engine on the pages: what uses them, what a prune shows, and what it then does."""

import re

import pytest

from clusters.models import AuditEntry, Cluster
from clusters.roles import Role
from clusters.tests.factories import ApplicationFactory, ClusterFactory, ContainerFactory, ServiceFactory, TaskFactory
from clusters.tests.users import make_user
from console.pages.tests.hostile import HOSTILE, IsolationChecker, TagCollector
from console.pages.tests.reading import DIALOG
from triggers.models import CallState
from triggers.tests.factories import TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


def prune_path(cluster):
    return f"/clusters/{cluster.uid}/images/prune/"


def preview(reader, cluster, query="scope=unused"):
    response = reader.get(f"{prune_path(cluster)}?{query}", headers=DIALOG)
    choice = response.context["choice"]
    return response.context["previewed"], [image.name for image in choice.going], choice


def prune(reader, cluster, previewed, **form):
    return reader.post(prune_path(cluster), {"previewed": previewed, "scope": "unused", **form})


def messages_of(reader):
    text = reader.get("/images/").content.decode()
    return [re.sub(r"<[^>]+>", "", found) for found in re.findall(r'<p class="message.*?</p>', text, re.DOTALL)]


class TestList:
    def test_a_row_says_which_application_uses_the_image(self, reader, cluster, images, live_engine):
        application = ApplicationFactory(cluster=cluster, name="storefront")
        running = next(one for one in live_engine.containers.values() if one["Name"] == "/web-1")
        ContainerFactory(service=ServiceFactory(application=application), container_id=running["Id"])
        rows = {row.image.name: row for row in reader.get("/images/").context["rows"] if row.image.tags}
        uses = [(use.name, use.application_id, use.running, use.stopped) for use in rows["web:1"].uses]
        assert uses == [("storefront", application.pk, 1, 0), ("web-2", None, 0, 1)]
        assert rows["job:1"].uses == []

    def test_a_swarms_container_is_its_tasks(self, reader, cluster, images, live_engine):
        (container,) = [one for one in live_engine.containers.values() if one["Name"] == "/web-1"]
        task = TaskFactory(service__application__cluster=cluster, container_id=container["Id"])
        rows = {row.image.name: row for row in reader.get("/images/").context["rows"] if row.image.tags}
        assert rows["web:1"].uses[0].application_id == task.service.application_id

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("", ["job:1", "shop:1", "web:1", ""]),
            ("sort=-size", ["shop:1", "web:1", "job:1", ""]),
            ("show=unused", ["job:1", "shop:1", ""]),
            ("show=dangling", [""]),
            ("q=WEB-2", ["web:1"]),
            ("q=nothing", []),
            ("sort=wrong&show=wrong&page=99", ["job:1", "shop:1", "web:1", ""]),
        ],
    )
    def test_it_is_searched_filtered_and_sorted(self, reader, cluster, images, query, names):
        rows = reader.get(f"/images/?{query}").context.get("rows")
        assert [row.image.tags[0] if row.image.tags else "" for row in rows] == names

    def test_with_several_clusters_the_reader_chooses_one(self, reader, cluster, images, live_engine):
        other = ClusterFactory(name="quay")
        live_engine.requests.clear()
        text = reader.get("/images/").content.decode()
        assert "Choose a cluster" in text
        assert f"?cluster={other.uid}" in text
        assert live_engine.requests == []
        assert "on <a" in reader.get(f"/images/?cluster={other.uid}").content.decode()

    def test_an_engine_that_does_not_answer_is_a_state_of_the_page(self, reader, cluster, live_engine):
        live_engine.unreachable = "The engine at 10.0.0.9:2376 did not answer in time."
        response = reader.get("/images/")
        assert response.status_code == 200
        assert "did not answer in time" in response.content.decode()
        assert f"/clusters/{cluster.uid}/edit/" in response.content.decode()

    def test_one_known_to_be_unreachable_is_not_waited_for(self, reader, live_engine):
        ClusterFactory(status=Cluster.Status.UNREACHABLE, status_reason="Connection refused.")
        assert "Connection refused." in reader.get("/images/").content.decode()
        assert live_engine.requests == []

    def test_a_swarm_manager_says_whose_images_these_are(self, reader, images):
        ClusterFactory(swarm_manager=True, hostname="manager1")
        text = reader.get("/images/").content.decode()
        assert "other nodes are not visible" in text
        assert "manager1" in text

    def test_more_containers_cost_no_more_queries(self, reader, cluster, images, live_engine, django_assert_num_queries):
        with django_assert_num_queries(9):
            reader.get("/images/")
        for number in range(20):
            live_engine.add_image(f"more:{number}")
            live_engine.run(f"more-{number}", f"more:{number}")
            ServiceFactory(application__cluster=cluster)
        with django_assert_num_queries(9):
            reader.get("/images/")

    def test_hostile_tags_stay_text(self, reader, cluster, live_engine):
        live_engine.add_image(f"{HOSTILE}:{HOSTILE}" * 100)
        live_engine.add_image("quiet:1")
        live_engine.run(HOSTILE, "quiet:1")
        ids = [image_id.removeprefix("sha256:") for image_id in live_engine.images]
        pages = ["/images/", f"{prune_path(cluster)}?scope=unused&named=on"]
        for address in (*pages, *(f"/clusters/{cluster.uid}/images/{one}/remove/" for one in ids)):
            text = reader.get(address).content.decode()
            assert len(text) < 60_000
            collector, checker = TagCollector(), IsolationChecker()
            collector.feed(text)
            checker.feed(text)
            assert not [tag for tag, found in collector.tags if tag == "img" or any(one.startswith("on") for one in found)]
            assert checker.loose == []


class TestPrune:
    def test_the_preview_names_what_goes_and_touches_nothing(self, reader, cluster, images, live_engine):
        _, dangling, _ = preview(reader, cluster, "")
        _, unused, choice = preview(reader, cluster)
        assert dangling == [images["dangling"][7:19]]
        assert sorted(unused) == sorted(["job:1", "shop:1", images["dangling"][7:19]])
        assert (choice.space, choice.used) == (61_000_000, 1)
        assert live_engine.operations == []
        assert not AuditEntry.objects.filter(action="image.prune").exists()

    def test_exactly_what_was_previewed_goes(self, reader, cluster, images, live_engine):
        previewed, _, _ = preview(reader, cluster)
        live_engine.add_image("later:1")  # unused as well, and not previewed
        response = prune(reader, cluster, previewed)
        assert response["Location"] == "/images/"
        assert {tag for image in live_engine.images.values() for tag in image["RepoTags"]} == {"web:1", "later:1"}
        assert messages_of(reader) == ["Removed 3 images. Freed up to 58.2\xa0MB."]

    def test_changes_since_the_preview_are_reported(self, reader, cluster, images, live_engine):
        previewed, _, _ = preview(reader, cluster)
        live_engine.run("late", "job:1", start=False)
        live_engine.tag_image(images["shop"], "shop:stable")
        live_engine.remove_image(images["dangling"])
        prune(reader, cluster, previewed)
        assert {images["job"], images["shop"]} <= live_engine.images.keys()
        assert messages_of(reader) == [
            "1 image was already removed.",
            "job:1 was kept: it is used by the stopped container late.",
            "shop:1 was kept: its tags have changed since the preview.",
        ]

    def test_the_audit_log_has_the_request_and_its_outcome(self, reader, cluster, images, live_engine):
        previewed, _, _ = preview(reader, cluster)
        live_engine.run("late", "job:1")
        AuditEntry.objects.all().delete()
        prune(reader, cluster, previewed)
        asked, outcome = AuditEntry.objects.order_by("pk")
        assert {asked.action, outcome.action} == {"image.prune"}
        assert (asked.cluster, asked.details["asked"], asked.details["bytes"]) == (cluster, 3, 61_000_000)
        assert images["shop"][7:19] in asked.details["ids"]
        assert {key: outcome.details[key] for key in ("removed", "kept", "gone")} == {"removed": 2, "kept": 1, "gone": 0}

    def test_what_an_application_refers_to_is_kept_unless_chosen(self, reader, cluster, images):
        ServiceFactory(application=ApplicationFactory(cluster=cluster, name="storefront"), image="shop:1", image_id="")
        _, going, choice = preview(reader, cluster)
        assert "shop:1" not in going
        assert [(one.image.name, one.reason) for one in choice.kept] == [("shop:1", "the application storefront refers to it")]
        _, going, _ = preview(reader, cluster, "scope=unused&named=on")
        assert "shop:1" in going

    def test_no_image_of_an_application_is_removed_during_its_call(self, reader, cluster, images, live_engine):
        application = ApplicationFactory(cluster=cluster, name="storefront")
        ServiceFactory(application=application, image="docker.io/library/shop:1", image_id="")
        previewed, _, _ = preview(reader, cluster, "scope=unused&named=on")
        TriggerCallFactory(trigger=TriggerFactory(application=application), state=CallState.RUNNING)
        prune(reader, cluster, previewed, named="on")
        assert images["shop"] in live_engine.images
        assert "a call is under way at the application storefront" in " ".join(messages_of(reader))

    def test_a_rollback_of_swarm_keeps_its_image(self, reader, images, live_engine, monkeypatch):
        cluster = ClusterFactory(swarm_manager=True)
        spec = {"TaskTemplate": {"ContainerSpec": {"Image": "shop:1"}}}
        monkeypatch.setattr(live_engine, "list_services", lambda: [{"Spec": {"Name": "front"}, "PreviousSpec": spec}])
        _, going, choice = preview(reader, cluster)
        assert "shop:1" not in going
        assert choice.kept[0].reason == "the Swarm service front would be rolled back to it"

    def test_an_engine_lost_midway_is_reported_truthfully(self, reader, cluster, images, live_engine):
        previewed, _, _ = preview(reader, cluster)

        def lose(method):
            if method == "remove_image" and live_engine.requests.count("remove_image") == 1:
                live_engine.unreachable = "The engine closed the connection."

        live_engine.before_request = lose
        prune(reader, cluster, previewed)
        live_engine.unreachable = ""
        told = messages_of(reader)
        assert told[0].startswith("Removed ")
        assert len([text for text in told if "the engine stopped answering" in text]) == 2

    def test_an_engine_that_does_not_answer_removes_nothing(self, reader, cluster, images, live_engine, monkeypatch):
        previewed, _, _ = preview(reader, cluster)
        live_engine.unreachable = "No route to host."
        assert "No route to host." in reader.get(prune_path(cluster)).content.decode()
        prune(reader, cluster, previewed)
        live_engine.unreachable = ""
        assert messages_of(reader) == ["Nothing was removed. No route to host."]
        assert not live_engine.operations

    def test_a_changed_choice_renders_the_preview_alone(self, reader, cluster, images):
        headers = {"HX-Request": "true", "HX-Target": "prune-preview"}
        text = reader.get(f"{prune_path(cluster)}?scope=unused", headers=headers).content.decode()
        assert text.lstrip().startswith('<div id="prune-preview"')
        assert "Remove 3 images" in text

    def test_without_scripts_a_preview_button_shows_and_removes_nothing(self, reader, cluster, images, live_engine):
        previewed, _, _ = preview(reader, cluster, "")
        response = prune(reader, cluster, previewed, preview="1")
        assert len(response.context["choice"].going) == 3
        assert live_engine.operations == []

    @pytest.mark.parametrize("previewed", ["nonsense", "x.y.z " * 3, f"{'0' * 64}.abc"])
    def test_a_post_without_a_preview_removes_nothing(self, reader, cluster, images, live_engine, previewed):
        assert prune(reader, cluster, previewed).status_code == 302
        assert live_engine.operations == []


class TestRemove:
    def path(self, cluster, image_id):
        return f"/clusters/{cluster.uid}/images/{image_id.removeprefix('sha256:')}/remove/"

    def test_it_says_what_is_lost_and_removes_it_with_all_tags(self, reader, cluster, images, live_engine):
        live_engine.tag_image(images["shop"], "elsewhere/shop:9")
        response = reader.get(self.path(cluster, images["shop"]), headers=DIALOG)
        assert "with all 2 tags" in response.content.decode()
        response = reader.post(self.path(cluster, images["shop"]), {"previewed": response.context["previewed"]}, headers=DIALOG)
        assert response["HX-Redirect"] == "/images/"
        assert images["shop"] not in live_engine.images
        assert messages_of(reader) == ["Removed elsewhere/shop:9. Freed up to 38.1\xa0MB."]
        entry = AuditEntry.objects.get(action="image.remove")
        assert (entry.cluster, entry.details["images"]) == (cluster, ["elsewhere/shop:9"])

    def test_an_image_in_use_is_refused_with_its_users(self, reader, cluster, images, live_engine):
        response = reader.get(self.path(cluster, images["web"]))
        assert response.context["refusal"] == "it is used by the running container web-1 and the stopped container web-2"
        assert 'type="submit">Remove' not in response.content.decode()
        hexadecimal = images["web"].removeprefix("sha256:")
        reader.post(self.path(cluster, images["web"]), {"previewed": f"{hexadecimal}.whatever"})
        assert images["web"] in live_engine.images
        assert "was kept: it is used by" in messages_of(reader)[0]

    def test_another_image_than_the_addresss_is_not_removed(self, reader, cluster, images, live_engine):
        shown = reader.get(self.path(cluster, images["shop"])).context["previewed"]
        assert reader.post(self.path(cluster, images["job"]), {"previewed": shown}).status_code == 200
        assert live_engine.operations == []

    def test_an_image_that_no_longer_exists_is_a_404(self, reader, cluster, images, live_engine):
        live_engine.remove_image(images["shop"])
        assert reader.get(self.path(cluster, images["shop"])).status_code == 404

    def test_an_image_that_the_engine_keeps_gets_its_tags_back(self, reader, cluster, images, live_engine):
        live_engine.tag_image(images["shop"], "elsewhere/shop:9")
        shown = reader.get(self.path(cluster, images["shop"])).context["previewed"]

        def start_meanwhile(method):
            if method == "remove_image" and live_engine.requests.count("remove_image") == 1:
                live_engine.before_request = lambda method: None
                live_engine.run("late", "elsewhere/shop:9")

        live_engine.before_request = start_meanwhile
        reader.post(self.path(cluster, images["shop"]), {"previewed": shown})
        assert sorted(live_engine.images[images["shop"]]["RepoTags"]) == ["elsewhere/shop:9", "shop:1"]
        assert "being used by running container" in messages_of(reader)[0]


def test_a_viewer_is_offered_no_removal(client, cluster, images):
    client.force_login(make_user("viewer", Role.VIEWER, cluster))
    text = client.get("/images/").content.decode()
    assert "web:1" in text
    assert "/remove/" not in text
    assert "/prune/" not in text
