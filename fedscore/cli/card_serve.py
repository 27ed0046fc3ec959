"""`fedscore card serve`: online scoring over gRPC."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedscore.cli.card_options import CardFile, RoleOption, SignerOption
from fedscore.contract import Role
from fedscore.errors import NodeConfigError

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("serve")(_serve)


def _serve(  # noqa: PLR0913 - each is an option of the command
    card: CardFile,
    *,
    role: RoleOption = Role.PLATFORM,
    listen: Annotated[
        str, typer.Option(help="Where calls are answered.", metavar="HOST:PORT")
    ] = "127.0.0.1:50051",
    certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", help="The server's certificate, PEM.", metavar="FILE")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--tls-key", help="Its private key, PEM.", metavar="FILE")
    ] = None,
    client_authority: Annotated[
        Path | None,
        typer.Option(
            "--client-ca",
            help="Answer only clients with a certificate of this authority, PEM.",
            metavar="FILE",
        ),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Where Prometheus reads.", metavar="HOST:PORT", show_default="nowhere")
    ] = None,
    reasons: Annotated[int, typer.Option(help="Reasons told unless asked otherwise.", min=0, max=20)] = 4,
    language: Annotated[str, typer.Option(help="Of the reasons unless asked otherwise.")] = "en",
    signer: SignerOption = None,
    share_port: Annotated[
        bool,
        typer.Option(
            "--share-port",
            help="Listen beside other processes that say so too: one for each core, or a successor.",
        ),
    ] = False,
    unsafe_without_tls: Annotated[
        bool, typer.Option("--unsafe-without-tls", help="Let records and metrics cross a network in clear.")
    ] = False,
) -> None:
    """Score records over gRPC: fedscore/serving/score.proto, with health and reflection.

    SIGTERM and Ctrl-C answer the calls in flight, then end it; SIGHUP takes a changed card, if it is signed
    as the first one was.
    """
    if (certificate is None) != (key is None) or (client_authority is not None and certificate is None):
        raise NodeConfigError("--tls-certificate and --tls-key belong together, and --client-ca to both")
    # Other commands do not pay for these.
    import asyncio  # noqa: PLC0415
    import logging  # noqa: PLC0415

    from fedscore.serving.certificates import TlsFiles  # noqa: PLC0415
    from fedscore.serving.server import ServingTerms, serve  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    tls = None
    if certificate is not None and key is not None:
        tls = TlsFiles(certificate=certificate, key=key, client_authority=client_authority)
    terms = ServingTerms(
        card=card,
        signer=signer,
        role=role,
        listen=listen,
        tls=tls,
        unsafe_without_tls=unsafe_without_tls,
        share_port=share_port,
        metrics=metrics,
        reasons=reasons,
        language=language,
    )
    asyncio.run(serve(terms, ready=lambda place: typer.echo(f"scoring on {place}")))
