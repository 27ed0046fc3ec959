"""What is the value of a derived characteristic? The closed set of formulas, over whole columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import cast

import numpy as np
import numpy.typing as npt

from fedscore.contract import Derived, Formula

__all__ = ["evaluate"]

_Floats = npt.NDArray[np.float64]


def evaluate(derived: Derived, inputs: Sequence[_Floats]) -> _Floats:
    """Compute a derived characteristic; `Derived` defines the formulas.

    A row's result depends on that row alone, to the last bit: inputs are added in the order of `derived.of`,
    however many rows are computed at once. So binned rows do not depend on how a file is cut into batches.

    Args:
        derived: The formula and its parameters.
        inputs: One array [n] for each name of `derived.of`, NaN where missing. Special codes are either NaN
            already, or the numbers that they are, as `derived.specials_as_values` says.

    Returns:
        [n], NaN where any input is missing or the formula has no value.
    """
    bounded = [np.clip(values, derived.floor, derived.cap) for values in inputs]
    missing = reduce(np.logical_or, (np.isnan(values) for values in inputs))
    # Overflow to an infinity falls into an outer cell, and a value that does not exist into the missing one.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(missing, np.nan, _FORMULAS[derived.formula](derived, bounded))


def _ratio(derived: Derived, inputs: list[_Floats]) -> _Floats:
    numerator, denominator = inputs
    if derived.denominator_floor is not None:
        denominator = np.maximum(denominator, derived.denominator_floor)
    return np.where(denominator == 0, np.nan, numerator / denominator)


def _max(_derived: Derived, inputs: list[_Floats]) -> _Floats:
    return reduce(np.maximum, inputs)


def _min(_derived: Derived, inputs: list[_Floats]) -> _Floats:
    return reduce(np.minimum, inputs)


def _sum(derived: Derived, inputs: list[_Floats]) -> _Floats:
    return _weighted(derived.weights or (1.0,) * len(inputs), inputs)


def _mean(_derived: Derived, inputs: list[_Floats]) -> _Floats:
    return _weighted((1.0,) * len(inputs), inputs) / len(inputs)


def _trend(_derived: Derived, inputs: list[_Floats]) -> _Floats:
    # Steps from the middle of the series, the most recent (first) one being the latest.
    steps = [(len(inputs) - 1) / 2 - place for place in range(len(inputs))]
    return _weighted(steps, inputs) / sum(step * step for step in steps)


def _count_above(derived: Derived, inputs: list[_Floats]) -> _Floats:
    return _weighted((1.0,) * len(inputs), [_above(derived, values) for values in inputs])


def _months_since(derived: Derived, inputs: list[_Floats]) -> _Floats:
    months = np.full_like(inputs[0], len(inputs))
    for place, values in reversed(list(enumerate(inputs))):
        months = np.where(_above(derived, values) > 0, float(place), months)
    return months


def _above(derived: Derived, values: _Floats) -> _Floats:
    # A contract without a threshold for these formulas cannot be constructed.
    return (values > cast("float", derived.threshold)).astype(np.float64)


def _weighted(weights: Sequence[float], inputs: Sequence[_Floats]) -> _Floats:
    return reduce(np.add, (weight * values for weight, values in zip(weights, inputs, strict=True)))


_FORMULAS: Mapping[Formula, Callable[[Derived, list[_Floats]], _Floats]] = {
    Formula.RATIO: _ratio,
    Formula.MAX: _max,
    Formula.MIN: _min,
    Formula.SUM: _sum,
    Formula.MEAN: _mean,
    Formula.TREND: _trend,
    Formula.COUNT_ABOVE: _count_above,
    Formula.MONTHS_SINCE: _months_since,
}
