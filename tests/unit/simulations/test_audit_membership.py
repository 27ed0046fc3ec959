"""Membership inference: the attack beside its textbook form, beside chance, and where it must see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from fedscore.contract import Contract, Recipe
from fedscore.data import Rows
from fedscore.errors import ScenarioError
from fedscore.metrics import auc
from fedscore.sums import Query, SumRequest, Update, noised_total
from privacy.dp.randomness import RandomSource
from simulations.audit.findings import Verdict
from simulations.audit.membership import (
    Attacked,
    Pool,
    Protection,
    _binomial_range,
    _hits,
    attacked,
    lira_scores,
    membership,
    membership_finding,
    pool_of,
)
from simulations.audit.promise import Promise
from simulations.audit.row import Membership
from simulations.audit.shares import Contribute
from simulations.audit.sources import SeededSource

LEVEL = 1e-4
SHADOWS = 32


def invented(generator: np.random.Generator, *, shadows: int, records: int, shift: float) -> Attacked:
    """Models that are surer of members by so many standard deviations."""
    halves = []
    for _ in range(shadows // 2):
        coins = generator.random(records) < 0.5
        halves += [coins, ~coins]
    members = np.array(halves)
    return Attacked(members=members, sureness=generator.normal(size=members.shape) + shift * members)


def everyone(records: int, make_rows: Callable[[int, int], Rows]) -> Pool:
    return Pool(rows=make_rows(records, 1), is_outlier=np.zeros(records, dtype=np.bool_))


def test_scores_are_log_likelihood_ratios() -> None:
    generator = np.random.default_rng(1)
    shadows = invented(generator, shadows=40, records=7, shift=1.0)
    victims = invented(generator, shadows=6, records=7, shift=1.0)
    scores = lira_scores(shadows, victims)
    for record in range(7):
        had = shadows.members[:, record]
        sides = shadows.sureness[had, record], shadows.sureness[~had, record]
        squares = sum(float(np.square(side - side.mean()).sum()) for side in sides)
        deviation = np.sqrt(squares / (40 - 2))
        ratio = stats.norm.logpdf(
            victims.sureness[:, record], sides[0].mean(), deviation
        ) - stats.norm.logpdf(victims.sureness[:, record], sides[1].mean(), deviation)
        np.testing.assert_allclose(scores[:, record], ratio)


def test_the_area_is_that_of_two_normal_laws() -> None:
    generator = np.random.default_rng(2)
    shadows = invented(generator, shadows=2000, records=20, shift=0.8)
    victims = invented(generator, shadows=2000, records=20, shift=0.8)
    area = auc(victims.members.ravel().astype(np.int8), lira_scores(shadows, victims).ravel())
    assert area == pytest.approx(stats.norm.cdf(0.8 / np.sqrt(2)), abs=0.01)


@pytest.mark.parametrize(("count", "rate"), [(30, 1 / 31), (1500, 0.001), (20_000, 0.001), (760_000, 0.001)])
def test_the_range_of_a_count_is_the_binomials(count: int, rate: float) -> None:
    low, high = _binomial_range(count, rate)
    assert (low, high) == (stats.binom.ppf(0.0125, count, rate), stats.binom.ppf(0.9875, count, rate))


PROMISE = Promise(epsilon=1.0, delta=1e-5, mu=0.268)


def test_chance_is_within_its_interval_as_often_as_it_says(make_rows: Callable[[int, int], Rows]) -> None:
    generator = np.random.default_rng(3)
    pool = Pool(rows=make_rows(60, 1), is_outlier=np.arange(60) < 20)
    covered, areas = [], []
    for _ in range(60):
        nothing = invented(generator, shadows=40, records=60, shift=0.0)
        for one in membership(nothing, nothing, nothing, pool, PROMISE):
            covered.append(one.auc_low <= 0.5 <= one.auc_high)
            areas.append(one.auc)
    # Of 120, 105 or fewer have a chance of .001 if it is 95 % of them.
    assert np.sum(covered) > 105
    assert np.mean(areas) == pytest.approx(0.5, abs=0.01)


def test_an_attack_that_sees_nothing_without_noise_is_called_blind(
    make_rows: Callable[[int, int], Rows],
) -> None:
    generator = np.random.default_rng(4)
    pool = Pool(rows=make_rows(60, 1), is_outlier=np.arange(60) < 20)
    nothing, something = (invented(generator, shadows=40, records=60, shift=shift) for shift in (0.0, 1.5))

    def verdicts(private: Attacked, noiseless: Attacked, unprotected: Attacked) -> set[Verdict]:
        found = membership(private, noiseless, unprotected, pool, PROMISE)
        return {membership_finding(one, level=LEVEL).verdict for one in found}

    assert verdicts(nothing, nothing, nothing) == {Verdict.NO_POWER}
    # What the attack can see is not what this program would have shown without its noise.
    assert verdicts(nothing, nothing, something) == {Verdict.MEASURED}
    assert verdicts(nothing, something, something) == {Verdict.PASSED}
    assert verdicts(something, something, something) == {Verdict.FAILED}


def test_what_the_promise_allows_is_stated(make_rows: Callable[[int, int], Rows]) -> None:
    pool = Pool(rows=make_rows(60, 1), is_outlier=np.arange(60) < 20)
    nothing = invented(np.random.default_rng(5), shadows=16, records=60, shift=0.0)
    ordinary, outliers = membership(nothing, nothing, nothing, pool, PROMISE)
    assert (ordinary.of, ordinary.records, outliers.of, outliers.records) == ("ordinary", 40, "outliers", 20)
    assert ordinary.tpr_allowed == pytest.approx(np.e * ordinary.fpr + 1e-5)
    # Eight victims of forty records have some 160 others: none of them tells a rate of .001.
    assert ordinary.fpr == pytest.approx(1 / 161, rel=0.3)
    # Between neighbours N(0, 1) and N(mu, 1), the area is the chance that the second is larger.
    draws = np.random.default_rng(6).normal(size=(2, 400_000))
    assert ordinary.auc_allowed == pytest.approx(np.mean(draws[0] < draws[1] + 0.268), abs=0.005)


def test_outliers_are_the_rarest(make_rows: Callable[[int, int], Rows]) -> None:
    rows = make_rows(300, 1)
    strange = rows.select(np.arange(300) < 1)
    strange = replace(strange, cells=np.full_like(strange.cells, 0), outcome=np.array([1], dtype=np.int8))
    common = rows.select(np.flatnonzero((rows.cells != 0).all(axis=1)))
    pool = pool_of(Rows.concatenate([common, strange]), records=50, outliers=10, seed=1)
    assert pool.is_outlier.sum() == 10
    assert len(pool.rows) == 60
    assert (pool.rows.cells[0] == 0).all()
    with pytest.raises(ScenarioError, match=r"asks for 310 records, and there are 300"):
        pool_of(rows, records=300, outliers=10, seed=1)


def noiseless(
    query: Query | Update, rows: Rows, request: SumRequest, *, row_cap: int, randomness: RandomSource
) -> npt.NDArray[np.int64]:
    """A deployment that forgot its noise altogether."""
    silent = replace(request, share_variance=0)
    return noised_total(query, rows, silent, row_cap=row_cap, randomness=randomness)


Reached = Callable[[Contribute], tuple[Membership, ...]]


@pytest.fixture(scope="module")
def reached(tiny_contract: Contract, make_rows: Callable[[int, int], Rows]) -> Reached:
    # The plain recipe leaks more of few rows, so that there is something to see.
    contract = tiny_contract.with_recipe(Recipe.PLAIN).with_privacy(epsilon=0.5)
    pool = pool_of(make_rows(400, 1), records=60, outliers=20, seed=1)

    def models(contribute: Contribute, protection: Protection) -> Attacked:
        return attacked(
            contract,
            pool,
            SHADOWS,
            protection=protection,
            seed=1,
            source=SeededSource(2),
            contribute=contribute,
        )

    known: dict[Contribute, tuple[Membership, ...]] = {}

    def found(contribute: Contribute) -> tuple[Membership, ...]:
        if contribute not in known:
            private, noiseless, unprotected = (models(contribute, protection) for protection in Protection)
            known[contribute] = membership(private, noiseless, unprotected, pool, Promise.of(contract))
        return known[contribute]

    return found


def test_few_rows_leak_visibly_more_without_noise(
    reached: Reached,
) -> None:
    for one in reached(noised_total):
        assert one.unprotected_auc_low > max(0.55, one.auc_high)
        assert one.auc_low < 0.5 + 0.05
        # A program that shrinks what it takes for noise would not have shown that the noise is missing.
        assert membership_finding(one, level=LEVEL).verdict is Verdict.MEASURED


def test_what_forgotten_noise_would_show_is_what_is_measured_beside(
    reached: Reached,
) -> None:
    for right, forgotten in zip(reached(noised_total), reached(noiseless), strict=True):
        assert forgotten.auc == right.noiseless_auc != right.auc


def test_every_record_has_a_coin_of_its_own_and_pairs_divide_the_pool(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    pool = everyone(41, make_rows)
    models = attacked(tiny_contract, pool, 11, protection=Protection.PROMISED, seed=1, source=SeededSource(2))
    assert models.members.shape == models.sureness.shape == (12, 41)
    np.testing.assert_array_equal(models.members[0::2], ~models.members[1::2])
    assert len({int(count) for count in models.members[0::2].sum(axis=1)}) > 1


def test_one_record_more_is_no_record_less() -> None:
    """The area of the best attack on one record's sum is what mu allows, because others do not make room."""
    generator, mu, records = np.random.default_rng(9), 1.0, 30
    coins = generator.random((200_000, records)) < 0.5
    effects = np.where(np.arange(records) == 0, mu, -mu)
    # The adversary knows the others' coins: it subtracts them.
    seen = coins @ effects - coins[:, 1:] @ effects[1:] + generator.normal(size=len(coins))
    area = auc(coins[:, 0].astype(np.int8), seen)
    assert area == pytest.approx(stats.norm.cdf(mu / np.sqrt(2)), abs=0.01)


@pytest.mark.parametrize("records", [300, 1500])
def test_hits_of_chance_are_as_often_as_the_rate_says(records: int) -> None:
    generator = np.random.default_rng(10)
    found = [_hits(generator.normal(size=records), generator.normal(size=records)) for _ in range(400)]
    rate = found[0][0]
    assert rate == 1 / (records + 1)
    # The k-th largest of n others is exceeded with a chance of k / (n + 1).
    assert np.mean([tpr for _, tpr, _ in found]) == pytest.approx(rate, rel=0.25)
    assert np.mean([low <= rate <= high for _, _, (low, high) in found]) >= 0.95
