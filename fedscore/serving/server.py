"""The server's life: listen, answer, take another card, drain, stop."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import start_http_server

from fedscore.card.signing import read_card
from fedscore.contract import Role
from fedscore.errors import CardError, NodeConfigError
from fedscore.serving import score_pb2
from fedscore.serving.metrics import Metrics
from fedscore.serving.score_pb2_grpc import add_ScoringServicer_to_server
from fedscore.serving.service import Desk, Service

__all__ = ["ServingTerms", "TlsFiles", "serve"]

SERVICE = score_pb2.DESCRIPTOR.services_by_name["Scoring"].full_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The server's certificate, and whose clients it answers.

    Attributes:
        certificate: PEM, with what is needed to reach an authority.
        key: PEM, the private key.
        client_authority: PEM; only clients with a certificate of this authority are answered, if it is given.
    """

    certificate: Path
    key: Path
    client_authority: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingTerms:
    """What is served, where, and how.

    Attributes:
        card: The card file; read again on SIGHUP.
        signer: Who must have signed it; see `fedscore.card.signing.read_card`.
        role: Whose records are scored.
        listen: HOST:PORT.
        tls: The certificate; none only on loopback, or where `unsafe_without_tls` says so.
        unsafe_without_tls: Whether records may cross a network in clear.
        metrics: HOST:PORT of the page that Prometheus reads; none for no page.
        reasons: How many are told unless asked otherwise.
        language: Of the reasons unless asked otherwise.
        grace_seconds: How long calls in flight may take after the signal to stop.
        most_bytes: Of one message.
        most_calls: In flight at once; further ones are refused with RESOURCE_EXHAUSTED.
    """

    card: Path
    signer: str | None
    role: Role
    listen: str
    tls: TlsFiles | None = None
    unsafe_without_tls: bool = False
    metrics: str | None = None
    reasons: int = 4
    language: str = "en"
    grace_seconds: float = 10.0
    most_bytes: int = 16 * 2**20
    most_calls: int = 1000


async def serve(terms: ServingTerms, *, ready: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT; calls in flight are answered before it returns.

    Args:
        terms: What is served.
        ready: Is told HOST:PORT as soon as calls are answered.

    Raises:
        CardError: The card is refused.
        NodeConfigError: The address is refused or taken, or a file of TLS cannot be used.
    """
    host, _ = _host_and_port(terms.listen)
    if terms.tls is None and not terms.unsafe_without_tls and not _is_loopback(host):
        raise NodeConfigError(
            f"{terms.listen} can be reached from elsewhere, and what customers are like would cross the network "
            "in clear: give --tls-certificate and --tls-key, or listen on 127.0.0.1"
        )
    metrics = Metrics()
    service = Service(_desk(terms), metrics)
    metrics.serves(service.desk.card)
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", terms.most_bytes),
            ("grpc.max_send_message_length", 2 * terms.most_bytes),
        ],
        maximum_concurrent_rpcs=terms.most_calls,
    )
    add_ScoringServicer_to_server(service, server)
    healthy = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    port = _listen(server, terms)
    stop = _signals(terms, service, metrics)
    page = _metrics_page(terms, metrics)
    await server.start()
    try:
        for name in ("", SERVICE):
            await healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
        ready(f"{host}:{port}")
        await stop.wait()
    finally:
        # Whoever asks for health goes elsewhere from now on; calls in flight are answered.
        await healthy.enter_graceful_shutdown()
        await server.stop(terms.grace_seconds)
        page()


def _desk(terms: ServingTerms) -> Desk:
    card = read_card(terms.card, signer=terms.signer)
    return Desk(card, role=terms.role, reasons=terms.reasons, language=terms.language)


def _signals(terms: ServingTerms, service: Service, metrics: Metrics) -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def take_another_card() -> None:
        try:
            service.desk = _desk(terms)
        except CardError as refused:
            logger.error("the card is not changed: %s", refused)  # noqa: TRY400 - the sentence is all there is to it
        else:
            metrics.serves(service.desk.card)
            logger.info("serving card %s", service.desk.fingerprint)

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_signal_handler(signal.SIGHUP, take_another_card)
    return stop


def _listen(server: grpc.aio.Server, terms: ServingTerms) -> int:
    try:
        if terms.tls is None:
            port = server.add_insecure_port(terms.listen)
        else:
            port = server.add_secure_port(terms.listen, _credentials(terms.tls))
    except RuntimeError:
        port = 0
    if not port:
        raise NodeConfigError(
            f"{terms.listen} cannot be listened on: another process has it, the address is not this machine's, "
            "or certificate and key do not belong together"
        )
    return port


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    authority = None if tls.client_authority is None else _read(tls.client_authority)
    return grpc.ssl_server_credentials(
        [(_read(tls.key), _read(tls.certificate))],
        root_certificates=authority,
        require_client_auth=authority is not None,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NodeConfigError(
            f"{path} cannot be read ({error.strerror}): check its path and rights"
        ) from None


def _metrics_page(terms: ServingTerms, metrics: Metrics) -> Callable[[], None]:
    """Opens the page; returns what closes it."""
    if terms.metrics is None:
        return lambda: None
    host, port = _host_and_port(terms.metrics)
    try:
        page, thread = start_http_server(port, addr=host, registry=metrics.registry)
    except OSError as error:
        raise NodeConfigError(
            f"{terms.metrics} cannot be listened on ({error.strerror}): name another place for the metrics"
        ) from None

    def close() -> None:
        page.shutdown()
        page.server_close()
        thread.join()

    return close


def _host_and_port(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise NodeConfigError(f"{place} is no HOST:PORT: write it as 127.0.0.1:50051")
    return host, int(port)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
