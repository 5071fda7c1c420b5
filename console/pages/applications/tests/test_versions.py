"""The board of versions."""

from clusters.roles import Role
from clusters.tests.factories import ClusterFactory, ServiceFactory
from clusters.tests.users import make_user
from console.pages.tests.reading import text_of, words_of


def add(cluster, version, revision, built, name="shop", **more):
    facts = {"version": version, "revision": revision, "source": "https://github.com/team/app", "created": built}
    place = {"application__cluster": cluster, "application__name": name}
    return ServiceFactory(name="web", image_id=f"sha256:{revision * 16}", image_facts=facts, **place, **more)


def test_a_service_is_one_row_with_a_cell_for_each_cluster(reader, db):
    production, test = ClusterFactory(name="production"), ClusterFactory(name="test")
    add(production, "1.4", "1a2b", "2026-11-01T00:00:00+00:00")
    add(test, "1.5", "3c4d", "2026-11-30T00:00:00+00:00")
    add(test, "7", "eeee", "2026-11-30T00:00:00+00:00", name="other")
    response = reader.get("/applications/versions/")
    [other, shop] = response.context["rows"]
    assert [[item.image.version for item in cell] for cell in shop.cells] == [["1.4"], ["1.5"]]
    assert [[item.image.version for item in cell] for cell in other.cells] == [[], ["7"]]
    assert (shop.differs, other.differs) == (True, False)
    assert shop.compare_url == "https://github.com/team/app/compare/1a2b...3c4d"
    assert other.compare_url == ""
    assert "What changed" in words_of(response)


def test_an_image_that_says_nothing_is_shown_by_its_reference_and_id(reader, db):
    ServiceFactory(image="shop:1", image_id="sha256:" + "1" * 64, image_digests=[])
    text = text_of(reader.get("/applications/versions/"))
    assert "shop:1" in text
    assert "111111111111" in text


def test_the_board_is_searched_and_shows_what_the_reader_sees(reader, client, db):
    here, elsewhere = ClusterFactory(name="here"), ClusterFactory(name="elsewhere")
    add(here, "1", "1a2b", "", name="first")
    add(elsewhere, "2", "3c4d", "", name="second")
    add(here, "3", "4e5f", "", name="gone", status="absent")
    assert [row.application for row in reader.get("/applications/versions/?q=fir").context["rows"]] == ["first"]
    assert "No service matches the search." in words_of(reader.get("/applications/versions/?q=nothing"))
    assert [row.application for row in reader.get(f"/applications/versions/?cluster={here.uid}").context["rows"]] == ["first"]
    client.force_login(make_user("viewer", Role.VIEWER, elsewhere))
    assert [row.application for row in client.get("/applications/versions/").context["rows"]] == ["second"]
