"""The nodes of a run, in whichever actor process Flower asks them."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from pathlib import Path

from flwr.app import Context

from clients.porter import Porter
from fedscore.data import Rows
from fedscore.sums import Side
from simulations.flower_engine.folder import RunFolder
from simulations.flower_engine.memory import NodeMemory

__all__ = ["PARTITION", "NodesOfFolder"]

PARTITION = "partition-id"
"""All that Flower's engine tells its nodes apart by: their number, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesOfFolder:
    """Finds the porter of the node that a message is for.

    Flower sends it along with every message, so it holds the folder's path and nothing else.

    Attributes:
        folder: Path of the run's folder.
    """

    folder: str

    def __call__(self, context: Context) -> Porter:
        """The porter of the participant whose number is the context's partition."""
        return _house(self.folder).porter(int(context.node_config[PARTITION]))


class _House:
    """All nodes as one process of the run has them; what they remember is in the folder alone."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._terms = folder.terms()
        self._participants = self._terms.participants()
        self._numbers = {name: number for number, name in enumerate(self._participants.names)}
        self._porters: dict[int, Porter] = {}
        self._rows: dict[tuple[Side, str], Rows] = {}

    def porter(self, number: int) -> Porter:
        if number not in self._porters:
            randomness = self._folder.randomness(number, self._terms.seed)
            self._porters[number] = self._participants.porter(
                self._participants.names[number],
                memory=NodeMemory(self._folder.memory(number, self._participants.series), randomness),
                randomness=randomness,
                rows_of=functools.partial(self._rows_of, Side.TRAINING),
                test_rows_of=functools.partial(self._rows_of, Side.TEST) if self._terms.evaluates else None,
            )
        return self._porters[number]

    def _rows_of(self, side: Side, name: str) -> Rows:
        if (side, name) not in self._rows:
            self._rows[side, name] = self._folder.rows(side, self._numbers[name])
        return self._rows[side, name]


@functools.cache
def _house(folder: str) -> _House:
    # Flower's actors tell of their own end as if it were something to worry about.
    logging.getLogger("flwr").setLevel(logging.ERROR)
    return _House(RunFolder(Path(folder)))
