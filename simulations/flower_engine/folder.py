"""What the processes of a run share: a folder with its terms, every party's rows, and every node's state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clients.memory import FileMemory
from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.data.rows import Identifiers
from fedscore.sums import Side
from fedscore.sums.series import KeySeries
from simulations.flower_engine.noise import KeptRandomness
from simulations.keys import SimulatedKeys
from simulations.participants import Participants
from simulations.schemes import EncryptionMode

__all__ = ["RunFolder", "Terms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What every process of a run must know.

    Attributes:
        contract: With its roster.
        seed: Of the noise.
        encryption: Whether sums are encrypted.
        keys: A key, its committee and their shares, if they are; all holders are one here.
        evaluates: Whether there are test rows.
    """

    contract: Contract
    seed: int
    encryption: EncryptionMode
    keys: SimulatedKeys | None
    evaluates: bool

    def participants(self) -> Participants:
        """Who takes part."""
        return Participants(self.contract, encryption=self.encryption, keys=self.keys)

    def to_json(self) -> str:
        """As text, for the other processes."""
        return json.dumps(
            {
                "contract": self.contract.model_dump_json(),
                "seed": self.seed,
                "encryption": self.encryption.value,
                "keys": self.keys.to_texts() if self.keys is not None else None,
                "evaluates": self.evaluates,
            }
        )

    @staticmethod
    def from_json(text: str) -> Terms:
        """Reads what `to_json` wrote."""
        fields = json.loads(text)
        return Terms(
            contract=Contract.model_validate_json(fields["contract"]),
            seed=fields["seed"],
            encryption=EncryptionMode(fields["encryption"]),
            keys=SimulatedKeys.from_texts(tuple(fields["keys"])) if fields["keys"] is not None else None,
            evaluates=fields["evaluates"],
        )


class RunFolder:
    """The folder of one run; a participant goes by its place among `Participants.names`.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def furnish(self, terms: Terms, rows: Mapping[str, Rows], test_rows: Mapping[str, Rows] | None) -> None:
        """Writes all that there is before the run begins.

        Args:
            terms: The run's.
            rows: Training rows of every party.
            test_rows: Test rows of every party, if there are any.
        """
        (self.path / "terms.json").write_text(terms.to_json(), encoding="utf-8")
        participants = terms.participants()
        for number, name in enumerate(participants.names):
            # Whoever begins here has not forgotten anything.
            FileMemory.create(self._node(number), participants.series, abstains=False)
            for side, held in ((Side.TRAINING, rows), (Side.TEST, test_rows)):
                if held is not None and name in held:
                    self._write_rows(side, number, held[name])

    def terms(self) -> Terms:
        """Reads the run's terms."""
        return Terms.from_json((self.path / "terms.json").read_text(encoding="utf-8"))

    def rows(self, side: Side, number: int) -> Rows:
        """Reads one side of a party's rows."""
        with np.load(self._rows(side, number), allow_pickle=False) as arrays:
            return Rows(**arrays)

    def memory(self, number: int, series: KeySeries) -> FileMemory:
        """A node's memory: a deployment's."""
        return FileMemory(self._node(number), series)

    def randomness(self, number: int, seed: int) -> KeptRandomness:
        """A node's noise: the stream that it has in one process, and where it stands in it."""
        return KeptRandomness(self._node(number) / "noise.json", [seed, number])

    def _write_rows(self, side: Side, number: int, rows: Rows) -> None:
        arrays = {
            "cells": rows.cells,
            "outcome": rows.outcome,
            "ids": _plain(rows.ids),
            "groups": rows.groups,
            "late": rows.late,
        }
        if rows.persons is not rows.ids:
            arrays["persons"] = _plain(rows.persons)
        # Compression would cost more time than it saves: the files live as long as the run.
        np.savez(self._rows(side, number), allow_pickle=False, **arrays)

    def _rows(self, side: Side, number: int) -> Path:
        return self.path / f"{side.value}-{number}.npz"

    def _node(self, number: int) -> Path:
        return self.path / f"node-{number}"


def _plain(identifiers: Identifiers) -> Identifiers:
    """Texts as NumPy writes them without pickling."""
    return identifiers.astype(np.str_) if identifiers.dtype == object else identifiers
