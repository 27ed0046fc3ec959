"""`server.toml`: where the server finds the contract and the ceremony's record, and keeps results."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from fedscore.configuration import ExistingFile, FuturePath, load_configuration
from fedscore.contract.values import Term
from fedscore.tls import is_host

__all__ = ["Listen", "ServerConfig", "load_server_config"]


def _host(text: str) -> str:
    if not is_host(text):
        raise ValueError("an IP address or a name of this machine; left out, it is the loopback interface")
    return text


class Listen(Term):
    """Where the SuperLink listens, and how it proves to nodes that it is the operator's."""

    host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    """The address to listen on. What else listens there has no accounts, so keep to the loopback interface,
    and let a proxy pass the nodes' paths alone to it."""

    port: Annotated[int, Field(strict=True, ge=1, le=65535)]
    """The port to listen on, for the proxy and for the operator's own commands."""

    certificate: ExistingFile
    """The server's certificate, in PEM; `fedscore server renew` replaces it."""

    key: ExistingFile
    """The certificate's private key, in PEM."""

    authority: ExistingFile
    """The certificate of the authority, in PEM: nodes trust this one. Its key lies beside it."""

    @property
    def authority_key(self) -> Path:
        """The authority's private key; only a renewal needs it."""
        return self.authority.with_suffix(".key")


class ServerConfig(Term):
    """What the operator decides. No key in it opens anything: the server's identity only signs."""

    contract: ExistingFile
    """The contract that all organisations accepted."""

    ceremony: ExistingFile
    """The record of the key ceremony: the public key, and who sits on the committee."""

    identity: ExistingFile
    """The operator's own secret key, with which it signs what it asks; the nodes' policies name its public
    part."""

    card: ExistingFile | None = None
    """The finished card, if the contract watches one."""

    state: FuturePath
    """The folder where results and the transcript are kept, over all runs; made when it is missing."""

    join_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 300.0
    """How long to wait for all parties, and the committee's other members, to be connected, in seconds."""

    answer_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 600.0
    """How long to wait for the answers of one phase, in seconds."""

    listen: Listen | None = None
    """Where the SuperLink listens; `fedscore server start` needs it."""


def load_server_config(path: str | PathLike[str]) -> ServerConfig:
    """Read a `server.toml`; relative paths in it start from its own folder.

    Raises:
        NodeConfigError: It cannot be read, or has mistakes: all are listed with their lines.
    """
    return load_configuration(Path(path), ServerConfig)
