"""What one node puts into a private sum: its lattice total and its share of the noise."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from fedscore.data import Rows
from fedscore.errors import AccountingError, DataError
from fedscore.sums.contributions import Contributions
from fedscore.sums.query import Query, Released, Update
from fedscore.sums.request import LocalSteps, SumRequest
from privacy.dp.discrete_gaussian import bounded_discrete_gaussian
from privacy.dp.randomness import RandomSource

__all__ = ["BATCH_VALUES", "noised_total"]

BATCH_RECORDS = 16_384
"""Records whose contributions are in memory at once, at most."""

BATCH_VALUES = 2**23
"""Values of them that are in memory at once: 64 MB in floats."""


def noised_total(
    query: Query | Update, rows: Rows, request: SumRequest, *, row_cap: int, randomness: RandomSource
) -> npt.NDArray[np.int64]:
    """Sums the rows' contributions on the lattice and adds this party's share of the noise.

    A party without rows still sends noise. What an `Update` gives carries its noise already.

    Args:
        query: The bounded function of a record, or the update.
        rows: The party's rows of the request's side.
        request: The derived request.
        row_cap: Largest number of rows that the slots have room for.
        randomness: Where noise and sampling come from: the system's, outside simulations.

    Returns:
        [dimension], each value within ± `request.max_abs`.

    Raises:
        DataError: More rows than the cap.
    """
    if len(rows) > row_cap:
        raise DataError(
            f"more {request.side} rows than the contract's row_cap of {row_cap}: "
            "nothing was sent; agree on a larger cap"
        )
    if isinstance(query, Update):
        return _update(query, rows, request, randomness)
    if request.local is not None:
        raise AccountingError(f"{request.name} was planned as an update, and not as a sum over records")
    taking_part = _sampled(rows, request.one_in, randomness)
    total = np.zeros(request.dimension, dtype=np.int64)
    at_once = max(1, min(BATCH_RECORDS, BATCH_VALUES // request.dimension))
    for start in range(0, len(taking_part), at_once):
        batch = taking_part.select(slice(start, start + at_once))
        total += query.contributions(batch).lattice_total(
            scale=request.scale,
            limit_squared=request.sensitivity_squared,
            dimension=request.dimension,
        )
    if request.share_variance:
        total += bounded_discrete_gaussian(request.share_variance, request.dimension, randomness)
    return total


def _sampled(rows: Rows, one_in: int, randomness: RandomSource) -> Rows:
    """A Poisson sample: every row by a coin of its own, which nobody else ever learns."""
    if one_in == 1:
        return rows
    return rows.select(randomness.integers_below(one_in, len(rows)) == 0)


def _update(
    query: Update, rows: Rows, request: SumRequest, randomness: RandomSource
) -> npt.NDArray[np.int64]:
    if request.local is None:
        raise AccountingError(
            f"{request.name} was planned as a sum over records: an update has no price there"
        )
    update = query.compute(request.local.steps, _Steps(rows, request.local, request.one_in, randomness))
    if update.shape != (request.dimension,) or not np.isfinite(update).all():
        raise AccountingError(f"{request.name}: an update of another length, or not finite: nothing was sent")
    # The update is private already: what rounding and cutting do to it costs nothing.
    steps = np.rint(np.clip(update * float(request.scale), -request.max_abs, request.max_abs))
    return np.asarray(steps.astype(np.int64))


class _Steps:
    """See `StepSum`: at most as many sums as were planned, each over rows that were drawn for it."""

    def __init__(self, rows: Rows, local: LocalSteps, one_in: int, randomness: RandomSource) -> None:
        self._rows = rows
        self._local = local
        self._one_in = one_in
        self._randomness = randomness
        self._left = local.steps
        self._awaited: int | None = None
        self._total = np.zeros(local.dimension, dtype=np.int64)

    @property
    def sampling_probability(self) -> Fraction:
        """See `StepSum.sampling_probability`."""
        return Fraction(1, self._one_in)

    @property
    def noise_multiplier(self) -> float:
        """See `StepSum.noise_multiplier`."""
        return self._local.noise_multiplier

    def sample(self) -> Rows:
        """See `StepSum.sample`."""
        if self._left == 0:
            raise AccountingError("a step that nobody paid for: nothing was sent")
        drawn = _sampled(self._rows, self._one_in, self._randomness)
        self._awaited = len(drawn)
        self._total = np.zeros(self._local.dimension, dtype=np.int64)
        return drawn

    def add(self, contributions: Contributions) -> None:
        """See `StepSum.add`."""
        if self._awaited is None or len(contributions) > self._awaited:
            raise AccountingError("contributions of rows that were not drawn for this step: nothing was sent")
        self._awaited -= len(contributions)
        self._total += contributions.lattice_total(
            scale=self._local.scale,
            limit_squared=self._local.sensitivity_squared,
            dimension=self._local.dimension,
        )

    def release(self) -> Released:
        """See `StepSum.release`."""
        if self._awaited is None:
            raise AccountingError("a step that was not begun: nothing was sent")
        self._left, self._awaited = self._left - 1, None
        total, local = self._total, self._local
        if local.share_variance:
            total = total + bounded_discrete_gaussian(local.share_variance, local.dimension, self._randomness)
        return Released(values=total / float(local.scale), deviation=local.deviation)
