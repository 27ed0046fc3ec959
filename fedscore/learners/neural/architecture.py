"""The small zoo: how many weights a model has, in which order, and where they start."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fedscore.contract import NeuralModelKind, NeuralTerms
from fedscore.learners.neural.fixed_point import LARGEST_ACTIVATION, rounded_weights

__all__ = ["Architecture", "forward"]

_Parameters = npt.NDArray[np.float64]

_DOMAIN = b"fedscore neural initial weights 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Fully connected layers of saturating rectified units that end in one log-odds.

    What a layer of units passes on is scaled by about the root of their number, so that its norm is about 1
    however wide it is: then a record's gradient has a norm of about 1 too, and clipping hardly biases it.

    Attributes:
        inputs: Inputs of the first layer.
        hidden: Units of each hidden layer; none for a logistic model.
    """

    inputs: int
    hidden: tuple[int, ...]

    @classmethod
    def of(cls, terms: NeuralTerms, inputs: int) -> Architecture:
        """The architecture that a contract names."""
        hidden = () if terms.model is NeuralModelKind.LOGISTIC else terms.hidden
        return cls(inputs=inputs, hidden=hidden)

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of each layer."""
        return tuple(pairwise((self.inputs, *self.hidden, 1)))

    @property
    def scales(self) -> tuple[float, ...]:
        """By what each hidden layer's activations are multiplied: the power of two nearest to 1 / √units."""
        return tuple(2.0 ** -round(math.log2(units) / 2) for units in self.hidden)

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum((width + 1) * units for width, units in self.layers)

    def split(self, parameters: _Parameters) -> Iterator[tuple[_Parameters, _Parameters]]:
        """Takes [parameters] apart into each layer's weights [outputs, inputs] and biases [outputs]."""
        start = 0
        for width, units in self.layers:
            middle, end = start + width * units, start + (width + 1) * units
            yield parameters[start:middle].reshape(units, width), parameters[middle:end]
            start = end

    def initial(self, log_odds: float) -> _Parameters:
        """Where training starts: the same for everybody, and with the score `log_odds` for nearly every row.

        Weights are uniform: of variance 1 in the first layer, 2 in the second, half of whose inputs are 0
        (He et al. 2015), and 1/4 in the last, so that the first scores are close together. They are read from
        SHAKE-256 of a public text: there is no generator to agree on, and nothing to choose.
        """
        parts: list[_Parameters] = []
        stream = _uniform(self)
        for place, (_, units) in enumerate(self.layers):
            is_last = place == len(self.hidden)
            variance = 0.0 if not self.hidden else 0.25 if is_last else 1.0 if place == 0 else 2.0
            parts.append(next(stream) * math.sqrt(3.0 * variance))
            parts.append(np.full(units, log_odds if is_last else 0.0))
        return rounded_weights(np.concatenate(parts))


def _uniform(architecture: Architecture) -> Iterator[_Parameters]:
    """As many numbers in [-1, 1) as a layer has weights, for one layer after the other."""
    for place, (width, units) in enumerate(architecture.layers):
        text = b"%s %r %d" % (_DOMAIN, (architecture.inputs, *architecture.hidden), place)
        raw = hashlib.shake_256(text).digest(4 * width * units)
        yield np.frombuffer(raw, dtype="<u4") / 2.0**31 - 1.0


def forward(
    architecture: Architecture, parameters: _Parameters, inputs: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Log-odds of the outcome for [records, inputs]; needs numpy alone."""
    values = inputs
    for place, (weights, biases) in enumerate(architecture.split(parameters)):
        values = values @ weights.T + biases
        if place < len(architecture.hidden):
            values = np.clip(values, 0.0, LARGEST_ACTIVATION) * architecture.scales[place]
    return np.asarray(values[:, 0])
