"""`server.toml`: where the operator's server finds the contract and the public key, and keeps results."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from fedscore.configuration import ExistingFile, FuturePath, load_configuration
from fedscore.contract.values import Term
from privacy.paillier.shares import MAXIMUM_MEMBERS

__all__ = ["CommitteeSize", "ServerConfig", "load_server_config"]


class CommitteeSize(Term):
    """How many organisations hold a share of the private key, and how many of them open a sum."""

    members: Annotated[int, Field(strict=True, ge=1, le=MAXIMUM_MEMBERS)]
    """How many hold a share, as the key ceremony dealt them."""

    threshold: Annotated[int, Field(strict=True, ge=1, le=MAXIMUM_MEMBERS)]
    """How many of them open a sum together, as the key ceremony dealt them."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.threshold > self.members:
            raise ValueError("threshold is larger than members: take both from the key ceremony's record")
        return self


class ServerConfig(Term):
    """What the operator decides. There is no key in it: a server holds none."""

    contract: ExistingFile
    """The contract that all organisations accepted."""

    public_key: ExistingFile
    """The consortium's public key, under which sums are added and openings checked."""

    committee: CommitteeSize
    """The size of the committee."""

    state: FuturePath
    """The folder where results are written; made when it is missing."""

    join_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 300.0
    """How long to wait for all organisations of the roster to be connected, in seconds."""

    answer_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 600.0
    """How long to wait for the answers of one phase, in seconds."""


def load_server_config(path: str | PathLike[str]) -> ServerConfig:
    """Read a `server.toml`; relative paths in it start from its own folder.

    Raises:
        NodeConfigError: It cannot be read, or has mistakes: all are listed with their lines.
    """
    return load_configuration(Path(path), ServerConfig)
