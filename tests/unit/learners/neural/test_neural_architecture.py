"""Weights in one flat vector: how many, in which order, and where they start."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fedscore.contract import NeuralModelKind, NeuralTerms
from fedscore.learners.neural.architecture import Architecture, forward
from fedscore.learners.neural.fixed_point import (
    INPUT_STEP,
    LARGEST_WEIGHT,
    WEIGHT_STEP,
    rounded_inputs,
    rounded_weights,
)

SHAPES = [(1, ()), (7, ()), (1, (1,)), (12, (5,)), (9, (6, 3)), (200, (64, 32))]


def test_a_logistic_model_has_no_hidden_layer_whatever_its_terms_say() -> None:
    terms = NeuralTerms(model=NeuralModelKind.LOGISTIC)
    assert Architecture.of(terms, 7) == Architecture(inputs=7, hidden=())
    assert Architecture.of(NeuralTerms(hidden=(8, 4)), 7) == Architecture(inputs=7, hidden=(8, 4))


@pytest.mark.parametrize(("inputs", "hidden"), SHAPES)
def test_the_parameters_are_counted_and_split_completely(inputs: int, hidden: tuple[int, ...]) -> None:
    architecture = Architecture(inputs=inputs, hidden=hidden)
    parts = list(architecture.split(np.arange(architecture.parameters, dtype=np.float64)))
    assert [weights.shape for weights, _ in parts] == [(units, width) for width, units in architecture.layers]
    flat = np.concatenate([part.ravel() for layer in parts for part in layer])
    assert flat.tolist() == list(range(architecture.parameters))


@pytest.mark.parametrize(("inputs", "hidden"), SHAPES)
def test_the_start_is_the_same_every_time_and_on_the_grid(inputs: int, hidden: tuple[int, ...]) -> None:
    start = Architecture(inputs=inputs, hidden=hidden).initial(-1.3)
    again = Architecture(inputs=inputs, hidden=hidden).initial(-1.3)
    assert start.tobytes() == again.tobytes()
    assert start.tobytes() == rounded_weights(start).tobytes()
    assert (start / WEIGHT_STEP == np.rint(start / WEIGHT_STEP)).all()


def test_the_start_is_this_one_on_every_machine() -> None:
    """Parties with another start would ask for other sums: this one is part of the protocol."""
    start = Architecture(inputs=2, hidden=(2,)).initial(-1.0)
    assert (start[[4, 5, 8]] == [0.0, 0.0, -1.0]).all()
    assert (start * 2**20).astype(np.int64).tolist() == [
        1776825,
        911724,
        1345053,
        -344739,
        0,
        0,
        11043,
        -884168,
        -1048576,
    ]


def test_what_a_layer_passes_on_is_scaled_by_a_power_of_two_near_the_root_of_its_units() -> None:
    for units in range(1, 513):
        one, other = Architecture(inputs=3, hidden=(units, 4)).scales
        assert np.frexp(one)[0] == 0.5
        assert 0.7 < one * np.sqrt(units) < 1.42
        assert other == 0.5


def test_first_weights_have_the_stated_variances() -> None:
    architecture = Architecture(inputs=300, hidden=(200, 100))
    (first, biases), (second, _), (last, bias) = architecture.split(architecture.initial(-2.0))
    assert first.var() == pytest.approx(1.0, rel=0.02)
    assert second.var() == pytest.approx(2.0, rel=0.05)
    assert last.var() == pytest.approx(0.25, rel=0.35)
    for weights in (first, second, last):
        assert abs(weights.mean()) < 4 * weights.std() / np.sqrt(weights.size)
        assert np.abs(weights).max() <= np.sqrt(3) * np.sqrt(weights.var()) * 1.5
    assert (biases == 0).all()
    assert bias.tolist() == [-2.0]


def test_shapes_start_differently() -> None:
    shapes = [(30, (8,)), (30, (8, 8)), (31, (8,)), (30, (9,)), (308, ()), (30, (8, 9))]
    starts = {shape: Architecture(inputs=shape[0], hidden=shape[1]).initial(0.0)[:30] for shape in shapes}
    alike = {start.tobytes() for start in starts.values()}
    assert len(alike) == len(shapes)


def test_layers_of_one_size_start_differently() -> None:
    architecture = Architecture(inputs=16, hidden=(16, 16))
    (first, _), (second, _), _ = architecture.split(architecture.initial(0.0))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.2


@pytest.mark.parametrize(("inputs", "hidden"), SHAPES)
@pytest.mark.parametrize("log_odds", [-3.0, 0.0, 1.5])
def test_training_starts_near_the_share_of_bad_records(
    inputs: int, hidden: tuple[int, ...], log_odds: float
) -> None:
    architecture = Architecture(inputs=inputs, hidden=hidden)
    seen = np.random.default_rng(2).normal(size=(500, inputs))
    seen = rounded_inputs(seen / np.linalg.norm(seen, axis=1, keepdims=True))
    scores = forward(architecture, architecture.initial(log_odds), seen)
    if not hidden:
        assert (scores == log_odds).all()
    else:
        assert abs(scores.mean() - log_odds) < 0.6
        assert scores.std() < 0.6


def test_a_start_beyond_the_grid_is_cut_to_it() -> None:
    assert Architecture(inputs=3, hidden=()).initial(-99.0)[-1] == -LARGEST_WEIGHT


@pytest.mark.parametrize(("inputs", "hidden"), [(7, ()), (12, (5,)), (9, (6, 3)), (60, (32, 16))])
@pytest.mark.parametrize("size", [0.3, 3.0])
def test_numpy_and_torch_give_the_same_scores_up_to_rounding(
    inputs: int, hidden: tuple[int, ...], size: float, random_batch: Callable[..., tuple[np.ndarray, ...]]
) -> None:
    """Half an input step is lost at each unit, and grows by the weights on its way: that, and no more."""
    torch = pytest.importorskip("torch")
    from fedscore.learners.neural.network import network_with, one_thread  # noqa: PLC0415 - needs torch

    architecture = Architecture(inputs=inputs, hidden=hidden)
    parameters, seen, _ = random_batch(architecture, 200, seed=inputs, size=size)
    with one_thread(), torch.no_grad():
        rounded = network_with(architecture, parameters)(torch.from_numpy(seen)).numpy()
    plain = forward(architecture, parameters, seen)
    error = 0.0
    for (weights, _), scale in zip(architecture.split(parameters), (*architecture.scales, 1.0), strict=True):
        error = (float(np.abs(weights).sum(axis=1).max()) * error + INPUT_STEP / 2) * scale
    difference = np.abs(rounded - plain).max()
    assert difference <= error * (1 + 1e-9)
    assert difference > 0
    assert np.ptp(plain) > 0.05
