"""The laws by which rows are dealt: sizes, skew, overlap; each a function of the seed alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.partition import (
    LEFT_OUT,
    apportion,
    by_shares,
    dirichlet,
    dirichlet_shares,
    overlapping,
    power_shares,
)

SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def shares(draw: st.DrawFn) -> list[float]:
    parts = draw(st.lists(st.floats(0, 1), min_size=1, max_size=30).filter(lambda parts: sum(parts) > 1e-3))
    return [part / sum(parts) for part in parts]


@given(shares(), st.integers(0, 10_000))
def test_a_whole_number_is_divided_without_a_remainder(parts: list[float], whole: int) -> None:
    sizes = apportion(parts, whole)
    assert sizes.sum() == whole
    assert (sizes >= 0).all()
    assert (np.abs(sizes - np.array(parts) * whole) < 1 + 1e-6).all()


def test_shares_that_give_whole_numbers_give_those() -> None:
    assert apportion([0.1, 0.2, 0.7], 10).tolist() == [1, 2, 7]
    assert apportion([0.25, 0.25, 0.5], 2).tolist() == [1, 0, 1]


@given(SEEDS, st.integers(0, 2000), st.integers(1, 40), st.floats(0.05, 50))
def test_sizes_are_exactly_what_the_shares_say(seed: int, rows: int, parties: int, alpha: float) -> None:
    drawn = dirichlet_shares(parties, alpha, np.random.default_rng(seed))
    held = by_shares(rows, drawn, np.random.default_rng(seed + 1))
    assert np.array_equal(np.bincount(held, minlength=parties), apportion(drawn, rows))


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_a_power_law_is_one(exponent: float) -> None:
    ranked = np.sort(power_shares(50, exponent, np.random.default_rng(3)))[::-1]
    assert ranked.sum() == pytest.approx(1)
    slope = np.polyfit(np.log(np.arange(1, 51)), np.log(ranked), 1)[0]
    assert slope == pytest.approx(-exponent)


def test_which_party_is_the_largest_is_drawn() -> None:
    largest = {int(power_shares(10, 1.0, np.random.default_rng(seed)).argmax()) for seed in range(50)}
    assert len(largest) > 5


def test_unlike_sizes_have_the_same_outcomes_and_the_order_of_the_file_means_nothing() -> None:
    outcome = np.arange(60_000) % 10 == 0
    held = by_shares(60_000, power_shares(6, 1.0, np.random.default_rng(1)), np.random.default_rng(2))
    for party in range(6):
        mine = held == party
        # Five deviations of a mean of so many draws.
        assert abs(outcome[mine].mean() - 0.1) < 5 * 0.3 / np.sqrt(mine.sum())
        assert abs(np.flatnonzero(mine).mean() / 60_000 - 0.5) < 5 * 0.29 / np.sqrt(mine.sum())


def unevenness(values: np.ndarray, held: np.ndarray, parties: int, kinds: int) -> float:
    """Cramér's V of party and value: 0 where they have nothing to do with each other."""
    table = np.zeros((parties, kinds))
    np.add.at(table, (held, values), 1)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    chi = float((np.square(table - expected) / expected).sum())
    return float(np.sqrt(chi / table.sum() / min(table.shape[0] - 1, table.shape[1] - 1)))


@pytest.mark.parametrize("kinds", [2, 7])
def test_skew_grows_as_alpha_falls(kinds: int) -> None:
    values = np.random.default_rng(0).integers(0, kinds, 20_000)
    alphas = (1000.0, 10.0, 1.0, 0.1)
    means = [
        float(
            np.mean(
                [
                    unevenness(
                        values,
                        dirichlet(values, 10, alpha, np.random.default_rng(seed), kinds=kinds),
                        10,
                        kinds,
                    )
                    for seed in range(10)
                ]
            )
        )
        for alpha in alphas
    ]
    assert all(less < more for less, more in pairwise(means))
    assert means[0] < 0.05
    assert means[-1] > 0.5


@given(SEEDS, st.integers(2, 6))
def test_values_that_no_row_has_change_nothing_for_the_others(seed: int, kinds: int) -> None:
    values = np.random.default_rng(seed).integers(0, kinds - 1, 300)
    few = dirichlet(values, 5, 0.5, np.random.default_rng(seed), kinds=kinds - 1)
    many = dirichlet(values, 5, 0.5, np.random.default_rng(seed), kinds=kinds)
    assert np.array_equal(few, many)


@given(
    SEEDS,
    st.integers(0, 300),
    st.integers(2, 12),
    st.floats(0.01, 1),
    st.data(),
)
def test_as_many_people_as_asked_are_held_by_as_many_as_asked(
    seed: int, people: int, parties: int, share: float, data: st.DataObject
) -> None:
    organisations = data.draw(st.integers(2, parties))
    generator = np.random.default_rng(seed)
    home = generator.integers(LEFT_OUT, parties, people)
    holders = overlapping(
        home, parties, share=share, organisations=organisations, generator=np.random.default_rng(seed)
    )
    assert np.array_equal(holders[:, 0], home)
    held = home != LEFT_OUT
    numbers = (holders != LEFT_OUT).sum(axis=1)
    assert set(numbers[held]) <= {1, organisations}
    assert not numbers[~held].any()
    assert (numbers == organisations).sum() == round(share * int(held.sum()))
    for of_one in holders[numbers == organisations]:
        assert len(set(of_one)) == organisations
        assert ((of_one >= 0) & (of_one < parties)).all()


def test_a_larger_share_keeps_whom_a_smaller_one_chose() -> None:
    home = np.arange(500) % 7
    few, many = (
        overlapping(home, 7, share=share, organisations=3, generator=np.random.default_rng(4))
        for share in (0.2, 0.6)
    )
    chosen = few[:, 1] != LEFT_OUT
    assert chosen.sum() == 100
    assert np.array_equal(np.sort(few[chosen]), np.sort(many[chosen]))


def test_further_organisations_are_drawn_evenly() -> None:
    home = np.zeros(60_000, dtype=np.int64)
    holders = overlapping(home, 5, share=1.0, organisations=3, generator=np.random.default_rng(8))
    pairs = np.bincount(np.sort(holders[:, 1:], axis=1) @ np.array([5, 1]), minlength=25)
    pairs = pairs[pairs > 0]
    # Six pairs of four others, each with 10,000 of 60,000: 91 is one deviation.
    assert len(pairs) == 6
    assert np.abs(pairs - 10_000).max() < 5 * 92
    assert set(np.unique(holders[:, 1])) == {1, 2, 3, 4}
