"""A learner is a program: private sums, and public computations on what they opened."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from fedscore.card import PrivacyRecord
from fedscore.data import Cells
from fedscore.sums import PlannedSum, Query, Released, Update

__all__ = ["Product", "Program", "Steps", "Trained", "settled"]


class Product(Protocol):
    """What a program ends with: a card, a neural model, or what was found by watching a card."""

    @property
    def file_name(self) -> str:
        """What its file is called in a folder of results."""
        ...

    @property
    def privacy(self) -> PrivacyRecord | None:
        """What the run cost."""
        ...

    def with_privacy(self, privacy: PrivacyRecord) -> Product:
        """Returns the same with what the run cost."""
        ...

    def to_json(self) -> str:
        """Returns the file's text."""
        ...


@runtime_checkable
class Trained(Product, Protocol):
    """What a program of training ends with: a card, or a neural model."""

    def probability(self, cells: Cells) -> npt.NDArray[np.float64]:
        """Returns [records], the probability of the outcome, for cells [records, tables]."""
        ...


Steps = Generator[Query | Update, Released, Product]
"""Yields a query per round, receives what its sum released, returns what came of them.

It may end before all planned sums were made; what they would have cost is not spent then.
"""


class Program(Protocol):
    """What a learner declares and does.

    A program is public and deterministic: every party that knows the contract and the openings so far
    derives the same next query. It sees no row; queries see rows, at their owners'.
    """

    @property
    def plan(self) -> tuple[PlannedSum, ...]:
        """The private sums, in order, with their shares of the budget."""
        ...

    def steps(self) -> Steps:
        """Starts the program."""
        ...


def settled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rounds public parameters to multiples of 2⁻³².

    Machines differ in the last bits of an exponential or of a matrix product. Parties that derive the
    same query on different machines agree after this, unless a value falls on a rounding boundary. Then
    they answer at parameters that differ by one step: no promise depends on that, and no result to speak of.
    """
    return np.asarray(np.round(values * 2.0**32) / 2.0**32)
