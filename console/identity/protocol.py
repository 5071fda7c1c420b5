"""OpenID Connect as a client: discovery, the way to the provider, the exchange of the code, and the claims.

Authorization code with PKCE (S256), state and nonce; ID tokens are verified whole (`id_tokens.py`), although they come by TLS.
allauth's own client checks no nonce, no issuer of the discovery and no signature, follows any redirect, and keeps a session for
each stranger who begins; so only what follows a sign-in is its work.

Sources: OpenID Connect Core 1.0 and Discovery 1.0; RFC 6749, 7636 (PKCE), 9207 (`iss` in the answer), 9700 (best practice).
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus, urlencode, urlsplit

import structlog

from console.identity.errors import IdentityError
from console.identity.issuers import is_protected
from console.identity.outgoing import OTHERWISE, Claims, name_host, request_json
from console.identity.providers import Provider

log = structlog.get_logger("windlass.identity")

SECONDS = 5.0  # for all requests of one step together
KEEP_SECONDS = 600.0  # the discovery document
KEEP_FAILURE_SECONDS = 10.0
DOCUMENT = "/.well-known/openid-configuration"


@dataclass(frozen=True)
class Configuration:
    """What the provider's discovery document says, as far as it is used: addresses, where it takes the client's secret, and
    whether its answers have `iss`."""

    authorization: str
    token: str
    userinfo: str
    keys: str
    takes_header: bool
    takes_form: bool
    names_itself: bool


class Discoveries:
    """The discovery documents of this process, and for a few seconds that one could not be had. Any thread can use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Configuration | IdentityError]] = {}

    def find(self, issuer: str, deadline: float) -> Configuration:
        with self._lock:
            until, found = self._known.get(issuer, (0.0, None))
        if found is None or until <= time.monotonic():
            try:
                found, keep = discover(issuer, deadline), KEEP_SECONDS
            except IdentityError as error:
                found, keep = error, KEEP_FAILURE_SECONDS
            with self._lock:
                self._known[issuer] = (time.monotonic() + keep, found)
        if isinstance(found, IdentityError):
            raise IdentityError(found.reason, found.sentence)
        return found

    def forget(self) -> None:
        with self._lock:
            self._known.clear()


discoveries = Discoveries()


def discover(issuer: str, deadline: float) -> Configuration:
    """Read the provider's document. It must be about exactly this issuer, and name protected addresses only."""
    status, document = request_json(issuer.rstrip("/") + DOCUMENT, deadline)
    host = name_host(issuer)
    if status != 200 or not document:
        raise IdentityError("bad_answer", f"{host} has no discovery document of OpenID Connect (it answers {status}).")
    if document.get("issuer") != issuer:
        named = str(document.get("issuer", ""))[:200]
        raise IdentityError("issuer", f"{host} calls itself {named!r}, not {issuer!r}. The issuer must be the same text.")
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    addresses = {name: str(document.get(name, "")) for name in (*names, "userinfo_endpoint")}
    for name, address in addresses.items():
        if (address or name in names) and not _is_usable(address):
            raise IdentityError("bad_answer", f"The discovery document of {host} has no usable {name}.")
    methods = document.get("token_endpoint_auth_methods_supported")
    known = methods if isinstance(methods, list) else ["client_secret_basic"]
    return Configuration(
        addresses["authorization_endpoint"],
        addresses["token_endpoint"],
        addresses["userinfo_endpoint"],
        addresses["jwks_uri"],
        "client_secret_basic" in known,
        "client_secret_post" in known,
        document.get("authorization_response_iss_parameter_supported") is True,
    )


def build_way(provider: Provider, redirect_uri: str, attempt: str, nonce: str, verifier: str) -> str:
    """Return the address at the provider to which the browser goes. `attempt` is the protocol's state. Raises IdentityError."""
    configuration = discoveries.find(provider.issuer, time.monotonic() + SECONDS)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": redirect_uri,
        "scope": provider.scopes,
        "state": attempt,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    joint = "&" if urlsplit(configuration.authorization).query else "?"
    return f"{configuration.authorization}{joint}{urlencode(query)}"


def fetch_claims(provider: Provider, answer: Mapping[str, str], redirect_uri: str, nonce: str, verifier: str) -> Claims:
    """Return the claims of whoever signed in: those of the verified ID token, and of the userinfo where the token lacks them.

    `answer` is the query of the provider's redirect, whose state the caller has checked. Raises IdentityError.
    """
    deadline = time.monotonic() + SECONDS
    configuration = discoveries.find(provider.issuer, deadline)
    if (configuration.names_itself or "iss" in answer) and answer.get("iss") != provider.issuer:
        raise IdentityError("issuer", f"The answer is not from {provider.name}. You are not signed in. Begin anew.")
    if answer.get("error"):
        raise explain_refusal(provider, answer)
    if not answer.get("code"):
        raise IdentityError("bad_answer", f"{provider.name} answered without a code. You are not signed in. Begin anew.")
    tokens = exchange_code(provider, configuration, answer["code"], redirect_uri, verifier, deadline)
    from console.identity.id_tokens import verify_id_token  # 8 MB, needed at a sign-in only

    claims = verify_id_token(provider, configuration.keys, str(tokens.get("id_token", "")), nonce, deadline)
    if configuration.userinfo and tokens.get("access_token") and provider.groups_claim not in claims:
        claims = {**fetch_userinfo(provider, configuration, str(tokens["access_token"]), claims["sub"], deadline), **claims}
    return clean_claims(claims, provider)


def clean_claims(claims: Claims, provider: Provider) -> Claims:
    """Return the claims without halves of characters, which no database keeps and no page shows."""
    try:
        found: Claims = json.loads(json.dumps(claims, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError as error:
        raise IdentityError("bad_answer", f"{provider.name} sent claims that cannot be read.") from error
    return found


def explain_refusal(provider: Provider, answer: Mapping[str, str]) -> IdentityError:
    if answer["error"] == "access_denied":
        return IdentityError("denied", f"{provider.name} did not let you in, or you cancelled there. You are not signed in.")
    words = "".join(each for each in answer["error"][:60] if each.isalnum() or each in "_-")
    return IdentityError(
        "provider", f"{provider.name} refused the sign-in: {words}. An administrator can use Test to find out why."
    )


def exchange_code(
    provider: Provider, configuration: Configuration, code: str, redirect_uri: str, verifier: str, deadline: float
) -> Claims:
    """Return the tokens for the code. A provider that refuses the client in a header, which some read in ways of their own, is
    asked once more with its secret in the form."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
    secret = provider.read_secret()
    in_form = {**form, "client_id": provider.client_id} | ({"client_secret": secret} if secret else {})
    pair = f"{quote_plus(provider.client_id)}:{quote_plus(secret)}"
    in_header = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    ways: list[tuple[dict[str, str], dict[str, str]]] = [(in_header, form)] if secret and configuration.takes_header else []
    if configuration.takes_form or not ways:
        ways.append(({}, in_form))
    for headers, fields in ways:
        status, tokens = request_json(configuration.token, deadline, headers, fields)
        error = str(tokens.get("error", ""))[:60]
        is_client_refused = status == 401 or error in {"invalid_client", "unauthorized_client"}
        if not is_client_refused:
            break
    if status == 200 and not error:
        return tokens
    log.warning("an identity provider refused a code", provider=provider.name, status=status, error=error)
    if is_client_refused:
        raise IdentityError(
            "client",
            f"{provider.name} does not accept the console's client ID and secret. An administrator can correct them on the "
            "page Sign-in.",
        )
    if error == "invalid_grant":
        raise IdentityError("grant", "The sign-in took too long, or its answer was used before. Begin anew.")
    raise IdentityError("bad_answer", f"{provider.name} did not finish the sign-in (it answers {status}). {OTHERWISE}")


def fetch_userinfo(provider: Provider, configuration: Configuration, token: str, subject: str, deadline: float) -> Claims:
    """Return the claims of the userinfo endpoint, which must be about the same subject as the ID token."""
    status, claims = request_json(configuration.userinfo, deadline, {"Authorization": f"Bearer {token}"})
    if status != 200:
        raise IdentityError("bad_answer", f"{provider.name} does not tell who you are (it answers {status}). {OTHERWISE}")
    if claims.get("sub") != subject:
        raise IdentityError("token", f"{provider.name} names two different people. You are not signed in. Begin anew.")
    return claims


def _is_usable(address: str) -> bool:
    try:
        return is_protected(address) and "@" not in urlsplit(address).netloc and "#" not in address
    except ValueError:
        return False
