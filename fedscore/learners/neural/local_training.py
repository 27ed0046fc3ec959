"""Training at home: steps of DP-SGD over one organisation's own rows, under Opacus' `PrivacyEngine`.

Formal guarantee: what `trained_at_home` returns is a function of public parameters and of sums that `StepSum`
released; each of those is a sum of clipped per-record gradients on the integer lattice, over a fresh secret
sample, with the organisation's whole discrete noise. Nothing else of the rows is in it.

Opacus' engine keeps its loop and its accountant; three of its parts are ours: batches are drawn by secret
coins, per-record gradients are clipped in numbers whose sums are exact, and noise is an exact sample from
the operating system's randomness instead of torch's default generator (whose state can be recovered from its
output, and whose floating-point noise leaves low-order bits to read).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from opacus import PrivacyEngine
from opacus.optimizers import DPOptimizer

from fedscore.contract import NeuralTerms, Optimiser
from fedscore.learners.neural.architecture import Architecture
from fedscore.learners.neural.inputs import Inputs
from fedscore.learners.neural.network import (
    Network,
    backward,
    clipped_gradients,
    network_with,
    one_thread,
    parameters_of,
)
from fedscore.learners.neural.steps import FIRST_DECAY, SECOND_DECAY, SMALLEST_SQUARE_ROOT
from fedscore.sums import DenseContributions, StepSum
from fedscore.sums.share import BATCH_VALUES

__all__ = ["LatticeEngine", "trained_at_home"]


class LatticeOptimizer(DPOptimizer):  # type: ignore[misc]  # Opacus ships no types
    """Opacus' optimiser, with sums and noise of a `StepSum`."""

    def __init__(self, *args: Any, network: Network, noisy: StepSum, **kwargs: Any) -> None:  # noqa: ANN401 - Opacus'
        super().__init__(*args, **kwargs)
        self._network = network
        self._noisy = noisy

    def clip_and_accumulate(self) -> None:
        """Clips the gradients of a physical batch and adds them up on the lattice."""
        values = clipped_gradients(self._network, self.max_grad_norm)
        self._noisy.add(DenseContributions(values=values))

    def add_noise(self) -> None:
        """Puts the noisy sum where the wrapped optimiser looks for a gradient."""
        released = torch.from_numpy(self._noisy.release().values)
        start = 0
        for parameter in self.params:
            end = start + parameter.numel()
            parameter.grad = released[start:end].view_as(parameter).clone()
            start = end


class SecretBatches:
    """The steps' samples, each in physical batches that fit into memory.

    Its length is the number of batches in an epoch, as Opacus reads its sampling rate from it.
    """

    def __init__(self, noisy: StepSum, *, steps: int, inputs: Inputs, parameters: int) -> None:
        self.dataset: tuple[()] = ()  # Opacus asks for its length to average by, and losses are summed here
        self._noisy = noisy
        self._steps = steps
        self._inputs = inputs
        self._at_once = max(1, BATCH_VALUES // parameters)

    def __len__(self) -> int:
        return round(1 / self._noisy.sampling_probability)

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.int8], bool]]:
        """Yields inputs, outcomes, and whether the step goes on with another batch."""
        for _ in range(self._steps):
            rows = self._noisy.sample()
            last = max(0, len(rows) - 1) // self._at_once
            for batch in range(last + 1):
                part = rows.select(slice(batch * self._at_once, (batch + 1) * self._at_once))
                yield self._inputs.of(part.cells), part.outcome, batch < last


class LatticeEngine(PrivacyEngine):  # type: ignore[misc]  # Opacus ships no types
    """Opacus' engine, with the three parts of this module."""

    def __init__(self, noisy: StepSum) -> None:
        with warnings.catch_warnings():
            # True of Opacus' generators, which are not used here.
            warnings.filterwarnings("ignore", message="Secure RNG turned off", category=UserWarning)
            super().__init__(accountant="rdp")
        self._noisy = noisy

    def _prepare_data_loader(self, data_loader: SecretBatches, **_ignored: object) -> SecretBatches:
        return data_loader

    def _prepare_optimizer(
        self,
        *,
        optimizer: torch.optim.Optimizer,
        noise_multiplier: float,
        max_grad_norm: float,
        **_ignored: object,
    ) -> LatticeOptimizer:
        return LatticeOptimizer(
            optimizer,
            noise_multiplier=noise_multiplier,
            max_grad_norm=max_grad_norm,
            expected_batch_size=None,
            loss_reduction="sum",
            network=self._network,
            noisy=self._noisy,
        )

    def prepared(
        self,
        network: Network,
        optimizer: torch.optim.Optimizer,
        batches: SecretBatches,
        *,
        max_grad_norm: float,
    ) -> tuple[torch.nn.Module, LatticeOptimizer, SecretBatches]:
        """Makes a network's training private, as `make_private` does."""
        self._network = network
        with warnings.catch_warnings():
            # Opacus compares data sets, of which there is one.
            warnings.filterwarnings("ignore", category=UserWarning, module="opacus")
            private, made_private, loader = self.make_private(
                module=network,
                optimizer=optimizer,
                data_loader=batches,
                noise_multiplier=self._noisy.noise_multiplier,
                max_grad_norm=max_grad_norm,
                loss_reduction="sum",
            )
        return private, made_private, loader


def _optimizer(network: Network, terms: NeuralTerms, *, records: float) -> torch.optim.Optimizer:
    parameters = list(network.parameters())
    if terms.optimiser is Optimiser.ADAM:
        return torch.optim.Adam(
            parameters, lr=terms.learning_rate, betas=(FIRST_DECAY, SECOND_DECAY), eps=SMALLEST_SQUARE_ROOT
        )
    return torch.optim.SGD(parameters, lr=terms.learning_rate / records, momentum=FIRST_DECAY)


def trained_at_home(
    architecture: Architecture,
    inputs: Inputs,
    parameters: npt.NDArray[np.float64],
    terms: NeuralTerms,
    *,
    steps: int,
    records: float,
    noisy: StepSum,
) -> tuple[npt.NDArray[np.float64], LatticeEngine]:
    """Takes some steps from public parameters.

    Args:
        architecture: The model's.
        inputs: What it sees of a row.
        parameters: [parameters], where to start.
        terms: Of the contract.
        steps: How many.
        records: Records that take part in a step at a party, on average, as released sums tell it.
        noisy: The steps' sums.

    Returns:
        [parameters], where they led, and the engine, whose accountant has the history.
    """
    engine = LatticeEngine(noisy)
    network = network_with(architecture, parameters)
    batches = SecretBatches(noisy, steps=steps, inputs=inputs, parameters=architecture.parameters)
    private, optimizer, loader = engine.prepared(
        network, _optimizer(network, terms, records=records), batches, max_grad_norm=terms.max_grad_norm
    )
    with one_thread():
        for values, outcome, goes_on in loader:
            optimizer.signal_skip_step(goes_on)
            optimizer.zero_grad()
            backward(private, values, outcome)
            optimizer.step()
            network.round_weights()
    return parameters_of(network), engine
