"""Derived characteristics as SQL: the formulas of `fedscore.data.formulas`, to the last bit.

Inputs are columns of double precision, NULL where missing. Sums are written in the order in which numpy
adds. A database that stops at an overflow, as PostgreSQL does, stops; one that goes on with an infinity, as
SQLite does, puts it into an outer cell as numpy does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from fedscore.card.sql_words import number
from fedscore.contract import Derived, Formula

__all__ = ["derived_value"]


def derived_value(derived: Derived, inputs: Sequence[str]) -> str:
    """The value of a derived characteristic.

    Args:
        derived: The formula and its parameters.
        inputs: A column for each name of `derived.of`.

    Returns:
        An expression that is NULL where an input is missing or the formula has no value.
    """
    return _FORMULAS[derived.formula](derived, list(inputs))


def _bounded(derived: Derived, column: str) -> str:
    lower = (
        []
        if derived.floor is None
        else [f"WHEN {column} < {number(derived.floor)} THEN {number(derived.floor)}"]
    )
    upper = (
        [] if derived.cap is None else [f"WHEN {column} > {number(derived.cap)} THEN {number(derived.cap)}"]
    )
    return " ".join(["CASE", *lower, *upper, f"ELSE {column} END"]) if lower or upper else column


def _ratio(derived: Derived, inputs: list[str]) -> str:
    numerator, denominator = (_bounded(derived, column) for column in inputs)
    floor = derived.denominator_floor
    if floor is None:
        return f"({numerator}) / NULLIF({denominator}, 0.0)"
    least = number(floor)
    return f"({numerator}) / CASE WHEN {denominator} < {least} THEN {least} ELSE {denominator} END"


def _extreme(operator: str) -> Callable[[Derived, list[str]], str]:
    def expression(derived: Derived, inputs: list[str]) -> str:
        bounded = [f"({_bounded(derived, column)})" for column in inputs]
        choices = [f"WHEN {_any_missing(inputs)} THEN NULL"]
        for place, one in enumerate(bounded[:-1]):
            beats = " AND ".join(f"{one} {operator} {other}" for other in bounded[place + 1 :])
            choices.append(f"WHEN {beats} THEN {one}")
        return " ".join(["CASE", *choices, f"ELSE {bounded[-1]} END"])

    return expression


def _sum(derived: Derived, inputs: list[str]) -> str:
    return _weighted(derived, derived.weights or (1.0,) * len(inputs), inputs)


def _mean(derived: Derived, inputs: list[str]) -> str:
    return f"({_weighted(derived, (1.0,) * len(inputs), inputs)}) / {number(float(len(inputs)))}"


def _trend(derived: Derived, inputs: list[str]) -> str:
    steps = [(len(inputs) - 1) / 2 - place for place in range(len(inputs))]
    return f"({_weighted(derived, steps, inputs)}) / {number(sum(step * step for step in steps))}"


def _count_above(derived: Derived, inputs: list[str]) -> str:
    counted = " + ".join(f"CASE WHEN {above} THEN 1.0 ELSE 0.0 END" for above in _above(derived, inputs))
    return f"CASE WHEN {_any_missing(inputs)} THEN NULL ELSE CAST({counted} AS DOUBLE PRECISION) END"


def _months_since(derived: Derived, inputs: list[str]) -> str:
    choices = [f"WHEN {above} THEN {float(place)!r}" for place, above in enumerate(_above(derived, inputs))]
    first = " ".join(["CASE", *choices, f"ELSE {float(len(inputs))!r} END"])
    return f"CASE WHEN {_any_missing(inputs)} THEN NULL ELSE CAST({first} AS DOUBLE PRECISION) END"


def _above(derived: Derived, inputs: list[str]) -> list[str]:
    # A contract without a threshold for these formulas cannot be constructed.
    threshold = number(cast("float", derived.threshold))
    return [f"{_bounded(derived, column)} > {threshold}" for column in inputs]


def _weighted(derived: Derived, weights: Sequence[float], inputs: list[str]) -> str:
    terms = [f"({_bounded(derived, column)})" for column in inputs]
    return " + ".join(
        term if weight == 1.0 else f"{number(weight)} * {term}"
        for weight, term in zip(weights, terms, strict=True)
    )


def _any_missing(inputs: list[str]) -> str:
    return " OR ".join(f"{column} IS NULL" for column in inputs)


_FORMULAS: Mapping[Formula, Callable[[Derived, list[str]], str]] = {
    Formula.RATIO: _ratio,
    Formula.MAX: _extreme(">="),
    Formula.MIN: _extreme("<="),
    Formula.SUM: _sum,
    Formula.MEAN: _mean,
    Formula.TREND: _trend,
    Formula.COUNT_ABOVE: _count_above,
    Formula.MONTHS_SINCE: _months_since,
}
