"""How well does a score rank and predict the bad outcome?

Every function takes the outcomes (1 is bad) and one number per row in which **higher means riskier**: a score
for `auc`, `gini`, `ks` and `recall_at`, a probability of the bad outcome for `brier` and `calibration_error`.
No result depends on the order of the rows, also where scores are tied. Accuracy is left out on purpose: at
base rates of 1-8 % it says nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fedscore.errors import DataError

__all__ = ["auc", "brier", "calibration_error", "gini", "ks", "recall_at"]

_Floats = npt.NDArray[np.float64]


def auc(outcome: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Area under the ROC curve: P(a bad row scores above a good one) + P(they tie) / 2.

    Computed from mid-ranks (Mann and Whitney 1947), so exact with ties.

    Args:
        outcome: [n] in {0, 1}; 1 is bad.
        score: [n], higher is riskier.

    Returns:
        A number in [0, 1]; .5 for a score that says nothing.

    Raises:
        DataError: Lengths differ, a label is outside {0, 1}, a score is not finite, or only one class is
            there.
    """
    good, bad = _per_distinct_score(outcome, score)
    good_below = np.cumsum(good) - good
    return float(np.sum(bad * (good_below + good / 2)) / (good.sum() * bad.sum()))


def gini(outcome: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Gini coefficient (accuracy ratio), 2 · AUC - 1.

    Args:
        outcome: [n] in {0, 1}; 1 is bad.
        score: [n], higher is riskier.

    Returns:
        A number in [-1, 1]; 0 for a score that says nothing.

    Raises:
        DataError: As for `auc`.
    """
    return 2 * auc(outcome, score) - 1


def ks(outcome: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Kolmogorov-Smirnov distance between the score's distributions among bad and among good rows.

    The trade's sign: the largest F_good - F_bad over all cut-offs, so a score that ranks the wrong way round
    gets 0 instead of the credit of its mirror image (which the two-sided statistic would give it).

    Args:
        outcome: [n] in {0, 1}; 1 is bad.
        score: [n], higher is riskier.

    Returns:
        A number in [0, 1].

    Raises:
        DataError: As for `auc`.
    """
    good, bad = _per_distinct_score(outcome, score)
    # A difference of counts over a common denominator: exact, so that equal curves give 0 and no rounding.
    gap = np.cumsum(good) * bad.sum() - np.cumsum(bad) * good.sum()
    return float(max(gap.max(), 0) / (good.sum() * bad.sum()))


def brier(outcome: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Mean squared difference between probability and outcome (Brier 1950).

    Args:
        outcome: [n] in {0, 1}; 1 is bad. One class alone is accepted.
        probability: [n] in [0, 1], of the bad outcome.

    Returns:
        A number in [0, 1]; lower is better.

    Raises:
        DataError: Lengths differ, there are no rows, or a label or probability is out of range.
    """
    labels, predicted = _checked_probabilities(outcome, probability)
    return float(np.mean((predicted - labels) ** 2))


def calibration_error(outcome: npt.ArrayLike, probability: npt.ArrayLike, *, bins: int = 10) -> float:
    """Expected calibration error over bins of equal mass: Σ (bin's share) · |bad rate - mean probability|.

    A row's bin is ⌊bins · r / n⌋, where r is the mid-rank of its probability among all rows (rows below it,
    plus half of those tied with it and itself). Bins are therefore of equal mass up to ties, and rows with
    the same probability always share a bin; a card with few distinct scores may leave bins empty.

    Args:
        outcome: [n] in {0, 1}; 1 is bad. One class alone is accepted.
        probability: [n] in [0, 1], of the bad outcome.
        bins: How many bins, at least 1.

    Returns:
        A number in [0, 1]; lower is better.

    Raises:
        DataError: As for `brier`, or `bins` is below 1.
    """
    if bins < 1:
        raise DataError(f"calibration over {bins} bins: ask for at least 1")
    labels, predicted = _checked_probabilities(outcome, probability)
    _, group, count = np.unique(predicted, return_inverse=True, return_counts=True)
    # Twice the mid-rank: an integer, so that no bin's border is at the mercy of rounding.
    doubled_rank = 2 * np.cumsum(count) - count
    bin_of_row = (bins * doubled_rank // (2 * len(labels)))[group]
    surplus = np.bincount(bin_of_row, weights=labels - predicted)
    return float(np.abs(surplus).sum() / len(labels))


def recall_at(outcome: npt.ArrayLike, score: npt.ArrayLike, alert_rate: float) -> float:
    """Share of the bad rows among the riskiest `alert_rate` of all rows.

    Where the border falls inside a group of tied scores (or of a single row), the group counts in proportion:
    the expectation over a random order of the tied rows. So a constant score has recall `alert_rate`.

    Args:
        outcome: [n] in {0, 1}; 1 is bad.
        score: [n], higher is riskier.
        alert_rate: Share of rows that may be alerted, in (0, 1].

    Returns:
        A number in [0, 1].

    Raises:
        DataError: As for `auc`, or `alert_rate` is outside (0, 1].
    """
    if not 0 < alert_rate <= 1:
        raise DataError(f"an alert rate of {alert_rate}: it is a share of all rows, above 0 and at most 1")
    good, bad = (counts[::-1] for counts in _per_distinct_score(outcome, score))
    rows = good + bad
    alerted = np.clip(alert_rate * rows.sum() - (np.cumsum(rows) - rows), 0, rows)
    return float(np.sum(bad * (alerted / rows)) / bad.sum())


def _per_distinct_score(
    outcome: npt.ArrayLike, score: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Counts of good and of bad rows at each distinct score, in ascending order of the score."""
    labels, scores = _checked(outcome, score)
    bad_rows = int(labels.sum())
    if bad_rows in (0, len(labels)):
        raise DataError(
            f"all {len(labels)} rows have the same outcome: ranking needs both good and bad rows, "
            "so evaluate on more rows"
        )
    distinct, group = np.unique(scores, return_inverse=True)
    bad = np.bincount(group[labels == 1], minlength=len(distinct))
    good = np.bincount(group[labels == 0], minlength=len(distinct))
    return good, bad


def _checked_probabilities(outcome: npt.ArrayLike, probability: npt.ArrayLike) -> tuple[_Floats, _Floats]:
    labels, predicted = _checked(outcome, probability)
    outside = int(np.count_nonzero((predicted < 0) | (predicted > 1)))
    if outside:
        raise DataError(
            f"{outside} of {len(predicted)} probabilities are outside [0, 1]: pass probabilities, not points"
        )
    return labels, predicted


def _checked(outcome: npt.ArrayLike, score: npt.ArrayLike) -> tuple[_Floats, _Floats]:
    labels, scores = np.asarray(outcome), np.asarray(score)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise DataError(
            f"outcomes of shape {labels.shape} beside scores of shape {scores.shape}: "
            "both must be [n], one per row"
        )
    if len(labels) == 0:
        raise DataError("no rows to evaluate: a metric needs at least one")
    labels, scores = _as_floats(labels, "outcomes"), _as_floats(scores, "scores")
    strange = int(np.count_nonzero((labels != 0) & (labels != 1)))
    if strange:
        raise DataError(f"{strange} of {len(labels)} outcomes are outside {{0, 1}}: 1 is bad, 0 is good")
    infinite = int(np.count_nonzero(~np.isfinite(scores)))
    if infinite:
        raise DataError(f"{infinite} of {len(scores)} scores are missing or infinite: score every row first")
    return labels, scores


def _as_floats(values: npt.NDArray[Any], what: str) -> _Floats:
    if values.dtype.kind not in "biuf":
        raise DataError(f"{what} of type {values.dtype}: numbers are needed")
    return values.astype(np.float64)
