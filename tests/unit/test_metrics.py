from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import ks_2samp
from sklearn.metrics import brier_score_loss, roc_auc_score

from fedscore import metrics
from fedscore.errors import DataError

Metric = Callable[[npt.ArrayLike, npt.ArrayLike], float]
RANKING: list[Metric] = [metrics.auc, metrics.gini, metrics.ks, lambda y, s: metrics.recall_at(y, s, 0.2)]
PREDICTING: list[Metric] = [metrics.brier, metrics.calibration_error]


def sample(seed: int, *, levels: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Outcomes and probabilities that take at most `levels` values, so that few levels make many ties."""
    generator = np.random.default_rng(seed)
    probability = generator.integers(0, levels, 500) / levels
    return (generator.random(500) < 0.1 + 0.5 * probability).astype(np.int8), probability


@pytest.fixture(params=[(seed, levels) for seed in range(4) for levels in (2, 7, 10**9)])
def drawn(request: pytest.FixtureRequest) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    seed, levels = request.param
    return sample(seed, levels=levels)


def test_auc_and_gini_are_scikit_learns(drawn: tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]) -> None:
    expected = roc_auc_score(*drawn)
    assert metrics.auc(*drawn) == pytest.approx(expected, abs=1e-12)
    assert metrics.gini(*drawn) == pytest.approx(2 * expected - 1, abs=1e-12)


def test_ks_is_scipys_one_sided_statistic(
    drawn: tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]],
) -> None:
    outcome, score = drawn
    expected = ks_2samp(score[outcome == 0], score[outcome == 1], alternative="greater").statistic
    assert metrics.ks(outcome, score) == pytest.approx(expected, abs=1e-12)


def test_brier_is_scikit_learns(drawn: tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]) -> None:
    assert metrics.brier(*drawn) == pytest.approx(brier_score_loss(*drawn), abs=1e-12)


def test_calibration_error_without_ties_is_that_of_sorted_tenths() -> None:
    outcome, probability = sample(3, levels=10**9)
    order = np.argsort(probability)
    tenths = np.split(order, 10)
    expected = np.mean([abs(outcome[tenth].mean() - probability[tenth].mean()) for tenth in tenths])
    assert metrics.calibration_error(outcome, probability) == pytest.approx(expected, abs=1e-12)


def test_calibration_error_with_ties_is_that_of_the_groups() -> None:
    outcome = np.array([0, 1, 1, 1, 0, 0, 0, 0])
    probability = np.array([0.75] * 4 + [0.25] * 4)
    assert metrics.calibration_error(outcome, probability) == pytest.approx(0.5 * 0 + 0.5 * 0.25)


def test_a_tied_group_goes_where_its_middle_is() -> None:
    # Three of four rows tie: their middle is in the lower half, so the fourth has the upper half to itself.
    error = metrics.calibration_error([1, 0, 0, 0], [0.2, 0.2, 0.2, 0.8], bins=2)
    assert error == pytest.approx((abs(1 - 3 * 0.2) + abs(0 - 0.8)) / 4)


def test_calibration_error_in_one_bin_is_the_difference_of_means() -> None:
    outcome, probability = sample(1, levels=7)
    expected = abs(outcome.mean() - probability.mean())
    assert metrics.calibration_error(outcome, probability, bins=1) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("alert_rate", "recall"),
    # 8 rows, 4 bad: scores 4 (1 bad), 3 (2 bad of 4), 2 (none), 1 (1 bad).
    [(0.125, 0.25), (0.25, 0.375), (0.375, 0.5), (0.0625, 0.125), (0.625, 0.75), (0.75, 0.75), (1.0, 1.0)],
)
def test_recall_shares_ties_in_proportion(alert_rate: float, recall: float) -> None:
    outcome = [1, 1, 1, 0, 0, 0, 0, 1]
    score = [4, 3, 3, 3, 3, 2, 2, 1]
    assert metrics.recall_at(outcome, score, alert_rate) == pytest.approx(recall)


def test_recall_of_a_constant_score_is_the_alert_rate() -> None:
    outcome, _ = sample(0, levels=2)
    assert metrics.recall_at(outcome, np.zeros(len(outcome)), 0.07) == pytest.approx(0.07)


def test_a_perfect_score_and_its_mirror_image() -> None:
    outcome, score = np.array([0, 0, 0, 1]), np.array([1.0, 2.0, 3.0, 4.0])
    assert (metrics.auc(outcome, score), metrics.ks(outcome, score)) == (1.0, 1.0)
    assert metrics.recall_at(outcome, score, 0.25) == 1.0
    assert (metrics.auc(outcome, -score), metrics.ks(outcome, -score)) == (0.0, 0.0)
    assert metrics.recall_at(outcome, -score, 0.75) == 0.0


@pytest.mark.parametrize("metric", RANKING + PREDICTING)
def test_the_order_of_the_rows_does_not_matter(metric: Metric) -> None:
    outcome, probability = sample(2, levels=7)
    shuffled = np.random.default_rng(0).permutation(len(outcome))
    assert metric(outcome[shuffled], probability[shuffled]) == pytest.approx(
        metric(outcome, probability), abs=1e-12
    )


@pytest.mark.parametrize("metric", RANKING)
@pytest.mark.parametrize("label", [0, 1])
def test_ranking_needs_both_classes(metric: Metric, label: int) -> None:
    with pytest.raises(DataError, match=r"all 3 rows have the same outcome.*evaluate on more rows"):
        metric([label] * 3, [0.1, 0.2, 0.3])


@pytest.mark.parametrize("metric", PREDICTING)
def test_prediction_is_measured_on_one_class_too(metric: Metric) -> None:
    assert metric([1, 1], [1.0, 1.0]) == 0.0
    assert metric([0, 0], [1.0, 1.0]) == 1.0


@pytest.mark.parametrize("metric", RANKING + PREDICTING)
@pytest.mark.parametrize(
    ("outcome", "score", "message"),
    [
        ([], [], "no rows"),
        ([0, 1], [0.5], r"shape \(2,\) beside scores of shape \(1,\)"),
        ([[0], [1]], [[0.5], [0.5]], "both must be"),
        ([0, 2], [0.5, 0.5], "1 of 2 outcomes are outside"),
        ([0, np.nan], [0.5, 0.5], "1 of 2 outcomes are outside"),
        ([0, 1], [0.5, np.nan], "1 of 2 scores are missing or infinite"),
        ([0, 1], [np.inf, 0.5], "1 of 2 scores are missing or infinite"),
        (["0", "1"], [0.5, 0.5], "numbers are needed"),
    ],
)
def test_what_no_metric_accepts(
    metric: Metric, outcome: list[object], score: list[object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        metric(outcome, score)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("metric", PREDICTING)
def test_points_are_no_probabilities(metric: Metric) -> None:
    with pytest.raises(DataError, match=r"1 of 2 probabilities are outside \[0, 1\]"):
        metric([0, 1], [0.5, 600.0])


@pytest.mark.parametrize("alert_rate", [0.0, -0.1, 1.1, float("nan")])
def test_an_alert_rate_is_a_share(alert_rate: float) -> None:
    with pytest.raises(DataError, match="share of all rows"):
        metrics.recall_at([0, 1], [0.1, 0.2], alert_rate)


def test_calibration_needs_a_bin() -> None:
    with pytest.raises(DataError, match="at least 1"):
        metrics.calibration_error([0, 1], [0.1, 0.2], bins=0)
