"""A certificate authority of the tests, and the certificates it signs for an engine and its clients."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clusters.engine.connection.endpoint import EngineEndpoint


@dataclass(frozen=True)
class Signed:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def make_authority(name: str) -> Signed:
    return sign(name, None)


def sign(name: str, authority: Signed | None, host: str = "") -> Signed:
    """Create a certificate of 127.0.0.1 and `host` for servers and clients, or without an authority a new authority's own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.certificate.subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
    )
    if authority:
        places: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        places += [x509.DNSName(host)] if host else []
        builder = builder.add_extension(x509.SubjectAlternativeName(places), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return Signed(builder.sign(authority.key if authority else key, hashes.SHA256()), key)


def make_endpoint(port: int, trusted: Signed, authority: Signed) -> EngineEndpoint:
    """Return an endpoint whose client trusts engines of `trusted` and presents a certificate of `authority`."""
    client = sign("console", authority)
    return EngineEndpoint(f"tcp://127.0.0.1:{port}", trusted.certificate_pem, client.certificate_pem, client.key_pem)
