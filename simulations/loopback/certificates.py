"""Certificates and node keys for a federation on this machine, valid for a day."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from fedscore.files import write_new

__all__ = ["write_node_key", "write_private", "write_tls"]

_VALID = dt.timedelta(days=1)
_CLOCK_SKEW = dt.timedelta(minutes=5)


def write_tls(folder: Path) -> tuple[Path, Path, Path]:
    """Make an authority and a certificate for localhost that it signed; its own key is kept nowhere.

    Args:
        folder: Where the files go.

    Returns:
        The authority's certificate, the server's certificate, the server's key.
    """
    authority_key, server_key = _key(), _key()
    authority_name = _named("fedscore loopback authority")
    authority = (
        _certificate(authority_name, authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA384())
    )
    addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    server = (
        _certificate(_named("localhost"), authority_name, server_key.public_key())
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA384())
    )
    authority_file, server_file, key_file = folder / "ca.crt", folder / "server.crt", folder / "server.key"
    authority_file.write_bytes(authority.public_bytes(Encoding.PEM))
    server_file.write_bytes(server.public_bytes(Encoding.PEM))
    # Flower takes no other form of the server's key than this one.
    write_private(
        key_file, server_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    return authority_file, server_file, key_file


def write_node_key(folder: Path) -> tuple[Path, Path]:
    """Make the key pair by which a SuperLink knows a SuperNode, as `ssh-keygen -t ecdsa -b 384` would.

    Args:
        folder: Where the files go.

    Returns:
        The private key, the public key.
    """
    key = _key()
    private, public = folder / "node.key", folder / "node.pub"
    write_private(private, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n")
    return private, public


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone can read, from its first byte on."""
    path.unlink(missing_ok=True)
    write_new(path, content, mode=0o600)


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _VALID)
    )
