"""Grades: where each begins, whom it holds, and what is said of it; the bands that monitoring compares."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedscore.card import Card
from fedscore.contract import Contract, GradeTerms
from fedscore.data import Rows
from fedscore.errors import CardError
from fedscore.estimates import Measured
from fedscore.learners.scorecard.grading import grades_of, score_bands
from fedscore.learners.scorecard.scores import GRID_CELLS, ScoreCounts, ScoreSum, score_sum_bound
from fedscore.sums import Released
from simulations.randomness import SeededRandomness
from tests.cards import plain_card, table
from tests.evaluations import open_all, product_contract, product_rows

Floats = npt.NDArray[np.float64]

CARD = plain_card(table("one", [-30.0, 0.0, 25.5, 60.01]), table("two", [-14.0, 3.33, 41.0]))
EDGES = ScoreSum(CARD).grid.edges
MIDDLES = (EDGES[1:] + EDGES[:-1]) / 2
PROBABILITIES = CARD.probability_of(MIDDLES)
BY_RATES = GradeTerms(names=("A", "B", "C", "D"), largest_bad_rates=(0.3, 0.45, 0.6))
BY_SHARES = GradeTerms(names=("A", "B", "C", "D"), shares=(0.2, 0.3, 0.4))


def counts_of(numbers: Floats, deviation: float = 0.0, seed: int = 0, card: Card = CARD) -> ScoreCounts:
    """So many records in each cell, of which as many are bad as the card expects."""
    query = ScoreSum(card)
    probability = card.probability_of((query.grid.edges[1:] + query.grid.edges[:-1]) / 2)
    nothing = Released(values=np.zeros(query.dimension), deviation=0.0)
    strategy = ScoreCounts.of(query, nothing).measured.strategy
    values = np.concatenate([numbers * probability, numbers * (1 - probability)]) @ strategy.patterns
    noise = deviation * np.random.default_rng(seed).standard_normal(strategy.dimension)
    return ScoreCounts(
        edges=query.grid.edges,
        measured=Measured(strategy=strategy, values=values + noise, deviation=deviation),
    )


def below(numbers: Floats, points: float) -> tuple[float, float]:
    """Records below so many points, and bad ones among them; alike within a cell."""
    part = np.clip((points - EDGES[:-1]) / np.diff(EDGES), 0.0, 1.0)
    return float(part @ numbers), float(part @ (numbers * PROBABILITIES))


def between(numbers: Floats, low: float, high: float) -> tuple[float, float]:
    (from_low, bad_low), (from_high, bad_high) = below(numbers, low), below(numbers, high)
    return from_high - from_low, bad_high - bad_low


def bell(seed: int, rows: float = 10_000.0) -> Floats:
    generator = np.random.default_rng(seed)
    middle, width = generator.uniform(EDGES[0], EDGES[-1]), generator.uniform(5.0, 60.0)
    numbers = generator.random(GRID_CELLS) * np.exp(-(((MIDDLES - middle) / width) ** 2))
    return np.asarray(np.round(rows * numbers / numbers.sum()))


@given(seed=st.integers(0, 2**32 - 1))
def test_by_bad_rates_each_grade_reaches_as_far_down_as_its_limit_lets_it(seed: int) -> None:
    numbers = bell(seed)
    grades = grades_of(CARD, counts_of(numbers), BY_RATES)
    high = float(np.ceil(EDGES[-1])) + 1.0
    least = float(np.floor(EDGES[0])) + 1.0
    for grade, limit in zip(grades, BY_RATES.largest_bad_rates, strict=False):
        assert grade.lowest_score is not None
        records, bad = between(numbers, grade.lowest_score, high)
        assert bad <= limit * records + 1e-6
        if records < 1.0 and grade.lowest_score < high:
            assert CARD.probability_of(np.array(grade.lowest_score)) <= limit
        if grade.lowest_score > least:
            more, more_bad = between(numbers, grade.lowest_score - 1.0, high)
            nobody = more < 1.0 and CARD.probability_of(np.array(grade.lowest_score - 1.0)) > limit
            assert nobody or more_bad > limit * more - 1e-6
        high = grade.lowest_score


@given(seed=st.integers(0, 2**32 - 1))
def test_by_shares_no_other_whole_point_comes_closer(seed: int) -> None:
    numbers = bell(seed)
    total = numbers.sum()
    high = float(np.ceil(EDGES[-1])) + 1.0
    for grade, share in zip(grades_of(CARD, counts_of(numbers), BY_SHARES), BY_SHARES.shares, strict=False):
        assert grade.lowest_score is not None
        off = abs(between(numbers, grade.lowest_score, high)[0] - share * total)
        others = np.arange(high, np.floor(EDGES[0]), -1.0)
        assert off <= min(abs(between(numbers, other, high)[0] - share * total) for other in others) + 1e-6
        high = grade.lowest_score


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    deviation=st.sampled_from([0.0, 3.0, 1e3, 1e11]),
    rows=st.sampled_from([0.0, 1.0, 1e4]),
    terms=st.sampled_from([BY_RATES, BY_SHARES]),
)
def test_whatever_the_noise_grades_make_a_card(
    seed: int, deviation: float, rows: float, terms: GradeTerms
) -> None:
    counts = counts_of(bell(seed, rows), deviation, seed)
    grades = grades_of(CARD, counts, terms)
    assert [grade.name for grade in grades] == list(terms.names)
    assert grades[-1].lowest_score is None
    begins = [grade.lowest_score for grade in grades if grade.lowest_score is not None]
    assert len(begins) == len(grades) - 1
    assert begins == sorted(begins, reverse=True)
    assert all(one == int(one) for one in begins)
    for grade in grades:
        assert all(0.0 <= one <= 1.0 for one in (grade.share, grade.bad_rate, grade.standard_error))
    if rows > 1 or deviation:
        assert sum(grade.share for grade in grades) == pytest.approx(1.0, abs=1e-4)
    # The card's own rules, and it can be written and read.
    card = CARD.model_copy(update={"grades": grades, "bands": score_bands(counts)})
    assert Card.model_validate_json(card.to_json()) == card


def test_what_a_grade_tells_is_that_of_the_records_in_it() -> None:
    numbers = bell(3)
    high = np.inf
    for grade in grades_of(CARD, counts_of(numbers), BY_RATES):
        low = -np.inf if grade.lowest_score is None else grade.lowest_score
        records, bad = between(numbers, low, high)
        assert grade.share == pytest.approx(records / numbers.sum(), abs=2e-6)
        if records >= 1:
            assert grade.bad_rate == pytest.approx(bad / records, abs=2e-6)
            assert grade.standard_error == pytest.approx(
                np.sqrt(grade.bad_rate * (1 - grade.bad_rate) / records), abs=2e-6
            )
        high = low


@pytest.mark.parametrize("place", [0, 77, GRID_CELLS - 1])
def test_with_everybody_in_one_cell_one_grade_has_them_all(place: int) -> None:
    numbers = np.zeros(GRID_CELLS)
    numbers[place] = 5000.0
    grades = grades_of(CARD, counts_of(numbers), BY_RATES)
    first = next(
        (
            name
            for name, limit in zip("ABC", BY_RATES.largest_bad_rates, strict=True)
            if PROBABILITIES[place] <= limit
        ),
        "D",
    )
    shares = {grade.name: grade.share for grade in grades}
    # The cell may be cut in two at a whole point that lies in it, at the border of a grade alone.
    assert shares[first] > 0.6
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-5)


def test_a_grade_that_nothing_is_left_for_is_empty() -> None:
    """All records score alike, and too badly for A and B: these begin where scores are good enough."""
    numbers = np.zeros(GRID_CELLS)
    numbers[5] = 5000.0
    terms = GradeTerms(names=("A", "B", "C"), largest_bad_rates=(0.2, 0.5))
    grades = grades_of(CARD, counts_of(numbers), terms)
    assert [grade.share for grade in grades] == [0.0, 0.0, 1.0]
    assert grades[0].standard_error == grades[1].standard_error == 1.0
    for grade, limit in zip(grades, terms.largest_bad_rates, strict=False):
        assert grade.lowest_score is not None
        at, below = CARD.probability_of(np.array([grade.lowest_score, grade.lowest_score - 1.0]))
        assert at <= limit < below


def test_grades_that_no_score_is_good_enough_for_begin_above_all_scores() -> None:
    numbers = bell(1)
    terms = GradeTerms(names=("A", "B", "C"), largest_bad_rates=(1e-6, 2e-6))
    grades = grades_of(CARD, counts_of(numbers), terms)
    assert [grade.share for grade in grades] == [0.0, 0.0, 1.0]
    assert grades[0].lowest_score == grades[1].lowest_score == np.ceil(EDGES[-1]) + 1


# A score's grade


@given(
    cuts=st.lists(st.integers(400, 700), min_size=1, max_size=6),
    scores=st.lists(st.integers(39_000, 71_000), min_size=1, max_size=30),
)
def test_a_score_has_the_first_grade_that_begins_at_or_below_it(cuts: list[int], scores: list[int]) -> None:
    begins = sorted(cuts, reverse=True)
    names = "ABCDEFG"[: len(begins) + 1]
    terms = {"share": 0.0, "bad_rate": 0.0, "standard_error": 0.0}
    grades = [
        {"name": name, "lowest_score": None if place == len(begins) else float(begins[place]), **terms}
        for place, name in enumerate(names)
    ]
    card = Card.model_validate({**CARD.model_dump(), "grades": grades})
    for score, found in zip(scores, card.grade_places(np.array(scores)).tolist(), strict=True):
        naive = next((place for place, cut in enumerate(begins) if score >= 100 * cut), len(begins))
        assert found == naive


def test_a_card_without_grades_gives_none() -> None:
    with pytest.raises(CardError, match=r"has no grades: add \[grades\] to the contract"):
        CARD.grade_places(np.array([50_000]))


# Bands


@pytest.mark.parametrize("spread", [0.2, 1.0, 30.0])
def test_bands_divide_scores_as_the_counts_do(spread: float) -> None:
    """Edges are told in hundredths, and so are scores: rounding an edge moves nobody to another band."""
    card = plain_card(table("one", [round(spread * step / 15, 2) for step in range(16)]))
    scores = card.score(np.arange(16)[:, None])
    query = ScoreSum(card)
    numbers = np.bincount(query.grid.cell_of(np.repeat(scores, 100)), minlength=GRID_CELLS).astype(np.float64)
    bands = score_bands(counts_of(numbers, card=card))
    assert list(bands.edges) == sorted(set(bands.edges))
    told = np.array(bands.bad) + np.array(bands.good)
    counted = np.bincount(
        np.searchsorted(bands.edges, np.repeat(scores, 100), side="right"), minlength=len(bands.edges) + 1
    )
    assert told == pytest.approx(counted, abs=0.02)


def test_bands_have_equal_mass_and_honest_noise() -> None:
    numbers = bell(3, rows=1e5)
    bands = score_bands(counts_of(numbers))
    told = np.array(bands.bad) + np.array(bands.good)
    assert len(told) == 20
    assert told.sum() == pytest.approx(numbers.sum(), abs=1.0)
    assert told.max() < 2.5 * told.min()
    assert bands.deviation == 0.0
    noisy = [score_bands(counts_of(numbers, 50.0, seed)) for seed in range(60)]
    totals = [sum(one.bad) for one in noisy]
    expected = float(numbers @ PROBABILITIES)
    assert np.std(totals) == pytest.approx(noisy[0].total_deviation, rel=0.35)
    assert abs(np.mean(totals) - expected) < 4 * noisy[0].total_deviation / np.sqrt(60)


# Grades of a trained card, against the exact rows


@pytest.fixture(scope="module")
def contract(tiny_text: str) -> Contract:
    contract = product_contract(tiny_text)
    return contract.model_copy(update={"evaluation": None, "groups": ()})


def test_the_expected_bad_rate_of_a_grade_is_about_that_of_its_rows(contract: Contract) -> None:
    """Over several federations with their noise: within the standard errors that are told."""
    off = []
    for seed in range(8):
        parts = [product_rows(contract, 3000, 10 * seed + number) for number in range(3)]
        _, card = open_all(contract, parts, [], SeededRandomness(seed))
        rows = Rows.concatenate(parts)
        places = card.grade_places(card.hundredths(rows.cells))
        for place, grade in enumerate(card.grades):
            own = places == place
            if own.sum() >= 100:
                off.append((rows.outcome[own].mean() - grade.bad_rate) / grade.standard_error)
                assert own.mean() == pytest.approx(grade.share, abs=0.06)
    assert len(off) >= 20
    assert np.abs(off).max() < 4.0, off


def test_grades_come_from_one_sum_whatever_the_card(
    contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    parts = [product_rows(contract, 500, number) for number in range(3)]
    openings, card = open_all(contract, parts, [], SeededRandomness(1))
    assert len(openings) == 10
    assert len(openings[-1]) == ScoreSum(card).dimension == score_sum_bound().dimension_limit
    assert make_rows(1, 1).cells.shape[1] == len(card.tables)
