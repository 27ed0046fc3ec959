"""Sums of scores: whatever the card, no record adds more than was planned, and nothing is longer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from fedscore.card import Card, Grade
from fedscore.contract import Contract, parse_contract
from fedscore.data import Rows
from fedscore.learners.scorecard.evaluation import evaluated, evaluation_plan
from fedscore.learners.scorecard.groups import GroupSum, group_sum_bound
from fedscore.learners.scorecard.scores import ScoreSum, score_sum_bound
from fedscore.sums import DenseContributions, PlannedSum, Query, Released, TabulatedContributions
from tests.cards import plain_card, table
from tests.conftest import TINY
from tests.evaluations import PRODUCT

CONTRACT = parse_contract(TINY + PRODUCT)

points = st.integers(-20_000, 20_000).map(lambda hundredth: hundredth / 100)
cards = st.builds(
    lambda first, second: plain_card(table("one", first), table("two", second)),
    st.lists(points, min_size=3, max_size=6),
    st.lists(points, min_size=3, max_size=6),
)


@st.composite
def graded_cards(draw: st.DrawFn) -> Card:
    """Cut-offs inside, outside and on the borders of the scores, equal ones among them."""
    card = draw(cards)
    low, high = card.score_range
    places = st.floats(-0.2, 1.2).map(lambda part: float(round(low + part * (high - low))))
    begins = sorted(
        draw(st.lists(places | st.sampled_from([low, high]), min_size=3, max_size=3)), reverse=True
    )
    terms = {"share": 0.0, "bad_rate": 0.0, "standard_error": 0.0}
    grades = tuple(
        Grade(name=name, lowest_score=begin, **terms)
        for name, begin in zip("ABCD", [*begins, None], strict=True)
    )
    return Card.model_validate(card.model_copy(update={"grades": grades}).model_dump())


def rows_of(card: Card, seed: int, count: int = 12) -> Rows:
    generator = np.random.default_rng(seed)
    return Rows(
        cells=np.column_stack([generator.integers(0, entry.size, count) for entry in card.tables]).astype(
            np.int32
        ),
        outcome=generator.integers(0, 2, count).astype(np.int8),
        ids=np.array([str(number) for number in range(count)], dtype=object),
        groups=np.column_stack(
            [generator.integers(0, entry.size, count) for entry in CONTRACT.group_tables]
        ).astype(np.int32),
    )


def single_contributions(query: Query, rows: Rows) -> Iterator[npt.NDArray[np.float64]]:
    found = query.contributions(rows)
    assert isinstance(found, TabulatedContributions | DenseContributions)
    yield from (
        found.patterns.values[found.cells] if isinstance(found, TabulatedContributions) else found.values
    )


def require_bound(query: Query, rows: Rows, planned: PlannedSum) -> None:
    assert 1 <= query.dimension <= planned.dimension_limit
    for added in single_contributions(query, rows):
        assert added.shape == (query.dimension,)
        assert float(np.square(added).sum()) <= float(planned.sensitivity_squared) * (1 + 1e-12)
        assert float(np.abs(added).max()) <= float(planned.largest)
    # On the lattice, to the last integer.
    scale = 12_345
    limit = int(planned.sensitivity_squared * scale**2)
    for number in range(len(rows)):
        total = query.contributions(rows.select(slice(number, number + 1))).lattice_total(
            scale=scale, limit_squared=limit, dimension=query.dimension
        )
        assert sum(step**2 for step in total.tolist()) <= limit


@settings(max_examples=25)
@given(card=graded_cards(), seed=st.integers(0, 2**32 - 1), noise=st.sampled_from([0.0, 2.0, 1e6]))
def test_no_sum_of_an_evaluation_costs_more_than_was_planned(card: Card, seed: int, noise: float) -> None:
    """Nor does any opening, however noisy, lead to a sum that would."""
    rows, generator = rows_of(card, seed), np.random.default_rng(seed)
    steps, plan = evaluated(card, CONTRACT), evaluation_plan(CONTRACT)
    query = next(steps)
    for planned in plan:
        assert isinstance(query, Query)
        require_bound(query, rows, planned)
        exact = np.sum(list(single_contributions(query, rows)), axis=0)
        released = Released(
            values=exact + noise * generator.standard_normal(query.dimension), deviation=noise
        )
        try:
            query = steps.send(released)
        except StopIteration as end:
            finished: Card = end.value
            assert planned is plan[-1]
            assert finished.evaluation is not None
            assert Card.model_validate_json(finished.to_json()) == finished
            return
    raise AssertionError("the evaluation asks for more sums than it planned")


@given(card=cards, seed=st.integers(0, 2**32 - 1))
def test_the_sum_of_scores_costs_what_was_planned_whatever_the_card(card: Card, seed: int) -> None:
    bound = score_sum_bound()
    query = ScoreSum(card)
    assert query.dimension == bound.dimension_limit
    for added in single_contributions(query, rows_of(card, seed)):
        assert float(np.square(added).sum()) <= float(bound.sensitivity_squared)
        assert float(np.abs(added).max()) <= float(bound.largest)


@given(card=graded_cards(), seed=st.integers(0, 2**32 - 1), names=st.integers(0, 2))
def test_a_record_counts_once_in_each_group(card: Card, seed: int, names: int) -> None:
    contract = Contract.model_validate({**CONTRACT.model_dump(), "groups": CONTRACT.groups[:names]})
    rows = rows_of(card, seed)
    if names == 0:
        assert group_sum_bound(contract).sensitivity_squared == 0
        return
    query, bound = GroupSum(card, contract), group_sum_bound(contract)
    assert query.dimension == bound.dimension_limit
    counts = 0
    for number, added in enumerate(single_contributions(query, rows)):
        assert float(np.square(added).sum()) <= float(bound.sensitivity_squared)
        ones = int(np.count_nonzero(added == 1.0))
        counts += ones
        assert names <= ones <= 2 * names, number
        assert np.count_nonzero(added) <= 2 * names
