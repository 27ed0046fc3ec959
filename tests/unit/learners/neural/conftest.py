"""What tests of the neural learner need: parties, their rows, and networks with random parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from fedscore.contract import Contract, NeuralTerms, Party, Role
from fedscore.data import Rows
from fedscore.learners.neural.architecture import Architecture
from fedscore.learners.neural.fixed_point import rounded_inputs, rounded_weights

Batch = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int8]]


@pytest.fixture(scope="session")
def neural_contract(tiny_contract: Contract) -> Contract:
    """The small contract with three parties, and a neural model of four units to train in three rounds."""
    return tiny_contract.with_neural(NeuralTerms(hidden=(4,), rounds=3))


@pytest.fixture(scope="session")
def twenty_parties(tiny_contract: Contract) -> Contract:
    """The small contract with twenty parties and a promise that leaves a signal to train on."""
    roster = [Party(name=f"party-{number}", role=Role.PLATFORM) for number in range(20)]
    return tiny_contract.with_parties(roster).with_privacy(epsilon=8.0)


@pytest.fixture(scope="session")
def many_rows(twenty_parties: Contract, make_rows: Callable[[int, int], Rows]) -> dict[str, Rows]:
    """Rows of twenty parties, between none and sixty each."""
    sizes = np.random.default_rng(5).integers(0, 60, len(twenty_parties.parties))
    sizes[3] = 0
    return {
        party.name: make_rows(int(size), number)
        for number, (party, size) in enumerate(zip(twenty_parties.parties, sizes, strict=True))
    }


@pytest.fixture(scope="session")
def random_batch() -> Callable[..., Batch]:
    """Makes (parameters, inputs, outcomes) on their grids, as wild as (architecture, records, seed, size)."""

    def make(architecture: Architecture, records: int, *, seed: int, size: float = 1.0) -> Batch:
        generator = np.random.default_rng(seed)
        parameters = rounded_weights(generator.normal(0.0, size, architecture.parameters))
        inputs = rounded_inputs(generator.normal(0.0, 1.0, (records, architecture.inputs)))
        return parameters, inputs, generator.integers(0, 2, records).astype(np.int8)

    return make
