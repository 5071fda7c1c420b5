"""Notices on every page about a Swarm whose first manager is lost."""

import pytest

from clusters.models import Cluster
from console.pages.tests.reading import (
    words_of,
)


class TestNotice:
    NOTICE = "armada is no longer a Swarm manager, so its stacks and services cannot be seen."

    @pytest.mark.parametrize("name", ["overview", "clusters", "cluster", "application", "service", "node"])
    def test_a_manager_that_stopped_being_one_is_said_where_its_rows_are(self, reader, swarm_fleet, name):
        Cluster.objects.update(swarm_notice=self.NOTICE)
        assert self.NOTICE in words_of(reader.get(swarm_fleet.pages[name]))

    def test_a_cluster_reached_through_another_manager_says_so(self, reader, swarm_fleet):
        reason = "The first address does not answer; 10.0.0.8:2376 stands in."
        Cluster.objects.update(status="reachable", status_reason=reason)
        assert reason in words_of(reader.get(swarm_fleet.pages["cluster"]))

    def test_a_compose_project_of_that_engine_is_not_concerned(self, reader, fleet):
        Cluster.objects.update(swarm_notice=self.NOTICE)
        assert self.NOTICE not in words_of(reader.get(fleet.pages["application"]))
