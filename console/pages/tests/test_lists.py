"""Lists of several sections: their pages, pieces and empty states."""

from clusters.models import Application, Cluster
from console.pages.tests.reading import text_of


class TestLists:
    def test_a_page_beyond_the_end_shows_the_last_one(self, reader, fleet):
        assert reader.get("/applications/?page=99").status_code == 200
        assert reader.get("/activity/?page=99").status_code == 200
        assert reader.get("/activity/?page=x").status_code == 200
        for path in ("/applications/", "/services/", "/triggers/", "/activity/"):
            assert reader.get(f"{path}?q=a%00b").status_code == 200
        assert reader.get(f"/activity/?page={'9' * 5000}").status_code == 200

    def test_htmx_gets_the_list_alone(self, reader, fleet):
        response = reader.get("/applications/?q=shop", headers={"HX-Request": "true", "HX-Target": "list"})
        assert text_of(response).strip().startswith('<div id="list"')

    def test_empty_states_teach_the_next_step(self, reader, fleet):
        assert "No application matches" in text_of(reader.get("/applications/?q=nothing"))
        Application.objects.all().delete()
        assert "No application yet." in text_of(reader.get("/applications/"))
        Cluster.objects.all().delete()
        assert "No cluster is connected." in text_of(reader.get("/applications/"))
        assert "No cluster is connected." in text_of(reader.get("/"))

    def test_an_unreachable_engine_says_since_when_and_why(self, reader, fleet, lost_cluster):
        for address in ("/", f"/applications/{fleet.application.pk}/", f"/applications/?cluster={fleet.cluster.uid}"):
            assert "Connection refused." in text_of(reader.get(address)), address

    def test_activity_is_filtered_by_state_source_and_application(self, reader, fleet):
        found = {
            query: len(reader.get(f"/activity/?{query}").context["page"].calls)
            for query in ("state=failed", "state=active", "source=hook", "source=api", f"q={fleet.application.name}", "q=other")
        }
        assert list(found.values()) == [1, 0, 1, 0, 1, 0]
