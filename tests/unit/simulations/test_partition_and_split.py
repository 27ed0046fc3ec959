from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from fedscore.contract import Contract, Split
from fedscore.data import Rows, is_test
from fedscore.errors import ScenarioError
from simulations.partition import LEFT_OUT, by_column, dirichlet, iid
from simulations.scenario import SplitTerms
from simulations.splits import held_out, random_split


@given(st.integers(0, 500), st.integers(1, 40), st.integers(0, 99))
def test_iid_parties_differ_by_at_most_one_row(rows: int, parties: int, seed: int) -> None:
    held = iid(rows, parties, np.random.default_rng(seed))
    sizes = np.bincount(held, minlength=parties)
    assert sizes.sum() == rows
    assert len(sizes) == parties
    assert sizes.max() - sizes.min() <= 1


def test_iid_parties_do_not_follow_the_order_of_the_file() -> None:
    held = iid(10_000, 2, np.random.default_rng(3))
    assert 0.45 < held[:5000].mean() < 0.55


def test_a_small_alpha_skews_base_rates_and_a_large_one_does_not() -> None:
    outcome = (np.random.default_rng(0).random(20_000) < 0.3).astype(np.int8)

    def spread(alpha: float) -> float:
        held = dirichlet(outcome, 10, alpha, np.random.default_rng(1))
        assert set(np.unique(held)) <= set(range(10))
        return float(np.std([outcome[held == party].mean() for party in range(10) if (held == party).any()]))

    assert spread(0.2) > 0.15
    assert spread(1000.0) < 0.05


def test_a_column_makes_its_largest_values_parties_and_leaves_the_others_out() -> None:
    values = np.array(["b"] * 3 + ["a"] * 3 + ["c"] * 5 + ["d"])
    assert by_column(values, 3).tolist() == [2] * 3 + [1] * 3 + [0] * 5 + [LEFT_OUT]


def test_more_parties_than_values_are_refused_without_showing_a_value() -> None:
    with pytest.raises(ScenarioError, match=r"has 2 values: set parties\.count to 2 or fewer") as caught:
        by_column(np.array(["secret", "other"]), 3)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("seed", [1, 1002])
def test_the_random_split_is_the_literatures(seed: int) -> None:
    outcome = (np.random.default_rng(9).random(1001) < 0.2).astype(np.int8)
    table = np.arange(1001).reshape(-1, 1)
    training, test, _, _ = train_test_split(
        table, outcome, test_size=0.3, stratify=outcome, random_state=seed
    )
    mask = random_split(outcome, test_share=0.3, seed=seed)
    assert sorted(test[:, 0]) == np.flatnonzero(mask).tolist()
    assert sorted(training[:, 0]) == np.flatnonzero(~mask).tolist()


def test_a_hash_split_is_the_contracts_and_knows_no_seed(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    rows = make_rows(500, 3)
    terms = SplitTerms.model_validate({"kind": "hash"})
    expected = is_test(rows.persons, tiny_contract.split)
    for seed in (1, 2):
        assert np.array_equal(held_out(rows, tiny_contract, terms, seed=seed), expected)


def test_a_random_split_of_persons_is_refused(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    document = tiny_contract.model_dump()
    document["rows"]["person"] = "person"
    contract = Contract.model_validate(document)
    with pytest.raises(ScenarioError, match="rows of one person on both sides"):
        held_out(make_rows(50, 1), contract, SplitTerms(), seed=1)


@pytest.mark.parametrize(
    ("outcome", "share", "expected"),
    [([0] * 9 + [1], 0.3, "two rows of each outcome"), ([0, 0, 1, 1] * 2, 0.01, "split.test = 0.01")],
)
def test_outcomes_that_do_not_suffice_are_refused(outcome: list[int], share: float, expected: str) -> None:
    with pytest.raises(ScenarioError, match=expected):
        random_split(np.array(outcome, dtype=np.int8), test_share=share, seed=1)


def test_a_hash_split_follows_the_contract_where_that_splits_by_date(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    late = np.arange(100) % 3 == 0
    rows = replace(make_rows(100, 1), late=late)
    dated = Split(test_share=0.0, key="k", column="as_of", test_from=dt.date(2017, 5, 1))
    contract = tiny_contract.model_copy(update={"split": dated})
    terms = SplitTerms.model_validate({"kind": "hash"})
    assert held_out(rows, contract, terms, seed=1).tolist() == late.tolist()
