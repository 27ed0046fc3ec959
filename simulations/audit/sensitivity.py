"""Does a record ever move a sum by more than its sensitivity? Asked with the worst records that can be found.

A record's part of a sum is the difference that it makes to what a node adds up, in integers. The search tries
random records and climbs from the best ones, table by table, toward larger parts. Where even the worst record
stays far below the limit, a missing clip would not have been seen, and the audit says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.sums import Query, SumRequest, noised_total
from privacy.dp.randomness import SystemRandomness
from simulations.audit.findings import Finding, Verdict
from simulations.audit.shares import Contribute, DrawnRun

__all__ = ["sensitivity_findings"]

NEAR = 0.9
"""A worst record must come so near to the limit for the audit to have had power."""

_TRIED = 128
_CLIMBED = 2

_Integers = npt.NDArray[np.int64]


def sensitivity_findings(
    run: DrawnRun, contract: Contract, *, seed: int, contribute: Contribute = noised_total
) -> tuple[Finding, ...]:
    """Looks for the worst record of each sum.

    Args:
        run: Gives the sums as they were asked.
        contract: Gives the tables.
        seed: Of the search.
        contribute: What nodes do for a sum.
    """
    generator = np.random.default_rng(seed)
    return tuple(
        _finding(drawn.request, _worst(drawn.query, drawn.request, contract, generator, contribute))
        for drawn in run.sums
    )


def _finding(request: SumRequest, squared: int) -> Finding:
    ratio = squared / request.sensitivity_squared
    if squared > request.sensitivity_squared:
        verdict = Verdict.FAILED
    elif ratio < NEAR**2:
        verdict = Verdict.NO_POWER
    else:
        verdict = Verdict.PASSED
    return Finding(
        name=f"sensitivity of {request.name}",
        verdict=verdict,
        told=f"the worst record found moves the sum by {ratio**0.5:.4f} times its sensitivity",
        power="would have found a record beyond the limit among the worst that were tried"
        if ratio >= NEAR**2
        else "no record that was tried reaches the limit: a missing bound would not have been seen",
    )


def _worst(
    query: Query,
    request: SumRequest,
    contract: Contract,
    generator: np.random.Generator,
    contribute: Contribute,
) -> int:
    """Largest squared norm of one record's part, in lattice steps squared."""
    sizes = [table.size for table in contract.tables]
    groups = [table.size for table in contract.group_tables]

    def parts(cells: _Integers, outcome: _Integers) -> list[int]:
        rows = _rows(cells, outcome, groups)
        return [
            _squared(_part(query, rows.select(np.array([place])), request, contribute))
            for place in range(len(rows))
        ]

    cells = np.column_stack([generator.integers(0, size, _TRIED) for size in sizes])
    outcome = generator.integers(0, 2, _TRIED)
    found = parts(cells, outcome)
    best = max(found)
    for start in np.argsort(found)[::-1][:_CLIMBED].tolist():
        record, label, reached = cells[start].copy(), int(outcome[start]), found[start]
        for table in generator.permutation(len(sizes)).tolist():
            tried = np.repeat(record[None, :], sizes[table], axis=0)
            tried[:, table] = np.arange(sizes[table])
            values = parts(tried, np.full(sizes[table], label))
            if max(values) > reached:
                reached = max(values)
                record = tried[int(np.argmax(values))]
        best = max(best, reached)
    return best


def _part(query: Query, row: Rows, request: SumRequest, contribute: Contribute) -> _Integers:
    silent = replace(request, share_variance=0)
    return contribute(query, row, silent, row_cap=1, randomness=SystemRandomness())


def _squared(part: _Integers) -> int:
    return sum(int(value) ** 2 for value in part[part != 0].tolist())


def _rows(cells: _Integers, outcome: _Integers, groups: Sequence[int]) -> Rows:
    return Rows(
        cells=cells.astype(np.int32),
        outcome=outcome.astype(np.int8),
        ids=np.array([str(number) for number in range(len(cells))]),
        groups=np.zeros((len(cells), len(groups)), dtype=np.int32),
    )
