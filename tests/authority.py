"""Certificates for tests: an authority and what it signs, of any name and time."""

import datetime as dt
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates. `file` is its own, for whoever is to trust it."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def file(self) -> Path:
        return self.folder / "authority.pem"

    def signed(self, *names: str, days: tuple[int, int] = (-1, 1)) -> Path:
        """A file with the key and the certificate of a server, valid between these days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        return _kept(self.folder / f"{names[0]}.pem", _certificate(names, key, self, days), key)

    def self_signed(self, name: str) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        return _kept(self.folder / f"self-{name}.pem", _certificate((name,), key, None, (-1, 1)), key)


def new_authority(folder: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    authority = Authority(folder, key, _certificate(("Authority of the tests",), key, None, (-1, 1), authority=True))
    authority.file.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    return authority


def served_with(file: Path) -> ssl.SSLContext:
    """A server's TLS with a file of `signed`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def _certificate(
    names: tuple[str, ...],
    key: ec.EllipticCurvePrivateKey,
    issuer: Authority | None,
    days: tuple[int, int],
    *,
    authority: bool = False,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * DAY)
        .not_valid_after(now + days[1] * DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([_named(each) for each in names]), critical=False)
    return builder.sign(issuer.key if issuer else key, hashes.SHA256())


def _named(name: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)


def _kept(file: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Path:
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return file
