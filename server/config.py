"""`server.toml`: where the server finds the contract and the ceremony's record, and keeps results."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Annotated

from pydantic import Field

from fedscore.configuration import ExistingFile, FuturePath, load_configuration
from fedscore.contract.values import Term

__all__ = ["ServerConfig", "load_server_config"]


class ServerConfig(Term):
    """What the operator decides. There is no key in it: a server holds none."""

    contract: ExistingFile
    """The contract that all organisations accepted."""

    ceremony: ExistingFile
    """The record of the key ceremony: the public key, and who sits on the committee."""

    state: FuturePath
    """The folder where results and the transcript are kept, over all runs; made when it is missing."""

    join_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 300.0
    """How long to wait for all parties, and the committee's other members, to be connected, in seconds."""

    answer_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 600.0
    """How long to wait for the answers of one phase, in seconds."""


def load_server_config(path: str | PathLike[str]) -> ServerConfig:
    """Read a `server.toml`; relative paths in it start from its own folder.

    Raises:
        NodeConfigError: It cannot be read, or has mistakes: all are listed with their lines.
    """
    return load_configuration(Path(path), ServerConfig)
