"""A model as a torch module, in the fixed-point numbers that make sums exact."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fedscore.learners.neural.architecture import Architecture
from fedscore.learners.neural.fixed_point import (
    GRADIENT_STEP,
    INPUT_STEP,
    LARGEST_GRADIENT,
    LARGEST_WEIGHT,
    WEIGHT_STEP,
)

__all__ = ["Network", "backward", "clipped_gradients", "network_with", "one_thread", "parameters_of"]

_NORM_MARGIN = 1e-6
"""What Opacus adds to a norm before it divides by it."""


class _Rounded(torch.autograd.Function):
    """Rounds values on their way forward, and gradients on their way back."""

    @staticmethod
    def forward(_context: object, values: torch.Tensor) -> torch.Tensor:
        return torch.round(values / INPUT_STEP) * INPUT_STEP

    @staticmethod
    def backward(_context: object, gradient: torch.Tensor) -> torch.Tensor:
        rounded = torch.round(gradient / GRADIENT_STEP) * GRADIENT_STEP
        return rounded.clamp(-LARGEST_GRADIENT, LARGEST_GRADIENT)


def _rounded(values: torch.Tensor) -> torch.Tensor:
    rounded: torch.Tensor = _Rounded.apply(values)  # type: ignore[no-untyped-call]  # torch's own
    return rounded


class Network(nn.Module):
    """Linear layers, each followed by rounding, with saturating rectified units between them.

    Attributes:
        layers: The linear layers, in double precision.
        activations: What each layer saw in the last pass: [records, inputs of the layer].
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(width, units, dtype=torch.float64) for width, units in architecture.layers
        )
        self._scales = architecture.scales
        self.activations: list[torch.Tensor] = []

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Returns [records], the log-odds of the outcome, for [records, inputs]."""
        self.activations = []
        for place, layer in enumerate(self.layers):
            self.activations.append(values.detach())
            values = _rounded(layer(values))
            if place < len(self.layers) - 1:
                values = nn.functional.relu6(values) * self._scales[place]
        return values[:, 0]

    def round_weights(self) -> None:
        """Brings weights that were moved back onto their grid."""
        with torch.no_grad():
            for parameter in self.parameters():
                rounded = torch.round(parameter / WEIGHT_STEP) * WEIGHT_STEP
                parameter.copy_(rounded.clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT))


def network_with(architecture: Architecture, parameters: npt.NDArray[np.float64]) -> Network:
    """Builds a network with [parameters] as `Architecture.split` reads them."""
    network = Network(architecture)
    with torch.no_grad():
        start = 0
        for parameter in network.parameters():
            end = start + parameter.numel()
            parameter.copy_(torch.from_numpy(parameters[start:end].reshape(parameter.shape)))
            start = end
    return network


def parameters_of(network: Network) -> npt.NDArray[np.float64]:
    """Reads [parameters] back."""
    return np.concatenate([parameter.detach().numpy().ravel() for parameter in network.parameters()])


@contextmanager
def one_thread() -> Iterator[None]:
    """Lets torch compute on one thread: small layers lose more by handing work over than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def backward(private: nn.Module, inputs: npt.NDArray[np.float64], outcome: npt.NDArray[np.int8]) -> None:
    """Leaves every record's own gradient at the parameters of a network under `GradSampleModule`.

    Losses are cross-entropies, added up, so that each record's gradient is that of its own.

    Args:
        private: The wrapped network.
        inputs: [records, inputs].
        outcome: [records].
    """
    target = torch.from_numpy(outcome.astype(np.float64))
    loss = nn.functional.binary_cross_entropy_with_logits(
        private(torch.from_numpy(inputs)), target, reduction="sum"
    )
    with warnings.catch_warnings():
        # Nobody needs gradients of the inputs, and Opacus' hooks do not look at them.
        warnings.filterwarnings("ignore", message="Full backward hook is firing", category=UserWarning)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own


def clipped_gradients(network: Network, max_grad_norm: float) -> npt.NDArray[np.float64]:
    """Clips the gradients that Opacus left at the parameters, record by record.

    The factor is Opacus' own, min(1, C / (norm + 1e-6)). A layer's part of the norm comes from the norms of
    what it saw and of what flowed back, both exact sums (the identity of ghost clipping: Li, Tramèr, Liang
    and Hashimoto 2022); so the factor, too, depends on the record alone.

    Args:
        network: After a backward pass under `GradSampleModule`, with summed losses.
        max_grad_norm: C.

    Returns:
        [records, parameters], the norm of each row at most C but for rounding.
    """
    gradients: list[torch.Tensor] = [_per_record(parameter) for parameter in network.parameters()]
    squared = torch.zeros(len(gradients[0]), dtype=torch.float64)
    # Parameters come as weights and biases in turn; what flowed back into a layer is its biases' gradient.
    for flowed_back, seen in zip(gradients[1::2], network.activations, strict=True):
        squared = squared + (flowed_back**2).sum(dim=1) * ((seen**2).sum(dim=1) + 1.0)
    factor = (max_grad_norm / (torch.sqrt(squared) + _NORM_MARGIN)).clamp(max=1.0)
    flat = torch.cat([gradient.flatten(start_dim=1) for gradient in gradients], dim=1)
    return np.asarray((flat * factor[:, None]).numpy())


def _per_record(parameter: Any) -> torch.Tensor:  # noqa: ANN401 - Opacus adds the attribute
    gradient: torch.Tensor = parameter.grad_sample
    return gradient
