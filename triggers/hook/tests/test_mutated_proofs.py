"""Signatures and identity tokens with damage by chance: none is accepted that is not the right one, and no error is ours.

WINDLASS_MUTATIONS sets how many; a hundred thousand take about ten minutes.
"""

import base64
import json
import os
import random
import time

import jwt
import pytest
from django.test import Client

from triggers.hook import trusted_jobs
from triggers.hook.tests.test_signed_calls import BODY, FORMS
from triggers.hook.tests.test_trusted_jobs import FORGED, PUBLISHED, UNFIT, encode
from triggers.identity.key_sets import KeySets
from triggers.identity.tests.issuing import make_private_key, make_token
from triggers.identity.tokens import read_key_set
from triggers.models import TriggerCall
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import TriggerFactory, TrustedJobFactory
from triggers.tests.signing import require_signature

pytestmark = pytest.mark.django_db

NUMBER = int(os.environ.get("WINDLASS_MUTATIONS", "400"))
PIECES = ["", "0", "a", "A", "=", ".", ",", " ", "v1,", "sha256=", "é", "\u2026", "\x00", "-", "_", "/", "+", "v1", "whsec_"]
STATUSES = {400, 401, 404}


def damage(text, chance, pieces=PIECES):
    """Return another text than this one."""
    while True:
        place, length = chance.randrange(len(text) + 1), chance.choice([0, 1, 1, 3, 40])
        changed = text[:place] + chance.choice(pieces) + text[place + length :]
        changed = chance.choice([changed] * 8 + [text[::-1], text * 40, text[: chance.randrange(len(text) + 1)]])
        if changed.strip() != text.strip():
            return changed


def test_mutated_signatures():
    """A signature is right in capitals and with blanks around it. Everything else has to be the one that the key makes."""
    trigger = TriggerFactory()
    key, chance, statuses = require_signature(trigger), random.Random(17), set()
    client = Client(raise_request_exception=False)
    query = {"triggerUrl": link_parameters(trigger)["triggerUrl"]}
    rights = {name: sign(key, BODY) for name, sign in FORMS.items()}
    for number in range(NUMBER // 2):
        if number % 500 == 0:
            rights = {name: sign(key, BODY) for name, sign in FORMS.items()}
        headers = dict(chance.choice(list(rights.values())))
        body = BODY
        if chance.random() < 0.2:
            body = damage(BODY.decode(), chance).encode()
        else:
            name = chance.choice(list(headers))
            wrong = damage(headers[name], chance)
            if not is_spelling(wrong, headers[name]):
                headers[name] = wrong
            else:
                continue
        answer = client.generic("POST", PATH, body, content_type="application/json", headers=headers, query_params=query)
        statuses.add(answer.status_code)
        assert answer.status_code == 401, (headers, body)
    assert not TriggerCall.objects.exists()


def is_spelling(changed, right):
    """Return whether this is the right value all the same: in capitals, with another prefix, or beside others."""
    plain = [text.strip().lower().removeprefix("sha256=") for text in (changed, right)]
    return plain[0] == plain[1] or right in changed.split()


def test_mutated_tokens(monkeypatch):
    monkeypatch.setattr(trusted_jobs, "key_sets", KeySets(lambda issuer: read_key_set(PUBLISHED)))
    job, chance, statuses = TrustedJobFactory(), random.Random(19), set()
    client = Client(raise_request_exception=False)
    query = {"triggerUrl": link_parameters(job.trigger)["triggerUrl"]}
    rights = [make_token(key_id, algorithm) for key_id, algorithm in (("rsa-1", "RS256"), ("ec-1", "ES256"), ("ed-1", "EdDSA"))]
    kinds = (mutate_text, mutate_claims, mutate_header, exchange_parts)
    for _ in range(NUMBER // 2):
        token = chance.choice([chance.choice(kinds)] * 9 + [pick_known])(rights, chance)
        headers = {"Authorization": f"Bearer {token}"}
        answer = client.generic("POST", PATH, b"", headers=headers, query_params=query)
        statuses.add(answer.status_code)
        assert answer.status_code in STATUSES, token
    assert not TriggerCall.objects.exists()
    assert 401 in statuses


def mutate_text(rights, chance):
    return damage(chance.choice(rights), chance).encode("latin-1", "replace").decode("latin-1").replace("\n", "")


def mutate_claims(rights, chance):
    """Return a token whose claims were changed after it was signed."""
    header, payload, signature = chance.choice(rights).split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    name = chance.choice([*claims, "sub"])
    claims[name] = chance.choice(["", None, True, [], {}, 0, 10**30, int(time.time()) + 9_999, "main", "team/app", ["a"]])
    return f"{header}.{encode_part(claims)}.{signature}"


def mutate_header(rights, chance):
    """Return a token with another header, signed by a key of the attacker's own or not at all."""
    _, payload, signature = chance.choice(rights).split(".")
    header = {
        "alg": chance.choice(["none", "HS256", "HS512", "RS256", "ES256", "EdDSA", "PS256", "", None, 7, ["RS256"]]),
        "kid": chance.choice(["rsa-1", "ec-1", "ed-1", "", None, "x" * 500, 1]),
        **chance.choice([{}, {"jwk": {}}, {"jku": "https://example.com"}, {"x5c": ["a"]}, {"crit": ["exp"]}, {"b64": False}]),
    }
    if chance.random() < 0.5:
        return f"{encode_part(header)}.{payload}.{signature}"
    signed = jwt.api_jws.encode(base64.urlsafe_b64decode(payload + "=="), make_private_key("RS256", 2), "RS256")
    return f"{encode_part(header)}.{payload}.{signed.rpartition('.')[2]}"


def exchange_parts(rights, chance):
    """Return parts of different tokens, whose signatures differ."""
    first, second = chance.sample(rights, 2)
    parts = [list(pair) for pair in zip(first.split("."), second.split("."), strict=True)]
    chosen = [pair[chance.randrange(2)] for pair in parts]
    return ".".join(chosen) if ".".join(chosen) not in rights else first + "."


def pick_known(rights, chance):
    if chance.random() < 0.5:
        return encode(chance.choice(list(UNFIT.values())))
    return chance.choice(list(FORGED.values()))()


def encode_part(part):
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
