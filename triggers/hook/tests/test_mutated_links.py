"""Links and bodies with damage by chance: no error of ours, no call with a wrong secret, and no act on a preview.

WINDLASS_MUTATIONS sets how many; a hundred thousand take about eight minutes.
"""

import json
import os
import random
from collections import Counter
from ipaddress import ip_address, ip_network
from urllib.parse import quote, unquote, urlencode

import pytest
from django.test import Client

from clusters.callers import normalize_address
from triggers.models import TriggerCall
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = pytest.mark.django_db

NUMBER = int(os.environ.get("WINDLASS_MUTATIONS", "400"))
PREVIEWS = [{"Sec-Purpose": "prefetch"}, {"User-Agent": "Slackbot-LinkExpanding 1.0"}, {"Sec-Fetch-Mode": "navigate"}]
HEADERS = [
    *({} for _ in range(3)),
    {"Accept": "text/html"},
    {"Accept": "?"},
    {"X-GitHub-Event": "push"},
    {"Idempotency-Key": "\u00ff"},
    *PREVIEWS,
]
PIECES = ["&", "=", "%", "%25", "%0A", "%00", "amp;", " ", "+", "é", "|", "\u2026", "%ED%A0%80", "?", "/", "#", '"', "0", "a"]
FORM = "application/x-www-form-urlencoded"
TYPES = ["application/json", FORM, "multipart/form-data; boundary=b", "text/plain", "x; charset=y"]
ALERT = '{"alerts":[{}],"status":"firing"}'
BODIES = ["", "[]", "{}", "null", '{"a":' * 50, "payload=%7B%7D", "--b\r\n\r\n--b--", '{"type":"\\ud83d"}', ALERT]


def damage(text: str, chance: random.Random) -> str:
    for _ in range(chance.choice([0, 0, 1, 1, 2, 5])):
        place, length = chance.randrange(len(text) + 1), chance.choice([0, 0, 1, 1, 3, 40])
        text = text[:place] + chance.choice(["", *PIECES]) + text[place + length :]
    return chance.choice([text] * 8 + [quote(text), text.replace("&", "&amp;"), text.upper(), text * 2])


def unfold(text: str) -> str:
    for _ in range(4):
        text = unquote(text)
    return text.lower()


@pytest.mark.parametrize("factory", [TriggerFactory, ScalingTriggerFactory])
def test_mutated_links_and_bodies(factory):
    trigger = factory()
    parameters = link_parameters(trigger) | ({} if trigger.service is None else {"type": "scale_out", "step": "1"})
    client, chance, statuses = Client(raise_request_exception=False), random.Random(17), set()
    for _ in range(NUMBER // 2):
        method, headers = chance.choice(["GET", "GET", "POST", "PUT", "DELETE"]), chance.choice(HEADERS)
        in_body = chance.random() < 0.3
        query = damage("" if in_body else urlencode(parameters), chance)
        body = chance.choice([json.dumps(parameters), urlencode(parameters)]) if in_body else chance.choice(BODIES)
        body = damage(body, chance).encode()
        content_type = chance.choice(TYPES)
        answer = client.generic(method, f"{PATH}?{query}", body, content_type=content_type, headers=headers)
        statuses.add(answer.status_code)
        sent = (method, query, body, content_type, headers)
        assert answer.status_code < 500, sent
        if TriggerCall.objects.all().delete()[0]:
            assert trigger.secret in unfold(query + body.decode("utf-8", "replace")), sent
            assert method != "DELETE", sent
            assert method != "GET" or headers not in PREVIEWS, sent
    assert {200, 400, 404, 405} <= statuses


def test_mutated_addresses_of_callers():
    """A narrowed link is called from its list alone, whatever the caller's address and the proxies' header look like."""
    networks = [ip_network("192.0.2.0/28"), ip_network("2001:db8::/64")]
    trigger = TriggerFactory(allowed_addresses="\n".join(map(str, networks)))
    parameters, client = link_parameters(trigger), Client(raise_request_exception=False)
    chance, statuses = random.Random(29), Counter()
    for _ in range(NUMBER // 4):
        address = damage(chance.choice(["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7", "192.0.2.77"]), chance)
        headers = {"X-Forwarded-For": damage("192.0.2.7", chance)} if chance.random() < 0.5 else {}
        answer = client.get(PATH, query_params=parameters, headers=headers, REMOTE_ADDR=address)
        statuses[answer.status_code] += 1
        known = normalize_address(address)
        on_the_list = bool(known) and any(ip_address(known) in network for network in networks)
        assert answer.status_code == (200 if on_the_list else 403), (address, headers)
    assert TriggerCall.objects.count() == statuses[200] > 0
    assert set(statuses) == {200, 403}
