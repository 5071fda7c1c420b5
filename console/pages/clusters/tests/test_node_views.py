"""Nodes on the pages."""

from clusters.models import Node
from clusters.tests.factories import ApplicationFactory, NodeFactory, TaskFactory
from console.pages.tests.reading import text_of, words_of
from triggers.models import TriggerCall


class TestNodes:
    def test_a_node_shows_its_role_and_what_runs_on_it(self, reader, swarm_fleet):
        words = words_of(reader.get(swarm_fleet.pages["node"]))
        assert "Manager leader" in words
        assert f"{swarm_fleet.service.name}.1" in words
        assert "Earlier tasks 2" in words

    def test_tasks_of_another_cluster_are_not_on_it(self, reader, swarm_fleet):
        stranger = TaskFactory(service__name="stranger", node_id=swarm_fleet.node.node_id)
        assert stranger.name not in text_of(reader.get(swarm_fleet.pages["node"]))

    def test_nodes_are_found_by_name_and_address_on_the_chosen_cluster(self, reader, swarm_fleet):
        other = NodeFactory(hostname="elsewhere", address="10.9.9.9")

        def names(query):
            return [node.hostname for node in reader.get(f"/nodes/?{query}").context["page"]]

        assert (names("q=QUA"), names("q=10.9.9"), names("q=nothing")) == (["quay"], ["elsewhere"], [])
        assert names(f"cluster={other.cluster.uid}") == ["elsewhere"]

    def test_a_cluster_shows_its_nodes_and_how_many_are_ready(self, reader, swarm_fleet):
        NodeFactory(cluster=swarm_fleet.cluster, hostname="lost", state="down", state_message="heartbeat failure")
        words = words_of(reader.get(swarm_fleet.pages["cluster"]))
        assert "1 of 2 ready" in words
        assert "heartbeat failure" in words
        assert "1 of 2 ready" in words_of(reader.get("/clusters/"))

    def test_counts_are_not_multiplied_by_nodes(self, reader, swarm_fleet):
        NodeFactory(cluster=swarm_fleet.cluster)
        ApplicationFactory(cluster=swarm_fleet.cluster, wanted=5, running=4)
        (row,) = reader.get("/clusters/").context["clusters"]
        assert (row.application_count, row.node_count, row.nodes_ready) == (2, 2, 2)
        assert (row.containers_running, row.containers_wanted, row.tasks_running, row.tasks_wanted) == (4, 5, 2, 2)

    def test_a_lost_node_needs_attention(self, reader, swarm_fleet):
        TriggerCall.objects.all().delete()
        assert "Nothing needs attention" in words_of(reader.get("/"))
        Node.objects.update(state="down", state_message="heartbeat failure")
        assert "heartbeat failure" in words_of(reader.get("/"))

    def test_no_node_teaches_what_a_node_is(self, reader, db):
        assert "Nodes are the machines of a Swarm" in words_of(reader.get("/nodes/"))
