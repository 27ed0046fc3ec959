"""Figures of warnings, against scikit-learn and plain counting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score, roc_curve

from fedscore.errors import DataError
from fedscore.metrics import auc, ks, recall_at
from simulations.early_warning.figures import ALERT_RATE, Ranking, Sample, figures_of, measure


def sample_of(outcome: Any, lead: Any = None, person: Any = None) -> Sample:  # noqa: ANN401 - anything like an array
    labels = np.asarray(outcome, dtype=np.int8)
    days = np.full(len(labels), np.nan) if lead is None else np.asarray(lead, dtype=np.float64)
    days[labels == 1] = np.where(np.isnan(days[labels == 1]), 1.0, days[labels == 1])
    days[labels == 0] = np.nan
    persons = np.arange(len(labels)) if person is None else np.asarray(person)
    return Sample(outcome=labels, lead_days=days, person=persons)


def drawn(rows: int, seed: int) -> tuple[Sample, np.ndarray[Any, np.dtype[np.float64]]]:
    """Rows with tied scores that say something, and events on days 0 to 29."""
    generator = np.random.default_rng(seed)
    score = generator.integers(0, 30, rows) / 30
    outcome = (generator.random(rows) < 0.05 + 0.3 * score).astype(np.int8)
    outcome[:2] = (0, 1)
    return sample_of(outcome, generator.integers(0, 30, rows).astype(float)), score


rows_of_both_kinds = st.integers(4, 60).flatmap(
    lambda size: st.tuples(
        arrays(np.int8, size, elements=st.integers(0, 1)).filter(
            lambda labels: 0 < labels.sum() < len(labels)
        ),
        arrays(np.float64, size, elements=st.integers(0, 5).map(float)),
        arrays(np.int64, size, elements=st.integers(0, 3)),
    )
)


@given(rows_of_both_kinds)
def test_a_weight_is_as_good_as_so_many_rows(drawn_rows: tuple[Any, Any, Any]) -> None:
    outcome, score, weight = drawn_rows
    figures = Ranking(sample_of(outcome), score).figures(weight.astype(np.float64))
    labels, scores = np.repeat(outcome, weight), np.repeat(score, weight)
    if len(set(labels)) < 2:
        assert figures is None
        return
    assert figures is not None
    false, true, _ = roc_curve(labels, scores)
    assert figures.auc == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert figures.ks == pytest.approx(max(np.max(true - false), 0), abs=1e-12)
    assert figures.recall == pytest.approx(recall_at(labels, scores, ALERT_RATE), abs=1e-12)


def test_figures_are_those_of_the_metrics() -> None:
    sample, score = drawn(2000, 1)
    figures = figures_of(sample, score)
    assert figures.auc == pytest.approx(auc(sample.outcome, score), abs=1e-12)
    assert figures.ks == pytest.approx(ks(sample.outcome, score), abs=1e-12)
    assert figures.recall == pytest.approx(recall_at(sample.outcome, score, ALERT_RATE), abs=1e-12)


def test_the_lead_is_the_median_of_the_alerted_bad_rows_alone() -> None:
    score = np.linspace(1, 0, 100)
    outcome = np.zeros(100)
    outcome[[0, 2, 4, 50]] = 1
    lead = np.full(100, np.nan)
    lead[[0, 2, 4, 50]] = (9, 1, 5, 100)
    assert figures_of(sample_of(outcome, lead), score).lead_days == 5
    assert math.isnan(figures_of(sample_of(outcome, lead), -score).lead_days)


def test_a_score_that_says_nothing_finds_its_share() -> None:
    sample, _ = drawn(500, 2)
    figures = figures_of(sample, np.zeros(500))
    assert (figures.auc, figures.ks) == (0.5, 0.0)
    assert figures.recall == pytest.approx(ALERT_RATE)


def test_one_outcome_alone_is_refused() -> None:
    with pytest.raises(DataError, match="same outcome"):
        sample_of([0, 0, 0])


def test_an_interval_holds_its_value_and_narrows_with_rows() -> None:
    widths = []
    for rows in (300, 10_000):
        sample, score = drawn(rows, 3)
        measured = measure(sample, [score], draws=200)
        for estimate in (measured.auc, measured.ks, measured.recall):
            assert estimate.low is not None
            assert estimate.high is not None
            assert estimate.low < estimate.value < estimate.high
        assert measured.auc.low is not None
        assert measured.auc.high is not None
        widths.append(measured.auc.high - measured.auc.low)
    assert widths[1] < 0.4 * widths[0]


def test_the_interval_is_that_of_the_auc_in_closed_form() -> None:
    """DeLong, DeLong and Clarke-Pearson 1988, for one score without ties."""
    generator = np.random.default_rng(4)
    outcome = np.repeat([0, 1], [1500, 300])
    score = generator.normal(outcome * 1.0, 1.0)
    above = score[outcome == 1][:, None] > score[outcome == 0][None, :]
    variance = above.mean(axis=1).var(ddof=1) / 300 + above.mean(axis=0).var(ddof=1) / 1500
    estimate = measure(sample_of(outcome), [score], draws=1000).auc
    assert estimate.low is not None
    assert estimate.high is not None
    assert (estimate.high - estimate.low) / (2 * 1.96) == pytest.approx(math.sqrt(variance), rel=0.12)


def test_rows_of_one_person_are_drawn_together() -> None:
    sample, score = drawn(400, 5)
    tenfold = sample_of(
        np.tile(sample.outcome, 10), np.tile(sample.lead_days, 10), np.tile(sample.person, 10)
    )
    once, ten = measure(sample, [score], draws=300).auc, measure(tenfold, [np.tile(score, 10)], draws=300).auc
    assert ten.value == pytest.approx(once.value)
    assert once.low is not None
    assert ten.low is not None
    assert once.value - once.low == pytest.approx(ten.value - ten.low, rel=0.2)


def test_the_interval_covers_the_trainings_too() -> None:
    sample, score = drawn(3000, 6)
    generator = np.random.default_rng(7)
    noisy = [score + generator.normal(0, scale, 3000) for scale in (0.01, 2.0)]
    alone, both = measure(sample, [noisy[0]], draws=200).auc, measure(sample, noisy, draws=200).auc
    assert both.low is not None
    assert alone.low is not None
    assert both.low < alone.low - 0.05


def test_a_gap_to_itself_is_nothing_and_pairing_narrows_it() -> None:
    sample, score = drawn(1000, 8)
    same = measure(sample, [score], reference=[score], draws=50).auc_gap
    assert same is not None
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert measure(sample, [score], draws=10).auc_gap is None
    near = score + np.random.default_rng(9).normal(0, 0.05, 1000)
    measured = measure(sample, [near], reference=[score], draws=200)
    gap = measured.auc_gap
    assert gap is not None
    assert gap.low is not None
    assert gap.high is not None
    assert gap.value == pytest.approx(auc(sample.outcome, score) - auc(sample.outcome, near), abs=1e-12)
    assert measured.auc.low is not None
    assert measured.auc.high is not None
    assert gap.high - gap.low < 0.5 * (measured.auc.high - measured.auc.low)


def test_no_alerted_bad_row_has_no_lead() -> None:
    outcome = np.zeros(200)
    outcome[-3:] = 1
    assert measure(sample_of(outcome), [np.linspace(1, 0, 200)], draws=20).lead_days is None


def test_the_same_rows_and_scores_give_the_same_intervals() -> None:
    sample, score = drawn(300, 10)
    assert measure(sample, [score], draws=50) == measure(sample, [score], draws=50)
