"""Bad and good rows per score band, as far as a private sum tells them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fedscore.errors import DataError
from fedscore.estimates.interval import LEVEL, Estimate
from fedscore.estimates.plan import Reference
from fedscore.estimates.strategy import Measured

__all__ = ["Bands", "Total"]

_Floats = npt.NDArray[np.float64]

_CLEAR = 6.0
"""A total is divided by only if it exceeds its noise so many times: then a ratio is nearly normal."""

_FEWEST = 10.0
"""... and only if it counts so many rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Noisy number of rows of a kind.

    Attributes:
        value: Unbiased estimate; may be negative.
        deviation: Standard deviation of its noise.
    """

    value: float
    deviation: float

    @property
    def clear(self) -> bool:
        """Whether shares of it mean anything."""
        return self.value >= max(_CLEAR * self.deviation, _FEWEST)


@dataclass(frozen=True, kw_only=True, eq=False)
class Bands:
    """What the second sum of an evaluation says.

    Attributes:
        reference: The bands, public.
        measured: The sum, as its strategy asked for it.

    Raises:
        DataError: The sum is over other bands.
    """

    reference: Reference
    measured: Measured

    def __post_init__(self) -> None:
        if self.measured.strategy.cells != 2 * self.reference.bands:
            raise DataError(
                f"a sum over {self.measured.strategy.cells} cells for {self.reference.bands} bands: "
                "two are needed for each, bad rows first"
            )

    @property
    def edges(self) -> _Floats:
        """[bands - 1], ascending points."""
        return self.reference.edges

    @cached_property
    def bad(self) -> _Floats:
        """[bands], unbiased; may be negative."""
        return self.measured.counts[: self.reference.bands]

    @cached_property
    def good(self) -> _Floats:
        """[bands], unbiased; may be negative."""
        return self.measured.counts[self.reference.bands :]

    @cached_property
    def bad_rows(self) -> Total:
        """All bad rows."""
        ones, zeros = np.ones(self.reference.bands), np.zeros(self.reference.bands)
        return Total(value=float(self.bad.sum()), deviation=self.deviation(ones, zeros))

    @cached_property
    def good_rows(self) -> Total:
        """All good rows."""
        ones, zeros = np.ones(self.reference.bands), np.zeros(self.reference.bands)
        return Total(value=float(self.good.sum()), deviation=self.deviation(zeros, ones))

    @cached_property
    def rows(self) -> Total:
        """All rows."""
        return self.rows_in(np.ones(self.reference.bands))

    @property
    def rankable(self) -> bool:
        """Whether there are bad and good rows beyond the noise."""
        return self.bad_rows.clear and self.good_rows.clear

    def rows_in(self, chosen: _Floats) -> Total:
        """All rows of the bands whose weight in `chosen` is 1."""
        return Total(
            value=float(chosen @ (self.bad + self.good)),
            deviation=self.deviation(chosen, chosen),
        )

    def deviation(self, bad_weights: _Floats, good_weights: _Floats) -> float:
        """Standard deviation of the noise in one weighted sum of the counts."""
        return float(self.deviations(bad_weights, good_weights))

    def deviations(self, bad_weights: _Floats, good_weights: _Floats) -> _Floats:
        """The same for many: weights are [..., bands]."""
        return self.measured.deviations(np.concatenate([bad_weights, good_weights], axis=-1))

    def bad_rate(self, chosen: _Floats | None = None, *, level: float = LEVEL) -> Estimate:
        """Share of bad rows, in all bands or in those whose weight in `chosen` is 1."""
        chosen = np.ones(self.reference.bands) if chosen is None else chosen
        rows = self.rows_in(chosen)
        if not rows.clear:
            return Estimate.unknown(level=level)
        bad = float(chosen @ self.bad)
        rate = bad / rows.value
        noise = self.deviation(chosen * (1.0 - rate), -chosen * rate) / rows.value
        # One of each kind more: a rate of zero among few rows is no proof that there are no bad ones.
        prudent = float(np.clip(bad + 1.0, 1.0, rows.value + 1.0)) / (rows.value + 2.0)
        sampling = float(np.sqrt(prudent * (1.0 - prudent) / rows.value))
        return Estimate.around(rate, noise=noise, sampling=sampling, level=level)
