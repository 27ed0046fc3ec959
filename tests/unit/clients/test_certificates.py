"""A SuperLink that is not who it should be is refused before a node connects, with words that help."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients.certificates import require_trusted
from fedscore.errors import NodeConfigError
from simulations.loopback.certificates import write_tls
from simulations.loopback.processes import free_ports

Serve = Callable[[Path, Path], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts something that shows a certificate, and returns its port."""
    with contextlib.ExitStack() as stack:

        def start(certificate: Path, key: Path) -> int:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def answer() -> None:
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    with connection, context.wrap_socket(connection, server_side=True):
                        pass

            thread = threading.Thread(target=answer)
            thread.start()
            stack.callback(thread.join, 5)
            port: int = listener.getsockname()[1]
            return port

        yield start


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_good_certificate_is_trusted(tmp_path: Path, serve: Serve) -> None:
    authority, certificate, key = write_tls(tmp_path)

    require_trusted(f"localhost:{serve(certificate, key)}", authority)


def test_an_expired_certificate_is_refused_with_the_next_step(tmp_path: Path, serve: Serve) -> None:
    authority, certificate, key = write_tls(tmp_path, valid=-dt.timedelta(minutes=1))
    superlink = f"localhost:{serve(certificate, key)}"

    with pytest.raises(NodeConfigError) as refused:
        require_trusted(superlink, authority)

    assert str(refused.value) == (
        f"the certificate of {superlink} is refused (certificate has expired): ask the operator to renew it, "
        "and to send its authority's again if that has expired"
    )


def test_a_certificate_of_another_authority_is_refused(tmp_path: Path, serve: Serve) -> None:
    _, certificate, key = write_tls(folder(tmp_path / "one"))
    authority, _, _ = write_tls(folder(tmp_path / "other"))

    with pytest.raises(
        NodeConfigError, match=r"is refused \(.*\): it is not the one that ca\.crt vouches for"
    ):
        require_trusted(f"localhost:{serve(certificate, key)}", authority)


def test_a_certificate_of_another_name_is_refused(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate, key = write_tls(tmp_path)
    port = serve(certificate, key)
    connect = socket.create_connection
    monkeypatch.setattr(
        socket, "create_connection", lambda _, timeout: connect(("127.0.0.1", port), timeout=timeout)
    )

    with pytest.raises(NodeConfigError, match=r"Hostname mismatch.*correct superlink in node\.toml"):
        require_trusted("consortium.example:443", authority)


def test_a_superlink_that_does_not_answer_is_left_to_flower(tmp_path: Path) -> None:
    authority, _, _ = write_tls(tmp_path)

    require_trusted(f"localhost:{free_ports(1)[0]}", authority)


def test_a_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("none")

    with pytest.raises(NodeConfigError, match=r"ca\.crt holds no certificate: put the operator's authority"):
        require_trusted("localhost:1", tmp_path / "ca.crt")
