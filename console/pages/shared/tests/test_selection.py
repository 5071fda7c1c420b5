"""The selected cluster: how it is remembered, and which addresses name it."""

from clusters.roles import Role
from clusters.tests.factories import ApplicationFactory, ClusterFactory
from clusters.tests.users import make_user
from console.pages.tests.reading import LIST, count_queries, names_in, text_of


class TestSelectedCluster:
    def test_it_is_remembered_without_a_query_by_a_cookie_that_scripts_do_not_see(self, reader, fleet):
        few = count_queries(reader, "/applications/")
        address = f"/applications/?cluster={fleet.cluster.uid}"
        assert count_queries(reader, address) == few
        assert reader.get("/services/").context["selection"].selected == fleet.cluster
        cookie = reader.cookies["windlass_cluster"]
        assert (cookie.value, cookie["httponly"], cookie["samesite"]) == (fleet.cluster.uid, True, "Lax")
        reader.get("/services/?cluster=all")
        assert reader.get("/applications/").context["selection"].selected is None

    def test_a_cluster_that_the_reader_cannot_see_counts_as_all(self, client, fleet):
        client.force_login(make_user("elsewhere", Role.VIEWER, ClusterFactory(name="elsewhere")))
        client.cookies["windlass_cluster"] = fleet.cluster.uid
        assert client.get("/applications/").context["selection"].selected is None

    def test_a_selected_cluster_is_remembered_until_all_are_selected(self, reader, fleet):
        other = ApplicationFactory(cluster=ClusterFactory(name="old-quay"))
        assert names_in(reader.get(f"/applications/?cluster={other.cluster.uid}")) == [other.name]
        assert names_in(reader.get("/applications/")) == [other.name]
        assert len(names_in(reader.get("/applications/?cluster=all"))) == 2


class TestAddresses:
    def test_the_address_that_a_list_asks_for_holds_its_cluster(self, reader, applications, harbour):
        text = text_of(reader.get(f"/applications/?cluster={harbour.uid}"))
        assert f'hx-get="/applications/?cluster={harbour.uid}"' in text
        assert f'form="filters" name="cluster" value="{harbour.uid}"' in text
        assert 'hx-get="/applications/?cluster=all"' in text_of(reader.get("/applications/?cluster=all"))

    def test_the_navigation_keeps_the_cluster_in_the_address(self, reader, applications, harbour):
        assert 'href="/services/"' in text_of(reader.get("/applications/"))
        text = text_of(reader.get(f"/applications/?cluster={harbour.uid}"))
        assert f'href="/services/?cluster={harbour.uid}"' in text
        assert 'href="/clusters/"' in text

    def test_a_poll_does_not_change_which_cluster_is_selected(self, reader, applications, harbour):
        reader.get("/applications/?cluster=all")
        assert names_in(reader.get(f"/applications/?cluster={harbour.uid}", headers=LIST)) == ["b", "c"]
        assert names_in(reader.get("/applications/")) == ["a", "b", "c"]

    def test_choosing_a_cluster_keeps_the_filters(self, reader, applications):
        text = text_of(reader.get("/applications/?filtered=1&q=sho%22p&page=2"))
        selector = text[text.index('<form class="cluster-selector"') : text.index("</form>")]
        assert 'name="q" value="sho&quot;p"' in selector
        assert 'name="page"' not in selector
