"""An issuer of identity tokens for tests: real keys, a discovery document, and tokens as the hosts of build jobs make them."""

import http.server
import json
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from functools import cache
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "http://testserver"
JOB_SECRET, TOKEN_PATH = "of the job alone", "/token"  # noqa: S105 - of tests
ISSUER = "https://token.actions.githubusercontent.com"
MAKERS = {
    "RS256": (lambda: rsa.generate_private_key(65537, 2048), RSAAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
}


@cache
def make_private_key(algorithm="RS256", number=1):
    """Return the same key for the same arguments: to make one takes a while."""
    return MAKERS[algorithm][0]()


def describe_key(key_id, algorithm="RS256", number=1):
    """Return the public key as a key set has it."""
    described = MAKERS[algorithm][1].to_jwk(make_private_key(algorithm, number).public_key(), as_dict=True)
    return {**described, "kid": key_id, "alg": algorithm, "use": "sig"}


def make_claims(**changes):
    """Return the claims of a job on GitHub. A change to None leaves a claim out."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": str(uuid.uuid4()),
        "repository": "team/app",
        "ref": "refs/heads/main",
        "sha": "0123456789abcdef0123456789abcdef01234567",
        "run_id": "4711",
        "actor": "ann",
        "event_name": "push",
    }
    return {name: value for name, value in (claims | changes).items() if value is not None}


def make_token(key_id="rsa-1", algorithm="RS256", number=1, headers=None, **changes):
    key = make_private_key(algorithm, number)
    return jwt.encode(make_claims(**changes), key, algorithm, headers={"kid": key_id, **(headers or {})})


class LocalIssuer:
    """An issuer on the loopback. `keys` is what it publishes; `asked` counts requests for it. While `is_away`, it fails; while
    `answers` is cleared, it hangs. To a job that sends JOB_SECRET it hands out tokens, as GitHub does: `claims` and `signed_by`
    are those of the next one."""

    def __init__(self):
        self.keys = [describe_key("rsa-1"), describe_key("ec-1", "ES256")]
        self.address = ""  # from when it is served
        self.asked, self.is_away, self.claimed = 0, False, None
        self.claims, self.signed_by = {}, {"key_id": "rsa-1"}
        self.answers = threading.Event()
        self.answers.set()

    def answer(self, path):
        self.asked += 1
        self.answers.wait(30)
        if self.is_away:
            return 500, {}
        if path.endswith("/.well-known/openid-configuration"):
            return 200, {"issuer": self.claimed or self.address, "jwks_uri": f"{self.address}/keys"}
        return (200, {"keys": self.keys}) if path.endswith("/keys") else (404, {})

    def hand_out(self, path, authorization):
        audience = parse_qs(urlsplit(path).query).get("audience", [""])[0]
        if authorization != f"Bearer {JOB_SECRET}":
            return 401, {}
        token = make_token(**self.signed_by, **{"iss": self.address, "aud": audience} | self.claims)
        return 200, {"count": 1, "value": token}


@contextmanager
def serve_issuer():
    issuer = LocalIssuer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.startswith(TOKEN_PATH):
                status, document = issuer.hand_out(self.path, self.headers.get("Authorization"))
            else:
                status, document = issuer.answer(self.path)
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # of a reader that has given up
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    issuer.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.answers.set()
        server.shutdown()
        server.server_close()
        thread.join()
