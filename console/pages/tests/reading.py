"""Reading responses in tests of pages."""

import re

from django.db import connection
from django.test.utils import CaptureQueriesContext

from triggers.models import TriggerCall

DIALOG = {"HX-Request": "true", "HX-Target": "dialog"}
LIST = {"HX-Request": "true", "HX-Target": "list"}


def new_trigger_url(application):
    return f"/applications/{application.pk}/triggers/new/"


def console_call():
    """Return the one call that was started on a page."""
    return TriggerCall.objects.get(source="console")


def text_of(response):
    return response.content.decode()


def words_of(response):
    """Return the visible text in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", text_of(response)).split())


def summary_of(response):
    """Return the summary above a list."""
    found = re.search(r"<p class=\"list-summary.*?</p>", text_of(response), re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split()) if found else ""


def names_in(response):
    return [row.name for row in response.context["page"]]


def count_queries(client, address):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(address).status_code == 200, address
    return len(queries)
