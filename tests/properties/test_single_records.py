"""A record alone gets what it gets among others: cells, score, grade and reasons, to the last bit."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.invented_card import invented_card
from fedscore.card import Card
from fedscore.card.reasons import NO_REASON
from fedscore.card.scoring import Scorer
from fedscore.card.single import SingleScorer
from fedscore.contract import Contract, Role, ValueType, parse_contract
from fedscore.data import Values
from fedscore.data.cells import cells_of
from fedscore.data.single import RecordBinner

EVERY_FORMULA = """
version = 1
name = "formulas"
purpose = "tests"
outcome = { definition = "late", bucket = "30+", horizon_days = 90 }
rows = { row_cap = 1000 }
split = { test_share = 0.4, key = "formulas" }
privacy = { epsilon = 1.0, delta = 1e-5 }

[[characteristics]]
name = "a"
type = "number"
edges = [-1, 0, 0.1, 2]
special = [{ code = -2, meaning = "minus two" }, { code = 1, meaning = "one" }]

[[characteristics]]
name = "b"
type = "number"
edges = [0.5]
roles = ["platform"]

[[characteristics]]
name = "c"
type = "number"
input_only = true
special = [{ code = 3, meaning = "three" }]

[[characteristics]]
name = "level"
type = "category"
levels = ["x", "y", "7"]
special = [{ code = 98, meaning = "code" }, { code = "none", meaning = "not asked" }]
roles = ["collector", "platform"]

[[characteristics]]
name = "mark"
type = "category"
levels = ["true", "false"]
roles = ["platform"]

[[derived]]
name = "ratio"
formula = "ratio"
of = ["a", "b"]
edges = [-1, 0, 0.3, 1]

[[derived]]
name = "floored"
formula = "ratio"
of = ["a", "c"]
denominator_floor = 0.1
floor = -0.5
cap = 1e300
edges = [0.1, 1]

[[derived]]
name = "largest"
formula = "max"
of = ["a", "b", "c"]
edges = [0, 1]

[[derived]]
name = "smallest"
formula = "min"
of = ["a", "c"]
specials_as_values = true
floor = 0
edges = [0.1, 1]

[[derived]]
name = "weighted"
formula = "sum"
of = ["a", "b", "c"]
weights = [0.1, -3, 1e10]
edges = [0, 0.3]

[[derived]]
name = "average"
formula = "mean"
of = ["a", "b", "c"]
edges = [0.1, 0.2]

[[derived]]
name = "course"
formula = "trend"
of = ["a", "b", "c", "ratio"]
edges = [0]

[[derived]]
name = "above"
formula = "count_above"
of = ["a", "c"]
threshold = 0.5
edges = [0.5, 1.5]

[[derived]]
name = "since"
formula = "months_since"
of = ["c", "a"]
threshold = 0.5
specials_as_values = true
edges = [0.5, 1.5]

[[interactions]]
first = { of = "ratio", edges = [0.5] }
second = { of = "level", levels = ["x", "7"] }

[[interactions]]
first = { of = "a", edges = [-1, 0] }
second = { of = "mark", levels = ["true"] }

[[interactions]]
first = { of = "since", edges = [1] }
second = { of = "largest", edges = [1] }
"""

CONTRACT = parse_contract(EVERY_FORMULA)
CARD = invented_card(CONTRACT, seed=3)
PLAIN = invented_card(CONTRACT, seed=4, grades=())

Record: TypeAlias = tuple[dict[str, float], dict[str, str | None]]

numbers = st.one_of(
    st.sampled_from([-2.0, -1.0, -0.0, 0.0, 0.1, 0.3, 0.5, 1.0, 2.0, 3.0, 1e308, -1e308, 5e-324, math.nan]),
    st.floats(allow_infinity=False),
)
texts = st.sampled_from(["x", "y", "7", "98", "none", "true", "false", "elsewhere", None])


def records_of(contract: Contract, role: Role) -> st.SearchStrategy[list[Record]]:
    """Records of what a role holds."""
    held = {item.name: item.type for item in contract.characteristics if role in item.roles}
    record = st.tuples(
        st.fixed_dictionaries({name: numbers for name in held if held[name] is ValueType.NUMBER}),
        st.fixed_dictionaries({name: texts for name in held if held[name] is ValueType.CATEGORY}),
    )
    return st.lists(record, min_size=1, max_size=20)


def side_by_side(records: list[Record]) -> Values:
    return Values(
        size=len(records),
        numbers={name: np.array([one[0][name] for one in records]) for name in records[0][0]},
        categories={name: pa.array([one[1][name] for one in records], pa.string()) for name in records[0][1]},
    )


@pytest.mark.parametrize("role", list(Role))
@settings(max_examples=150)
@given(data=st.data())
def test_cells_of_one_are_cells_of_many(role: Role, data: st.DataObject) -> None:
    records = data.draw(records_of(CONTRACT, role))
    binner = RecordBinner(CONTRACT, role=role)
    one_by_one = [binner.cells(*record) for record in records]
    assert one_by_one == cells_of(side_by_side(records), CONTRACT, role=role).tolist()


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("card", [CARD, PLAIN], ids=["graded", "ungraded"])
@settings(max_examples=40)
@given(data=st.data(), reasons=st.integers(0, 20))
def test_a_score_of_one_is_a_score_of_many(card: Card, role: Role, data: st.DataObject, reasons: int) -> None:
    records = data.draw(records_of(CONTRACT, role))
    scorer = Scorer(card, role=role, reasons=reasons)
    single = SingleScorer(scorer)
    many = scorer.score(side_by_side(records))
    for place, record in enumerate(records):
        one = single.score(*record)
        assert one.hundredths == many.hundredths[place]
        assert (one.score, one.probability) == (many.score[place], many.probability[place])
        assert one.grade == many.grades[place]
        told = [reason for reason in many.reasons[place].tolist() if reason != NO_REASON]
        assert list(one.reasons) == told
        assert list(one.losses) == many.losses[place].tolist()[: len(told)]


def test_a_score_on_a_cut_off_has_the_grade_that_begins_there() -> None:
    numbers = dict.fromkeys(("a", "b", "c"), 0.1)
    records: list[Record] = [(numbers, {"level": level, "mark": "true"}) for level in ("x", "y", "7")]
    scorer = Scorer(CARD, role=Role.PLATFORM)
    scores = sorted(scorer.score(side_by_side(records)).score.tolist(), reverse=True)
    assert len(set(scores)) == 3
    grades = tuple(
        grade.model_copy(update={"lowest_score": low})
        for grade, low in zip(CARD.grades, [*scores, None], strict=True)
    )
    graded = SingleScorer(Scorer(CARD.model_copy(update={"grades": grades}), role=Role.PLATFORM))
    found = sorted((graded.score(*record) for record in records), key=lambda one: -one.score)
    assert [one.grade for one in found] == [0, 1, 2]


def test_every_formula_is_among_them() -> None:
    assert len({item.formula for item in CONTRACT.derived}) == 8
