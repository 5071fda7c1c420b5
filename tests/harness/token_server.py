"""A token endpoint for a real Distribution registry. It signs tokens that state what each account may do.

The form is Distribution's `docs/content/spec/auth/{token,jwt}.md`.
"""

import base64
import contextlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

ISSUER, SERVICE = "tests", "tests' registry"


@dataclass(frozen=True)
class Account:
    password: str
    actions: frozenset[str]  # in every repository


@dataclass
class TokenServer:
    folder: Path
    port: int
    accounts: dict[str, Account]
    address: str = "127.0.0.1"
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def __post_init__(self) -> None:
        self.certificate = sign_own(self.key)
        self.bundle = self.folder / "issuer.pem"
        self.bundle.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    @property
    def config(self) -> dict[str, str]:
        """Return the registry's `auth.token`."""
        realm = f"http://{self.address}:{self.port}/token"
        return {"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(self.bundle)}

    def find_account(self, authorization: str) -> Account | None:
        """Return the account, or None if the credentials are wrong. Without credentials, the account may do nothing."""
        if not authorization:
            return Account("", frozenset())
        name, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        account = self.accounts.get(name)
        return account if account and account.password == password else None

    def make_token(self, account: Account, scopes: list[str]) -> str:
        """Make a token for those actions of `scopes`, such as `repository:team/app:pull,push`, that the account may do."""
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": sorted(account.actions & set(actions.split(",")))})
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": "tests", "aud": SERVICE, "jti": secrets.token_hex(8), "access": access}
        return self.sign({**claims, "iat": now, "nbf": now - 60, "exp": now + 300})

    def sign(self, claims: dict[str, Any]) -> str:
        certificate = base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()
        parts = [{"typ": "JWT", "alg": "RS256", "x5c": [certificate]}, claims]
        text = ".".join(encode_base64url(json.dumps(part).encode()) for part in parts)
        return f"{text}.{encode_base64url(self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def encode_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def sign_own(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256())


@contextlib.contextmanager
def run_token_server(folder: Path, accounts: dict[str, Account], address: str = "127.0.0.1") -> Iterator[TokenServer]:
    """Run a token server. `run_registry(folder, token=server.config)` runs a registry that trusts it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            account = tokens.find_account(self.headers.get("Authorization", ""))
            scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
            answer = {"token": tokens.make_token(account, scopes)} if account else {"details": "incorrect password"}
            body = json.dumps(answer).encode()
            self.send_response(200 if account else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    tokens = TokenServer(folder, server.server_address[1], accounts, address)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield tokens
    finally:
        server.shutdown()
        server.server_close()
