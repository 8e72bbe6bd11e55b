"""Certificates of this machine: an authority that livekit-sip trusts, and servers that it should trust or not."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scripts.daemon import LOOPBACK


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def new_issuer(name: str) -> Issuer:
    """An authority of its own."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string(f"CN={name}")
    return Issuer(subject, key, _signed(subject, key, subject, key, 30, ca=True))


def write_authority(issuer: Issuer, folder: Path) -> None:
    """A folder for SSL_CERT_DIR."""
    folder.mkdir()
    (folder / "authority.pem").write_bytes(_pem(issuer.certificate))


def write_server(issuer: Issuer, file: Path, days: int = 30) -> Path:
    """Key and certificate of a server on this machine in one file; with negative days it is over."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=server")
    certificate = _signed(subject, key, issuer.name, issuer.key, days)
    plain = serialization.NoEncryption()
    written = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(written + _pem(certificate))
    return file


def _signed(  # noqa: PLR0913  # subject and issuer, each a name and a key
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    by: ec.EllipticCurvePrivateKey,
    days: int,
    *,
    ca: bool = False,
) -> x509.Certificate:
    at = datetime.now(UTC)
    made = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(at - timedelta(days=60)).not_valid_after(at + timedelta(days=days))
    made = made.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))])
    return made.add_extension(names, critical=False).sign(by, hashes.SHA256())
