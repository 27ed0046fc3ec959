"""Numbers so coarse that a network's sums come out exactly, whatever order they are added up in.

What a record adds to a sum must depend on that record alone: else another record's presence would move it,
and the sum's sensitivity would be more than one record's bound. Floating-point sums break this, because a
matrix product adds up in an order that depends on the size of the batch and on the machine. So inputs,
weights and the gradients that flow back are multiples of powers of two, within limits. Every product of two
of them, and every sum of at most `LARGEST_WIDTH` such products, is then an integer multiple of a power of
two, and the integer is below 2⁵³: double precision holds it exactly, and exact sums have no order.

    forward    inputs x weights    14 + 20 bits after the point, below 2³ · 2⁴ · 2¹⁰: 51 bits
    backward   gradients x weights 16 + 20 bits after the point, below 2³ · 2⁴ · 2⁹: 52 bits
    norms      squares             at most 32 bits after the point, below 2⁶ · 2¹⁰: 48 bits

Activations are scaled by powers of two, which moves the point and leaves the bits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "GRADIENT_STEP",
    "INPUT_STEP",
    "LARGEST_ACTIVATION",
    "LARGEST_GRADIENT",
    "LARGEST_WEIGHT",
    "LARGEST_WIDTH",
    "WEIGHT_STEP",
    "rounded_inputs",
    "rounded_weights",
]

INPUT_STEP = 2.0**-14
"""Inputs and activations are multiples of this."""

LARGEST_INPUT = 8.0
"""Inputs are smaller."""

LARGEST_ACTIVATION = 6.0
"""Units saturate there (Krizhevsky 2010), so activations are bounded like inputs."""

WEIGHT_STEP = 2.0**-20
"""Weights and biases are multiples of this."""

LARGEST_WEIGHT = 15.0
"""Weights and biases stay within ± this."""

GRADIENT_STEP = 2.0**-16
"""Gradients with respect to a unit's input are multiples of this."""

LARGEST_GRADIENT = 7.0
"""They stay within ± this."""

LARGEST_WIDTH = 1000
"""A unit has at most so many inputs."""


def rounded_inputs(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rounds inputs to `INPUT_STEP`, within the limit."""
    limit = LARGEST_INPUT - INPUT_STEP
    return np.asarray(np.clip(np.rint(values / INPUT_STEP) * INPUT_STEP, -limit, limit))


def rounded_weights(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rounds weights to `WEIGHT_STEP`, within ± `LARGEST_WEIGHT`."""
    return np.asarray(np.clip(np.rint(values / WEIGHT_STEP) * WEIGHT_STEP, -LARGEST_WEIGHT, LARGEST_WEIGHT))
