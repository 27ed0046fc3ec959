"""What is done with released gradients: steps, averages, and when to stop. Post-processing: costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fedscore.contract import NeuralTerms, Optimiser
from fedscore.sums import Released

__all__ = ["Patience", "Stepper", "average", "stepper_of"]

_Values = npt.NDArray[np.float64]

FIRST_DECAY = 0.9
"""How much of the mean gradient is kept from step to step, by both optimisers."""

SECOND_DECAY = 0.99
"""How much of the mean square Adam keeps."""


SMALLEST_SQUARE_ROOT = 1e-6
"""Adam divides by this at least: without noise, a unit that no record reaches has gradients of 0."""


class Stepper(Protocol):
    """Turns released sums of gradients into steps."""

    def step(self, gradient: Released) -> _Values:
        """Returns [parameters], what to add to the parameters.

        Args:
            gradient: The released sum of the loss's clipped gradients.
        """
        ...


@dataclass(slots=True)
class Adam:
    """Adam (Kingma and Ba 2015, Algorithm 1), which is blind to the scale of sums.

    Attributes:
        learning_rate: Size of a step in each parameter, at most.
    """

    learning_rate: float
    _first: _Values | float = 0.0
    _second: _Values | float = 0.0
    _steps: int = 0

    def step(self, gradient: Released) -> _Values:
        """See `Stepper.step`."""
        self._steps += 1
        self._first = FIRST_DECAY * self._first + (1 - FIRST_DECAY) * gradient.values
        self._second = SECOND_DECAY * self._second + (1 - SECOND_DECAY) * gradient.values**2
        mean = self._first / (1 - FIRST_DECAY**self._steps)
        square = self._second / (1 - SECOND_DECAY**self._steps)
        return np.asarray(-self.learning_rate * mean / (np.sqrt(square) + SMALLEST_SQUARE_ROOT))


@dataclass(slots=True)
class Momentum:
    """Heavy-ball momentum on gradients per record (Polyak 1964).

    Attributes:
        learning_rate: Factor of a step.
        records: Number of records that take part in a step, as released sums tell it.
    """

    learning_rate: float
    records: float
    _velocity: _Values | float = 0.0

    def step(self, gradient: Released) -> _Values:
        """See `Stepper.step`."""
        self._velocity = FIRST_DECAY * self._velocity + gradient.values / self.records
        return np.asarray(-self.learning_rate * self._velocity)


def stepper_of(terms: NeuralTerms, *, records: float) -> Stepper:
    """The optimiser that a contract names.

    Args:
        terms: Of the contract.
        records: Expected number of records in a step.
    """
    if terms.optimiser is Optimiser.ADAM:
        return Adam(terms.learning_rate)
    return Momentum(terms.learning_rate, records)


@dataclass(slots=True)
class Patience:
    """Tells when released gradients have shown nothing but noise for so many rounds on end.

    Pure noise has a squared norm of P·σ² with deviation √(2P)·σ² over P values. A gradient counts as noise
    if it is within two deviations of that. Only released values are looked at, so stopping costs nothing.

    Attributes:
        rounds: After so many such gradients; 0 for never.
    """

    rounds: int
    _seen: int = 0

    def is_over(self, gradient: Released) -> bool:
        """Takes note of a released gradient, and says whether training stops."""
        values = len(gradient.values)
        limit = (values + 2 * np.sqrt(2 * values)) * gradient.deviation**2
        looks_like_noise = float(gradient.values @ gradient.values) <= limit
        self._seen = self._seen + 1 if looks_like_noise else 0
        return self.rounds > 0 and self._seen >= self.rounds


def average(iterates: Sequence[_Values]) -> _Values:
    """Mean of the later half of the iterates: it has less of the noise than the last one."""
    return np.asarray(np.mean(iterates[len(iterates) // 2 :], axis=0))
