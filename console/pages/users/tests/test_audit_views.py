"""The audit log: its filters, its pages, its export."""

import csv
import io
import re
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters.access.audit import record
from clusters.models import AuditEntry
from clusters.tests.factories import ClusterFactory
from console.pages.users import audit_views

pytestmark = pytest.mark.django_db


class TestAuditLog:
    @pytest.fixture
    def entries(self, reader, bob):
        """Return three entries, the newest last."""
        north, south = ClusterFactory(name="north"), ClusterFactory(name="south")
        made = [
            record(bob, "cluster.add", north),
            record(bob, "cluster.change", south, fields=["name", "url"]),
            record(None, "sign_in.fail", actor="=HYPERLINK(1)"),
        ]
        for number, entry in enumerate(made):
            AuditEntry.objects.filter(pk=entry.pk).update(time=timezone.now() - timedelta(days=30 - number))
        return made

    def found(self, reader, query):
        return [entry.action for entry in reader.get(f"/audit/?{query}").context["entries"]]

    def test_it_is_filtered_by_user_action_cluster_and_day(self, reader, entries):
        day = AuditEntry.objects.get(pk=entries[1].pk).time.date()
        assert self.found(reader, "") == ["sign_in.fail", "cluster.change", "cluster.add"]
        assert self.found(reader, "user=bob") == ["cluster.change", "cluster.add"]
        assert self.found(reader, "action=cluster.add") == ["cluster.add"]
        assert self.found(reader, f"since={day}&until={day}") == ["cluster.change"]
        assert self.found(reader, f"cluster={entries[0].cluster.uid}") == ["cluster.add"]
        for wrong in ("since=x&until=2026-99-99", "since=0001-01-01", "before=x", f"before={'9' * 40}", "before=0"):
            assert reader.get(f"/audit/?cluster=all&{wrong}").status_code == 200

    def test_pages_follow_one_another_without_gap_or_repetition(self, reader, bob, monkeypatch):
        monkeypatch.setattr(audit_views, "PAGE_SIZE", 3)
        moment = timezone.now()
        made = [record(bob, "sign_in").pk for _ in range(8)]
        AuditEntry.objects.filter(pk__in=made[:5]).update(time=moment)  # at one moment, and later than the others
        seen, query = [], ""
        while True:
            context = reader.get(f"/audit/{query}").context
            seen += [entry.pk for entry in context["entries"]]
            if not context["has_older"]:
                break
            query = f"?before={seen[-1]}"
        assert sorted(seen) == made
        assert len(seen) == len(set(seen))

    def test_no_page_counts_or_skips_rows(self, reader, bob):
        for _ in range(60):
            record(bob, "sign_in")
        last = AuditEntry.objects.order_by("pk")[5].pk
        with CaptureQueriesContext(connection) as queries:
            reader.get(f"/audit/?before={last}&user=bob")
        about = [query["sql"] for query in queries if '"clusters_auditentry"' in query["sql"]]
        assert len(about) == 2
        assert not any("COUNT" in sql or "OFFSET" in sql for sql in about)

    def test_the_export_is_streamed_whole_and_filtered(self, reader, entries, monkeypatch):
        monkeypatch.setattr(audit_views, "EXPORT_CHUNK", 2)
        response = reader.get("/audit/export/")
        assert response.streaming
        assert "attachment" in response["Content-Disposition"]
        rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
        assert [row["action"] for row in rows] == ["audit.export", "sign_in.fail", "cluster.change", "cluster.add"]
        del rows[0]
        assert rows[0]["user"] == "'=HYPERLINK(1)"  # a formula to a spreadsheet, were it not for the quote
        assert (rows[1]["target"], rows[1]["cluster"], rows[1]["details"]) == ("south", "south", "fields: name, url")
        assert datetime.fromisoformat(rows[1]["time"]).tzinfo
        assert b"".join(reader.get("/audit/export/?user=nobody").streaming_content).count(b"\n") == 1

    def test_old_and_new_values_are_shown_and_exported(self, reader, bob):
        changes = {
            "url": ["tcp://a", "tcp://<b>"],
            "plain_http": [False, True],
            "max_replicas": [5, None],
            "tls_key": "changed",
        }
        record(bob, "cluster.change", ClusterFactory(name="south"), changes=changes, asked="twice")
        record(bob, "cluster.add", ClusterFactory(name="north"), changes={"name": ["north"]})
        text = reader.get("/audit/").content.decode()
        shown = re.sub(r"<span[^>]*>(.)</span>|<[^>]*>|\s+", r" \1", text)
        for words in ("url tcp://a → tcp://&lt;b&gt;", "plain_http no → yes", "max_replicas 5 → nothing", "tls_key changed"):
            assert words in re.sub(r"\s+", " ", shown)
        assert "<b>" not in text
        rows = list(csv.DictReader(io.StringIO(b"".join(reader.get("/audit/export/").streaming_content).decode())))
        expected = "max_replicas: 5 → ; plain_http: no → yes; tls_key: changed; url: tcp://a → tcp://<b>; asked: twice"
        assert [row["details"] for row in rows[1:]] == ["name: north", expected]

    def test_a_count_is_shown_and_exported(self, reader):
        entry = record(None, "sign_in.fail", actor="eve")
        AuditEntry.objects.filter(pk=entry.pk).update(count=312, last_at=timezone.now())
        assert "312 times, the last" in re.sub(r"\s+", " ", reader.get("/audit/").content.decode())
        rows = list(csv.DictReader(io.StringIO(b"".join(reader.get("/audit/export/").streaming_content).decode())))
        assert (rows[0]["count"], rows[0]["last"]) == ("1", "")
        assert (rows[1]["count"], bool(rows[1]["last"])) == ("312", True)

    def test_a_refused_act_says_what_was_requested(self, reader, bob):
        record(bob, "refuse", request="POST clusters/<uid>/edit/", path="/clusters/x/edit/")
        assert reader.get("/audit/").content.decode().count("POST clusters/&lt;uid&gt;/edit/") >= 2  # on a phone too

    def test_an_entry_of_an_earlier_version_is_shown_as_it_is(self, reader, bob):
        record(bob, "cluster.change", ClusterFactory(), fields=["name", "url"])
        record(bob, "cluster.change", ClusterFactory(), changes="words")
        text = reader.get("/audit/").content.decode()
        assert "name, url" in text
        assert "words" in text

    def test_old_entries_are_deleted_when_old_calls_are(self, db, monkeypatch):
        from console.management.commands import watch

        done = []
        monkeypatch.setattr(watch, "run_safely", lambda chore: done.append(chore.__name__))
        watch.prune_when_due()
        calls = ["prune_calls", "prune_entries", "prune_deliveries", "prune_notifications", "prune_alert_groups"]
        assert done == [*calls, "prune_seen_images", "prune_sessions", "prune_failures", "forget_old_secrets"]
