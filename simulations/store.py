"""Where finished jobs are kept, so that an interrupted experiment goes on, and nothing is trained twice.

One file for each job, written whole and synced before the next one ends, and named by what its outcome
depends on. A file is believed only if its checksum holds and the key inside is the one that was asked for.
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fedscore.card import Card
from fedscore.contract import NoiseMode, Role
from fedscore.errors import ScenarioError
from fedscore.files import checked_document, with_checksum
from fedscore.learners.neural.model import NeuralModel
from fedscore.learners.program import Trained
from simulations.audit.row import AuditRow
from simulations.engines import Engine
from simulations.files import result_folder, write_whole
from simulations.job_keys import JobKey
from simulations.outcomes import Outcome
from simulations.results import Failure, PartyRun, Run
from simulations.runner import Found
from simulations.scenario import Baseline
from simulations.timings import Timing

__all__ = ["JobStore"]

_FORMAT = 1
_KINDS: Mapping[str, type[Card | NeuralModel]] = {"card.json": Card, "model.json": NeuralModel}


class JobStore:
    """Outcomes by key, in a folder of its own.

    Args:
        folder: Is made when the store is taken.
        noticed: Is told of files that cannot be used.
    """

    def __init__(self, folder: Path, *, noticed: Callable[[str], None]) -> None:
        self._folder = folder
        self._noticed = noticed

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Keeps every other process out until the block ends; a process that dies lets go.

        Raises:
            ScenarioError: Another process is at work here, or the folder cannot be written to.
        """
        result_folder(self._folder)
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ScenarioError(
                    f"another simulation is at work in {self._folder.parent}: wait until it ends, or pass "
                    "another folder with --out"
                ) from None
            # Whoever was killed while it wrote a file has left a draft of it.
            for draft in self._folder.glob(".*.json.*"):
                draft.unlink()
            yield
        finally:
            os.close(descriptor)

    def find(self, key: JobKey) -> Found | None:
        """The outcome of an earlier job with this key.

        A file that was damaged, or is not what its name says, is told of and left to be written anew.
        """
        path = self._path(key)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            self._noticed(f"{self._name(path)} cannot be read: its job is done again")
            return None
        try:
            document = checked_document(text)
            if document["format"] != _FORMAT or document["key"] != key.document:
                self._noticed(f"{self._name(path)} belongs to another job: its own is done again")
                return None
            return _found(document["outcome"])
        except (ValueError, KeyError, TypeError, ValidationError):
            self._noticed(f"{self._name(path)} is damaged: its job is done again")
            return None

    def keep(self, key: JobKey, found: Found) -> None:
        """Write an outcome down; when this returns, it survives a crash of the machine.

        Raises:
            ScenarioError: It cannot be written.
        """
        document = {"format": _FORMAT, "key": key.document, "outcome": _written(found)}
        write_whole(self._path(key), with_checksum(document))

    def _path(self, key: JobKey) -> Path:
        return self._folder / f"{key.sha256}.json"

    def _name(self, path: Path) -> str:
        return f"{self._folder.name}/{path.name[:12]}….json"


def _written(found: Found) -> dict[str, Any]:
    if isinstance(found, AuditRow):
        return {"audit": found.to_document()}
    if isinstance(found, Failure):
        return {"failure": dataclasses.asdict(found)}
    trained = found.trained
    return {
        "run": dataclasses.asdict(found.run),
        "timing": dataclasses.asdict(found.timing),
        "parties": [dataclasses.asdict(party) for party in found.parties],
        "trained": None if trained is None else {"file": trained.file_name, "text": trained.to_json()},
    }


def _found(document: Mapping[str, Any]) -> Found:
    if "audit" in document:
        return AuditRow.from_document(document["audit"])
    if "failure" in document:
        return Failure(**_method(document["failure"]))
    return Outcome(
        run=Run(**_method(document["run"])),
        timing=Timing(**_timing(document["timing"])),
        parties=tuple(PartyRun(**_party(party)) for party in document["parties"]),
        trained=_trained(document["trained"]),
    )


def _method(entry: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    return {**fields, "baseline": _baseline(entry["baseline"]), "noise": NoiseMode(entry["noise"])}


def _timing(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**_method(entry), "engine": Engine(entry["engine"])}


def _party(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, "baseline": _baseline(entry["baseline"]), "role": Role(entry["role"])}


def _baseline(name: str | None) -> Baseline | None:
    return None if name is None else Baseline(name)


def _trained(document: Mapping[str, str] | None) -> Trained | None:
    if document is None:
        return None
    return _KINDS[document["file"]].model_validate_json(document["text"])
