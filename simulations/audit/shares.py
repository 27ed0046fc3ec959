"""Every party's share of noise, as the code that nodes run really draws it, each in a process of its own.

A party's vector is computed twice over the same rows: as a node does, and with noise of variance 0. What lies
between is its share. Openings are the sums of the noisy vectors, so the program goes on as in any run.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
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
from simulations.audit.sources import Source, SystemSource

__all__ = ["Contribute", "DrawnRun", "DrawnSum", "auditable_agenda", "draw_run", "honest_parties"]

_Integers = npt.NDArray[np.int64]
_SYSTEM = SystemSource()
_STREAM = 3


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


def auditable_agenda(contract: Contract, *, run: str) -> Agenda:
    """The program of a contract, if its sums can be audited.

    Args:
        contract: With its roster.
        run: The run's id.

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
    return agenda


def honest_parties(contract: Contract) -> int:
    """How many shares of noise nobody whom the promise is against knows: by the contract's own terms.

    Requests say the same. They are what is audited, so they are not asked.
    """
    terms = contract.privacy
    if terms.noise is NoiseMode.LOCAL:
        return 1
    return len(contract.parties) - terms.absent - terms.colluding_parties


def draw_run(
    contract: Contract,
    training: Mapping[str, Rows],
    test: Mapping[str, Rows],
    *,
    number: int,
    contribute: Contribute = noised_total,
    source: Source = _SYSTEM,
    processes: int = 2,
) -> DrawnRun:
    """Runs a program once.

    Args:
        contract: With its roster, and noise.
        training: Rows by party.
        test: Rows by party, for sums of an evaluation.
        number: The run's number.
        contribute: What nodes do for a sum.
        source: Where noise comes from.
        processes: In which shares are drawn; with 1, in this one.

    Raises:
        ScenarioError: The contract promises nothing, or its sums cannot be audited share by share.
    """
    agenda = auditable_agenda(contract, run=f"{number:032x}")
    sums: list[DrawnSum] = []
    openings: list[_Integers] = []
    parties = [party.name for party in contract.parties]
    with _workers(min(processes, len(parties))) as pool:
        while not agenda.is_finished(openings):
            query, request = agenda.next_sum(openings)
            if not isinstance(query, Query):
                raise ScenarioError("an update has no sum over records: this is a defect")
            rows = training if request.side is Side.TRAINING else test
            work = [
                (contribute, query, rows[party], request, contract.rows.row_cap, source, place)
                for party, place in ((party, (number, len(openings), at)) for at, party in enumerate(parties))
            ]
            vectors = list(map(_vectors, work) if pool is None else pool.map(_vectors, work))
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


@contextmanager
def _workers(processes: int) -> Iterator[Executor | None]:
    """Forked, as the worker processes of a careless deployment would be.

    Whatever draws from a state that two processes share shows here.
    """
    if processes == 1:
        yield None
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("fork")) as pool:
        yield pool


_Work = tuple[Contribute, Query, Rows, SumRequest, int, Source, tuple[int, int, int]]


def _vectors(work: _Work) -> tuple[_Integers, _Integers]:
    contribute, query, rows, request, row_cap, source, place = work
    noisy = contribute(query, rows, request, row_cap=row_cap, randomness=source(_STREAM, *place))
    exact = noised_total(
        query, rows, replace(request, share_variance=0), row_cap=row_cap, randomness=SystemRandomness()
    )
    return noisy, exact
