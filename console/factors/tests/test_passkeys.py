import json
import random

import pytest
from allauth.mfa.models import Authenticator
from django.test import RequestFactory

from clusters.roles import Role
from clusters.tests.users import make_user
from console.factors import passkeys
from console.factors.passkeys import PasskeyRefused
from console.factors.tests.device import PRESENT, Device

pytestmark = pytest.mark.django_db


@pytest.fixture
def request_(rf: RequestFactory):
    return rf.get("/", secure=True)


@pytest.fixture
def ada(db):
    return make_user("ada", Role.ADMINISTRATOR)


def add(request, user, device, name="laptop"):
    begun = passkeys.begin_adding(request, user)
    return passkeys.finish_adding(request, user, name, begun["token"], device.create(begun["options"]))


def use(request, device, user=None, purpose="sign in"):
    begun = passkeys.begin_use(request, purpose, user)
    return passkeys.finish_use(request, purpose, begun["token"], device.use(begun["options"]), user)


def test_a_passkey_signs_in_whoever_added_it(request_, ada):
    device = Device()
    row = add(request_, ada, device)
    assert use(request_, device) == use(request_, device, ada) == row
    assert use(request_, device).user == ada
    row.refresh_from_db()
    assert row.last_used_at
    assert row.data["name"] == "laptop"


def test_what_is_stored_is_encrypted(request_, ada):
    row = add(request_, ada, Device())
    assert row.data["credential"].startswith("gAAAA")


def test_options_ask_for_a_verified_user_and_list_what_is_known(request_, ada):
    device = Device()
    add(request_, ada, device)
    options = passkeys.begin_adding(request_, ada)["options"]
    selection = options["authenticatorSelection"]
    assert (selection["residentKey"], selection["userVerification"]) == ("required", "required")
    assert options["rp"] == {"id": "testserver", "name": "Windlass"}
    assert len(options["excludeCredentials"]) == 1
    assert {one["alg"] for one in options["pubKeyCredParams"]} == {-7, -8, -257}
    alone = passkeys.begin_use(request_, "sign in")["options"]
    assert alone["userVerification"] == "required"
    assert not alone.get("allowCredentials")  # a stranger learns of none


def refuse(call):
    with pytest.raises(PasskeyRefused) as refused:
        call()
    return str(refused.value)


def test_an_answer_is_accepted_once(request_, ada):
    device = Device()
    add(request_, ada, device)
    begun = passkeys.begin_use(request_, "sign in")
    answer = device.use(begun["options"])
    assert passkeys.finish_use(request_, "sign in", begun["token"], answer)
    assert "used before" in refuse(lambda: passkeys.finish_use(request_, "sign in", begun["token"], answer))


def test_a_challenge_is_for_one_purpose_and_one_user_and_ends(request_, ada, monkeypatch):
    device, bob = Device(), make_user("bob", Role.VIEWER)
    add(request_, ada, device)
    begun = passkeys.begin_use(request_, "confirm", ada)
    answer = device.use(begun["options"])
    for purpose, user in [("sign in", ada), ("confirm", bob), ("confirm", None)]:
        assert "another question" in refuse(lambda: passkeys.finish_use(request_, purpose, begun["token"], answer, user))  # noqa: B023
    for token in ("", "a", begun["token"] + "a", "a" + begun["token"]):
        assert "too late" in refuse(lambda: passkeys.finish_use(request_, "confirm", token, answer, ada))  # noqa: B023
    monkeypatch.setattr(passkeys, "CHALLENGE_SECONDS", -1)
    assert "too late" in refuse(lambda: passkeys.finish_use(request_, "confirm", begun["token"], answer, ada))


def test_the_passkey_of_somebody_else_does_not_sign_in(request_, ada):
    mine, theirs = Device(), Device()
    bob = make_user("bob", Role.VIEWER)
    add(request_, ada, mine)
    add(request_, bob, theirs)
    refuse(lambda: use(request_, theirs, ada))
    theirs.handle = mine.handle
    refuse(lambda: use(request_, theirs))
    theirs.credential_id = mine.credential_id
    refuse(lambda: use(request_, theirs))


@pytest.mark.parametrize("handle", ["", "bm9ib2R5", "OTk5OTk5", "MTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "2LHZog"])
def test_a_handle_of_nobody_is_refused(request_, ada, handle):
    device = Device()
    add(request_, ada, device)
    device.handle = handle
    refuse(lambda: use(request_, device))


def test_a_user_who_was_not_verified_is_refused(request_, ada):
    device = Device()
    device.flags = PRESENT
    refuse(lambda: add(request_, ada, device))
    device.flags = PRESENT | 4
    add(request_, ada, device)
    device.flags = PRESENT
    refuse(lambda: use(request_, device))


@pytest.mark.parametrize(
    ("public_url", "origin", "accepted"),
    [
        ("", "https://testserver", True),
        ("", "http://testserver", False),
        ("", "https://testserver:8443", False),
        ("", "https://evil.testserver", False),
        ("", "https://testserver.example", False),
        ("", "https://user@testserver", False),
        ("https://console.example.com/windlass", "https://console.example.com", True),
        ("https://Console.example.com:443/", "https://console.example.com", True),
        ("https://console.example.com", "https://evil.console.example.com", False),
        ("https://console.example.com", "http://console.example.com", False),
        ("https://console.example.com", "https://testserver", False),
        ("https://console.example.com:8443", "https://console.example.com:8443", True),
        ("https://console.example.com:8443", "https://console.example.com", False),
    ],
)
def test_answers_come_from_the_consoles_own_origin(request_, ada, settings, public_url, origin, accepted):
    settings.PUBLIC_URL, settings.PUBLIC_HOST = public_url, "console.example.com" if public_url else ""
    device = Device(origin)
    if accepted:
        assert add(request_, ada, device)
        assert use(request_, device).user == ada
    else:
        refuse(lambda: add(request_, ada, device))


def test_plain_http_is_for_this_machine_alone(rf, ada):
    local = rf.get("/", headers={"Host": "localhost:8000"})
    assert passkeys.is_own_origin(local, "http://localhost:8000")
    assert not passkeys.is_own_origin(local, "http://localhost:8001")
    assert not passkeys.is_own_origin(rf.get("/", headers={"Host": "192.168.1.2"}), "http://192.168.1.2")


def test_a_passkey_whose_counter_does_not_grow_is_a_copy(request_, ada):
    device = Device(count=7)
    add(request_, ada, device)
    assert use(request_, device)
    device.count -= 1
    assert "may have been copied" in refuse(lambda: use(request_, device))
    device.count = 0
    assert "may have been copied" in refuse(lambda: use(request_, device))
    device.count = 100
    assert use(request_, device)


def test_a_passkey_is_added_once_and_there_is_a_most(request_, ada, monkeypatch):
    device = Device()
    add(request_, ada, device)
    assert "already here" in refuse(lambda: add(request_, ada, device))
    monkeypatch.setattr(passkeys, "MOST_PASSKEYS", 2)
    add(request_, ada, Device())
    assert "which is the most" in refuse(lambda: add(request_, ada, Device()))
    assert Authenticator.objects.count() == 2


def mutate(answer, draw):
    """Return the answer with one of its parts replaced, cut or turned."""
    parts = json.loads(answer)
    place = draw.choice([parts, parts["response"]])
    name = draw.choice(list(place))
    value = place[name]
    strange = [None, 7, [], {}, "", "A", "é", "[" * 3000, {"a": {}}, value, [value]]
    if isinstance(value, str) and value and draw.random() < 0.7:
        at = draw.randrange(len(value))
        place[name] = value[:at] + draw.choice(["", "A", "_", "=", "AAAA"]) + value[at + draw.randrange(3) :]
    else:
        place[name] = draw.choice(strange)
    if draw.random() < 0.1:
        del place[name]
    return json.dumps(parts)


def test_a_changed_answer_is_refused_with_a_sentence_whatever_was_changed(request_, ada):
    draw, device = random.Random(15), Device()  # noqa: S311
    add(request_, ada, device)
    begun, adding = passkeys.begin_use(request_, "sign in"), passkeys.begin_adding(request_, ada)
    answer = device.use(begun["options"])
    unsigned = {"id", "type", "clientExtensionResults"}
    for text in ["", "null", "[]", "7", '"a"', "{", "[" * 5000, "{}", '{"response": {}}', "9" * 5000]:
        refuse(lambda: passkeys.finish_use(request_, "sign in", begun["token"], text))  # noqa: B023
        refuse(lambda: passkeys.finish_adding(request_, ada, "x", adding["token"], text))  # noqa: B023
    for _ in range(400):
        changed = mutate(answer, draw)
        try:
            found = passkeys.finish_use(request_, "sign in", begun["token"], changed)
        except PasskeyRefused:
            continue
        assert find_differences(json.loads(changed), json.loads(answer)) <= unsigned, changed
        found.data["challenges"] = {}
        found.save()


def test_a_changed_new_passkey_is_refused_with_a_sentence_or_is_ones_own(request_, ada):
    draw = random.Random(16)  # noqa: S311
    adding = passkeys.begin_adding(request_, ada)
    answer = Device().create(adding["options"])
    for _ in range(400):
        try:
            passkeys.finish_adding(request_, ada, "x", adding["token"], mutate(answer, draw)).delete()
        except PasskeyRefused:
            continue


def find_differences(changed, whole):
    """Return the names whose decoded values differ."""
    from fido2.utils import websafe_decode

    def read(value):
        try:
            return websafe_decode(value)
        except (TypeError, ValueError, AttributeError):
            return value

    pairs = [(changed, whole), (changed.get("response", {}), whole["response"])]
    names = {name for one, two in pairs for name in {*one, *two} if name != "response"}
    return {name for name in names if any(read(one.get(name)) != read(two.get(name)) for one, two in pairs)}
