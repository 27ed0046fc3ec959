"""Evidence: an append-only record that proves itself, line by line, to whoever has its signer's public key.

Every line is one entry in canonical JSON (keys sorted, no blanks, ASCII) with the hash of the line before it
and an Ed25519 signature over all of it. So an entry cannot be changed, left out, added or moved without the
signing key, and a single flipped byte is found and its line is named. Lines cut off at the end leave a record
that holds; and whoever *has* the key can write another history. Only a hash that somebody else kept tells:
give the newest one away from time to time.

This module knows bytes, not files: `clients.evidence_file` appends and syncs.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fedscore.errors import EvidenceDamaged, SignatureRefused
from privacy.identities import verify_signature

__all__ = ["BEGINNING", "EVIDENCE_DOMAIN", "Entry", "Signer", "read_entry", "read_evidence", "write_entry"]

BEGINNING = "0" * 64
"""Stands for the hash of the line before the first."""

EVIDENCE_DOMAIN = b"fedscore evidence 1"
"""Tells an entry's signature from every other that an organisation makes."""

MAXIMUM_LINE = 1 << 20
"""Longest line, in bytes."""

_FIELDS = frozenset({"body", "kind", "previous", "sequence", "signature", "time"})
_KIND = re.compile(r"[a-z][a-z-]{0,39}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")


class Signer(Protocol):
    """Signs as one organisation."""

    def sign(self, domain: bytes, message: bytes) -> bytes:
        """Returns an Ed25519 signature, 64 bytes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line.

    Attributes:
        sequence: Its number, from 0.
        time: When it was written by its writer's clock, UTC, as 2026-01-31T23:59:59Z; never before the line
            before.
        kind: What happened: lower-case letters and hyphens.
        body: The particulars: JSON without floats, so that it has one form.
        previous: Hash of the line before.
        hash: Hash of this line.
        length: Bytes of this line, with its line break.
    """

    sequence: int
    time: str
    kind: str
    body: Mapping[str, object]
    previous: str
    hash: str
    length: int


def write_entry(
    *, after: Entry | None, time: str, kind: str, body: Mapping[str, object], signer: Signer
) -> tuple[Entry, bytes]:
    """Writes one line.

    Args:
        after: The entry before; None for the first.
        time: UTC, as in `Entry`.
        kind: As in `Entry`.
        body: As in `Entry`.
        signer: Signs it.

    Returns:
        The entry, and its line with the line break.

    Raises:
        EvidenceDamaged: It could not be read back: a float, a kind or a time of another form, or too long.
    """
    fields: dict[str, Any] = {
        "body": body,
        "kind": kind,
        "previous": after.hash if after is not None else BEGINNING,
        "sequence": after.sequence + 1 if after is not None else 0,
        "time": time,
    }
    try:
        signature = signer.sign(EVIDENCE_DOMAIN, _canonical(fields))
    except (ValueError, TypeError, RecursionError):
        raise _formless(kind) from None
    line = _canonical({**fields, "signature": signature.hex()})
    parsed = _parsed(line)
    if parsed is None or parsed["body"] != body:
        raise _formless(kind)
    return _written(fields, line), line + b"\n"


def read_evidence(data: bytes, *, signing_key: bytes, after: Entry | None = None) -> Iterator[Entry]:
    """Reads all lines, checking each before it is yielded.

    Args:
        data: The whole record, or what follows `after`.
        signing_key: The signer's public key, 32 bytes.
        after: The entry before, if it was read earlier.

    Raises:
        EvidenceDamaged: A line is not what its signer wrote there; names the first such line.
    """
    start = 0
    while start < len(data):
        number = after.sequence + 1 if after is not None else 0
        end = data.find(b"\n", start)
        if end < 0:
            raise EvidenceDamaged(
                f"line {number + 1} has no end: the lines before it hold, and what follows is damaged or was "
                "never finished"
            )
        entry = read_entry(data[start:end], after=after, signing_key=signing_key)
        if entry is None:
            raise EvidenceDamaged(
                f"line {number + 1} is not what its signer wrote there: the lines before it hold, and from "
                "it on nothing is proven"
            )
        yield entry
        after, start = entry, end + 1


def read_entry(line: bytes, *, after: Entry | None, signing_key: bytes) -> Entry | None:
    """Reads one line.

    Args:
        line: Without its line break.
        after: The entry before; None for the first.
        signing_key: The signer's public key, 32 bytes.

    Returns:
        The entry, or None if it is not what its signer wrote after that entry.
    """
    place = (after.sequence + 1, after.hash) if after is not None else (0, BEGINNING)
    fields = _parsed(line)
    if fields is None or (fields["sequence"], fields["previous"]) != place:
        return None
    if after is not None and fields["time"] < after.time:
        return None
    signature = bytes.fromhex(fields.pop("signature"))
    try:
        verify_signature(signing_key, EVIDENCE_DOMAIN, _canonical(fields), signature)
    except SignatureRefused:
        return None
    return _written(fields, line)


def _written(fields: dict[str, Any], line: bytes) -> Entry:
    return Entry(**fields, hash=hashlib.sha256(line).hexdigest(), length=len(line) + 1)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The fields of a line in canonical form, or None."""
    if len(line) > MAXIMUM_LINE:
        return None
    try:
        fields = json.loads(line, parse_float=_refuse, parse_constant=_refuse)
        sound = (
            isinstance(fields, dict)
            and fields.keys() == _FIELDS
            and isinstance(fields["body"], dict)
            and type(fields["sequence"]) is int
            and _KIND.fullmatch(fields["kind"])
            and _is_time(fields["time"])
            and _SIGNATURE.fullmatch(fields["signature"])
            and _canonical(fields) == line
        )
    except (ValueError, TypeError, RecursionError):
        return None
    return fields if sound else None


def _is_time(text: str) -> bool:
    return _TIME.fullmatch(text) is not None and dt.datetime.fromisoformat(text).tzinfo is not None


def _canonical(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _formless(kind: str) -> EvidenceDamaged:
    return EvidenceDamaged(f"an entry of kind {kind!r} has no canonical form: nothing was written")


def _refuse(_text: str) -> object:
    raise ValueError
