"""The search page and the palette: what is found, by whom, in how many queries."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clusters.models import Application
from clusters.roles import Role
from clusters.tests.factories import ApplicationFactory, ClusterFactory, ContainerFactory, NodeFactory, ServiceFactory
from clusters.tests.users import make_user
from console.pages.overview.search import LIMIT
from console.pages.tests.hostile import HOSTILE, IsolationChecker, TagCollector
from triggers.tests.factories import TriggerCallFactory, TriggerFactory

PALETTE = {"HX-Request": "true", "HX-Target": "palette-results"}


@pytest.fixture
def shop(db):
    """Two clusters, each with an application `shop`; a trigger, a node and a service of the first."""
    harbour, quay = ClusterFactory(name="harbour"), ClusterFactory(name="quay", status="unreachable")
    application = ApplicationFactory(cluster=harbour, name="shop")
    ApplicationFactory(cluster=quay, name="shop")
    service = ServiceFactory(application=application, name="web")
    TriggerFactory(application=application, name="after the build")
    NodeFactory(cluster=harbour, hostname="crane")
    ContainerFactory(service=service)
    return application


def sign_in(role=None, cluster=None):
    client = Client()
    client.force_login(make_user("asker", role, cluster))
    return client


def find(client, query="", **headers):
    """Return the result lines by the label of their group."""
    groups = client.get("/search/", {"q": query}, headers=headers).context["groups"]
    return {
        group.label: [" ".join(filter(None, (entry.act, entry.name, entry.place))) for entry in group.entries]
        for group in groups
    }


def test_before_a_word_is_typed_the_pages_and_general_acts_are_offered(reader, shop):
    found = find(reader)
    assert found.keys() == {"Pages", "Actions"}
    assert {"Overview", "Applications", "Activity", "Audit log"} <= set(found["Pages"])
    assert found["Actions"] == ["Add cluster", "Add registry", "Create user"]


@pytest.mark.parametrize("case", [str.lower, str.upper])
@pytest.mark.parametrize(
    ("query", "group", "lines"),
    [
        ("sho", "Applications", ["shop on harbour", "shop on quay"]),
        ("shop quay", "Applications", ["shop on quay"]),
        ("we", "Services", ["web of shop on harbour"]),
        ("shop web", "Services", ["web of shop on harbour"]),
        ("bour", "Clusters", ["harbour"]),
        ("ran", "Nodes", ["crane of harbour"]),
        ("build", "Triggers", ["after the build of shop on harbour"]),
        ("shop", "Triggers", ["after the build of shop on harbour"]),
        ("activ", "Pages", ["Activity"]),
        ("add clu", "Actions", ["Add cluster"]),
        ("redeploy shop", "Actions", ["Redeploy shop on harbour", "Redeploy shop on quay"]),
        ("red shop harb", "Actions", ["Redeploy shop on harbour"]),
        ("scale web", "Actions", ["Scale web of shop on harbour"]),
        ("create trigger for shop quay", "Actions", ["Create Trigger for shop on quay"]),
        ("scal", "Actions", ["Scale web of shop on harbour"]),
        ("web", "Actions", ["Scale web of shop on harbour"]),
    ],
)
def test_words_of_a_name_or_of_an_act_find(reader, shop, query, group, lines, case):
    assert find(reader, case(query))[group] == lines


def test_the_name_of_a_cluster_alone_does_not_find_all_that_runs_there(reader, shop):
    assert find(reader, "harbour") == {"Clusters": ["harbour"]}


def test_a_named_action_comes_first(reader, shop):
    ApplicationFactory(cluster=shop.cluster, name="redeploy shop")
    assert list(find(reader, "redeploy shop")) == ["Actions", "Applications"]
    assert list(find(reader, "shop"))[0] == "Applications"


def test_an_exact_name_comes_first_then_names_that_begin_with_it(reader, shop):
    for name in ("a-shop", "shopping", "bookshop"):
        ApplicationFactory(cluster=shop.cluster, name=name)
    assert [line.split()[0] for line in find(reader, "shop harbour")["Applications"]] == [
        "a-shop",
        "bookshop",
        "shop",
        "shopping",
    ]
    names = [line.split()[0] for line in find(reader, "shop")["Applications"]]
    assert names == ["shop", "shop", "shopping", "a-shop", "bookshop"]


def test_wildcards_are_letters(reader, shop):
    assert find(reader, "%") == find(reader, "s_op") == {}


def test_services_of_absent_applications_are_not_found(reader, shop):
    Application.objects.filter(pk=shop.pk).update(status="absent")
    assert "Services" not in find(reader, "web")


def test_a_search_without_results_says_so(reader, shop):
    for headers in ({}, PALETTE):
        response = reader.get("/search/", {"q": "zeppelin"}, headers=headers)
        assert "Nothing you can see has this name." in response.content.decode()


def test_what_the_reader_cannot_see_is_not_found(shop):
    client = sign_in(Role.ADMINISTRATOR, ClusterFactory(name="elsewhere"))
    for query in ("shop", "web", "harbour", "crane", "build", "redeploy", "redeploy shop", "scale", "create trigger"):
        text = client.get("/search/", {"q": query}, headers=PALETTE).content.decode()
        assert not {"shop", "web", "harbour", "crane"} & set(text.replace(">", "<").split("<")), query


def test_an_action_is_offered_where_the_reader_has_its_permission(shop):
    viewer = sign_in(Role.VIEWER, shop.cluster)
    for query in ("shop", "web", "redeploy shop", "scale web", "create trigger shop", "add cluster"):
        assert "Actions" not in find(viewer, query), query
    assert find(viewer, "shop")["Applications"] == ["shop on harbour"]
    viewer.get("/logout/")
    operator = Client()
    operator.force_login(make_user("operator", Role.OPERATOR, shop.cluster))
    assert find(operator, "shop")["Actions"] == ["Redeploy shop on harbour"]
    assert "Actions" not in find(operator, "create trigger shop")
    assert "Audit log" not in find(operator)["Pages"]


def test_a_role_on_one_cluster_gives_no_action_on_another(shop):
    client = sign_in(Role.OPERATOR, shop.cluster)
    quay = Application.objects.get(cluster__name="quay")
    quay.cluster.grants.create(user_id=client.session["_auth_user_id"], role=Role.VIEWER)
    assert find(client, "shop")["Applications"] == ["shop on harbour", "shop on quay"]
    assert find(client, "shop")["Actions"] == find(client, "redeploy shop")["Actions"] == ["Redeploy shop on harbour"]


def test_somebody_without_a_role_is_told_so(shop):
    client = sign_in()
    assert "You have no role yet" in client.get("/search/?q=shop").content.decode()
    text = client.get("/search/?q=shop", headers=PALETTE).content.decode()
    assert "You have no role yet" in text
    assert "harbour" not in text


def test_without_a_cluster_a_reader_who_may_add_one_is_told_to(reader):
    text = reader.get("/search/").content.decode()
    assert "No cluster is connected" in text
    assert '<a class="button" href="/clusters/new/">Add cluster</a>' in text
    viewer = sign_in(Role.VIEWER)
    for headers in ({}, PALETTE):
        text = viewer.get("/search/", headers=headers).content.decode()
        assert "No cluster is connected" in text
        assert "/clusters/new/" not in text


@pytest.mark.parametrize("query", ["s", "redeploy", "scale web", "create trigger for shop"])
def test_a_search_takes_a_fixed_number_of_queries_and_reads_no_call(reader, shop, query):
    def count():
        with CaptureQueriesContext(connection) as queries:
            found = find(reader, query, **PALETTE)
        assert max(map(len, found.values())) <= LIMIT
        assert not [one for one in queries if "triggercall" in one["sql"].lower() or "container" in one["sql"].lower()]
        return len(queries)

    few = count()
    assert few <= 9
    for number in range(2 * LIMIT):
        application = ApplicationFactory(cluster=ClusterFactory(name=f"s{number}"), name=f"shop-{number}")
        ContainerFactory(service=ServiceFactory(application=application, name="web-s"))
        TriggerCallFactory(trigger=TriggerFactory(application=application))
        NodeFactory(cluster=application.cluster, hostname=f"s{number}")
    assert count() == few


def test_a_long_question_is_cut(reader, shop):
    assert reader.get("/search/", {"q": "s " * 5000}).status_code == 200
    assert find(reader, "shop\0")["Applications"]


@pytest.mark.parametrize("headers", [{}, PALETTE])
@pytest.mark.parametrize("query", [HOSTILE, "<img", "redeploy <img", "scale <img", "create trigger for <img", "'\"><script>"])
def test_hostile_names_and_questions_stay_text(reader, db, query, headers):
    cluster = ClusterFactory(name=HOSTILE[:64])
    application = ApplicationFactory(cluster=cluster, name=HOSTILE)
    ServiceFactory(application=application, name=HOSTILE)
    TriggerFactory(application=application, name=HOSTILE[:64])
    NodeFactory(cluster=cluster, hostname=HOSTILE, state=HOSTILE[:16])
    text = reader.get("/search/", {"q": query}, headers=headers).content.decode()
    collector, isolation = TagCollector(), IsolationChecker()
    collector.feed(text)
    isolation.feed(text)
    assert isolation.loose == []
    assert not [tag for tag, attributes in collector.tags if tag == "img" or "onerror" in attributes]
    assert not [tag for tag, attributes in collector.tags if tag == "script" and not attributes.get("src")]
    assert ("\u202e" in text) or "script" in query


def test_the_palette_gets_a_listbox_of_options_and_the_page_a_list_of_links(reader, shop):
    text = reader.get("/search/?q=shop", headers=PALETTE).content.decode()
    collector = TagCollector()
    collector.feed(text)
    roles = [attributes["role"] for _, attributes in collector.tags if attributes.get("role")]
    assert roles[:2] == ["listbox", "group"]
    options = [attributes for _, attributes in collector.tags if attributes.get("role") == "option"]
    assert {option["tabindex"] for option in options} == {"-1"}
    assert f"/applications/{shop.pk}/redeploy/" in {option.get("hx-get") for option in options}
    assert "<html" not in text
    page = reader.get("/search/?q=shop").content.decode()
    assert 'role="option"' not in page
    assert f'href="/applications/{shop.pk}/"' in page


def test_every_page_has_a_link_to_the_search(reader, shop):
    for address in ("/", f"/applications/{shop.pk}/", "/admin/"):
        text = reader.get(address).content.decode()
        assert 'href="/search/" data-palette-open' in text, address
        assert '<dialog id="palette"' in text, address
