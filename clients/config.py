"""`node.toml`: where an organisation's node finds its contract, its keys and its data."""

from __future__ import annotations

import datetime as dt
import re
from os import PathLike
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from clients.connection_words import connection_problem
from fedscore.configuration import ExistingFile, ExistingFolder, FuturePath, load_configuration
from fedscore.contract import Role
from fedscore.contract.values import Identifier, Term, Text

__all__ = ["Connection", "DataSource", "NodeConfig", "load_node_config"]


_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+):([0-9]{1,5})")


def _address(text: str) -> str:
    parts = _ADDRESS.fullmatch(text)
    if parts is None or not 1 <= int(parts[2]) <= 65535:
        raise ValueError("HOST:PORT, as score.example.org:443 or [2001:db8::1]:443")
    return text


Address = Annotated[str, AfterValidator(_address)]
"""HOST:PORT."""


def _connection_words(words: str) -> str:
    problem = connection_problem(words)
    if problem is not None:
        raise ValueError(problem)
    return words


class DataSource(Term):
    """Where the rows come from: `table`, or `tables` with `as_of`, or a query with `database`."""

    table: ExistingFile | None = None
    """A Parquet or CSV file that has one row per account already."""

    tables: ExistingFolder | None = None
    """The folder of the organisation's operational tables, from which rows are made."""

    as_of: dt.date | None = None
    """The date as of which rows are made: characteristics from before it, the outcome from after it."""

    query: Text | None = None
    """A SELECT that gives one row per account, run by PostgreSQL, read-only."""

    query_file: ExistingFile | None = None
    """A file with that SELECT, in UTF-8."""

    database: Annotated[str, AfterValidator(_connection_words)] = ""
    """How libpq connects, as "service=scoring"; no passwords, which stand in libpq's own files. Left out, the
    environment says all."""

    withdrawals: ExistingFile | None = None
    """A CSV file of the people who withdrew their consent: their keys, and the dates from which it counts."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        given = [self.table, self.tables, self.query, self.query_file]
        if sum(one is not None for one in given) != 1:
            raise ValueError(
                "the data are either table, a ready file, or tables, a folder, or a SELECT as query or "
                "query_file: give exactly one"
            )
        if self.database and self.query is None and self.query_file is None:
            raise ValueError("database belongs to query or query_file: give both or none")
        if (self.tables is None) != (self.as_of is None):
            raise ValueError("as_of, a date such as 2025-06-30, belongs to tables: give both or none")
        return self


class Connection(Term):
    """How the node reaches the operator's SuperLink."""

    superlink: Address
    """HOST:PORT of the operator's SuperLink, or of the proxy before it."""

    authority: ExistingFile
    """The certificate of the authority that signed the SuperLink's."""

    key: ExistingFile
    """This node's private key, whose public part the operator has registered."""

    listen: Address | None = None
    """HOST:PORT where the node's own processes meet; for several nodes on one machine."""

    trusted_entities: ExistingFile | None = None
    """Public keys in YAML, as Flower takes them: it refuses a bundle that none of them signed, before the
    policy's `bundles` are looked at."""


class NodeConfig(Term):
    """What a node's owner decides."""

    party: Identifier
    """The organisation's name, as on the contract's roster, or as in the ceremony's record if it audits."""

    role: Role | None = None
    """The organisation's role, as on the contract's roster; an auditor, who has no rows, leaves it out."""

    contract: ExistingFile
    """The contract that the organisation accepted."""

    card: ExistingFile | None = None
    """The finished card, if the contract watches one: the operator's `card.json`."""

    ceremony: ExistingFile
    """The record of the key ceremony: the public key, and who sits on the committee."""

    identity: ExistingFile
    """The organisation's own secret key for signatures; its public part is on the contract's roster."""

    key_share: ExistingFile | None = None
    """This node's share of the private key, if it sits on the committee."""

    state: FuturePath
    """A folder of the node's own, where it remembers what it answered; made when it is missing."""

    policy: ExistingFile
    """What the data's owner allows: `policy.toml`."""

    ledger: FuturePath
    """The folder of the evidence and of the ledger of what was spent: the same one in every node.toml whose
    rows come from the same source."""

    data: DataSource | None = None
    """Where the rows come from; an auditor has none."""

    connection: Connection | None = None
    """How to reach the operator; `fedscore node start` needs it."""

    @model_validator(mode="after")
    def _party_or_auditor(self) -> Self:
        if (self.role is None) != (self.data is None):
            raise ValueError("role and [data] belong together: a party gives both, an auditor neither")
        if self.role is None and self.key_share is None:
            raise ValueError("a node without rows and without a key_share has nothing to do: give one")
        if self.state.resolve() == self.ledger.resolve():
            raise ValueError("state and ledger are one folder: give each its own")
        return self


def load_node_config(path: str | PathLike[str]) -> NodeConfig:
    """Read a `node.toml`; relative paths in it start from its own folder.

    Raises:
        NodeConfigError: It cannot be read, or has mistakes: all are listed with their lines.
    """
    return load_configuration(Path(path), NodeConfig)
