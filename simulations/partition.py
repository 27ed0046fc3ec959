"""Which party of a simulation holds which row, or which person with all rows.

Every law here is of a seeded generator and of what is dealt, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fedscore.errors import ScenarioError

__all__ = [
    "LEFT_OUT",
    "apportion",
    "by_column",
    "by_shares",
    "dirichlet",
    "dirichlet_shares",
    "iid",
    "overlapping",
    "power_shares",
]

LEFT_OUT = -1
"""The party of a row that no party holds."""

Parties = npt.NDArray[np.int64]
"""[n] numbers of parties, or `LEFT_OUT`."""


def iid(rows: int, parties: int, generator: np.random.Generator) -> Parties:
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
    values: npt.NDArray[np.integer[Any]],
    parties: int,
    alpha: float,
    generator: np.random.Generator,
    *,
    kinds: int = 2,
) -> Parties:
    """Deal the rows of each value in shares drawn from a symmetric Dirichlet distribution.

    With outcomes as values it is the usual label skew of federated benchmarks (after Hsu, Qi and Brown 2019;
    each label's rows are shared out, as in Yurochkin et al. 2019): a small `alpha` gives parties of very
    different sizes and base rates, some of them empty; a large one tends to `iid`. Cells of a characteristic
    give parties whose customers differ.

    Args:
        values: Outcomes in {0, 1}, or cells in [0, kinds), shape [n].
        parties: Number of parties.
        alpha: Concentration, positive.
        generator: Seeded generator of the simulation.
        kinds: How many values there may be; shares are drawn for those that no row has too.

    Returns:
        The party of each row, in [0, parties), shape [n].
    """
    held = np.empty(len(values), dtype=np.int64)
    for value in range(kinds):
        rows = np.flatnonzero(values == value)
        held[rows] = generator.choice(parties, size=len(rows), p=dirichlet_shares(parties, alpha, generator))
    return held


def dirichlet_shares(parties: int, alpha: float, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Shares of parties, drawn from a symmetric Dirichlet distribution.

    Args:
        parties: Number of parties.
        alpha: Concentration, positive.
        generator: Seeded generator of the simulation.

    Returns:
        [parties] shares that add up to one.
    """
    return generator.dirichlet(np.full(parties, alpha))


def power_shares(parties: int, exponent: float, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Shares of parties by a power law, as sizes of firms follow it (Axtell 2001: an exponent near 1).

    Args:
        parties: Number of parties.
        exponent: The k-th largest share is in proportion to k to the power of minus this.
        generator: Seeded generator of the simulation; draws which party has which rank.

    Returns:
        [parties] shares that add up to one.
    """
    shares = np.arange(1, parties + 1, dtype=np.float64) ** -exponent
    return generator.permutation(shares / shares.sum())


def by_shares(rows: int, shares: npt.NDArray[np.float64], generator: np.random.Generator) -> Parties:
    """Deal rows at random, each party as many as its share says: only sizes differ.

    Args:
        rows: Number of rows.
        shares: [parties] shares that add up to one.
        generator: Seeded generator of the simulation.

    Returns:
        The party of each row; sizes are exactly those of `apportion`. Shape [rows].
    """
    return generator.permutation(np.repeat(np.arange(len(shares)), apportion(shares, rows)))


def apportion(shares: Sequence[float] | npt.NDArray[np.float64], whole: int) -> npt.NDArray[np.int64]:
    """Divide a whole number by shares, with the largest remainders rounded up (the first of equal ones).

    Args:
        shares: Shares that add up to one.
        whole: What is divided.

    Returns:
        Whole numbers that add up to `whole`, each less than one away from its share of it.
    """
    # Shares of 0.1 and 0.2 must not lose a party to the last bit of a product.
    exact = np.round(np.asarray(shares, dtype=np.float64) * whole, 9)
    sizes = np.floor(exact).astype(np.int64)
    largest = np.argsort(sizes - exact, kind="stable")
    sizes[largest[: whole - int(sizes.sum())]] += 1
    return sizes


def by_column(values: npt.NDArray[np.str_], parties: int) -> Parties:
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


def overlapping(
    home: Parties, parties: int, *, share: float, organisations: int, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Let a share of those who were dealt be held by further parties too.

    Who is held by several is drawn evenly at random from all that anybody holds; the further parties of each
    are distinct, and drawn evenly from all but its own. With one generator, a larger share keeps everybody
    whom a smaller one has chosen.

    Args:
        home: The party of each, or `LEFT_OUT`, shape [n].
        parties: Number of parties.
        share: Which share of those who are held, rounded to whole ones.
        organisations: How many parties hold each of them, the first one included; at most `parties`.
        generator: Seeded generator of the simulation.

    Returns:
        The parties of each, distinct, its own first; `LEFT_OUT` fills up. Shape [n, organisations].
    """
    holders = np.full((len(home), organisations), LEFT_OUT, dtype=np.int64)
    holders[:, 0] = home
    held = generator.permutation(np.flatnonzero(home != LEFT_OUT))
    chosen = held[: round(share * len(held))]
    # Each draw is the r-th of those that do not hold them yet, so that none is thrown away. Draws are made
    # for everybody, so that those of one do not depend on how many are chosen.
    for place in range(1, organisations):
        drawn = generator.integers(0, parties - place, size=len(held))[: len(chosen)]
        for before in np.sort(holders[chosen, :place], axis=1).T:
            drawn += drawn >= before
        holders[chosen, place] = drawn
    return holders
