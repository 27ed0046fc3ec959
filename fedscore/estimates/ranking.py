"""How well a score ranks, from noisy bands: AUC, Gini, KS and recall.

Exact metrics are those of fedscore.metrics on the pooled rows, with risk = -score. Within a band the order
of rows is unknown. What that can change is bounded, for AUC and KS without any assumption, and added to
every interval:

    AUC      the bands' own AUC counts pairs within a band as half: off by at most Σ_k f_k g_k / 2, where
             f and g are the shares of the bad and of the good rows in band k
    KS       at least max_j F_j - G_j over edges, at most max_j F_(j+1) - G_j: within a band all bad
             rows may come first
    recall   the border of the alert lies within one band, of whose bad rows a proportion is alerted, up to
             chance and to odds that change within the band by up to four times what the card says

Noise enters through ratios and products of counts, by their gradients and the covariance of least squares.
The gradients are taken at noisy counts, which makes them longer on average by what the second order adds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedscore.errors import DataError
from fedscore.estimates.bands import Bands
from fedscore.estimates.interval import LEVEL, Estimate, quantile, two_sided

__all__ = ["auc", "gini", "ks", "recall_at"]

_Floats = npt.NDArray[np.float64]


def auc(bands: Bands, *, level: float = LEVEL) -> Estimate:
    """Area under the ROC curve.

    Args:
        bands: The private sum.
        level: Of the intervals.

    Returns:
        In [0, 1]; not measurable if noise hides the bad or the good rows.
    """
    if not bands.rankable:
        return Estimate.unknown(level=level)
    bad_rows, good_rows = bands.bad_rows.value, bands.good_rows.value
    bad, good = bands.bad / bad_rows, bands.good / good_rows
    value = float(bad @ _safer(good))
    safer, riskier = np.clip(_safer(good), 0.0, 1.0), np.clip(_riskier(bad), 0.0, 1.0)
    noise = bands.deviation((safer - value) / bad_rows, (riskier - value) / good_rows)
    undecided = _pairs_within_bands(bands, level) / (bad_rows * good_rows) / 2.0
    return Estimate.around(
        value,
        noise=noise,
        sampling=_sampling_of_auc(bands, bad, good),
        level=level,
        below=undecided,
        above=undecided,
    )


def gini(bands: Bands, *, level: float = LEVEL) -> Estimate:
    """Gini coefficient, 2 · AUC - 1; arguments as for `auc`."""
    return auc(bands, level=level).scaled(2.0, -1.0, least=-1.0, greatest=1.0)


def ks(bands: Bands, *, level: float = LEVEL) -> Estimate:
    """Kolmogorov-Smirnov distance with the trade's sign: the largest F_bad - F_good from the riskiest on.

    The interval holds for whichever cut-off is the best one: Bonferroni over all edges above; below the
    better of that and of one edge that was chosen before outcomes were looked at. The value is the maximum of
    a smoothed curve, because the maximum of a noisy one is too high.

    Args:
        bands: The private sum.
        level: Of the intervals.

    Returns:
        In [0, 1]; not measurable if noise hides the bad or the good rows.
    """
    if not bands.rankable:
        return Estimate.unknown(level=level)
    count = bands.reference.bands
    before = np.tri(count + 1, count, -1)  # row j: the bands riskier than edge j
    lower, lower_noise, lower_sampling = _gap(bands, before, before)
    upper, upper_noise, upper_sampling = _gap(bands, before[1:], before[:-1])
    fixed = int(np.argmax(before @ _expected(bands)))
    tail = (1.0 - level) / 2.0
    # Edges at both ends are 0 by definition: count - 1 are left, and all `count` steps above.
    at_all, at_fixed = quantile(1.0 - tail / 2.0 / max(count - 1, 1)), quantile(1.0 - tail / 2.0)
    above_all = quantile(1.0 - tail / count)

    def reach(low_error: _Floats, high_error: _Floats) -> tuple[float, float]:
        low = max(
            float(np.max(lower - at_all * low_error)), float(lower[fixed] - at_fixed * low_error[fixed])
        )
        return max(low, 0.0), float(np.max(upper + above_all * high_error))

    smooth = _smoothed(lower)
    best = int(np.argmax(smooth))
    return Estimate.between(
        float(smooth[best]),
        inner=reach(lower_noise, upper_noise),
        outer=reach(np.hypot(lower_noise, lower_sampling), np.hypot(upper_noise, upper_sampling)),
        noise=float(lower_noise[best]),
        sampling=float(lower_sampling[best]),
        level=level,
    )


def recall_at(bands: Bands, alert_rate: float, *, level: float = LEVEL) -> Estimate:
    """Share of the bad rows among the riskiest `alert_rate` of all rows.

    Args:
        bands: The private sum.
        alert_rate: Share of rows that may be alerted, in (0, 1].
        level: Of the intervals.

    Returns:
        In [0, 1]; not measurable if noise hides the bad or the good rows.

    Raises:
        DataError: `alert_rate` is outside (0, 1].
    """
    if not 0 < alert_rate <= 1:
        raise DataError(f"an alert rate of {alert_rate}: it is a share of all rows, above 0 and at most 1")
    if not bands.rankable:
        return Estimate.unknown(level=level)
    rows, bad_rows = bands.rows.value, bands.bad_rows.value
    everyone = bands.bad + bands.good
    alerted = np.clip(np.cumsum(everyone) / rows, 0.0, 1.0)
    taken = _taken(np.maximum.accumulate(alerted), alert_rate)
    recall = float(taken @ bands.bad) / bad_rows
    # Where the border moves by a share of the rows, recall moves by this many times as much.
    nearby = _window(taken)
    steepness = float(
        np.clip(
            (nearby @ bands.bad) / bad_rows / max(float(nearby @ everyone) / rows, 1e-9), 0.0, rows / bad_rows
        )
    )
    border = steepness * bad_rows / rows
    # What the noise in the border and in the number of alerted bad rows do together.
    wrong_by_bad = (taken - recall - border * (taken - alert_rate)) / bad_rows
    wrong_by_good = -border * (taken - alert_rate) / bad_rows
    noise = bands.deviation(wrong_by_bad, wrong_by_good)
    in_border = _bad_rows_at(bands, taken, level) / bad_rows
    # Each record weighs as much in the sample as its noise would; the two parts by themselves are a scale.
    rate = float(np.clip(recall, 1.0 / (bad_rows + 2.0), 1.0 - 1.0 / (bad_rows + 2.0)))
    apart = rate * (1.0 - rate) / bad_rows + steepness**2 * alert_rate * (1.0 - alert_rate) / rows
    together = float(bands.bad @ wrong_by_bad**2 + bands.good @ wrong_by_good**2)
    sampling = np.sqrt(np.clip(together, apart / 20.0, apart))
    return Estimate.around(
        recall, noise=noise, sampling=float(sampling), level=level, below=in_border, above=in_border
    )


def _safer(shares: _Floats) -> _Floats:
    return np.asarray(shares.sum() - np.cumsum(shares) + shares / 2)


def _riskier(shares: _Floats) -> _Floats:
    return np.cumsum(shares) - shares / 2


def _halves(bands: Bands) -> tuple[_Floats, _Floats]:
    """Noise of the bad and of the good counts, each [bands, answers], in units of the answers' noise."""
    decoder = bands.measured.strategy.decoder
    return decoder[: bands.reference.bands], decoder[bands.reference.bands :]


def _pairs_within_bands(bands: Bands, level: float) -> float:
    """Upper bound of Σ bad_k · good_k, unbiased because bad and good counts have independent noise."""
    bad_noise, good_noise = _halves(bands)
    bad_spread = bands.measured.deviation * np.linalg.norm(bands.bad @ good_noise)
    good_spread = bands.measured.deviation * np.linalg.norm(bands.good @ bad_noise)
    both = bands.measured.deviation**2 * np.linalg.norm(bad_noise.T @ good_noise)
    noise = float(np.sqrt(bad_spread**2 + good_spread**2 + both**2))
    most = bands.bad_rows.value * bands.good_rows.value
    return float(np.clip(bands.bad @ bands.good + two_sided(level) * noise, 0.0, most))


def _sampling_of_auc(bands: Bands, bad: _Floats, good: _Floats) -> float:
    """DeLong's variance, from bands; noise may not take it far from what the public reference says."""
    reference_bad, reference_good = _reference_shares(bands)

    def spread(shares: _Floats, ranks: _Floats) -> float:
        return float(shares @ ranks**2 - (shares @ ranks) ** 2)

    variance = 0.0
    for shares, ranks, expected, expected_ranks, rows in (
        (bad, _safer(good), reference_bad, _safer(reference_good), bands.bad_rows.value),
        (good, _riskier(bad), reference_good, _riskier(reference_bad), bands.good_rows.value),
    ):
        scale = spread(expected, expected_ranks)
        variance += float(np.clip(spread(shares, ranks), scale / 2, 2 * scale)) / rows
    return float(np.sqrt(variance))


def _reference_shares(bands: Bands) -> tuple[_Floats, _Floats]:
    reference = bands.reference
    bad = reference.shares * reference.probabilities
    good = reference.shares * (1.0 - reference.probabilities)
    return bad / bad.sum(), good / good.sum()


def _expected(bands: Bands) -> _Floats:
    bad, good = _reference_shares(bands)
    return bad - good


def _gap(bands: Bands, bad_chosen: _Floats, good_chosen: _Floats) -> tuple[_Floats, _Floats, _Floats]:
    """Share of the bad rows chosen less that of the good rows, with its noise and its sampling error."""
    bad_rows, good_rows = bands.bad_rows.value, bands.good_rows.value
    bad, good = bad_chosen @ bands.bad / bad_rows, good_chosen @ bands.good / good_rows
    noise = bands.deviations(
        (bad_chosen - np.clip(bad, 0.0, 1.0)[:, None]) / bad_rows,
        -(good_chosen - np.clip(good, 0.0, 1.0)[:, None]) / good_rows,
    )
    share_bad, share_good = np.clip(bad, 0.0, 1.0), np.clip(good, 0.0, 1.0)
    sampling = np.sqrt(share_bad * (1 - share_bad) / bad_rows + share_good * (1 - share_good) / good_rows)
    return bad - good, noise, sampling


def _smoothed(curve: _Floats) -> _Floats:
    """Local quadratics over an eighth of the curve (Savitzky and Golay 1964), unless it is short."""
    half = len(curve) // 16
    if half < 2:
        return curve
    offsets = np.arange(-half, half + 1)
    kernel = np.linalg.pinv(np.vander(offsets, 3, increasing=True).astype(np.float64))[0]
    inner = np.convolve(curve, kernel[::-1], mode="valid")
    return np.concatenate([curve[:half], inner, curve[-half:]]) if len(inner) else curve


def _taken(alerted: _Floats, alert_rate: float) -> _Floats:
    """[bands], which part of each band is alerted: 1, then a fraction, then 0."""
    band = int(np.searchsorted(alerted, alert_rate))
    taken = np.zeros(len(alerted))
    taken[:band] = 1.0
    if band < len(alerted):
        before = float(alerted[band - 1]) if band else 0.0
        width = float(alerted[band]) - before
        taken[band] = np.clip((alert_rate - before) / width, 0.0, 1.0) if width > 0 else 1.0
    return taken


def _window(taken: _Floats) -> _Floats:
    """Bands around the border: an eighth of all."""
    count = len(taken)
    border, half = int(np.ceil(taken.sum())), max(count // 16, 1)
    chosen = np.zeros(count)
    chosen[max(min(border, count) - half, 0) : border + half] = 1.0
    return chosen


def _bad_rows_at(bands: Bands, taken: _Floats, level: float) -> float:
    """By how many bad rows the band of the border may differ from its proportion.

    It holds as many as bands nearby, or as it seems to hold itself. A random order of its rows is off by half
    the root of them; odds that change within the band by a factor e^w, four times what the card says, by
    a share w/8 · 4.
    """
    nearby = _window(taken) > 0
    usual = max(float(bands.bad[nearby].mean()), 0.0)
    usual += two_sided(level) * float(np.sqrt(usual + 1.0))
    each = np.eye(bands.reference.bands)[nearby]
    noise = bands.deviations(each, np.zeros_like(each))
    held = max(usual, float(np.max(bands.bad[nearby] - two_sided(level) * noise)))
    greatest, least = bands.reference.greatest_probabilities, bands.reference.least_probabilities
    widths = (_log_odds(greatest) - _log_odds(least))[nearby]
    slope = min(float(np.median(widths)) / 2.0, 1.0)
    return min(held, held * slope + two_sided(level) * float(np.sqrt(held)) / 2.0)


def _log_odds(probability: _Floats) -> _Floats:
    safe = np.clip(probability, 1e-12, 1.0 - 1e-12)
    return np.asarray(np.log(safe / (1.0 - safe)))
