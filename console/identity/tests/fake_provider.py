"""An identity provider in memory, at the level of HTTP: real keys and real tokens, without a network."""

import base64
import hashlib
import json
import time
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from requests.structures import CaseInsensitiveDict

from clusters.registry.errors import RegistryError
from clusters.registry.transport import Answer

ISSUER = "https://id.example.com/realms/main"
CLIENT, SECRET = "windlass", "the client's secret: ü"
PRIVATE_KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)


def write_jwk(key: rsa.RSAPrivateKey, key_id: str = "one") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {**found, "kid": key_id, "use": "sig", "alg": "RS256"}


class FakeProvider:
    """`person` are the claims of whoever signs in next. Tests change the rest to make it behave badly."""

    def __init__(self) -> None:
        self.person: dict[str, Any] = {"sub": "4711", "preferred_username": "grace", "groups": []}
        self.document: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "userinfo_endpoint": f"{ISSUER}/userinfo",
            "jwks_uri": f"{ISSUER}/keys",
        }
        self.keys: list[dict[str, Any]] = [write_jwk(PRIVATE_KEY)]
        self.signing_key: Any = PRIVATE_KEY
        self.header: dict[str, Any] = {"kid": "one"}
        self.algorithm = "RS256"
        self.own: dict[str, Any] = {}  # claims of the ID token besides the usual; None leaves one out
        self.userinfo: dict[str, Any] | None = None  # None: those of the person
        self.secret = SECRET
        self.failure: RegistryError | None = None
        self.token_error = ""
        self.decode = unquote_plus  # as the specification says; not all do
        self.requests: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}

    def visit(self, way: str) -> dict[str, str]:
        """Sign the person in at the address `way`, and return the query of the redirect."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(way).query).items()}
        assert way.startswith(f"{ISSUER}/authorize?")
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = f"code-{len(self._codes)}"
        self._codes[code] = query
        return {"code": code, "state": query["state"]}

    def send(self, method: str, url: str, headers: Any, deadline: float, form: Any = None) -> Answer:
        """Answer as RegistryTransport.send does."""
        assert 0 < deadline - time.monotonic() <= 5
        self.requests.append(f"{method} {url}")
        if self.failure:
            raise self.failure
        path = url.removeprefix(ISSUER)
        answers = {
            "/.well-known/openid-configuration": lambda: (200, self.document),
            "/keys": lambda: (200, {"keys": self.keys}),
            "/token": lambda: self._exchange(headers, form),
            "/userinfo": lambda: (200, self.person if self.userinfo is None else self.userinfo),
        }
        status, body = answers[path]() if path in answers else (404, {})
        return Answer(status, CaseInsensitiveDict(), json.dumps(body).encode(), url)

    def close(self) -> None:
        pass

    def _exchange(self, headers: Any, form: Any) -> tuple[int, dict[str, Any]]:
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        if "Authorization" in headers:
            pair = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode().partition(":")
            name, secret = (self.decode(pair[0]), self.decode(pair[2]))
        if (name, secret) != (CLIENT, self.secret):
            return 401, {"error": "invalid_client"}
        asked = self._codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if self.token_error or asked is None or challenge != asked["code_challenge"]:
            return 400, {"error": self.token_error or "invalid_grant"}
        assert form["redirect_uri"] == asked["redirect_uri"]
        return 200, {"access_token": "at", "token_type": "Bearer", "id_token": self.write_token(asked["nonce"])}

    def write_token(self, nonce: str) -> str:
        now = int(time.time())
        usual = {"iss": ISSUER, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce, "sub": self.person["sub"]}
        claims = {name: value for name, value in {**usual, **self.own}.items() if value is not None}
        return jwt.encode(claims, self.signing_key, algorithm=self.algorithm, headers=self.header)
