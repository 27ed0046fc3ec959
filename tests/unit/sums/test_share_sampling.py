"""Secret coins decide who takes part in a sampled sum; and an update is made of steps that were paid for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from fedscore.contract import Contract, NoiseMode
from fedscore.data import Rows
from fedscore.errors import AccountingError
from fedscore.sums import (
    Contributions,
    DenseContributions,
    PlannedSum,
    Query,
    StepSum,
    SumRequest,
    Update,
    derive_request,
    noised_total,
)
from privacy.dp.randomness import SystemRandomness
from simulations.randomness import SeededRandomness

Integers = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
INFINITE = float("inf")


@dataclass
class Everybody(Query):
    """One coordinate per row, so that a total tells who took part; remembers what it was shown."""

    dimension: int
    shown: list[str] = field(default_factory=list)

    def contributions(self, rows: Rows) -> DenseContributions:
        self.shown.extend(str(name) for name in rows.ids)
        values = np.zeros((len(rows), self.dimension))
        values[np.arange(len(rows)), [int(str(name).split("-")[1]) for name in rows.ids]] = 1.0
        return DenseContributions(values=values)


@dataclass
class Scripted(Update):
    """Does what a test wants it to do."""

    dimension: int
    act: Callable[[int, StepSum], Values]

    def compute(self, steps: int, noisy: StepSum) -> Values:
        return self.act(steps, noisy)


class NoCoins:
    """A source that nobody may draw from."""

    def integers_below(self, bound: int, size: int) -> Integers:
        raise AssertionError(f"{size} integers below {bound} were drawn")


class Counted(SeededRandomness):
    """Tells how many coins of each kind were tossed."""

    __slots__ = ("asked",)

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.asked: list[tuple[int, int]] = []

    def integers_below(self, bound: int, size: int) -> Integers:
        self.asked.append((bound, size))
        return super().integers_below(bound, size)


def planned(dimension: int, *, one_in: int = 1, local_steps: int = 0) -> PlannedSum:
    return PlannedSum(
        name="update" if local_steps else "gradient",
        share=Fraction(1),
        sensitivity_squared=Fraction(1),
        largest=Fraction(2) if local_steps else Fraction(1),
        integral=False,
        dimension_limit=dimension,
        one_in=one_in,
        local_steps=local_steps,
    )


@pytest.fixture
def request_of(tiny_contract: Contract) -> Callable[..., SumRequest]:
    def make(dimension: int, *, mu: float = INFINITE, one_in: int = 1, local_steps: int = 0) -> SumRequest:
        contract = tiny_contract.with_privacy(noise=NoiseMode.LOCAL)
        plan = planned(dimension, one_in=one_in, local_steps=local_steps)
        return derive_request(plan, dimension=dimension, mu=mu, contract=contract)

    return make


def drawn(
    rows: Rows, request: SumRequest, source: SeededRandomness | SystemRandomness
) -> npt.NDArray[np.bool_]:
    total = noised_total(Everybody(len(rows)), rows, request, row_cap=4000, randomness=source)
    assert set(np.unique(total)) <= {0, request.scale}
    return np.asarray(total > 0)


# Sums over a sample


@pytest.mark.parametrize("one_in", [2, 5, 50])
def test_every_row_takes_part_with_its_chance_and_by_itself(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest], one_in: int
) -> None:
    rows, source = make_rows(40, 1), SeededRandomness(7)
    request = request_of(40, one_in=one_in)
    taken = np.array([drawn(rows, request, source) for _ in range(1500)])
    chance = 1 / one_in
    deviation = np.sqrt(chance * (1 - chance) / 1500)
    assert np.abs(taken.mean(axis=0) - chance).max() < 4.5 * deviation
    assert abs(taken.mean() - chance) < 4 * deviation / np.sqrt(40)
    # independent rows: the size of a sample is binomial, and neighbours do not go together
    sizes = taken.sum(axis=1)
    assert sizes.var() == pytest.approx(40 * chance * (1 - chance), rel=0.2)
    together = (taken[:, 1:] & taken[:, :-1]).mean()
    assert together == pytest.approx(chance**2, abs=4 * np.sqrt(chance**2 / (1500 * 39)))


def test_every_sum_has_a_sample_of_its_own(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest]
) -> None:
    rows, source = make_rows(64, 1), SystemRandomness()
    samples = {drawn(rows, request_of(64, one_in=2), source).tobytes() for _ in range(20)}
    assert len(samples) == 20


def test_without_sampling_no_coin_is_tossed_and_everybody_takes_part(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest]
) -> None:
    rows = make_rows(30, 1)
    total = noised_total(Everybody(30), rows, request_of(30), row_cap=4000, randomness=NoCoins())
    assert (total == request_of(30).scale).all()


def test_one_coin_per_row_is_tossed_whatever_the_batches(
    make_rows: Callable[[int, int], Rows],
    request_of: Callable[..., SumRequest],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, request = make_rows(30, 1), request_of(30, one_in=3)
    whole = drawn(rows, request, SeededRandomness(3))
    monkeypatch.setattr("fedscore.sums.share.BATCH_RECORDS", 4)
    source = Counted(3)
    assert drawn(rows, request, source).tobytes() == whole.tobytes()
    assert source.asked == [(3, 30)]


def test_the_query_is_shown_rows_of_the_sample_alone(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest]
) -> None:
    rows, query = make_rows(60, 1), Everybody(60)
    total = noised_total(query, rows, request_of(60, one_in=4), row_cap=4000, randomness=SeededRandomness(2))
    assert sorted(query.shown) == sorted(str(rows.ids[place]) for place in np.flatnonzero(total))
    assert 0 < len(query.shown) < 60


def test_a_sample_of_nobody_still_has_its_noise(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest]
) -> None:
    nobody = make_rows(3, 1).select(slice(0, 0))
    request = request_of(50, mu=0.5, one_in=10)
    total = noised_total(Everybody(50), nobody, request, row_cap=4000, randomness=SeededRandomness(1))
    assert np.count_nonzero(total) > 45


# Steps of an update


def update(
    request_of: Callable[..., SumRequest],
    rows: Rows,
    act: Callable[[int, StepSum], Values],
    *,
    steps: int = 3,
    mu: float = INFINITE,
    one_in: int = 1,
    size: int = 4,
) -> Integers:
    request = request_of(size + 1, mu=mu, one_in=one_in, local_steps=steps)
    return noised_total(Scripted(size + 1, act), rows, request, row_cap=4000, randomness=SeededRandomness(5))


def of_each(rows: Rows, size: int = 4) -> Contributions:
    return DenseContributions(values=np.full((len(rows), size), 0.1))


def test_a_step_sums_what_its_rows_contribute(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest]
) -> None:
    rows, seen = make_rows(12, 1), []

    def act(steps: int, noisy: StepSum) -> Values:
        for _ in range(steps):
            sample = noisy.sample()
            assert len(sample) == 12
            noisy.add(of_each(sample.select(slice(0, 5))))
            noisy.add(of_each(sample.select(slice(5, 12))))
            released = noisy.release()
            seen.append(released)
        assert (noisy.sampling_probability, noisy.noise_multiplier) == (Fraction(1), 0.0)
        return np.append(released.values, 1.0) / 2

    total = update(request_of, rows, act)
    assert len(seen) == 3
    for released in seen:
        np.testing.assert_allclose(released.values, 1.2, atol=12 * 2.0**-24)
        assert released.deviation == 0.0
    np.testing.assert_allclose(total / 2**20, [0.6, 0.6, 0.6, 0.6, 0.5], atol=1e-5)


def test_a_step_has_fresh_noise_of_the_stated_deviation_and_a_fresh_sample(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest]
) -> None:
    size, samples, released = 400, [], []

    def act(steps: int, noisy: StepSum) -> Values:
        for _ in range(steps):
            samples.append(tuple(noisy.sample().ids))
            released.append(noisy.release())
        assert noisy.sampling_probability == Fraction(1, 2)
        multipliers.append(noisy.noise_multiplier)
        return np.zeros(size + 1)

    multipliers: list[float] = []
    update(request_of, make_rows(60, 1), act, steps=6, mu=0.7, one_in=2, size=size)
    assert len(set(samples)) == 6
    assert {0 < len(sample) < 60 for sample in samples} == {True}
    values = np.array([one.values for one in released])
    # each of six steps costs mu / √6 at sensitivity 1
    assert released[0].deviation == pytest.approx(np.sqrt(6) / 0.7, rel=1e-3)
    assert multipliers[0] == pytest.approx(np.sqrt(6) / 0.7, rel=1e-3)
    assert multipliers[0] < released[0].deviation
    assert values.std() == pytest.approx(released[0].deviation, rel=0.06)
    correlated = np.corrcoef(values)[np.triu_indices(6, 1)]
    assert np.abs(correlated).max() < 4.5 / np.sqrt(size)


def test_no_more_steps_than_were_paid_for_are_released(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest]
) -> None:
    done = []

    def greedy(steps: int, noisy: StepSum) -> Values:
        for _ in range(steps + 1):
            noisy.sample()
            noisy.release()
            done.append(1)
        return np.zeros(5)

    with pytest.raises(AccountingError, match="a step that nobody paid for"):
        update(request_of, make_rows(5, 1), greedy)
    assert len(done) == 3


def test_one_sample_is_released_once(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest]
) -> None:
    def twice(_steps: int, noisy: StepSum) -> Values:
        noisy.sample()
        noisy.release()
        noisy.release()
        return np.zeros(5)

    with pytest.raises(AccountingError, match="that was not begun"):
        update(request_of, make_rows(5, 1), twice)
    with pytest.raises(AccountingError, match="that was not begun"):
        update(request_of, make_rows(5, 1), lambda _steps, noisy: noisy.release().values)


@pytest.mark.parametrize("parts", [[6], [5, 1], [3, 3]])
def test_no_more_rows_are_added_than_were_drawn(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest], parts: list[int]
) -> None:
    rows = make_rows(6, 1)

    def act(_steps: int, noisy: StepSum) -> Values:
        noisy.sample()
        for part in parts:
            noisy.add(of_each(rows.select(slice(0, part))))
        return np.zeros(5)

    with pytest.raises(AccountingError, match="rows that were not drawn for this step: nothing was sent"):
        update(request_of, rows.select(slice(0, 5)), act)


def test_nothing_is_added_before_a_sample_is_drawn_or_after_its_release(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest]
) -> None:
    rows = make_rows(5, 1)

    def before(_steps: int, noisy: StepSum) -> Values:
        noisy.add(of_each(rows))
        return np.zeros(5)

    def after(_steps: int, noisy: StepSum) -> Values:
        noisy.sample()
        noisy.release()
        return before(_steps, noisy)

    for act in (before, after):
        with pytest.raises(AccountingError, match="not drawn for this step"):
            update(request_of, rows, act)


def test_a_record_in_a_step_is_cut_to_its_bound(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest]
) -> None:
    def act(_steps: int, noisy: StepSum) -> Values:
        sample = noisy.sample()
        noisy.add(DenseContributions(values=np.full((len(sample), 4), 1000.0)))
        found = noisy.release().values
        assert np.linalg.norm(found) <= 1.0
        np.testing.assert_allclose(found, 0.5, atol=1e-5)
        return np.zeros(5)

    assert not update(request_of, make_rows(1, 1), act).any()


def test_a_sample_that_was_not_released_leaves_nothing_in_the_next_one(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest]
) -> None:
    def act(_steps: int, noisy: StepSum) -> Values:
        noisy.add(of_each(noisy.sample()))
        noisy.sample()
        return np.append(noisy.release().values, 0.0)

    assert not update(request_of, make_rows(5, 1), act).any()


def test_an_update_is_cut_to_its_bound(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest]
) -> None:
    request = request_of(5, local_steps=3)
    total = update(
        request_of, make_rows(5, 1), lambda _steps, _noisy: np.array([9.0, -9.0, 2.0, 1e300, 0.25])
    )
    assert request.max_abs == 2 * 2**20
    assert total.tolist() == [2**21, -(2**21), 2**21, 2**21, 2**18]


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros(4),
        np.zeros(6),
        np.zeros((5, 1)),
        np.array([0, 0, np.nan, 0, 0]),
        np.array([np.inf, 0, 0, 0, 0]),
    ],
    ids=["short", "long", "another shape", "not a number", "infinite"],
)
def test_an_update_of_another_form_is_refused(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest], wrong: Values
) -> None:
    with pytest.raises(AccountingError, match="of another length, or not finite: nothing was sent"):
        update(request_of, make_rows(5, 1), lambda _steps, _noisy: wrong)


def test_an_update_has_no_price_where_a_sum_over_records_was_planned(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest]
) -> None:
    never = Scripted(5, lambda _steps, _noisy: np.zeros(5))
    with pytest.raises(AccountingError, match="planned as a sum over records: an update has no price there"):
        noised_total(never, make_rows(5, 1), request_of(5), row_cap=4000, randomness=SeededRandomness(1))


def test_no_record_is_in_a_sum_that_was_planned_as_an_update(
    make_rows: Callable[[int, int], Rows], request_of: Callable[..., SumRequest]
) -> None:
    """An update carries its own noise, so the sum adds none: a query must not get there at all."""
    request = request_of(30, mu=0.5, local_steps=3)
    with pytest.raises(AccountingError, match="planned as an update, and not as a sum over records"):
        noised_total(Everybody(30), make_rows(30, 1), request, row_cap=4000, randomness=SeededRandomness(1))


def test_the_event_of_an_update_is_that_of_its_steps(request_of: Callable[..., SumRequest]) -> None:
    request = request_of(5, mu=0.7, one_in=10, local_steps=6)
    assert request.local is not None
    assert request.local.noise_multiplier == pytest.approx(np.sqrt(6) / 0.7, rel=1e-3)
    noiseless = replace(request, local=replace(request.local, share_variance=0))
    assert noiseless.local is not None
    assert noiseless.local.noise_multiplier == 0.0
