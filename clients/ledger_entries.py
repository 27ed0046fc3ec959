"""What each kind of entry of a node's evidence must say, and what it adds to the ledger."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from privacy.evidence import Entry
from privacy.ledger import event_of

__all__ = ["MAXIMUM_ROUND", "SCHEMA", "add_entry"]

MAXIMUM_ROUND = (1 << 32) - 1
"""Largest round number, as in messages."""

SCHEMA = """
CREATE TABLE tip (entry TEXT NOT NULL, size INTEGER NOT NULL);
CREATE TABLE entries (sequence INTEGER PRIMARY KEY, hash TEXT NOT NULL);
CREATE TABLE origin (party TEXT NOT NULL, source TEXT NOT NULL, signing_key TEXT NOT NULL);
CREATE TABLE runs (
    position INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, contract TEXT NOT NULL, key TEXT NOT NULL,
    began TEXT NOT NULL, reserved TEXT NOT NULL
);
CREATE TABLE charges (
    key TEXT NOT NULL, round INTEGER NOT NULL, run TEXT NOT NULL REFERENCES runs (run), name TEXT NOT NULL,
    request TEXT NOT NULL, event TEXT NOT NULL, submission TEXT, PRIMARY KEY (key, round)
);
CREATE TABLE openings (
    key TEXT NOT NULL, round INTEGER NOT NULL, run TEXT NOT NULL, request TEXT NOT NULL, cohort TEXT NOT NULL,
    product TEXT NOT NULL, PRIMARY KEY (key, round)
);
CREATE TABLE refusals (time TEXT NOT NULL, phase TEXT NOT NULL, run TEXT NOT NULL, round INTEGER NOT NULL,
    code TEXT NOT NULL);
CREATE TABLE assumed (time TEXT NOT NULL, key TEXT NOT NULL, round INTEGER NOT NULL, events TEXT NOT NULL);
"""
"""The ledger's tables."""

_HASH = re.compile(r"[0-9a-f]{64}")
_RUN = re.compile(r"[0-9a-f]{32}")
_WORD = re.compile(r"[a-z-]{1,40}")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}")

_Body = Mapping[str, Any]


def add_entry(connection: sqlite3.Connection, entry: Entry) -> None:
    """Adds what an entry says.

    Raises:
        KeyError, TypeError, ValueError, AccountingError, sqlite3.IntegrityError: It is no entry of a node's
            evidence, or contradicts one before.
    """
    if (entry.sequence == 0) != (entry.kind == "began"):
        raise ValueError
    _KINDS[entry.kind](connection, entry, entry.body)
    connection.execute("INSERT INTO entries VALUES (?, ?)", (entry.sequence, entry.hash))


def _began(connection: sqlite3.Connection, _entry: Entry, body: _Body) -> None:
    values = (_text(body, "party", _NAME), _text(body, "source", _NAME), _text(body, "signing_key", _HASH))
    connection.execute("INSERT INTO origin VALUES (?, ?, ?)", values)


def _run(connection: sqlite3.Connection, entry: Entry, body: _Body) -> None:
    _text(body, "policy", _HASH)
    values = (
        _text(body, "run", _RUN),
        _text(body, "contract", _HASH),
        _text(body, "key", _HASH),
        entry.time,
        _events(body, "reserved"),
    )
    connection.execute(
        "INSERT INTO runs (run, contract, key, began, reserved) VALUES (?, ?, ?, ?, ?)", values
    )


def _charge(connection: sqlite3.Connection, _entry: Entry, body: _Body) -> None:
    run, key, number = _text(body, "run", _RUN), _text(body, "key", _HASH), _round(body, "round")
    last = connection.execute("SELECT run, key FROM runs ORDER BY position DESC LIMIT 1").fetchone()
    newest = connection.execute("SELECT max(round) FROM charges WHERE key = ?", (key,)).fetchone()[0]
    lost = connection.execute("SELECT max(round) FROM assumed WHERE key = ?", (key,)).fetchone()[0]
    if last != (run, key) or number <= max(newest or 0, lost or 0):
        raise ValueError
    values = (key, number, run, _text(body, "sum", _NAME), _text(body, "request", _HASH))
    connection.execute(
        "INSERT INTO charges (key, round, run, name, request, event) VALUES (?, ?, ?, ?, ?, ?)",
        (*values, _events(body, "event")),
    )


def _release(connection: sqlite3.Connection, _entry: Entry, body: _Body) -> None:
    changed = connection.execute(
        "UPDATE charges SET submission = ? WHERE key = ? AND round = ? AND submission IS NULL",
        (_text(body, "submission", _HASH), _text(body, "key", _HASH), _round(body, "round")),
    ).rowcount
    if changed != 1:
        raise ValueError


def _opening(connection: sqlite3.Connection, _entry: Entry, body: _Body) -> None:
    cohort = body["submissions"]
    if not isinstance(cohort, dict) or not all(map(_HASH.fullmatch, cohort.values())):
        raise ValueError
    values = (
        _text(body, "key", _HASH),
        _round(body, "round"),
        _text(body, "run", _RUN),
        _text(body, "request", _HASH),
        json.dumps(cohort, sort_keys=True),
        _text(body, "product", _HASH),
    )
    connection.execute("INSERT INTO openings VALUES (?, ?, ?, ?, ?, ?)", values)


def _refusal(connection: sqlite3.Connection, entry: Entry, body: _Body) -> None:
    values = (
        entry.time,
        _text(body, "phase", _WORD),
        _text(body, "run", _NAME),
        _round(body, "round"),
        _text(body, "code", _WORD),
    )
    connection.execute("INSERT INTO refusals VALUES (?, ?, ?, ?, ?)", values)


def _restored(connection: sqlite3.Connection, entry: Entry, body: _Body) -> None:
    values = (entry.time, _text(body, "key", _HASH), _round(body, "through_round"))
    connection.execute("INSERT INTO assumed VALUES (?, ?, ?, ?)", (*values, _events(body, "events", least=0)))


def _text(body: _Body, name: str, form: re.Pattern[str]) -> str:
    value = body[name]
    if type(value) is not str or not form.fullmatch(value):
        raise ValueError
    return value


def _round(body: _Body, name: str) -> int:
    value = body[name]
    # A bool is an int to isinstance.
    if type(value) is not int or not 0 <= value <= MAXIMUM_ROUND:
        raise ValueError
    return value


def _events(body: _Body, name: str, *, least: int = 1) -> str:
    events = body[name]
    if type(events) is not list or len(events) < least:
        raise ValueError
    event_of(events)
    # Sorted, as the evidence is: else who wrote the line would differ from who read it.
    return json.dumps(events, sort_keys=True)


_KINDS: Mapping[str, Callable[[sqlite3.Connection, Entry, _Body], None]] = {
    "began": _began,
    "run": _run,
    "charge": _charge,
    "release": _release,
    "opening": _opening,
    "refusal": _refusal,
    "restored": _restored,
}
