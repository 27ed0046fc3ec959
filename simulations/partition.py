"""Which party of a simulation holds which row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedscore.errors import ScenarioError

__all__ = ["LEFT_OUT", "by_column", "dirichlet", "iid"]

LEFT_OUT = -1
"""The party of a row that no party holds."""


def iid(rows: int, parties: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Deal rows evenly and at random: sizes differ by at most one.

    Args:
        rows: Number of rows.
        parties: Number of parties.
        generator: Seeded generator of the simulation.

    Returns:
        The party of each row, in [0, parties), shape [rows].
    """
    return generator.permutation(np.arange(rows, dtype=np.int64) % parties)


def dirichlet(
    outcome: npt.NDArray[np.int8], parties: int, alpha: float, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Deal the rows of each outcome in shares drawn from a symmetric Dirichlet distribution.

    The usual label skew of federated benchmarks (Hsu, Qi and Brown 2019): a small `alpha` gives parties of
    very different sizes and base rates, some of them empty; a large one tends to `iid`.

    Args:
        outcome: Outcomes in {0, 1}, shape [n].
        parties: Number of parties.
        alpha: Concentration, positive.
        generator: Seeded generator of the simulation.

    Returns:
        The party of each row, in [0, parties), shape [n].
    """
    held = np.empty(len(outcome), dtype=np.int64)
    for value in (0, 1):
        rows = np.flatnonzero(outcome == value)
        shares = generator.dirichlet(np.full(parties, alpha))
        held[rows] = generator.choice(parties, size=len(rows), p=shares)
    return held


def by_column(values: npt.NDArray[np.str_], parties: int) -> npt.NDArray[np.int64]:
    """Make each value of a column a party, those with most rows first (ties by value).

    Args:
        values: The column, as text, shape [n].
        parties: Number of parties.

    Returns:
        The party of each row, shape [n]; `LEFT_OUT` where its value is not among the largest `parties`.

    Raises:
        ScenarioError: The column has fewer values than parties are wanted.
    """
    known, code, sizes = np.unique(values, return_inverse=True, return_counts=True)
    if parties > len(known):
        raise ScenarioError(
            f"{parties} parties are wanted, and the column of the partition has {len(known)} values: "
            f"set parties.count to {len(known)} or fewer"
        )
    place = np.empty(len(known), dtype=np.int64)
    place[np.lexsort((known, -sizes))] = np.arange(len(known))
    held = place[code]
    return np.where(held < parties, held, LEFT_OUT)
