"""Certificates and node keys: who trusts them, until when, and what is refused."""

from __future__ import annotations

import datetime as dt
import shutil
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
    load_ssh_public_key,
)

from fedscore.errors import NodeConfigError
from fedscore.tls import (
    Authority,
    ServerKey,
    days_left,
    hosts_of,
    is_host,
    pem,
    read_certificate,
    require_current,
    require_pair,
    write_node_key,
)

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
HOSTS = ["score.example.org", "192.0.2.7", "2001:db8::1", "localhost"]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.generate("an authority")


@pytest.fixture(scope="module")
def key() -> ServerKey:
    return ServerKey.generate()


def handshake(folder: Path, name: str) -> str:
    """What a client that trusts the folder's authority alone says of its server; empty if it is content."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.crt", folder / "server.key")
    client = ssl.create_default_context(cafile=str(folder / "authority.crt"))
    # The strictest reading of RFC 5280 that Python has.
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(5):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as refused:
                return refused.verify_message
    return ""


def write(folder: Path, authority: Authority, key: ServerKey, certificate: x509.Certificate) -> None:
    authority.write(folder / "authority.crt", folder / "authority.key")
    key.write(folder / "server.key")
    (folder / "server.crt").write_bytes(pem(certificate))


@pytest.mark.parametrize("name", HOSTS)
def test_whoever_trusts_the_authority_trusts_the_server_under_all_its_names(
    tmp_path: Path, authority: Authority, key: ServerKey, name: str
) -> None:
    write(tmp_path, authority, key, authority.certify(key, HOSTS))
    assert handshake(tmp_path, name) == ""
    assert "mismatch" in handshake(tmp_path, "example.org")


def test_nobody_trusts_a_server_of_another_authority_or_an_expired_one(
    tmp_path: Path, authority: Authority, key: ServerKey
) -> None:
    write(tmp_path, authority, key, Authority.generate("an authority").certify(key, HOSTS))
    assert handshake(tmp_path, "localhost") != ""
    (tmp_path / "server.crt").write_bytes(pem(authority.certify(key, HOSTS, valid=-DAY)))
    assert "expired" in handshake(tmp_path, "localhost")


def test_the_authority_signs_servers_and_no_further_authority(authority: Authority, key: ServerKey) -> None:
    basic = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    issued = authority.certify(key, HOSTS).extensions
    assert not issued.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = issued.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_cert_sign) == (True, False)


def test_lives(authority: Authority, key: ServerKey) -> None:
    assert days_left(authority.certificate) == 3649
    assert days_left(authority.certify(key, HOSTS)) == 397


def test_a_certificate_never_outlives_its_authority(key: ServerKey) -> None:
    short = Authority.generate("short", valid=10 * DAY)
    assert short.certify(key, HOSTS).not_valid_after_utc == short.certificate.not_valid_after_utc


def test_an_expired_authority_signs_nothing(key: ServerKey) -> None:
    expired = Authority.generate("old", valid=-DAY)
    with pytest.raises(NodeConfigError, match=r"authority expired on \d{4}-.*in a new folder"):
        expired.certify(key, HOSTS)


@pytest.mark.parametrize(
    "name", ["", "a b", "-x", "x-", "a..b", "ex*mple", "exämple", "a\n", "x" * 64, "a_b"]
)
def test_what_is_no_host_gets_no_certificate(authority: Authority, key: ServerKey, name: str) -> None:
    assert not is_host(name)
    with pytest.raises(NodeConfigError, match="neither a DNS name nor an IP address"):
        authority.certify(key, [name])


@pytest.mark.parametrize("name", [*HOSTS, "a", "x1.y2", "10.0.0.1", "::1"])
def test_hosts_are_in_the_certificate_as_they_were_given(
    authority: Authority, key: ServerKey, name: str
) -> None:
    assert is_host(name)
    assert hosts_of(authority.certify(key, [name, "localhost"])) == (name, "localhost")


def test_an_authority_is_read_back_and_signs_for_the_same_nodes(
    tmp_path: Path, authority: Authority, key: ServerKey
) -> None:
    write(tmp_path, authority, key, authority.certify(key, HOSTS))
    again = Authority.read(tmp_path / "authority.crt", tmp_path / "authority.key")
    (tmp_path / "server.crt").write_bytes(
        pem(again.certify(ServerKey.read(tmp_path / "server.key"), ["other.example.org"]))
    )
    assert handshake(tmp_path, "other.example.org") == ""


def test_an_authority_with_another_key_is_refused(
    tmp_path: Path, authority: Authority, key: ServerKey
) -> None:
    write(tmp_path, authority, key, authority.certify(key, HOSTS))
    with pytest.raises(NodeConfigError, match="is not the key of"):
        Authority.read(tmp_path / "authority.crt", tmp_path / "server.key")


def test_secrets_are_their_owners_and_are_never_overwritten(
    tmp_path: Path, authority: Authority, key: ServerKey
) -> None:
    write(tmp_path, authority, key, authority.certify(key, HOSTS))
    write_node_key(tmp_path / "node.key", tmp_path / "node.pub")
    for name in ("authority.key", "server.key", "node.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        authority.write(tmp_path / "authority.crt", tmp_path / "authority.key")
    with pytest.raises(FileExistsError):
        write_node_key(tmp_path / "node.key", tmp_path / "node.pub")
    assert "BEGIN" not in repr(key)


def test_what_does_not_belong_together_is_named(tmp_path: Path, authority: Authority, key: ServerKey) -> None:
    write(tmp_path, authority, key, authority.certify(key, HOSTS))
    files = {
        "authority": tmp_path / "authority.crt",
        "certificate": tmp_path / "server.crt",
        "key": tmp_path / "server.key",
    }
    require_pair(**files)
    with pytest.raises(NodeConfigError, match=r"authority\.key is not the key of .*server renew"):
        require_pair(**{**files, "key": tmp_path / "authority.key"})
    stranger = Authority.generate("an authority")
    (tmp_path / "stranger.crt").write_bytes(pem(stranger.certificate))
    with pytest.raises(NodeConfigError, match=r"server\.crt is not signed by .*stranger\.crt.*server renew"):
        require_pair(**{**files, "authority": tmp_path / "stranger.crt"})


def test_files_that_are_no_certificate_or_key_are_named(tmp_path: Path) -> None:
    nothing, junk, other = tmp_path / "nothing", tmp_path / "junk", tmp_path / "other.key"
    junk.write_bytes(b"junk")
    other.write_bytes(
        ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    for file in (nothing, junk):
        with pytest.raises(NodeConfigError, match="is no certificate that can be read"):
            read_certificate(file)
        with pytest.raises(NodeConfigError, match="is no private key that can be read"):
            ServerKey.read(file)
    with pytest.raises(NodeConfigError, match="is not an ECDSA key"):
        ServerKey.read(other)


@pytest.mark.parametrize(
    ("left", "warned"),
    [(31 * DAY, False), (30 * DAY - dt.timedelta(hours=1), True), (dt.timedelta(hours=1), True)],
)
def test_people_are_warned_for_thirty_days(
    authority: Authority, key: ServerKey, left: dt.timedelta, *, warned: bool
) -> None:
    certificate = authority.certify(key, HOSTS, valid=left, now=NOW)
    warning = require_current(certificate, file=Path("server.crt"), remedy="renew it", now=NOW)
    assert (warning is not None) is warned
    if warning is not None:
        assert warning.startswith("server.crt expires on ")
        assert warning.endswith(f"in {left.days} days: renew it")


def test_a_certificate_that_is_not_good_now_is_refused_with_the_next_step(
    authority: Authority, key: ServerKey
) -> None:
    certificate = authority.certify(key, HOSTS, valid=DAY, now=NOW)
    ends = certificate.not_valid_after_utc
    with pytest.raises(NodeConfigError, match=rf"server\.crt expired on {ends:%Y-%m-%d}.*: renew it"):
        require_current(certificate, file=Path("server.crt"), remedy="renew it", now=ends)
    with pytest.raises(NodeConfigError, match="set the clock"):
        require_current(certificate, file=Path("server.crt"), remedy="renew it", now=NOW - DAY)
    assert days_left(certificate, now=ends + dt.timedelta(seconds=1)) == -1


def test_a_node_key_is_what_ssh_keygen_would_have_made(tmp_path: Path) -> None:
    write_node_key(tmp_path / "node.key", tmp_path / "node.pub")
    key = load_ssh_private_key((tmp_path / "node.key").read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp384r1"
    assert load_ssh_public_key((tmp_path / "node.pub").read_bytes()) == key.public_key()
    program = shutil.which("ssh-keygen")
    if program is not None:
        derived = subprocess.run(
            [program, "-y", "-f", tmp_path / "node.key"], capture_output=True, check=True
        ).stdout
        assert derived.split()[:2] == (tmp_path / "node.pub").read_bytes().split()[:2]
