"""What the evidence adds up to, in SQLite: quick to ask, and rebuilt from the evidence at any time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from clients.ledger_entries import SCHEMA, add_entry
from fedscore.errors import AccountingError, EvidenceDamaged
from privacy.evidence import Entry
from privacy.ledger import Charge, RunSpending, Spending, event_of

__all__ = ["Begun", "Charged", "LedgerView", "Opened", "Tip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """How far a view has read.

    Attributes:
        entry: The last entry.
        size: Bytes of the evidence up to its end.
    """

    entry: Entry
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """One round that was paid for.

    Attributes:
        run: Its run.
        request: Hash of the request.
        submission: SHA-256 of what was sent; none if nothing was yet.
    """

    run: str
    request: str
    submission: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run that began here.

    Attributes:
        contract: Hash of its contract.
        key: Id of the key under which its rounds are counted.
        time: When, UTC, as 2026-01-31T23:59:59Z.
    """

    contract: str
    key: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """One round that the node helped to open.

    Attributes:
        run: Its run.
        request: Hash of the request.
        submissions: SHA-256 of every party's submission.
        product: SHA-256 of the encrypted sum.
    """

    run: str
    request: str
    submissions: Mapping[str, str]
    product: str


class LedgerView:
    """Runs, charges, openings and refusals of one source of data."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """Opens a view; None if there is none, or it is none that can be read."""
        if not path.exists():
            return None
        connection = sqlite3.connect(path, isolation_level=None)
        view, fresh = cls(connection), cls.empty(None)
        try:
            _set_up(connection)
            sound = view.form() == fresh.form() and view._row("PRAGMA quick_check") == ("ok",)
            view.tip()
        except (sqlite3.Error, ValueError, KeyError, TypeError):
            sound = False
        fresh.close()
        if not sound:
            view.close()
            return None
        return view

    @classmethod
    def empty(cls, path: Path | None) -> Self:
        """A new view; in memory alone without a path."""
        if path is not None:
            path.unlink(missing_ok=True)
            path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
        # Transactions begin where this module says so.
        connection = sqlite3.connect(path if path is not None else ":memory:", isolation_level=None)
        _set_up(connection)
        connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        return cls(connection)

    def close(self) -> None:
        """Lets the file go."""
        self._connection.close()

    def tip(self) -> Tip | None:
        """How far the view has read; None before the first entry."""
        row = self._row("SELECT entry, size FROM tip")
        return Tip(entry=Entry(**json.loads(row[0])), size=row[1]) if row is not None else None

    def apply(self, entries: Iterable[tuple[Entry, int]]) -> None:
        """Adds what entries say, all or nothing.

        Args:
            entries: The next ones, each with the bytes of the evidence up to its end.

        Raises:
            EvidenceDamaged: One is no entry of a node's evidence, or contradicts one before; or a line of the
                evidence is damaged.
        """
        with self._transaction("COMMIT"):
            tip = None
            for entry, size in entries:
                self._add(entry)
                tip = Tip(entry=entry, size=size)
            if tip is not None:
                # Sorted, as the evidence is: else who wrote the line would differ from who read it.
                fields = {name: getattr(tip.entry, name) for name in Entry.__dataclass_fields__}
                self._connection.execute("DELETE FROM tip")
                self._connection.execute(
                    "INSERT INTO tip VALUES (?, ?)", (json.dumps(fields, sort_keys=True), tip.size)
                )

    def rehearse(self, entry: Entry) -> None:
        """Finds out whether an entry could be added, and adds nothing.

        Raises:
            EvidenceDamaged: It could not.
        """
        with self._transaction("ROLLBACK"):
            self._add(entry)

    @contextmanager
    def _transaction(self, end: str) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute(end)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise

    def _add(self, entry: Entry) -> None:
        try:
            add_entry(self._connection, entry)
        except (sqlite3.IntegrityError, AccountingError, KeyError, TypeError, ValueError):
            raise EvidenceDamaged(
                f"line {entry.sequence + 1} is signed, but says what no node writes there ({entry.kind}): it "
                "was written by another version, or by hand"
            ) from None

    def spending(self) -> Spending:
        """All runs with their charges, for the accountant."""
        charges: dict[str, list[Charge]] = {}
        for run, number, name, event in self._rows(
            "SELECT run, round, name, event FROM charges ORDER BY run, round"
        ):
            charge = Charge(round=number, name=name, event=event_of(json.loads(event)))
            charges.setdefault(run, []).append(charge)
        return Spending(
            runs=tuple(
                RunSpending(
                    run=run,
                    contract=contract,
                    began=began,
                    reserved=event_of(json.loads(reserved)),
                    charges=tuple(charges.get(run, ())),
                )
                for run, contract, began, reserved in self._rows(
                    "SELECT run, contract, began, reserved FROM runs ORDER BY position"
                )
            ),
            assumed=tuple(
                event_of(json.loads(row[0]))
                for row in self._rows("SELECT events FROM assumed ORDER BY rowid")
            ),
        )

    def origin(self) -> tuple[str, str, str]:
        """The party, the source and the signing key that the evidence began with."""
        party, source, signing_key = self._row("SELECT party, source, signing_key FROM origin")
        return party, source, signing_key

    def hash_at(self, sequence: int) -> str | None:
        """Hash of the line with a number, or None if it was not read."""
        row = self._row("SELECT hash FROM entries WHERE sequence = ?", sequence)
        return row[0] if row is not None else None

    def begun(self, run: str) -> Begun | None:
        """Where and when a run began, or None."""
        row = self._row("SELECT contract, key, began FROM runs WHERE run = ?", run)
        return Begun(contract=row[0], key=row[1], time=row[2]) if row is not None else None

    def charged(self, key: str, number: int) -> Charged | None:
        """What was paid for in a round under a key, if anything."""
        row = self._row(
            "SELECT run, request, submission FROM charges WHERE key = ? AND round = ?", key, number
        )
        return Charged(run=row[0], request=row[1], submission=row[2]) if row is not None else None

    def last_round(self, key: str) -> int:
        """The newest round under a key that was paid for, or may have been."""
        row = self._row("SELECT max(round) FROM charges WHERE key = ?", key)
        return max(row[0] or 0 if row is not None else 0, self.assumed_through(key))

    def assumed_through(self, key: str) -> int:
        """The newest round under a key of which a record may be lost; 0 if none is."""
        row = self._row("SELECT max(round) FROM assumed WHERE key = ?", key)
        return row[0] or 0 if row is not None else 0

    def last_opening(self, key: str) -> int:
        """The newest round under a key that the node noted it helped to open; 0 if there is none."""
        row = self._row("SELECT max(round) FROM openings WHERE key = ?", key)
        return row[0] or 0 if row is not None else 0

    def last_sent(self, key: str) -> int:
        """The newest round under a key for which something was sent; 0 if there is none."""
        row = self._row("SELECT max(round) FROM charges WHERE key = ? AND submission IS NOT NULL", key)
        return row[0] or 0 if row is not None else 0

    def opening(self, key: str, number: int) -> Opened | None:
        """What the node noted of a round that it helped to open, if it did."""
        row = self._row(
            "SELECT run, request, cohort, product FROM openings WHERE key = ? AND round = ?", key, number
        )
        if row is None:
            return None
        return Opened(run=row[0], request=row[1], submissions=json.loads(row[2]), product=row[3])

    def refusals(self) -> dict[str, int]:
        """How often the node refused, by code."""
        return dict(self._rows("SELECT code, count(*) FROM refusals GROUP BY code ORDER BY code"))

    def form(self) -> list[Any]:
        """Its tables as they were made; another version makes others."""
        return self._rows("SELECT name, sql FROM sqlite_master ORDER BY name")

    def dump(self) -> tuple[str, ...]:
        """Everything, to be compared with another view of the same evidence."""
        return tuple(self._connection.iterdump())

    def _rows(self, query: str, *values: object) -> list[Any]:
        with closing(self._connection.execute(query, values)) as cursor:
            return cursor.fetchall()

    def _row(self, query: str, *values: object) -> Any:  # noqa: ANN401 - a row's columns have types of their own
        rows = self._rows(query, *values)
        return rows[0] if rows else None


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
