"""The folders of a loopback federation: what each organisation and the operator would hold."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from fedscore.contract import Contract
from privacy.paillier.ceremony import Ceremony
from simulations.loopback.certificates import write_node_key, write_private
from simulations.synthetic import SyntheticConsortium

__all__ = ["PartyFolder", "as_toml", "write_operator", "write_parties"]

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


def write_parties(
    out: Path, *, consortium: SyntheticConsortium, contract: Contract, keys: Ceremony
) -> list[PartyFolder]:
    """Write a folder for each organisation: tables, contract, keys, `node.toml`.

    The first organisations get the shares of the private key, one each.
    """
    written = []
    for number, party in enumerate(consortium.parties):
        folder = out / party.name
        folder.mkdir()
        (folder / "tables").mkdir()
        for name, table in party.tables.items():
            pq.write_table(table, folder / "tables" / f"{name}.parquet")
        config: dict[str, object] = {
            "party": party.name,
            "role": party.role.value,
            "contract": "contract.toml",
            "public_key": "public_key.json",
            "state": "state",
            "data": {"tables": "tables", "as_of": consortium.as_of},
        }
        if number < len(keys.shares):
            write_private(folder / "key_share.json", keys.shares[number].to_json().encode())
            config["key_share"] = "key_share.json"
        _write_agreed(folder, contract, keys)
        (folder / "node.toml").write_text(as_toml(config), encoding="utf-8")
        private_key, public_key = write_node_key(folder)
        written.append(
            PartyFolder(
                name=party.name,
                folder=folder,
                config=folder / "node.toml",
                private_key=private_key,
                public_key=public_key,
            )
        )
    return written


def write_operator(out: Path, *, contract: Contract, keys: Ceremony) -> Path:
    """Write the operator's folder, with everything but a key, and return its `server.toml`."""
    folder = out / "operator"
    folder.mkdir()
    _write_agreed(folder, contract, keys)
    config = {
        "contract": "contract.toml",
        "public_key": "public_key.json",
        "state": "state",
        "answer_seconds": 300.0,
        "committee": {"members": keys.shares[0].members, "threshold": keys.shares[0].threshold},
    }
    file = folder / "server.toml"
    file.write_text(as_toml(config), encoding="utf-8")
    return file


def as_toml(table: Mapping[str, object]) -> str:
    """Write a table as TOML, one entry a line; entries that are None are left out."""
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items() if value is not None)


def _write_agreed(folder: Path, contract: Contract, keys: Ceremony) -> None:
    (folder / "contract.toml").write_text(as_toml(contract.model_dump(mode="json")), encoding="utf-8")
    (folder / "public_key.json").write_text(keys.public_key.to_json(), encoding="utf-8")


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
