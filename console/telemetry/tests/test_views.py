"""Who may read /metrics, and what it costs. /readyz is in test_readiness.py."""

import pytest
from django.db import DatabaseError
from django.test import Client

from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user
from triggers.models import CallState
from triggers.tests.factories import TriggerCallFactory

TOKEN = "a-token-for-prometheus"


@pytest.mark.django_db
class TestAccess:
    def test_the_token_opens_it(self, client, settings):
        settings.METRICS_TOKEN = TOKEN
        response = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 200
        assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "windlass_queue_age_seconds 0" in response.content.decode()

    @pytest.mark.parametrize("header", ["", f"Bearer {TOKEN}x", "Bearer ", "Bearer é", f"Basic {TOKEN}", TOKEN])
    def test_without_it_a_token_is_asked_for(self, client, settings, header):
        settings.METRICS_TOKEN = TOKEN
        response = client.get("/metrics", headers={"Authorization": header} if header else {})
        assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
        assert b"windlass" not in response.content

    @pytest.mark.parametrize("header", ["", "Bearer ", f"Bearer {TOKEN}"])
    def test_where_there_is_none_nobody_without_an_account_finds_anything(self, client, header):
        assert client.get("/metrics", headers={"Authorization": header} if header else {}).status_code == 404

    def test_users_who_may_see_all_clusters_may_read_it(self, settings):
        settings.METRICS_TOKEN = TOKEN
        statuses = []
        for name, cluster in (("all", None), ("one", ClusterFactory())):
            client = Client()
            client.force_login(make_user(name, Role.VIEWER, cluster))
            statuses.append(client.get("/metrics").status_code)
        assert statuses == [200, 404]

    def test_a_database_that_is_away_is_a_503(self, client, settings, monkeypatch):
        def refuse():
            raise DatabaseError("away")

        settings.METRICS_TOKEN = TOKEN
        monkeypatch.setattr("console.telemetry.views.render_metrics", refuse)
        response = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert (response.status_code, response.content) == (503, b"The database does not answer.\n")

    def test_it_costs_few_queries(self, client, settings, django_assert_num_queries):
        """Clusters, sums, calls, processes."""
        settings.METRICS_TOKEN = TOKEN
        TriggerCallFactory.create_batch(5, state=CallState.QUEUED)
        with django_assert_num_queries(4):
            client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
