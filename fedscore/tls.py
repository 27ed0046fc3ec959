"""Certificates of a consortium's server, and the keys by which it knows its nodes.

The operator has an authority of its own: nodes trust its certificate and no other, so a server's certificate
can be renewed without touching a node. The authority signs servers alone, and nothing below them.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fedscore.errors import NodeConfigError
from fedscore.files import write_new

__all__ = [
    "AUTHORITY_LIFE",
    "EXPIRES_SOON",
    "SERVER_LIFE",
    "Authority",
    "ServerKey",
    "days_left",
    "hosts_of",
    "is_host",
    "pem",
    "read_certificate",
    "require_current",
    "require_pair",
    "write_node_key",
]

AUTHORITY_LIFE = dt.timedelta(days=3650)
"""How long an authority is good for: ten years."""

SERVER_LIFE = dt.timedelta(days=398)
"""How long a server's certificate is good for: what public authorities may give at most."""

EXPIRES_SOON = dt.timedelta(days=30)
"""From when on people are told that a certificate will expire."""

_CLOCK_SKEW = dt.timedelta(minutes=5)
_HOST = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\Z"
)


@dataclass(frozen=True, slots=True)
class ServerKey:
    """The private key of a server; its text is shown nowhere."""

    _key: ec.EllipticCurvePrivateKey

    @classmethod
    def generate(cls) -> Self:
        """A fresh key on P-384."""
        return cls(ec.generate_private_key(ec.SECP384R1()))

    @classmethod
    def read(cls, file: Path) -> Self:
        """Reads a key.

        Raises:
            NodeConfigError: There is none in the file.
        """
        return cls(_read_key(file))

    def write(self, file: Path) -> None:
        """Writes the key into a new file that its owner alone may read."""
        _write_key(file, self._key)

    @property
    def public(self) -> ec.EllipticCurvePublicKey:
        """What a certificate is about."""
        return self._key.public_key()


class Authority:
    """Signs the certificates of servers.

    Attributes:
        certificate: What nodes trust.
    """

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def generate(
        cls, name: str, *, valid: dt.timedelta = AUTHORITY_LIFE, now: dt.datetime | None = None
    ) -> Self:
        """A new authority, whose certificate it signs itself.

        Args:
            name: What certificates call it.
            valid: How long it is good.
            now: The time, UTC; the machine's if left out.
        """
        key = ec.generate_private_key(ec.SECP384R1())
        subject = _named(name)
        usage = _usage(signs_certificates=True)
        builder = (
            _dated(_certificate(subject, subject, key.public_key()), valid, now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(builder.sign(key, hashes.SHA384()), key)

    @classmethod
    def read(cls, certificate: Path, key: Path) -> Self:
        """Reads an authority.

        Raises:
            NodeConfigError: A file cannot be read, or the two do not belong together.
        """
        found = cls(read_certificate(certificate), _read_key(key))
        if found._key.public_key() != found.certificate.public_key():
            raise NodeConfigError(
                f"{key} is not the key of {certificate}: put back the two files that were made together"
            )
        return found

    def write(self, certificate: Path, key: Path) -> None:
        """Writes it into two new files, the key for its owner alone."""
        write_new(certificate, pem(self.certificate), mode=0o644)
        _write_key(key, self._key)

    def certify(
        self,
        key: ServerKey,
        hosts: Sequence[str],
        *,
        valid: dt.timedelta = SERVER_LIFE,
        now: dt.datetime | None = None,
    ) -> x509.Certificate:
        """Signs a server's certificate, which never outlives the authority's own.

        Args:
            key: The server's.
            hosts: DNS names and IP addresses by which it is reached; the first one names it.
            valid: How long it is good from now on; below 0, it has expired already.
            now: The time, UTC; the machine's if left out.

        Raises:
            NodeConfigError: A name is none, or the authority itself has expired.
        """
        names = [_general(host) for host in hosts]
        now = now or dt.datetime.now(dt.UTC)
        left = self.certificate.not_valid_after_utc - now
        if left <= dt.timedelta():
            raise NodeConfigError(
                f"the authority expired on {self.certificate.not_valid_after_utc:%Y-%m-%d}, so it signs "
                "nothing more: make a new one with `fedscore server init` in a new folder, and give its "
                "authority.crt to all organisations"
            )
        authority_key = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        return (
            _dated(
                _certificate(_named(hosts[0][:64]), self.certificate.subject, key.public),
                min(valid, left),
                now,
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_key), critical=False
            )
            .sign(self._key, hashes.SHA384())
        )


def is_host(text: str) -> bool:
    """Whether a certificate can be made for this: a DNS name of ASCII letters, or an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _HOST.match(text) is not None
    return True


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as files hold it."""
    return certificate.public_bytes(Encoding.PEM)


def read_certificate(file: Path) -> x509.Certificate:
    """Reads a certificate.

    Raises:
        NodeConfigError: There is none in the file.
    """
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError) as error:
        raise NodeConfigError(
            f"{file} is no certificate that can be read ({type(error).__name__}): fetch it anew from the "
            "operator, in PEM"
        ) from None


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names and addresses that a server's certificate is for."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple(str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress))


def days_left(certificate: x509.Certificate, *, now: dt.datetime | None = None) -> int:
    """Whole days for which a certificate is still good; negative once it has expired."""
    return (certificate.not_valid_after_utc - (now or dt.datetime.now(dt.UTC))).days


def require_current(
    certificate: x509.Certificate, *, file: Path, remedy: str, now: dt.datetime | None = None
) -> str | None:
    """Refuses a certificate that is not good now, and says when it soon will not be.

    Args:
        certificate: The certificate.
        file: Where it stands.
        remedy: What to do about it, as "run `fedscore server renew`".
        now: The time, UTC; the machine's if left out.

    Returns:
        A warning in one sentence if it expires within 30 days; else none.

    Raises:
        NodeConfigError: It has expired, or is not good yet.
    """
    now = now or dt.datetime.now(dt.UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now >= ends:
        raise NodeConfigError(f"{file} expired on {ends:%Y-%m-%d}, so nobody can connect with it: {remedy}")
    if now < begins:
        raise NodeConfigError(
            f"{file} is good from {begins:%Y-%m-%d %H:%M} UTC on, and this machine's clock says "
            f"{now:%Y-%m-%d %H:%M}: set the clock"
        )
    if ends - now > EXPIRES_SOON:
        return None
    return f"{file} expires on {ends:%Y-%m-%d}, in {(ends - now).days} days: {remedy}"


def require_pair(*, authority: Path, certificate: Path, key: Path) -> None:
    """Refuses a server's certificate that its authority did not sign, or that is about another key.

    Raises:
        NodeConfigError: They do not belong together, or one cannot be read.
    """
    issued, issuer = read_certificate(certificate), read_certificate(authority)
    try:
        issued.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        raise NodeConfigError(
            f"{certificate} is not signed by {authority}, so no node would trust it: run `fedscore server "
            "renew`, or name the authority that signed it"
        ) from None
    if issued.public_key() != ServerKey.read(key).public:
        raise NodeConfigError(
            f"{key} is not the key of {certificate}: put it back, or run `fedscore server renew`, which "
            "makes a certificate for the key that is there"
        )


def write_node_key(private: Path, public: Path) -> None:
    """Makes the key pair by which a SuperLink knows a SuperNode, as `ssh-keygen -t ecdsa -b 384` would.

    Args:
        private: A new file for the private key, which its owner alone may read.
        public: A new file for the public key.
    """
    key = ec.generate_private_key(ec.SECP384R1())
    write_new(private, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), mode=0o600)
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    write_new(public, line + b"\n", mode=0o644)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(host: str) -> x509.GeneralName:
    if not is_host(host):
        raise NodeConfigError(
            f"{host!r} is neither a DNS name nor an IP address: give it as in score.example.org or 192.0.2.7"
        )
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _certificate(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
    )


def _dated(
    builder: x509.CertificateBuilder, valid: dt.timedelta, now: dt.datetime | None
) -> x509.CertificateBuilder:
    now = now or dt.datetime.now(dt.UTC)
    return builder.not_valid_before(min(now, now + valid) - _CLOCK_SKEW).not_valid_after(now + valid)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    # Flower takes no other form of the server's key than this one.
    text = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    write_new(file, text, mode=0o600)


def _read_key(file: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise NodeConfigError(
            f"{file} is no private key that can be read ({type(error).__name__}): put back the file that "
            "`fedscore server init` made"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise NodeConfigError(f"{file} is not an ECDSA key: use one that `fedscore server init` made")
    return key
