"""Which rows of a scenario's file does each party hold?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedscore.data import Rows
from fedscore.errors import ScenarioError
from simulations.ground import Ground
from simulations.partition import (
    LEFT_OUT,
    by_column,
    by_shares,
    dirichlet,
    dirichlet_shares,
    iid,
    overlapping,
    power_shares,
)
from simulations.party_terms import OUTCOME, PartitionKind, PartyTerms
from simulations.raw import places_of, whole_table
from simulations.scenario_mistakes import closest

__all__ = ["holdings"]

_PARTITION_STREAM = 1
_OVERLAP_STREAM = 1_000_002
"""Above the number of every party, each of which draws its noise from a stream of that number.

The partition's own is that of party 1, and stays so: another would change every figure that was published,
and what a permutation makes of the same words has nothing to do with what a sampler of noise makes of them.
"""
_Places = npt.NDArray[np.int64]


def holdings(ground: Ground, *, seed: int) -> tuple[_Places, ...]:
    """Deal the rows.

    Args:
        ground: The scenario's data.
        seed: Decides, with the rows and the scenario's terms.

    Returns:
        For each party of the contract, the places of its rows in the file's order. A row may be with several
        parties, or with none.

    Raises:
        ScenarioError: The partition cannot be made of these rows, or breaks the contract's rules of persons.
    """
    rows = next(iter(ground.rows.values()))
    parties = len(ground.contract.parties)
    whose = _persons(ground, rows)
    if ground.terms.parties.kind is PartitionKind.COLUMN:
        home = by_column(_values(ground, rows), parties)
        if whose is not None:
            _require_few(home, whose, ground)
            whose = None
    else:
        home = _dealt(ground, rows, whose, seed=seed)
    holders = _with_overlap(home, ground.terms.parties, parties, seed=seed)
    if whose is not None:
        holders = holders[whose]
    flat = holders.ravel()
    # Stable, so that every party's rows stay in the file's order.
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(parties + 1))
    places = order // holders.shape[1]
    return tuple(places[starts[party] : starts[party + 1]] for party in range(parties))


def _persons(ground: Ground, rows: Rows) -> _Places | None:
    """The number of each row's person; none where every row is a person of its own."""
    if ground.contract.rows.person is None:
        return None
    return np.unique(np.asarray(rows.persons, dtype=np.str_), return_inverse=True)[1].astype(np.int64)


def _dealt(ground: Ground, rows: Rows, whose: _Places | None, *, seed: int) -> _Places:
    """The party of each person, or of each row where rows are persons."""
    terms, parties = ground.terms.parties, len(ground.contract.parties)
    generator = np.random.default_rng([seed, _PARTITION_STREAM])
    people = len(rows) if whose is None else int(whose.max(initial=-1)) + 1
    if terms.kind is PartitionKind.SIZES:
        if terms.exponent is not None:
            shares = power_shares(parties, terms.exponent, generator)
        else:
            shares = dirichlet_shares(parties, _given(terms.alpha), generator)
        return by_shares(people, shares, generator)
    if terms.kind is PartitionKind.DIRICHLET:
        values, kinds = _skewed(ground, rows)
        if whose is not None:
            values = _of_people(values, whose, people)
        return dirichlet(values, parties, _given(terms.alpha), generator, kinds=kinds)
    return iid(people, parties, generator)


def _given(alpha: float | None) -> float:
    if alpha is None:
        raise ScenarioError("a Dirichlet distribution without alpha: this is a defect")
    return alpha


def _skewed(ground: Ground, rows: Rows) -> tuple[_Places, int]:
    """What parties differ in, as numbers of rows, and how many there are."""
    by = ground.terms.parties.by
    if by is None or by == OUTCOME:
        return rows.outcome.astype(np.int64), 2
    # As somebody reads it who holds it: to all others everybody is in the one cell that is not held.
    holders = ground.contract.holders[by]
    theirs = next(rows for role, rows in ground.rows.items() if role in holders)
    place = [table.name for table in ground.contract.tables].index(by)
    return theirs.cells[:, place].astype(np.int64), ground.contract.tables[place].size


def _of_people(values: _Places, whose: _Places, people: int) -> _Places:
    """The largest value of each person's rows: bad if one of them is."""
    largest = np.zeros(people, dtype=np.int64)
    np.maximum.at(largest, whose, values)
    return largest


def _with_overlap(home: _Places, terms: PartyTerms, parties: int, *, seed: int) -> _Places:
    if terms.overlap is None:
        return home[:, None]
    return overlapping(
        home,
        parties,
        share=terms.overlap.share,
        organisations=terms.overlap.organisations,
        generator=np.random.default_rng([seed, _OVERLAP_STREAM]),
    )


def _values(ground: Ground, rows: Rows) -> npt.NDArray[np.str_]:
    """The column that parties are cut by, as text."""
    column, id_column = ground.terms.parties.column, ground.contract.rows.id
    table = whole_table(ground.path, id_column, number_rows=ground.terms.data.number_rows)
    if column is None or column not in table.column_names:
        raise ScenarioError(
            f"parties.column names {column!r}, and {ground.path.name} has no such column"
            f"{closest(str(column), table.column_names)}"
        )
    values = table[column].cast(pa.string()).fill_null("").take(places_of(rows.ids, table, id_column))
    return np.asarray(values.to_pylist(), dtype=np.str_)


def _require_few(home: _Places, whose: _Places, ground: Ground) -> None:
    """Where a column says who holds what, nobody may be at more organisations than the contract says."""
    pairs = np.unique(np.column_stack([whose, home])[home != LEFT_OUT], axis=0)
    most = int(np.bincount(pairs[:, 0]).max(initial=0))
    allowed = ground.contract.rows.organisations_per_person
    if most > allowed:
        raise ScenarioError(
            f"by {ground.terms.parties.column!r}, somebody is at {most} organisations, and contract "
            f"{ground.contract.name!r} promises persons something for at most {allowed}: raise "
            "organisations_per_person under [rows] of the contract, or deal by another column"
        )
