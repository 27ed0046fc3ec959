"""The folders of a loopback federation: what each organisation and the operator would hold."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from clients.file_books import FileBooks
from clients.memory import FileMemory
from fedscore.contract import Contract, Party
from fedscore.sums.series import KeySeries
from privacy.identities import Identity
from privacy.paillier.ceremony import Ceremony
from privacy.paillier.record import CeremonyRecord, seal_share, unseal_share
from server.bundling import bundle_hash
from simulations.keys import record_of
from simulations.loopback.certificates import write_node_key, write_private
from simulations.synthetic import SyntheticConsortium, SyntheticParty

__all__ = ["Agreed", "MeetingPoint", "PartyFolder", "agree", "as_toml", "write_operator", "write_parties"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_RUNS = 12
"""How many runs an organisation's budget lasts for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingPoint:
    """How the organisations reach the operator.

    Attributes:
        superlink: HOST:PORT of the SuperLink.
        authority: The certificate of the authority that signed its own.
        ports: Where each one's own processes meet, in the order of the organisations.
    """

    superlink: str
    authority: Path
    ports: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyFolder:
    """What one organisation starts its node from.

    Attributes:
        name: The organisation.
        folder: Its own folder; nobody else reads it.
        config: Its `node.toml`.
        private_key: What its SuperNode signs with.
        public_key: What the operator registers it by.
    """

    name: str
    folder: Path
    config: Path
    private_key: Path
    public_key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What the organisations have agreed on before anybody starts.

    Attributes:
        contract: With every party's key, and the hash of the ceremony's record.
        record: The ceremony's.
        identities: The organisations', each in its own hands.
        operator: The operator's, whose asks alone are answered.
        sealed: Each member's share, sealed to it.
    """

    contract: Contract
    record: CeremonyRecord
    identities: Mapping[str, Identity]
    operator: Identity
    sealed: Mapping[str, bytes]


def agree(contract: Contract, *, dealt: Ceremony) -> Agreed:
    """Let every organisation make its identity, and the first ones get the shares of a ceremony."""
    if contract.encryption.committee is None:
        raise ValueError("a loopback federation needs a committee")
    identities = {party.name: Identity.generate(party.name) for party in contract.parties}
    known = {**identities, "dealer": Identity.generate("dealer")}
    record = record_of(contract, dealt, identity_of=known.__getitem__).record
    roster = [
        Party(name=party.name, role=party.role, key=identities[party.name].public.signing_key.hex())
        for party in contract.parties
    ]
    return Agreed(
        contract=contract.with_parties(roster).with_encryption(ceremony=record.hash()),
        record=record,
        identities=identities,
        operator=Identity.generate("operator"),
        sealed={record.members[share.index - 1].name: seal_share(record, share) for share in dealt.shares},
    )


def write_parties(
    out: Path, *, consortium: SyntheticConsortium, agreed: Agreed, meeting: MeetingPoint | None = None
) -> list[PartyFolder]:
    """Write a folder for each organisation: tables, contract, keys, policy, books, `node.toml`.

    Args:
        out: Where the folders go.
        consortium: Who takes part, with their tables.
        agreed: What they agreed on.
        meeting: How they reach the operator; without it, no node can be started.
    """
    return [
        _write_party(out / party.name, party, consortium.as_of, agreed, _connection(meeting, number))
        for number, party in enumerate(consortium.parties)
    ]


def _connection(meeting: MeetingPoint | None, number: int) -> dict[str, str] | None:
    if meeting is None:
        return None
    return {
        "superlink": meeting.superlink,
        "authority": str(meeting.authority),
        "key": "node.key",
        "listen": f"127.0.0.1:{meeting.ports[number]}",
    }


def _write_party(
    folder: Path,
    party: SyntheticParty,
    as_of: dt.date,
    agreed: Agreed,
    connection: Mapping[str, str] | None,
) -> PartyFolder:
    folder.mkdir()
    (folder / "tables").mkdir()
    for name, table in party.tables.items():
        pq.write_table(table, folder / "tables" / f"{name}.parquet")
    identity = agreed.identities[party.name]
    write_private(folder / "identity.json", identity.to_json().encode())
    config: dict[str, object] = {
        "party": party.name,
        "role": party.role.value,
        "contract": "contract.toml",
        "ceremony": "ceremony.json",
        "identity": "identity.json",
        "state": "state",
        "policy": "policy.toml",
        "ledger": "ledger",
        "data": {"tables": "tables", "as_of": as_of},
        "connection": connection,
    }
    if party.name in agreed.sealed:
        share = unseal_share(agreed.record, identity, agreed.sealed[party.name])
        write_private(folder / "key_share.json", share.to_json().encode())
        config["key_share"] = "key_share.json"
    FileMemory.create(folder / "state", KeySeries.of(agreed.record), abstains="key_share" not in config)
    signing_key = identity.public.signing_key
    FileBooks.create(
        folder / "ledger", party=party.name, source="tables", signer=identity, signing_key=signing_key
    )
    _write_agreed(folder, agreed)
    (folder / "policy.toml").write_text(as_toml(_policy(agreed)), encoding="utf-8")
    (folder / "node.toml").write_text(as_toml(config), encoding="utf-8")
    private_key, public_key = write_node_key(folder)
    return PartyFolder(
        name=party.name,
        folder=folder,
        config=folder / "node.toml",
        private_key=private_key,
        public_key=public_key,
    )


def _policy(agreed: Agreed) -> dict[str, object]:
    """What every owner of a loopback federation allows: its contract and bundle, for a dozen runs."""
    privacy = agreed.contract.privacy
    return {
        "source": "tables",
        "operator": agreed.operator.public.signing_key.hex(),
        "contracts": [agreed.contract.hash()],
        "bundles": [bundle_hash()],
        "smallest_cohort": agreed.contract.smallest_cohort,
        "budget": {
            "epsilon": _RUNS * privacy.epsilon,
            "delta": privacy.delta,
            "run_epsilon": privacy.epsilon,
        },
    }


def write_operator(out: Path, *, agreed: Agreed, answer_seconds: float = 300.0) -> Path:
    """Write the operator's folder, with no key that opens anything, and return its `server.toml`."""
    folder = out / "operator"
    folder.mkdir(exist_ok=True)
    _write_agreed(folder, agreed)
    write_private(folder / "identity.json", agreed.operator.to_json().encode())
    config = {
        "identity": "identity.json",
        "contract": "contract.toml",
        "ceremony": "ceremony.json",
        "state": "state",
        "answer_seconds": answer_seconds,
    }
    file = folder / "server.toml"
    file.write_text(as_toml(config), encoding="utf-8")
    return file


def as_toml(table: Mapping[str, object]) -> str:
    """Write a table as TOML, one entry a line; entries that are None are left out."""
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items() if value is not None)


def _write_agreed(folder: Path, agreed: Agreed) -> None:
    text = as_toml(agreed.contract.model_dump(mode="json"))
    (folder / "contract.toml").write_text(text, encoding="utf-8")
    (folder / "ceremony.json").write_text(agreed.record.to_json(), encoding="utf-8")


def _value(value: object) -> str:
    match value:
        case bool():
            text = "true" if value else "false"
        case str():
            text = _quoted(value)
        case int() | float():
            text = repr(value)
        case dt.date():
            text = value.isoformat()
        case Mapping():
            entries = (f"{_key(key)} = {_value(item)}" for key, item in value.items() if item is not None)
            text = "{ " + ", ".join(entries) + " }"
        case Sequence():
            text = "[" + ", ".join(map(_value, value)) + "]"
        case _:
            raise TypeError(f"TOML has no {type(value).__name__}")
    return text


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    # A JSON string is a TOML string, but for the one control character that JSON lets through.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
