from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fedscore.contract import Derived, Formula
from fedscore.data.formulas import evaluate

NAN = float("nan")
INF = float("inf")


def result(formula: str, *inputs: list[float], **parameters: object) -> list[float]:
    of = tuple(f"x{place}" for place in range(len(inputs)))
    derived = Derived.model_validate({"name": "d", "formula": formula, "of": of, **parameters})
    found = evaluate(derived, [np.array(one, dtype=np.float64) for one in inputs])
    assert found.dtype == np.float64
    return list(found)


@pytest.mark.parametrize(
    ("formula", "parameters", "row", "expected"),
    [
        ("ratio", {}, [3, 4], 0.75),
        ("ratio", {}, [3, -4], -0.75),
        ("ratio", {}, [3, 0], NAN),
        ("ratio", {}, [0, 0], NAN),
        ("ratio", {"denominator_floor": 2.0}, [3, 0], 1.5),
        ("ratio", {"denominator_floor": 2.0}, [3, -4], 1.5),
        ("ratio", {"denominator_floor": 2.0}, [3, 6], 0.5),
        ("ratio", {"floor": 1}, [0, 0], 1.0),
        ("ratio", {"cap": 10}, [100, 5], 2.0),
        ("max", {}, [1, 3, 2], 3.0),
        ("max", {"cap": 2.5}, [1, 3, 2], 2.5),
        ("min", {}, [2, 1, 3], 1.0),
        ("min", {"floor": 1.5}, [2, 1, 3], 1.5),
        ("sum", {}, [1, 2, 4], 7.0),
        ("sum", {"weights": [1, -2, 0.5]}, [1, 2, 4], -1.0),
        ("sum", {"floor": 0, "cap": 3, "weights": [1, 2, 3]}, [-5, 2, 9], 13.0),
        ("mean", {}, [1, 2, 6], 3.0),
        ("mean", {"floor": 0}, [-10, 6], 3.0),
        ("trend", {}, [3, 2, 1], 1.0),
        ("trend", {}, [1, 3], -2.0),
        ("trend", {}, [5, 5, 5, 5], 0.0),
        ("trend", {"cap": 2}, [9, 2, 1], 0.5),
        ("count_above", {"threshold": 0}, [0, 1, 2], 2.0),
        ("count_above", {"threshold": 0, "floor": 1}, [0, -1, 2], 3.0),
        ("months_since", {"threshold": 0}, [1, 0, 1], 0.0),
        ("months_since", {"threshold": 0}, [0, 0, 1], 2.0),
        ("months_since", {"threshold": 0}, [0, 0, 0], 3.0),
        ("months_since", {"threshold": 1.5}, [1, 2, 0], 1.0),
    ],
)
def test_what_the_contract_promises(
    formula: str, parameters: dict[str, Any], row: list[float], expected: float
) -> None:
    np.testing.assert_array_equal(result(formula, *[[value] for value in row], **parameters), [expected])


def test_every_formula_has_a_case() -> None:
    marks = test_what_the_contract_promises.pytestmark
    assert {case[0] for case in marks[0].args[1]} == set(Formula)


@pytest.mark.parametrize("length", [2, 3, 6, 7])
def test_trend_is_the_least_squares_slope_toward_the_most_recent(length: int) -> None:
    series = np.random.default_rng(length).normal(size=(length, 20))
    slopes = np.polyfit(np.arange(length), series[::-1], deg=1)[0]
    np.testing.assert_allclose(result("trend", *series.tolist()), slopes, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("formula", list(Formula))
@pytest.mark.parametrize("bounds", [{}, {"floor": 0.0, "cap": 1.0}])
def test_a_missing_input_makes_the_result_missing_in_its_row_alone(
    formula: Formula, bounds: dict[str, float]
) -> None:
    threshold = {"threshold": 0} if formula in {Formula.COUNT_ABOVE, Formula.MONTHS_SINCE} else {}
    found = result(formula, [NAN, 1, 1, NAN], [1, NAN, 1, NAN], **threshold, **bounds)
    assert np.isnan(found).tolist() == [True, True, False, True]


def test_overflow_is_silent_and_lands_outside_or_missing() -> None:
    assert result("sum", [1e308], [1e308]) == [INF]
    assert result("ratio", [1e308], [1e-308]) == [INF]
    assert np.isnan(result("sum", [1e308], [1e308], [-1e308], weights=[10, 1, 10])).all()


@pytest.mark.parametrize("formula", ["sum", "mean", "trend"])
def test_a_row_does_not_depend_on_its_company(formula: str) -> None:
    inputs = np.random.default_rng(0).lognormal(3, 4, size=(9, 1000))
    together = result(formula, *inputs.tolist())
    alone = [result(formula, *inputs[:, [row]].tolist())[0] for row in range(1000)]
    assert together == alone
