"""What is done with released sums: steps like torch's, averages, and an end when only noise is left."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from fedscore.contract import NeuralTerms, Optimiser
from fedscore.learners.neural.steps import (
    FIRST_DECAY,
    SECOND_DECAY,
    SMALLEST_SQUARE_ROOT,
    Adam,
    Momentum,
    Patience,
    average,
    stepper_of,
)
from fedscore.sums import Released


def released(values: npt.NDArray[np.float64], deviation: float = 1.0) -> Released:
    return Released(values=values, deviation=deviation)


def gradients(count: int = 25, size: int = 6) -> npt.NDArray[np.float64]:
    generator = np.random.default_rng(1)
    found = generator.normal(size=(count, size)) * 10.0 ** generator.integers(-4, 4, size)
    found[:, 2] = 0.0
    return found


@pytest.mark.parametrize("optimiser", list(Optimiser))
def test_steps_are_torchs(optimiser: Optimiser) -> None:
    torch = pytest.importorskip("torch")
    terms = NeuralTerms(optimiser=optimiser, learning_rate=0.07)
    stepper = stepper_of(terms, records=150.0)
    there = torch.nn.Parameter(torch.ones(6, dtype=torch.float64))
    theirs = (
        torch.optim.Adam([there], lr=0.07, betas=(FIRST_DECAY, SECOND_DECAY), eps=SMALLEST_SQUARE_ROOT)
        if optimiser is Optimiser.ADAM
        else torch.optim.SGD([there], lr=0.07 / 150.0, momentum=FIRST_DECAY)
    )
    ours = np.ones(6)
    for gradient in gradients():
        ours = ours + stepper.step(released(gradient))
        there.grad = torch.from_numpy(gradient.copy())
        theirs.step()
        np.testing.assert_allclose(ours, there.detach().numpy(), rtol=1e-9, atol=1e-12)
    assert np.abs(ours - 1).max() > 0.01
    assert ours[2] == 1.0


def test_momentum_is_linear_in_what_is_released() -> None:
    ours, twice = Momentum(0.1, 50.0), Momentum(0.1, 50.0)
    for gradient in gradients():
        step = ours.step(released(gradient))
        np.testing.assert_allclose(twice.step(released(2 * gradient)), 2 * step, rtol=1e-12)


def test_adam_does_not_care_for_the_number_of_records() -> None:
    ours, larger = Adam(0.1), Adam(0.1)
    for gradient in gradients() + 1.0:
        step = ours.step(released(gradient))
        np.testing.assert_allclose(larger.step(released(1000 * gradient)), step, rtol=1e-2, atol=1e-6)


def test_expected_records_scale_momentum_alone() -> None:
    gradient = released(np.ones(3))
    for optimiser, ratio in ((Optimiser.MOMENTUM, 2.0), (Optimiser.ADAM, 1.0)):
        terms = NeuralTerms(optimiser=optimiser)
        few, many = stepper_of(terms, records=10.0), stepper_of(terms, records=20.0)
        np.testing.assert_allclose(few.step(gradient), ratio * many.step(gradient))


def noise(count: int, *, size: int = 400, deviation: float = 3.0, seed: int = 2) -> list[Released]:
    drawn = np.random.default_rng(seed).normal(0.0, deviation, (count, size))
    return [released(values, deviation) for values in drawn]


def ended_after(patience: Patience, sums: list[Released]) -> int | None:
    for number, gradient in enumerate(sums, start=1):
        if patience.is_over(gradient):
            return number
    return None


@pytest.mark.parametrize("rounds", [1, 2, 5, 9])
def test_pure_noise_ends_training_after_exactly_so_many_rounds(rounds: int) -> None:
    assert ended_after(Patience(rounds), noise(12)) == rounds


def test_without_patience_training_never_ends_early() -> None:
    assert ended_after(Patience(0), noise(200)) is None


def test_signal_begins_the_count_anew() -> None:
    quiet = noise(7)
    loud = released(quiet[0].values + 3.0, 3.0)
    assert ended_after(Patience(3), [*quiet[:2], loud, *quiet[2:4], loud, *quiet[4:]]) == 9
    assert ended_after(Patience(3), [*quiet[:2], loud, *quiet[2:4], loud]) is None


def test_signal_as_large_as_the_noise_is_seen_and_a_tenth_of_it_is_not() -> None:
    size, deviation = 400, 3.0
    for share, is_seen in ((1.0, True), (0.1, False)):
        shift = share * deviation
        sums = [released(one.values + shift, deviation) for one in noise(50, size=size)]
        alarms = sum(not Patience(1).is_over(one) for one in sums)
        assert alarms >= 49 if is_seen else alarms <= 6


def test_noise_is_taken_for_signal_as_seldom_as_two_deviations_say() -> None:
    alarms = sum(not Patience(1).is_over(one) for one in noise(4000, size=50, seed=3))
    # a χ² of 50 values lies two deviations above its mean in 3.2 per cent of cases
    assert 0.02 * 4000 < alarms < 0.045 * 4000


def test_without_noise_only_a_gradient_of_nothing_counts_as_noise() -> None:
    assert ended_after(Patience(1), [released(np.full(4, 1e-9), 0.0)]) is None
    assert ended_after(Patience(1), [released(np.zeros(4), 0.0)]) == 1


def test_the_later_half_is_averaged() -> None:
    iterates = [np.array([float(number), 0.0]) for number in range(5)]
    assert average(iterates).tolist() == [3.0, 0.0]  # 2, 3 and 4
    assert average(iterates[:4]).tolist() == [2.5, 0.0]
    assert average(iterates[:1]).tolist() == [0.0, 0.0]
