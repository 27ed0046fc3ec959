"""For any weights, any batch and any order: a record's clipped gradient is its own, bit by bit.

But for the sign of a zero, which truncation to integers drops.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedscore.contract import Contract, Encoding
from fedscore.data import Rows
from fedscore.learners.neural.architecture import Architecture, forward
from fedscore.learners.neural.fixed_point import (
    INPUT_STEP,
    LARGEST_WEIGHT,
    WEIGHT_STEP,
    rounded_inputs,
    rounded_weights,
)
from fedscore.learners.neural.gradients import GradientQuery
from fedscore.learners.neural.inputs import grid_inputs

torch = pytest.importorskip("torch")
opacus = pytest.importorskip("opacus")
network = pytest.importorskip("fedscore.learners.neural.network")

Values = npt.NDArray[np.float64]

ARCHITECTURES = st.builds(
    lambda inputs, hidden: Architecture(inputs=inputs, hidden=tuple(hidden)),
    inputs=st.integers(1, 60),
    hidden=st.lists(st.integers(1, 24), max_size=2),
)


@st.composite
def parameters_on_the_grid(draw: st.DrawFn, architecture: Architecture) -> Values:
    """Weights of one size, of which some are as large as may be."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([WEIGHT_STEP, 0.01, 0.3, 1.0, 8.0]))
    values = generator.normal(0.0, size, architecture.parameters)
    extreme = draw(st.sampled_from([0.0, 0.1, 1.0]))
    values = np.where(
        generator.random(values.shape) < extreme,
        generator.choice([-LARGEST_WEIGHT, LARGEST_WEIGHT], values.shape),
        values,
    )
    return rounded_weights(values)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Architecture, Values, Values, npt.NDArray[np.int8]]:
    """An architecture, its weights, and records with inputs and outcomes."""
    architecture = draw(ARCHITECTURES)
    records = draw(st.integers(1, 300))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([0.05, 1.0, 8.0]))
    inputs = rounded_inputs(generator.normal(0.0, size, (records, architecture.inputs)))
    outcome = generator.integers(0, 2, records).astype(np.int8)
    return architecture, draw(parameters_on_the_grid(architecture)), inputs, outcome


def clipped(
    architecture: Architecture,
    parameters: Values,
    inputs: Values,
    outcome: npt.NDArray[np.int8],
    *,
    limit: float = 1.0,
    threads: int = 1,
) -> Values:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        model = network.network_with(architecture, parameters)
        network.backward(opacus.GradSampleModule(model, loss_reduction="sum"), inputs, outcome)
        found: Values = network.clipped_gradients(model, limit)
    finally:
        torch.set_num_threads(before)
    return found + 0.0  # a lattice has no zero with a sign


@given(batch=batches(), data=st.data())
@settings(max_examples=40)
def test_a_records_gradient_is_the_same_alone_in_any_batch_and_in_any_order(
    batch: tuple[Architecture, Values, Values, npt.NDArray[np.int8]], data: st.DataObject
) -> None:
    architecture, parameters, inputs, outcome = batch
    records = len(outcome)
    together = clipped(*batch)
    order = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).permutation(records)
    shuffled = clipped(
        architecture, parameters, inputs[order], outcome[order], threads=data.draw(st.sampled_from([1, 2]))
    )
    assert shuffled.tobytes() == together[order].tobytes()
    place = data.draw(st.integers(0, records - 1))
    for start, end in ((place, place + 1), (0, place + 1), (place, records)):
        part = clipped(architecture, parameters, inputs[start:end], outcome[start:end])
        assert part.tobytes() == together[start:end].tobytes()


@given(batch=batches(), limit=st.sampled_from([0.01, 0.7, 1.0, 30.0, 100.0]))
@settings(max_examples=40)
def test_norms_are_within_the_limit_and_factors_are_opacus_own(
    batch: tuple[Architecture, Values, Values, npt.NDArray[np.int8]], limit: float
) -> None:
    found = clipped(*batch, limit=limit)
    assert np.linalg.norm(found, axis=1).max() <= limit * (1 + 1e-9)
    free = clipped(*batch, limit=1e12)
    factor = np.minimum(1.0, limit / (np.linalg.norm(free, axis=1) + 1e-6))
    np.testing.assert_allclose(found, free * factor[:, None], rtol=1e-9, atol=1e-14)
    assert np.isfinite(found).all()


@given(batch=batches())
@settings(max_examples=30)
def test_numpy_and_torch_score_alike_up_to_rounding(
    batch: tuple[Architecture, Values, Values, npt.NDArray[np.int8]],
) -> None:
    architecture, parameters, inputs, _ = batch
    with network.one_thread(), torch.no_grad():
        rounded = network.network_with(architecture, parameters)(torch.from_numpy(inputs)).numpy()
    error = 0.0
    for (weights, _), scale in zip(architecture.split(parameters), (*architecture.scales, 1.0), strict=True):
        error = (float(np.abs(weights).sum(axis=1).max()) * error + INPUT_STEP / 2) * scale
    plain = forward(architecture, parameters, inputs)
    assert np.abs(rounded - plain).max() <= error * (1 + 1e-9) + 1e-9


@given(seed=st.integers(0, 2**32 - 1), data=st.data())
@settings(max_examples=15)
def test_the_lattice_total_does_not_depend_on_who_has_which_rows(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows], seed: int, data: st.DataObject
) -> None:
    inputs = grid_inputs(
        tiny_contract.tables, data.draw(st.sampled_from([Encoding.STANDARDISED, Encoding.ONE_HOT]))
    )
    hidden = tuple(data.draw(st.lists(st.integers(1, 12), max_size=2)))
    architecture = Architecture(inputs=len(inputs), hidden=hidden)
    query = GradientQuery(
        architecture=architecture,
        inputs=inputs,
        parameters=data.draw(parameters_on_the_grid(architecture)),
        max_grad_norm=1.0,
    )
    rows = make_rows(120, seed)
    shuffled = rows.select(np.random.default_rng(seed).permutation(120))
    cuts = sorted(data.draw(st.lists(st.integers(0, 120), max_size=6)))
    bounds = [0, *cuts, 120]

    def total(part: Rows) -> npt.NDArray[np.int64]:
        return query.contributions(part).lattice_total(
            scale=10**6, limit_squared=10**12, dimension=query.dimension
        )

    apart = sum(
        (total(shuffled.select(slice(low, high))) for low, high in pairwise(bounds)),
        np.zeros(query.dimension, dtype=np.int64),
    )
    assert apart.tobytes() == total(rows).tobytes()
