"""What a record adds depends on that record alone, bit by bit; and its norm is what was promised."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from fedscore.learners.neural.architecture import Architecture
from fedscore.learners.neural.fixed_point import (
    GRADIENT_STEP,
    INPUT_STEP,
    LARGEST_ACTIVATION,
    LARGEST_GRADIENT,
    LARGEST_INPUT,
    LARGEST_WEIGHT,
    LARGEST_WIDTH,
    WEIGHT_STEP,
)

torch = pytest.importorskip("torch")
opacus = pytest.importorskip("opacus")
network = pytest.importorskip("fedscore.learners.neural.network")

Values = npt.NDArray[np.float64]
Batch = tuple[Values, Values, npt.NDArray[np.int8]]

SHAPES = [(7, ()), (12, (5,)), (9, (6, 3)), (1000, (3,)), (5, (512, 512))]


def gradients(
    architecture: Architecture,
    batch: Batch,
    index: object = slice(None),
    *,
    limit: float = 1.0,
    threads: int = 1,
) -> Values:
    parameters, inputs, outcome = batch
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        model = network.network_with(architecture, parameters)
        private = opacus.GradSampleModule(model, loss_reduction="sum")
        network.backward(private, inputs[index], outcome[index])  # type: ignore[call-overload]  # any index
        clipped: Values = network.clipped_gradients(model, limit)
    finally:
        torch.set_num_threads(before)
    return clipped + 0.0  # a lattice has no zero with a sign


def unclipped(architecture: Architecture, batch: Batch) -> list[Values]:
    parameters, inputs, outcome = batch
    with network.one_thread():
        model = network.network_with(architecture, parameters)
        network.backward(opacus.GradSampleModule(model, loss_reduction="sum"), inputs, outcome)
        return [parameter.grad_sample.numpy() for parameter in model.parameters()]


@pytest.mark.parametrize(("inputs", "hidden"), SHAPES)
@pytest.mark.parametrize("size", [0.2, 20.0])
def test_a_records_gradient_is_its_own_whoever_else_is_there(
    inputs: int, hidden: tuple[int, ...], size: float, random_batch: Callable[..., Batch]
) -> None:
    architecture = Architecture(inputs=inputs, hidden=hidden)
    records = 12 if architecture.parameters > 10_000 else 130
    batch = random_batch(architecture, records, seed=3, size=size)
    together = gradients(architecture, batch)
    order = np.random.default_rng(0).permutation(records)
    assert gradients(architecture, batch, order).tobytes() == together[order].tobytes()
    for start, end in ((0, 1), (3, 4), (1, 8), (5, records), (records - 3, records)):
        assert gradients(architecture, batch, slice(start, end)).tobytes() == together[start:end].tobytes()
    assert np.unique(together).size > 5


@pytest.mark.parametrize(("inputs", "hidden"), [(300, (64,)), (40, (128, 64))])
def test_threads_change_no_bit(
    inputs: int, hidden: tuple[int, ...], random_batch: Callable[..., Batch]
) -> None:
    architecture = Architecture(inputs=inputs, hidden=hidden)
    batch = random_batch(architecture, 60, seed=4)
    assert gradients(architecture, batch, threads=2).tobytes() == gradients(architecture, batch).tobytes()


def test_plain_numbers_would_not_do(random_batch: Callable[..., Batch]) -> None:
    """The same network with weights and inputs off the grids, and no rounding between layers."""
    architecture = Architecture(inputs=300, hidden=(64,))
    parameters, inputs, outcome = random_batch(architecture, 64, seed=5, size=0.1)
    generator = np.random.default_rng(6)
    parameters = parameters + generator.normal(size=parameters.shape) * 1e-9
    inputs = inputs + generator.normal(size=inputs.shape) * 1e-9
    with network.one_thread():
        model = network.network_with(architecture, parameters)
        plain = opacus.GradSampleModule(
            torch.nn.Sequential(model.layers[0], torch.nn.ReLU6(), model.layers[1], torch.nn.Flatten(0)),
            loss_reduction="sum",
        )
        found = []
        for index in (slice(0, 64), slice(0, 1)):
            plain.zero_grad()
            network.backward(plain, inputs[index], outcome[index])
            found.append(model.layers[0].weight.grad_sample[0].numpy().copy())
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)
    if (found[0] == found[1]).all():
        pytest.skip("this machine's matrix products add up in one order whatever the batch")
    assert found[0].tobytes() != found[1].tobytes()


def test_the_bits_that_the_limits_leave_are_enough() -> None:
    """The table of `fixed_point`: sums are whole multiples of a step, and the multiple is below 2**53."""
    forward = LARGEST_WIDTH * LARGEST_INPUT * LARGEST_WEIGHT + LARGEST_WEIGHT
    backward = 512 * LARGEST_GRADIENT * LARGEST_WEIGHT
    assert forward / (INPUT_STEP * WEIGHT_STEP) < 2**53
    assert backward / (GRADIENT_STEP * WEIGHT_STEP) < 2**53
    assert 512 * LARGEST_GRADIENT**2 / GRADIENT_STEP**2 < 2**53
    assert LARGEST_WIDTH * LARGEST_INPUT**2 / INPUT_STEP**2 < 2**53
    assert LARGEST_ACTIVATION < LARGEST_INPUT
    # Scaled activations have finer steps, and biases have not moved with them: the widest layer decides.
    for units in range(1, 513):
        [scale] = Architecture(inputs=1, hidden=(units,)).scales
        reached = units * LARGEST_ACTIVATION * scale * LARGEST_WEIGHT + LARGEST_WEIGHT
        assert reached / (INPUT_STEP * scale * WEIGHT_STEP) < 2**53
        assert (units * (LARGEST_ACTIVATION * scale) ** 2 + 1) / (INPUT_STEP * scale) ** 2 < 2**53


def test_sums_are_exact_in_whole_numbers_at_the_limits() -> None:
    """All factors as large and as odd as they may be: exact integers tell what the products should be."""
    width = LARGEST_WIDTH
    architecture = Architecture(inputs=width, hidden=())
    generator = np.random.default_rng(7)
    weights = np.round(15 / WEIGHT_STEP) - 1 - 2 * generator.integers(0, 50, width + 1)
    inputs = np.round(8 / INPUT_STEP) - 1 - 2 * generator.integers(0, 50, (1, width))
    exact = sum(int(w) * int(x) for w, x in zip(weights[:-1], inputs[0], strict=True))
    exact += int(weights[-1]) * 2**14
    with network.one_thread():
        layer = network.network_with(architecture, weights * WEIGHT_STEP).layers[0]
        found = layer(torch.from_numpy(inputs * INPUT_STEP)).item()
    assert int(found / (INPUT_STEP * WEIGHT_STEP)) == exact
    assert exact.bit_length() > 50


def test_no_score_is_where_the_logistic_function_would_round_both_ways() -> None:
    """Its last bits differ between machines and places in a batch; after rounding they cannot be seen."""
    scores = np.arange(-(2**18), 2**18 + 1) * INPUT_STEP  # beyond 16, all gradients round to the outcome's
    exact = 1.0 / (1.0 + np.exp(-scores.astype(np.longdouble)))
    steps = exact / GRADIENT_STEP
    distance = np.abs(steps - np.floor(steps) - 0.5)
    error = 2.0**-48 / GRADIENT_STEP
    assert distance.min() > 100 * error
    assert float(exact[0]) < GRADIENT_STEP / 4


def test_what_flows_back_is_on_its_grid_and_within_its_limit(random_batch: Callable[..., Batch]) -> None:
    architecture = Architecture(inputs=6, hidden=(30, 20))
    batch = random_batch(architecture, 200, seed=8, size=15.0)
    largest = 0.0
    for biases in unclipped(architecture, batch)[1::2]:
        assert (biases / GRADIENT_STEP == np.rint(biases / GRADIENT_STEP)).all()
        largest = max(largest, float(np.abs(biases).max()))
    assert largest == LARGEST_GRADIENT


@pytest.mark.parametrize(("inputs", "hidden"), SHAPES)
@pytest.mark.parametrize("limit", [0.01, 1.0, 100.0])
def test_no_record_is_longer_than_agreed(
    inputs: int, hidden: tuple[int, ...], limit: float, random_batch: Callable[..., Batch]
) -> None:
    architecture = Architecture(inputs=inputs, hidden=hidden)
    records = 6 if architecture.parameters > 10_000 else 200
    batch = random_batch(architecture, records, seed=9, size=5.0)
    norms = np.linalg.norm(gradients(architecture, batch, limit=limit), axis=1)
    assert norms.max() <= limit * (1 + 1e-9)
    if limit < 1:
        assert norms.max() > 0.999 * limit


@pytest.mark.parametrize(("inputs", "hidden"), SHAPES)
def test_clipping_is_opacus_own(
    inputs: int, hidden: tuple[int, ...], random_batch: Callable[..., Batch]
) -> None:
    """Norms of whole gradients, as Opacus takes them, against norms from what was seen and flowed back."""
    architecture = Architecture(inputs=inputs, hidden=hidden)
    records = 6 if architecture.parameters > 10_000 else 100
    batch = random_batch(architecture, records, seed=10, size=0.5)
    raw = np.concatenate([part.reshape(records, -1) for part in unclipped(architecture, batch)], axis=1)
    norms = np.linalg.norm(raw, axis=1)
    limit = float(np.median(norms))
    factor = np.minimum(1.0, limit / (norms + 1e-6))
    clipped = gradients(architecture, batch, limit=limit)
    np.testing.assert_allclose(clipped, raw * factor[:, None], rtol=1e-9, atol=1e-15)
    assert 0 < (factor < 1).sum() < records


def test_gradients_are_those_of_the_cross_entropy(random_batch: Callable[..., Batch]) -> None:
    """Against differences of losses in double precision, where no unit is at a kink."""
    from fedscore.learners.neural.architecture import forward  # noqa: PLC0415 - beside its only use

    architecture = Architecture(inputs=6, hidden=(5, 4))
    parameters, inputs, outcome = random_batch(architecture, 40, seed=11, size=0.5)
    raw = np.concatenate(
        [part.reshape(40, -1) for part in unclipped(architecture, (parameters, inputs, outcome))], axis=1
    ).sum(axis=0)

    def loss(at: Values) -> float:
        scores = forward(architecture, at, inputs)
        return float((np.logaddexp(0.0, scores) - outcome * scores).sum())

    step = 1e-5
    for place in range(architecture.parameters):
        move = np.eye(1, architecture.parameters, place)[0] * step
        slope = (loss(parameters + move) - loss(parameters - move)) / (2 * step)
        assert raw[place] == pytest.approx(slope, abs=0.02)


def test_parameters_come_back_as_they_went_in(random_batch: Callable[..., Batch]) -> None:
    architecture = Architecture(inputs=9, hidden=(6, 3))
    parameters, _, _ = random_batch(architecture, 1, seed=12)
    assert (
        network.parameters_of(network.network_with(architecture, parameters)).tobytes()
        == parameters.tobytes()
    )


def test_weights_that_were_moved_return_to_their_grid() -> None:
    architecture = Architecture(inputs=2, hidden=())
    model = network.network_with(architecture, np.array([0.3 * WEIGHT_STEP, 77.0, -77.0]))
    model.round_weights()
    assert network.parameters_of(model).tolist() == [0.0, LARGEST_WEIGHT, -LARGEST_WEIGHT]


def test_threads_are_given_back_even_after_a_failure() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with network.one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(ZeroDivisionError), network.one_thread():
            _ = 1 / 0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
