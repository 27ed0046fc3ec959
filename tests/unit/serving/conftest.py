"""One service in a real process over TLS, and what it takes to call it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from benchmarks.invented_card import invented_card, write_signed
from benchmarks.scoring_service import ScoringService, free_port
from fedscore.card import Card
from fedscore.contract import Contract, parse_contract
from fedscore.serving.score_pb2_grpc import ScoringStub
from fedscore.tls import Authority, ServerKey, pem
from tests.scoring_calls import CONTRACT, Certificates, Served


@pytest.fixture(scope="session")
def contract() -> Contract:
    """Numbers with codes, a category, derived characteristics and interactions."""
    return parse_contract(CONTRACT)


@pytest.fixture(scope="session")
def card(contract: Contract) -> Card:
    """The card that is served."""
    return invented_card(contract, seed=1)


@pytest.fixture(scope="session")
def other_card(contract: Contract) -> Card:
    """Another card over the same grid."""
    return invented_card(contract, seed=2)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, a server, another authority, and a client of that."""
    folder = tmp_path_factory.mktemp("tls")
    authority, key = Authority.generate("an authority"), ServerKey.generate()
    authority.write(folder / "authority.crt", folder / "authority.key")
    (folder / "server.crt").write_bytes(pem(authority.certify(key, ["localhost", "127.0.0.1"])))
    key.write(folder / "server.key")
    _write_client(folder)
    return Certificates(
        authority=folder / "authority.crt",
        certificate=folder / "server.crt",
        key=folder / "server.key",
        client_authority=folder / "clients.crt",
        client_certificate=folder / "client.crt",
        client_key=folder / "client.key",
    )


def _write_client(folder: Path) -> None:
    authority_key, client_key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    now = dt.datetime.now(dt.UTC)

    def certificate(name: str, key: ec.EllipticCurvePrivateKey, *, is_authority: bool) -> bytes:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clients")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .sign(authority_key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )

    (folder / "clients.crt").write_bytes(certificate("clients", authority_key, is_authority=True))
    (folder / "client.crt").write_bytes(certificate("a platform", client_key, is_authority=False))
    (folder / "client.key").write_bytes(
        client_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


@pytest.fixture(scope="session")
def served(
    card: Card, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The service that most tests call; they leave it as it is."""
    folder = tmp_path_factory.mktemp("served")
    port = free_port()
    service = ScoringService(
        write_signed(card, folder),
        folder / "log",
        options=(*certificates.options, "--metrics", f"127.0.0.1:{port}"),
    )
    with service, grpc.secure_channel(service.address, certificates.credentials()) as channel:
        yield Served(service=service, channel=channel, stub=ScoringStub(channel), metrics_port=port)


@pytest.fixture
def make_service(card: Card, tmp_path: Path) -> Callable[..., ScoringService]:
    """Makes a service of one's own, in clear unless `options` say otherwise; it is not started."""
    path = write_signed(card, tmp_path)

    def make(*options: str) -> ScoringService:
        return ScoringService(path, tmp_path / "log", options=options)

    return make
