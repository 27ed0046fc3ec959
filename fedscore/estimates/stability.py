"""Has a distribution shifted? The population stability index of two noisy histograms.

    PSI = Σ_k (p_k - q_k) ln(p_k / q_k),    p the current shares, q the reference's, both at least 1/10,000

Noise adds to each squared difference, so the index of noisy histograms is too high: with f(p, q) one cell's
part, by f_pp s_p²/2 + f_qq s_q²/2, where s are the deviations of the shares. That is taken off. In cells
that do not rise above their noise the logarithm has no expansion: there the least and the greatest f over
the box of shares that noise leaves possible are added to the ends of the interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from fedscore.errors import DataError
from fedscore.estimates.interval import LEVEL, Estimate, quantile, two_sided
from fedscore.estimates.strategy import released_numbers

__all__ = ["NoisyCounts", "Shift", "Stability", "stability"]

_Floats = npt.NDArray[np.float64]

_FLOOR = 1e-4
"""An empty cell counts as this share of the rows: the trade's usual way out of a logarithm of zero."""

_CLEAR = 6.0
"""A cell is measured well if both its counts exceed their noise so many times."""

_STABLE, _SHIFTED = 0.1, 0.25

_GREATEST = float(-2.0 * np.log(_FLOOR))
"""The index of two distributions without a common cell."""


class Shift(StrEnum):
    """The usual reading of a population stability index."""

    STABLE = "stable"
    MODERATE = "moderate"
    SHIFTED = "shifted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoisyCounts:
    """One table's histogram as it was released.

    Attributes:
        counts: [cells]; may be negative.
        deviation: Standard deviation of the independent noise in each count: one for all, or [cells].

    Raises:
        DataError: These are no counts.
    """

    counts: _Floats
    deviation: float | _Floats

    def __post_init__(self) -> None:
        if (
            self.counts.ndim != 1
            or len(self.counts) == 0
            or np.shape(self.deviation) not in ((), self.counts.shape)
            or not all(released_numbers(self.counts, one) for one in self._deviations.tolist())
        ):
            raise DataError("a histogram is one row of finite counts with a finite deviation of their noise")

    @property
    def _deviations(self) -> _Floats:
        return np.broadcast_to(np.asarray(self.deviation, dtype=np.float64), self.counts.shape)

    @property
    def rows(self) -> float:
        """Number of rows."""
        return float(self.counts.sum())

    @property
    def clear(self) -> bool:
        """Whether shares of it mean anything."""
        return self.rows >= max(_CLEAR * float(np.linalg.norm(self._deviations)), 10.0)

    @property
    def share_deviations(self) -> _Floats:
        """Noise of each share of the rows, whose number is noisy too."""
        shares = self.counts / self.rows
        variances = self._deviations**2
        of_shares = variances * (1.0 - 2.0 * shares) + shares**2 * variances.sum()
        return np.asarray(np.sqrt(np.maximum(of_shares, variances / len(shares))) / self.rows)

    def noise_along(self, gradient: _Floats) -> float:
        """Variance of the noise in Σ gradient · share."""
        centred = gradient - float(gradient @ self.counts) / self.rows
        return float(np.square(self._deviations * centred).sum()) / self.rows**2

    def chance_along(self, gradient: _Floats) -> float:
        """Variance that another sample would give it."""
        shares = np.maximum(self.counts, 0.0) / self.rows
        return max(float(shares @ gradient**2 - (shares @ gradient) ** 2), 0.0) / self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """The index of one table.

    Attributes:
        index: The index; `low` and `high` hold for these very rows.
        reading: Below .1 stable, up to .25 moderate, above shifted; unknown if the interval reaches from
            stable to shifted.
        certain: Whether the whole interval has that reading.
    """

    index: Estimate
    reading: Shift
    certain: bool


def stability(reference: NoisyCounts, current: NoisyCounts, *, level: float = LEVEL) -> Stability:
    """Compares the current rows of a table with the reference's.

    Args:
        reference: As when the card was trained or evaluated.
        current: Now, in the same cells.
        level: Of the intervals.

    Raises:
        DataError: The histograms have different cells.
    """
    if reference.counts.shape != current.counts.shape:
        raise DataError(
            f"histograms of {len(reference.counts)} and {len(current.counts)} cells: compare the same table"
        )
    if not (reference.clear and current.clear):
        index = Estimate.unknown(level=level, greatest=_GREATEST)
    else:
        index = _index(reference, current, level)
    return Stability(index=index, reading=_reading(index), certain=_usual(index.low) is _usual(index.high))


def _usual(index: float) -> Shift:
    if index < _STABLE:
        return Shift.STABLE
    return Shift.MODERATE if index <= _SHIFTED else Shift.SHIFTED


def _reading(index: Estimate) -> Shift:
    if index.value is None or (index.low < _STABLE and index.high > _SHIFTED):
        return Shift.UNKNOWN
    return _usual(index.value)


def _index(reference: NoisyCounts, current: NoisyCounts, level: float) -> Estimate:
    now, then = current.counts / current.rows, reference.counts / reference.rows
    now_noise, then_noise = current.share_deviations, reference.share_deviations
    clear = (now >= np.maximum(_CLEAR * now_noise, _FLOOR)) & (
        then >= np.maximum(_CLEAR * then_noise, _FLOOR)
    )
    # A cell that is not clear is not expanded: any positive number will do there.
    p, q = np.where(clear, now, 1.0), np.where(clear, then, 1.0)
    by_now = np.where(clear, np.log(p / q) + 1.0 - q / p, 0.0)
    by_then = np.where(clear, np.log(q / p) + 1.0 - p / q, 0.0)
    bend_now = np.where(clear, 1.0 / p + q / p**2, 0.0) / 2.0
    bend_then = np.where(clear, 1.0 / q + p / q**2, 0.0) / 2.0
    naive = float(np.where(clear, _part(p, q), 0.0).sum())
    noise = _Wrong(
        slopes=current.noise_along(by_now) + reference.noise_along(by_then),
        bends=bend_now * now_noise**2 + bend_then * then_noise**2,
    )
    chance = _Wrong(
        slopes=current.chance_along(by_now) + reference.chance_along(by_then),
        bends=bend_now * p / current.rows + bend_then * q / reference.rows,
    )
    both = _Wrong(slopes=noise.slopes + chance.slopes, bends=noise.bends + chance.bends)

    vague = ~clear
    # Half of what may go wrong for the clear cells together, half for the vague ones.
    tail = (1.0 - level) / (2.0 if vague.any() else 1.0)
    reach = quantile(1.0 - tail / 2.0)
    box = quantile(1.0 - tail / 4.0 / max(int(vague.sum()), 1))
    least, greatest = _box(now[vague], then[vague], box * now_noise[vague], box * then_noise[vague])
    chance_now = np.sqrt(now_noise**2 + np.maximum(now, 0.0) / current.rows + current.rows**-2)
    chance_then = np.sqrt(then_noise**2 + np.maximum(then, 0.0) / reference.rows + reference.rows**-2)
    outer_least, outer_greatest = _box(
        now[vague], then[vague], box * chance_now[vague], box * chance_then[vague]
    )
    guess = np.clip(_part(_floored(now[vague]), _floored(then[vague])), least, greatest)
    low, high = noise.ends(naive, reach)
    outer_low, outer_high = both.ends(naive, reach)
    error = noise.error(naive)
    return Estimate.between(
        noise.corrected(naive) + float(guess.sum()),
        inner=(low + float(least.sum()), high + float(greatest.sum())),
        outer=(outer_low + float(outer_least.sum()), outer_high + float(outer_greatest.sum())),
        noise=float(np.hypot(error, float((greatest - least).sum()) / 2.0 / two_sided(level))),
        sampling=chance.error(naive),
        level=level,
        greatest=_GREATEST,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Wrong:
    """What noise, or sampling, does to the clear cells' part of the index.

    The index is nearly a sum of squares x = |d|², so its variance depends on itself: about κx + V, by the
    slopes and by the squared errors. An index that came out near 0 by luck has no slopes, hence κ is then no
    less than the bends say, and the upper end is that of a length: (√x + z√κ/2)² + z√V.

    Attributes:
        slopes: Variance along the gradient.
        bends: [cells], bias of each cell.
    """

    slopes: float
    bends: _Floats

    def corrected(self, naive: float) -> float:
        return naive - float(self.bends.sum())

    def _growth(self, naive: float) -> float:
        bias = float(self.bends.sum())
        if bias <= 0.0:
            return 0.0
        squares = 4.0 * float(np.square(self.bends).sum()) / bias
        return self.slopes / naive if naive > 4.0 * bias else max(squares, self.slopes / max(naive, bias))

    def _squares(self) -> float:
        # Shares add to one, so the cells' errors are of one dimension less.
        return 2.0 * float(np.square(self.bends).sum()) * len(self.bends) / max(len(self.bends) - 1, 1)

    def error(self, naive: float) -> float:
        return float(np.sqrt(self._growth(naive) * max(self.corrected(naive), 0.0) + self._squares()))

    def ends(self, naive: float, reach: float) -> tuple[float, float]:
        value = self.corrected(naive)
        length = float(np.sqrt(max(value, 0.0)) + reach * np.sqrt(self._growth(naive)) / 2.0)
        return value - reach * self.error(naive), length**2 + reach * float(np.sqrt(self._squares()))


def _floored(shares: _Floats) -> _Floats:
    return np.clip(shares, _FLOOR, 1.0)


def _part(p: _Floats, q: _Floats) -> _Floats:
    return np.asarray((p - q) * np.log(p / q))


def _box(p: _Floats, q: _Floats, p_reach: _Floats, q_reach: _Floats) -> tuple[_Floats, _Floats]:
    """Least and greatest part of a cell whose shares are known up to a box."""
    p_low, p_high = _floored(p - p_reach), _floored(p + p_reach)
    q_low, q_high = _floored(q - q_reach), _floored(q + q_reach)
    apart = np.where(
        p_low > q_high, _part(p_low, q_high), np.where(q_low > p_high, _part(p_high, q_low), 0.0)
    )
    return apart, np.maximum(_part(p_high, q_low), _part(p_low, q_high))
