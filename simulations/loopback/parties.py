"""The folders of a loopback federation: what each organisation and the operator would hold."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from clients.memory import FileMemory
from fedscore.contract import Contract, Party
from fedscore.sums.series import KeySeries
from privacy.identities import Identity
from privacy.paillier.ceremony import Ceremony
from privacy.paillier.record import CeremonyRecord, seal_share, unseal_share
from simulations.keys import record_of
from simulations.loopback.certificates import write_node_key, write_private
from simulations.synthetic import SyntheticConsortium, SyntheticParty

__all__ = ["Agreed", "PartyFolder", "agree", "as_toml", "write_operator", "write_parties"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


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
        sealed: Each member's share, sealed to it.
    """

    contract: Contract
    record: CeremonyRecord
    identities: Mapping[str, Identity]
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
        sealed={record.members[share.index - 1].name: seal_share(record, share) for share in dealt.shares},
    )


def write_parties(out: Path, *, consortium: SyntheticConsortium, agreed: Agreed) -> list[PartyFolder]:
    """Write a folder for each organisation: tables, contract, keys, `node.toml`."""
    return [_write_party(out / party.name, party, consortium.as_of, agreed) for party in consortium.parties]


def _write_party(folder: Path, party: SyntheticParty, as_of: dt.date, agreed: Agreed) -> PartyFolder:
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
        "data": {"tables": "tables", "as_of": as_of},
    }
    if party.name in agreed.sealed:
        share = unseal_share(agreed.record, identity, agreed.sealed[party.name])
        write_private(folder / "key_share.json", share.to_json().encode())
        config["key_share"] = "key_share.json"
    FileMemory.create(folder / "state", KeySeries.of(agreed.record), abstains="key_share" not in config)
    _write_agreed(folder, agreed)
    (folder / "node.toml").write_text(as_toml(config), encoding="utf-8")
    private_key, public_key = write_node_key(folder)
    return PartyFolder(
        name=party.name,
        folder=folder,
        config=folder / "node.toml",
        private_key=private_key,
        public_key=public_key,
    )


def write_operator(out: Path, *, agreed: Agreed, answer_seconds: float = 300.0) -> Path:
    """Write the operator's folder, with everything but a key, and return its `server.toml`."""
    folder = out / "operator"
    folder.mkdir()
    _write_agreed(folder, agreed)
    config = {
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
