"""Are predicted probabilities right? Brier score, calibration curve and error, and bad rates of grades.

A row's probability is known up to its band: between those at the band's ends. Values use the middle of the
band, and intervals allow for both ends.

The calibration error is a sum of absolute values, max over signs of Σ ± (bad - predicted): with ten parts
these are 1,024 linear functions of the counts, each with normal noise, and Bonferroni over them makes an
interval without the bias of noise in absolute values.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt

from fedscore.errors import DataError
from fedscore.estimates.bands import Bands
from fedscore.estimates.interval import LEVEL, Estimate, quantile, two_sided

__all__ = ["CalibrationPart", "Grade", "brier", "calibration_curve", "calibration_error", "grades"]

_Floats = npt.NDArray[np.float64]

_PARTS = 10
"""Parts of equal mass of the calibration error, as in `fedscore.metrics.calibration_error`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPart:
    """Rows of neighbouring scores: what was predicted for them, and what happened.

    Attributes:
        low: Least points; none in the riskiest part.
        high: Points at which the next part begins; none in the safest part.
        share: Of all rows.
        predicted: Mean probability of the bad outcome.
        observed: Share of bad rows.
    """

    low: float | None
    high: float | None
    share: Estimate
    predicted: Estimate
    observed: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """Rows between two cut-offs.

    Attributes:
        low: Least points; none in the riskiest grade.
        high: Points at which the next safer grade begins; none in the safest.
        share: Of all rows.
        bad_rate: Share of bad rows among them.
    """

    low: float | None
    high: float | None
    share: Estimate
    bad_rate: Estimate


def brier(bands: Bands, *, level: float = LEVEL) -> Estimate:
    """Mean squared difference between probability and outcome.

    Args:
        bands: The private sum.
        level: Of the intervals.

    Returns:
        In [0, 1]; not measurable if noise hides the rows.
    """
    if not bands.rows.clear:
        return Estimate.unknown(level=level)
    rows = bands.rows.value
    reference = bands.reference
    loss, best, worst = (
        ((1.0 - for_bad) ** 2, for_good**2)
        for for_bad, for_good in (
            (reference.probabilities, reference.probabilities),
            (reference.greatest_probabilities, reference.least_probabilities),
            (reference.least_probabilities, reference.greatest_probabilities),
        )
    )
    value = float(loss[0] @ bands.bad + loss[1] @ bands.good) / rows
    noise = bands.deviation((loss[0] - value) / rows, (loss[1] - value) / rows)
    spread = float(loss[0] ** 2 @ bands.bad + loss[1] ** 2 @ bands.good) / rows - value**2
    # A loss in [0, 1] varies by at most value · (1 - value), and noise may not say that it does not vary.
    bounded = float(np.clip(value, 0.0, 1.0))
    variance = float(np.clip(spread, bounded**2 / 10, max(bounded * (1 - bounded), bounded**2 / 10)))
    return Estimate.around(
        value,
        noise=noise,
        sampling=float(np.sqrt(variance / rows)),
        level=level,
        below=_at_most(bands, loss[0] - best[0], loss[1] - best[1], level) / rows,
        above=_at_most(bands, worst[0] - loss[0], worst[1] - loss[1], level) / rows,
    )


def calibration_curve(
    bands: Bands, *, parts: int = _PARTS, level: float = LEVEL
) -> tuple[CalibrationPart, ...]:
    """What was predicted and what happened, in parts of nearly equal mass, riskiest first.

    Args:
        bands: The private sum.
        parts: How many at most; fewer if there are fewer bands.
        level: Of each interval by itself.

    Raises:
        DataError: `parts` is below 1.
    """
    if parts < 1:
        raise DataError(f"a calibration curve of {parts} parts: ask for at least 1")
    part_of = np.minimum(np.floor(parts * _middles(bands.reference.shares)).astype(np.int64), parts - 1)
    return tuple(
        CalibrationPart(
            low=low,
            high=high,
            share=_share(bands, chosen, level),
            predicted=_predicted(bands, chosen, level),
            observed=bands.bad_rate(chosen, level=level),
        )
        for low, high, chosen in _groups(bands, part_of)
    )


def calibration_error(bands: Bands, *, level: float = LEVEL) -> Estimate:
    """Expected calibration error: Σ over ten parts of equal mass of share · |bad rate - mean probability|.

    Args:
        bands: The private sum.
        level: Of the intervals.

    Returns:
        In [0, 1]; not measurable if noise hides the rows.
    """
    if not bands.rows.clear:
        return Estimate.unknown(level=level)
    rows = bands.rows.value
    everyone = bands.bad + bands.good
    found = np.maximum.accumulate(np.clip(_middles(everyone / rows), 0.0, 1.0))
    part_of = np.minimum(np.floor(_PARTS * found).astype(np.int64), _PARTS - 1)
    chosen = (part_of[None, :] == np.arange(_PARTS)[:, None]).astype(np.float64)
    probability = bands.reference.probabilities
    surplus = chosen @ (bands.bad * (1.0 - probability) - bands.good * probability) / rows
    bad_weights, good_weights = chosen * (1.0 - probability) / rows, -chosen * probability / rows
    covariance = bands.measured.covariance(np.hstack([bad_weights, good_weights]))
    noise = np.sqrt(np.diag(covariance))
    shares = np.clip(chosen @ everyone / rows, 0.0, 1.0)
    expected = chosen @ (bands.reference.shares * probability * (1.0 - probability))
    sampling = np.sqrt(expected / rows)

    signs = np.array(list(product((-1.0, 1.0), repeat=_PARTS)))
    sums = signs @ surplus
    sums_noise = np.sqrt(np.maximum(np.einsum("si,ij,sj->s", signs, covariance, signs), 0.0))
    spare = _unsure_probability(bands, level) / rows + _unsure_borders(bands, chosen, surplus, shares, level)
    reach = quantile(1.0 - (1.0 - level) / 2.0 / len(signs))

    def interval(error: _Floats) -> tuple[float, float]:
        return float(np.max(sums - reach * error)) - spare, float(np.max(sums + reach * error)) + spare

    whole_sampling = float(np.linalg.norm(sampling))
    return Estimate.between(
        float(np.sqrt(np.maximum(surplus**2 - noise**2, 0.0)).sum()),
        inner=interval(sums_noise),
        outer=interval(np.hypot(sums_noise, whole_sampling)),
        noise=float(np.max(sums_noise)),
        sampling=whole_sampling,
        level=level,
    )


def grades(bands: Bands, cut_offs: tuple[float, ...], *, level: float = LEVEL) -> tuple[Grade, ...]:
    """Share and bad rate of each grade, safest first.

    Args:
        bands: The private sum, planned with these cut-offs.
        cut_offs: Points; a score on a cut-off belongs to the safer grade.
        level: Of each interval by itself.

    Raises:
        DataError: A cut-off is no edge of a band.
    """
    inside = [cut for cut in cut_offs if cut not in bands.edges]
    if inside:
        raise DataError(f"cut-offs {inside} are within bands: name them in the plan, so that bands end there")
    ends = np.concatenate([bands.edges, [np.inf]])
    grade_of = np.searchsorted(np.sort(np.unique(cut_offs)), ends, side="left")
    return tuple(
        Grade(
            low=low,
            high=high,
            share=_share(bands, chosen, level),
            bad_rate=bands.bad_rate(chosen, level=level),
        )
        for low, high, chosen in reversed(list(_groups(bands, grade_of)))
    )


def _middles(shares: _Floats) -> _Floats:
    return np.asarray(np.cumsum(shares) - shares / 2)


def _groups(
    bands: Bands, group_of: npt.NDArray[np.int64]
) -> list[tuple[float | None, float | None, _Floats]]:
    """Each run of bands with the same number: its ends in points, and which bands it holds."""
    starts = [0, *(np.flatnonzero(np.diff(group_of)) + 1).tolist(), len(group_of)]
    groups = []
    for first, end in pairwise(starts):
        chosen = np.zeros(len(group_of))
        chosen[first:end] = 1.0
        low = float(bands.edges[first - 1]) if first else None
        high = float(bands.edges[end - 1]) if end < len(group_of) else None
        groups.append((low, high, chosen))
    return groups


def _share(bands: Bands, chosen: _Floats, level: float) -> Estimate:
    rows = bands.rows.value
    if not bands.rows.clear:
        return Estimate.unknown(level=level)
    part = bands.rows_in(chosen)
    share = part.value / rows
    noise = bands.deviation((chosen - share) / rows, (chosen - share) / rows)
    prudent = float(np.clip(share, 1.0 / (rows + 2.0), 1.0 - 1.0 / (rows + 2.0)))
    return Estimate.around(
        share, noise=noise, sampling=float(np.sqrt(prudent * (1.0 - prudent) / rows)), level=level
    )


def _predicted(bands: Bands, chosen: _Floats, level: float) -> Estimate:
    part = bands.rows_in(chosen)
    if not part.clear:
        return Estimate.unknown(level=level)
    reference = bands.reference
    everyone = bands.bad + bands.good
    value = float((chosen * reference.probabilities) @ everyone) / part.value
    weights = chosen * (reference.probabilities - value) / part.value
    masses = chosen * reference.shares / float(chosen @ reference.shares)
    spread = float(masses @ (reference.probabilities - masses @ reference.probabilities) ** 2)
    below = chosen * (reference.probabilities - reference.least_probabilities)
    above = chosen * (reference.greatest_probabilities - reference.probabilities)
    return Estimate.around(
        value,
        noise=bands.deviation(weights, weights),
        sampling=float(np.sqrt(spread / part.value)),
        level=level,
        below=_at_most(bands, below, below, level) / part.value,
        above=_at_most(bands, above, above, level) / part.value,
    )


def _at_most(bands: Bands, bad_weights: _Floats, good_weights: _Floats, level: float) -> float:
    """Upper bound of a weighted count whose weights are not negative."""
    value = float(bad_weights @ bands.bad + good_weights @ bands.good)
    return max(value + two_sided(level) * bands.deviation(bad_weights, good_weights), 0.0)


def _unsure_probability(bands: Bands, level: float) -> float:
    """What the sum over parts may be off by because probabilities are known up to their band."""
    reference = bands.reference
    wrong = np.maximum(
        reference.greatest_probabilities - reference.probabilities,
        reference.probabilities - reference.least_probabilities,
    )
    return _at_most(bands, wrong, wrong, level)


def _unsure_borders(bands: Bands, chosen: _Floats, surplus: _Floats, shares: _Floats, level: float) -> float:
    """What rows near the borders of parts change, which noise may count in the neighbouring part.

    A part's border is off by the noise in the share of rows below it, and by a band. Rows that change sides
    take with them the miscalibration of their part, and chance; a score that many rows have changes sides as
    a whole, if it lies so near to a border that noise decides.
    """
    rows = bands.rows.value
    before = np.cumsum(chosen, axis=0)[:-1]
    below = np.clip(np.cumsum(shares)[:-1], 0.0, 1.0)
    weights = (before - below[:, None]) / rows
    borders = np.arange(1, _PARTS) / _PARTS
    unsure = two_sided(level) * bands.deviations(weights, weights)
    off = np.minimum(np.abs(below - borders) + unsure, 1.0)
    rate = np.abs(surplus) / np.maximum(shares, 1.0 / _PARTS)
    carried = float(off @ np.maximum(rate[:-1], rate[1:]))
    probability = bands.reference.probabilities
    own = np.abs(bands.bad * (1.0 - probability) - bands.good * probability)
    own -= two_sided(level) * bands.deviations(np.diag(1.0 - probability), -np.diag(probability))
    distance = np.abs(_middles((bands.bad + bands.good) / rows)[None, :] - borders[:, None])
    near = distance <= unsure[:, None]
    carried += float(np.max(np.where(near, np.maximum(own, 0.0), 0.0), axis=1).sum()) / rows
    each = chosen @ (bands.reference.shares * probability * (1.0 - probability))
    variance = np.clip(each / np.maximum(chosen @ bands.reference.shares, 1e-9), 0.0, 0.25)
    chance = two_sided(level) * float(np.sqrt(off @ np.maximum(variance[:-1], variance[1:]) / rows))
    return 2.0 * (carried + chance)
