"""`node.toml`: where an organisation's node finds its contract, its keys and its data."""

from __future__ import annotations

import datetime as dt
from os import PathLike
from pathlib import Path
from typing import Self

from pydantic import model_validator

from fedscore.configuration import ExistingFile, ExistingFolder, FuturePath, load_configuration
from fedscore.contract import Role
from fedscore.contract.values import Identifier, Term

__all__ = ["DataSource", "NodeConfig", "load_node_config"]


class DataSource(Term):
    """Where the rows come from: either `table`, or `tables` with `as_of`."""

    table: ExistingFile | None = None
    """A Parquet or CSV file that has one row per account already."""

    tables: ExistingFolder | None = None
    """The folder of the organisation's operational tables, from which rows are made."""

    as_of: dt.date | None = None
    """The date as of which rows are made: characteristics from before it, the outcome from after it."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.table is None) == (self.tables is None):
            raise ValueError("the data are either table, a ready file, or tables, a folder: give exactly one")
        if (self.tables is None) != (self.as_of is None):
            raise ValueError("as_of, a date such as 2025-06-30, belongs to tables: give both or none")
        return self


class NodeConfig(Term):
    """What a node's owner decides."""

    party: Identifier
    """The organisation's name, as on the contract's roster, or as in the ceremony's record if it audits."""

    role: Role | None = None
    """The organisation's role, as on the contract's roster; an auditor, who has no rows, leaves it out."""

    contract: ExistingFile
    """The contract that the organisation accepted."""

    ceremony: ExistingFile
    """The record of the key ceremony: the public key, and who sits on the committee."""

    identity: ExistingFile
    """The organisation's own secret key for signatures; its public part is on the contract's roster."""

    key_share: ExistingFile | None = None
    """This node's share of the private key, if it sits on the committee."""

    state: FuturePath
    """A folder of the node's own, where it remembers what it answered; made when it is missing."""

    data: DataSource | None = None
    """Where the rows come from; an auditor has none."""

    @model_validator(mode="after")
    def _party_or_auditor(self) -> Self:
        if (self.role is None) != (self.data is None):
            raise ValueError("role and [data] belong together: a party gives both, an auditor neither")
        if self.role is None and self.key_share is None:
            raise ValueError("a node without rows and without a key_share has nothing to do: give one")
        return self


def load_node_config(path: str | PathLike[str]) -> NodeConfig:
    """Read a `node.toml`; relative paths in it start from its own folder.

    Raises:
        NodeConfigError: It cannot be read, or has mistakes: all are listed with their lines.
    """
    return load_configuration(Path(path), NodeConfig)
