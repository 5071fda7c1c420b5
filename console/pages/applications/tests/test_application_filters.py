"""The filters of the list of applications, and the counts of what they hide."""

from clusters.roles import Role
from clusters.tests.factories import ApplicationFactory, ServiceFactory
from clusters.tests.users import make_user
from console.pages.tests.reading import summary_of, text_of


class TestFilters:
    def names(self, response):
        return [application.name for application in response.context["page"]]

    def test_system_applications_are_hidden_by_default(self, reader, fleet):
        ApplicationFactory(cluster=fleet.cluster, name="agent", system=True)
        assert "agent" not in self.names(reader.get("/applications/"))
        assert "agent" in self.names(reader.get("/applications/?filtered=1"))

    def test_offline_and_online_are_hidden_by_the_address(self, reader, fleet):
        ApplicationFactory(cluster=fleet.cluster, name="parked", status="stopped")
        assert self.names(reader.get("/applications/?filtered=1&hide_online=on")) == ["parked"]
        assert "parked" not in self.names(reader.get("/applications/?filtered=1&hide_offline=on"))

    def test_a_search_finds_names_and_images(self, reader, fleet):
        wanted = ApplicationFactory(cluster=fleet.cluster, name="billing")
        ServiceFactory(application=wanted, image="registry.example.com/ledger:1")
        ServiceFactory(application=wanted, image="registry.example.com/ledger-mail:1")
        for query in ("bill", "LEDGER"):
            assert self.names(reader.get(f"/applications/?q={query}")) == ["billing"]


class TestCounts:
    def test_what_is_hidden_is_counted_with_a_way_to_show_it(self, reader, applications, harbour):
        for name in ("agent", "monitor", "logger"):
            ApplicationFactory(cluster=harbour, name=name, system=True)
        response = reader.get("/applications/")
        assert summary_of(response) == "3 of 6 applications 3 system hidden Show them"
        (hidden,) = response.context["counts"].hidden
        assert summary_of(reader.get(f"/applications/?{hidden.query}")) == "6 applications Clear filters"

    def test_one_box_counts_what_no_other_hides(self, reader, applications, harbour):
        ApplicationFactory(cluster=harbour, name="agent", system=True, status="stopped")
        response = reader.get("/applications/?filtered=1&hide_system=on&hide_offline=on&sort=-name")
        hidden = {one.word: (one.count, one.query) for one in response.context["counts"].hidden}
        assert hidden == {"offline": (1, "filtered=1&hide_system=on&sort=-name")}

    def test_a_search_counts_against_all(self, reader, applications):
        assert summary_of(reader.get("/applications/?q=a")) == "1 of 3 applications Clear filters"

    def test_a_search_that_finds_only_hidden_ones_says_so(self, reader, applications, harbour):
        ApplicationFactory(cluster=harbour, name="agent", system=True)
        text = text_of(reader.get("/applications/?q=agent"))
        assert "No application matches" in text
        assert "1 system application is hidden" in text
        assert 'href="?filtered=1&amp;q=agent&amp;cluster=all"' in text

    def test_only_what_the_reader_can_see_is_counted(self, client, applications, harbour, published):
        client.force_login(make_user("viewer", Role.VIEWER, harbour))
        assert summary_of(client.get("/applications/")) == "2 applications"
