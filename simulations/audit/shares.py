"""Every party's share of noise, as the code that nodes run really draws it, each in a process of its own.

A party's vector is computed twice over the same rows: as a node does, and with noise of variance 0. What lies
between is its share. Openings are the sums of the noisy vectors, so the program goes on as in any run.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fedscore.contract import Contract, NoiseMode
from fedscore.data import Rows
from fedscore.errors import ScenarioError
from fedscore.learners.agenda import Agenda
from fedscore.sums import Query, Side, SumRequest, Update, noised_total
from privacy.dp.randomness import RandomSource, SystemRandomness

__all__ = ["Contribute", "DrawnRun", "DrawnSum", "draw_run"]

_Integers = npt.NDArray[np.int64]


class Contribute(Protocol):
    """What a node does for a sum: `fedscore.sums.noised_total`, or a broken one that an audit must catch."""

    def __call__(
        self,
        query: Query | Update,
        rows: Rows,
        request: SumRequest,
        *,
        row_cap: int,
        randomness: RandomSource,
    ) -> _Integers:
        """Sums the rows' contributions and adds a share of noise."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnSum:
    """One sum of a run.

    Attributes:
        request: As all derived it.
        query: What each record adds.
        shares: [parties, dimension], each party's noise over its promised standard deviation.
    """

    request: SumRequest
    query: Query
    shares: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnRun:
    """A run with all its shares.

    Attributes:
        sums: In their order.
    """

    sums: tuple[DrawnSum, ...]


def draw_run(
    contract: Contract,
    training: Mapping[str, Rows],
    test: Mapping[str, Rows],
    *,
    run: str,
    contribute: Contribute = noised_total,
) -> DrawnRun:
    """Runs a program once, with noise from the operating system.

    Args:
        contract: With its roster, and noise.
        training: Rows by party.
        test: Rows by party, for sums of an evaluation.
        run: The run's id.
        contribute: What nodes do for a sum.

    Raises:
        ScenarioError: The contract promises nothing, or its sums cannot be audited share by share.
    """
    if contract.privacy.noise is NoiseMode.NONE:
        raise ScenarioError('there is no noise to audit: use noise = "shared" or "local"')
    agenda = Agenda(contract, run=run)
    if any(request.local is not None or request.one_in > 1 for request in agenda.requests):
        raise ScenarioError(
            "sums over samples, and updates that are private by themselves, have no shares to audit: take a "
            'scorecard, or a neural model with training = "shared" and one_in = 1'
        )
    sums: list[DrawnSum] = []
    openings: list[_Integers] = []
    parties = [party.name for party in contract.parties]
    # Forked, as the worker processes of a careless deployment would be: whatever draws from a state that
    # two processes share shows here.
    with ProcessPoolExecutor(min(2, len(parties)), mp_context=multiprocessing.get_context("fork")) as pool:
        while not agenda.is_finished(openings):
            query, request = agenda.next_sum(openings)
            if not isinstance(query, Query):
                raise ScenarioError("an update has no sum over records: this is a defect")
            rows = training if request.side is Side.TRAINING else test
            asked = [
                pool.submit(_vectors, contribute, query, rows[party], request, contract.rows.row_cap)
                for party in parties
            ]
            vectors = [future.result() for future in asked]
            deviation = np.sqrt(request.share_variance)
            sums.append(
                DrawnSum(
                    request=request,
                    query=query,
                    shares=np.stack([noisy - exact for noisy, exact in vectors]) / deviation,
                )
            )
            openings.append(np.sum([noisy for noisy, _ in vectors], axis=0))
    return DrawnRun(sums=tuple(sums))


def _vectors(
    contribute: Contribute, query: Query, rows: Rows, request: SumRequest, row_cap: int
) -> tuple[_Integers, _Integers]:
    noisy = contribute(query, rows, request, row_cap=row_cap, randomness=SystemRandomness())
    exact = noised_total(
        query, rows, replace(request, share_variance=0), row_cap=row_cap, randomness=SystemRandomness()
    )
    return noisy, exact
