"""Does a record ever move a sum by more than its sensitivity? Asked with the worst records that can be found.

A record's part of a sum is the difference that it makes to what a node adds up, in integers. Three questions:

- The search tries random records and climbs from the best ones, table by table, toward larger parts. The
  worst
  one must be within the limit.
- The same records on a lattice sixteen times as fine, with the limit left where it is: their parts would be
  sixteen times too long, as if the query had forgotten to clip. What nodes do must bring them inside the
  limit, record by record. Where the parts do not even reach the limit then, a missing bound would not have
  been seen, and the audit says so.
- The parts of records add up to what they make together. Otherwise what one adds depends on its neighbours,
  and
  the limit of one record's part says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.sums import Query, SumRequest, noised_total
from privacy.dp.randomness import SystemRandomness
from simulations.audit.findings import Finding, Verdict
from simulations.audit.shares import Contribute, DrawnRun

__all__ = [
    "NEAR",
    "Worst",
    "part_of",
    "random_records",
    "sensitivity_findings",
    "variants_of",
    "worst_records",
]

NEAR = 0.9
"""Parts that are too long must be cut to so much of the limit at least for the audit to have had power."""

TOO_LONG = 16

_TRIED = 64
_MADE_LONGER = 16
_CLIMBED = 2

_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Worst:
    """What was found out about one sum.

    Attributes:
        request: The sum's.
        record: The worst record, alone.
        squared: Squared norm of its part, lattice steps².
        bounded: Largest squared norm of parts that were sixteen times too long, after they were bounded.
        adds_up: Whether the parts of records add up to what they make together.
    """

    request: SumRequest
    record: Rows
    squared: int
    bounded: int
    adds_up: bool


def worst_records(
    run: DrawnRun, contract: Contract, *, seed: int, contribute: Contribute = noised_total
) -> tuple[Worst, ...]:
    """Looks for the worst record of each sum.

    Args:
        run: Gives the sums as they were asked.
        contract: Gives the tables.
        seed: Of the search.
        contribute: What nodes do for a sum.
    """
    generator = np.random.default_rng(seed)
    return tuple(_worst(drawn.query, drawn.request, contract, generator, contribute) for drawn in run.sums)


def sensitivity_findings(worst: Sequence[Worst]) -> tuple[Finding, ...]:
    """One finding for each sum."""
    return tuple(_finding(one) for one in worst)


def part_of(query: Query, record: Rows, request: SumRequest, contribute: Contribute) -> _Integers:
    """What records add to a sum, in integers, without noise."""
    silent = replace(request, share_variance=0)
    return contribute(query, record, silent, row_cap=len(record), randomness=SystemRandomness())


def random_records(contract: Contract, count: int, generator: np.random.Generator) -> Rows:
    """Records with every cell and the outcome drawn evenly: nobody like that need exist."""
    cells = np.column_stack([generator.integers(0, table.size, count) for table in contract.tables])
    return _rows(cells, generator.integers(0, 2, count), contract)


def variants_of(record: Rows, table: int, contract: Contract) -> Rows:
    """The record with every other cell of one table."""
    size = contract.tables[table].size
    cells = np.repeat(record.cells, size, axis=0)
    cells[:, table] = np.arange(size)
    return _rows(cells, np.repeat(record.outcome, size), contract)


def _finding(worst: Worst) -> Finding:
    request = worst.request
    limit = request.sensitivity_squared
    reached, bounded = (worst.squared / limit) ** 0.5, (worst.bounded / limit) ** 0.5
    if max(worst.squared, worst.bounded) > limit or not worst.adds_up:
        verdict = Verdict.FAILED
    elif bounded < NEAR:
        verdict = Verdict.NO_POWER
    else:
        verdict = Verdict.PASSED
    told = (
        f"the worst record found moves the sum by {reached:.4f} times its sensitivity; "
        f"parts {TOO_LONG} times too long are cut to {bounded:.4f} times"
    )
    return Finding(
        name=f"sensitivity of {request.name}",
        verdict=verdict,
        told=told if worst.adds_up else f"{told}; what a record adds depends on the records beside it",
        power="would have found a part beyond the limit"
        if bounded >= NEAR
        else "no part that was tried reaches the limit: a missing bound would not have been seen",
    )


def _worst(
    query: Query,
    request: SumRequest,
    contract: Contract,
    generator: np.random.Generator,
    contribute: Contribute,
) -> Worst:
    finer = replace(request, scale=request.scale * TOO_LONG)

    def parts(rows: Rows, asked: SumRequest) -> list[_Integers]:
        return [part_of(query, _one(rows, place), asked, contribute) for place in range(len(rows))]

    def lengths(rows: Rows, asked: SumRequest = request) -> list[int]:
        return [_squared(part) for part in parts(rows, asked)]

    tried = random_records(contract, _TRIED, generator)
    of_tried = parts(tried, request)
    together = part_of(query, tried, request, contribute)
    found = [_squared(part) for part in of_tried]
    worst, reached = _one(tried, int(np.argmax(found))), max(found)
    for start in np.argsort(found)[::-1][:_CLIMBED].tolist():
        record, best = _one(tried, start), found[start]
        for table in generator.permutation(len(contract.tables)).tolist():
            variants = variants_of(record, table, contract)
            values = lengths(variants)
            if max(values) > best:
                best = max(values)
                record = _one(variants, int(np.argmax(values)))
        if best > reached:
            worst, reached = record, best
    return Worst(
        request=request,
        record=worst,
        squared=reached,
        bounded=max(*lengths(tried.select(slice(0, _MADE_LONGER)), finer), *lengths(worst, finer)),
        adds_up=bool(np.array_equal(np.sum(of_tried, axis=0), together)),
    )


def _one(rows: Rows, place: int) -> Rows:
    return rows.select(np.array([place]))


def _squared(part: _Integers) -> int:
    return sum(int(value) ** 2 for value in part[part != 0].tolist())


def _rows(cells: npt.NDArray[np.integer], outcome: npt.NDArray[np.integer], contract: Contract) -> Rows:
    return Rows(
        cells=cells.astype(np.int32),
        outcome=outcome.astype(np.int8),
        ids=np.array([str(number) for number in range(len(cells))]),
        groups=np.zeros((len(cells), len(contract.group_tables)), dtype=np.int32),
    )
