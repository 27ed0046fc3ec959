"""The server's life: listen, answer, take another card, send callers away, stop."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import start_http_server

from fedscore.card.signing import expected_key, read_card
from fedscore.contract import Role
from fedscore.errors import CardError, NodeConfigError
from fedscore.serving.certificates import TlsFiles
from fedscore.serving.desk import Desk
from fedscore.serving.metrics import Metrics
from fedscore.serving.service import SERVICE, Service

__all__ = ["ServingTerms", "serve"]

_MOST_BYTES = 4 * 2**20
"""Of a request: what gRPC allows unless told otherwise."""

_MOST_CALLS = 1000
"""In flight at once; further ones are refused with RESOURCE_EXHAUSTED."""

_GRACE_SECONDS = 10.0
"""How long calls in flight may take when the process ends."""

_TURN_SECONDS = 0.0005
"""A batch's thread lets single calls have their turn so often; Python's usual 5 ms are ten single calls."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingTerms:
    """What is served, where, and how.

    Attributes:
        card: The card file; read again on SIGHUP.
        signer: Who must have signed it; see `fedscore.card.signing.read_card`. Whoever is found at the start
            must have signed later cards as well.
        role: Whose records are scored.
        listen: HOST:PORT.
        tls: The certificate; none only on loopback, or where `unsafe_without_tls` says so.
        unsafe_without_tls: Whether records, and metrics, may cross a network in clear.
        share_port: Whether other processes that say so too may listen on the same port.
        metrics: HOST:PORT of the page that Prometheus reads; none for no page.
        reasons: How many are told unless asked otherwise.
        language: Of the reasons unless asked otherwise.
    """

    card: Path
    signer: str | None
    role: Role
    listen: str
    tls: TlsFiles | None = None
    unsafe_without_tls: bool = False
    share_port: bool = False
    metrics: str | None = None
    reasons: int = 4
    language: str = "en"


async def serve(terms: ServingTerms, *, ready: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT; calls in flight are answered before it returns.

    Args:
        terms: What is served.
        ready: Is told HOST:PORT as soon as calls are answered.

    Raises:
        CardError: The card is refused.
        NodeConfigError: An address is refused or taken, or a file of TLS cannot be used.
    """
    host, _ = _host_and_port(terms.listen)
    _require_apart_from_networks(terms)
    key = expected_key(terms.card, terms.signer)
    metrics = Metrics()
    desk = _desk(terms, key, metrics)
    service = Service(desk, metrics)
    metrics.serves(desk.card, desk.fingerprint)
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", _MOST_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", int(terms.share_port)),
        ],
        maximum_concurrent_rpcs=_MOST_CALLS,
    )
    server.add_generic_rpc_handlers((service.handlers(),))
    healthy = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    port = _listen(server, terms)
    stop = _signals(_Reloading(terms, key, service, metrics))
    close_page = _metrics_page(terms, metrics)
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        await server.start()
        for name in ("", SERVICE):
            await healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
        ready(f"{host}:{port}")
        await stop.wait()
    finally:
        # Whoever watches health goes elsewhere from now on; calls in flight are answered.
        await healthy.enter_graceful_shutdown()
        await service.quieten()
        await server.stop(_GRACE_SECONDS)
        close_page()


def _desk(terms: ServingTerms, key: str, metrics: Metrics) -> Desk:
    card = read_card(terms.card, signer=key)
    return Desk(card, metrics, role=terms.role, reasons=terms.reasons, language=terms.language)


class _Reloading:
    """Takes a changed card; one that is refused leaves everything as it was."""

    def __init__(self, terms: ServingTerms, key: str, service: Service, metrics: Metrics) -> None:
        self._terms = terms
        self._key = key
        self._service = service
        self._metrics = metrics
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        task = asyncio.get_running_loop().create_task(self._reload())
        # Nobody else holds it.
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _reload(self) -> None:
        async with self._turn:
            try:
                desk = await asyncio.to_thread(_desk, self._terms, self._key, self._metrics)
            except CardError as refused:
                logger.error("the card is not changed: %s", refused)  # noqa: TRY400 - the sentence is all there is to it
                return
            self._service.desk = desk
            self._metrics.serves(desk.card, desk.fingerprint)
            logger.info("serving card %s", desk.fingerprint)


def _signals(reloading: _Reloading) -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reloading.begin)
    return stop


def _listen(server: grpc.aio.Server, terms: ServingTerms) -> int:
    try:
        port: int = (
            server.add_insecure_port(terms.listen)
            if terms.tls is None
            else server.add_secure_port(terms.listen, terms.tls.credentials())
        )
    except RuntimeError:
        raise NodeConfigError(
            f"{terms.listen} cannot be listened on: another process has it, or the address is not this "
            "machine's; name another one, or let all processes have --share-port"
        ) from None
    return port


def _metrics_page(terms: ServingTerms, metrics: Metrics) -> Callable[[], None]:
    """Opens the page; returns what closes it."""
    if terms.metrics is None:
        return lambda: None
    host, port = _host_and_port(terms.metrics)
    try:
        page, thread = start_http_server(port, addr=host.strip("[]"), registry=metrics.registry)
    except OSError as error:
        raise NodeConfigError(
            f"{terms.metrics} cannot be listened on ({error.strerror}): name another place for the metrics"
        ) from None

    def close() -> None:
        page.shutdown()
        page.server_close()
        thread.join()

    return close


def _require_apart_from_networks(terms: ServingTerms) -> None:
    if terms.unsafe_without_tls:
        return
    if terms.tls is None and not _is_loopback(terms.listen):
        raise NodeConfigError(
            f"{terms.listen} can be reached from elsewhere, and what customers are like would cross the "
            "network in clear: give --tls-certificate and --tls-key, or listen on 127.0.0.1"
        )
    if terms.metrics is not None and not _is_loopback(terms.metrics):
        raise NodeConfigError(
            f"{terms.metrics} is not on the loopback interface, and metrics are shown in clear to whoever "
            "asks: show them on 127.0.0.1, and let an agent of your monitoring read them there"
        )


def _is_loopback(place: str) -> bool:
    host, _ = _host_and_port(place)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _host_and_port(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise NodeConfigError(f"{place} is no HOST:PORT: write it as 127.0.0.1:50051")
    return host, int(port)
