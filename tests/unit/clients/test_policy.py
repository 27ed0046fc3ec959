"""What the owner of the data decided, and what is said to whoever asks for more."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.policy import Policy, load_policy
from fedscore.contract import Contract
from fedscore.errors import NodeConfigError, PolicyRefused
from privacy.ledger import Limits
from simulations.keys import simulated_identity

OPERATOR = simulated_identity("operator").public.signing_key.hex()
TEXT = f"""
source = "warehouse"
operator = "{OPERATOR}"
contracts = ["{"1" * 64}", "{"2" * 64}"]
bundles = ["{"3" * 64}"]
smallest_cohort = 3

[budget]
epsilon = 3.0
delta = 1e-5
run_epsilon = 1.0
"""


def policy_for(contract: Contract, **changes: object) -> Policy:
    said: dict[str, object] = {
        "source": "warehouse",
        "operator": OPERATOR,
        "contracts": [contract.hash()],
        "bundles": [],
        "smallest_cohort": 2,
    }
    return Policy.model_validate({**said, **changes})


def test_a_policy_is_read(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(TEXT)
    policy = load_policy(tmp_path / "policy.toml")
    assert (policy.source, policy.operator, policy.smallest_cohort) == ("warehouse", OPERATOR, 3)
    assert policy.budget is not None
    assert policy.budget.limits == Limits(epsilon=3.0, delta=1e-5, run_epsilon=1.0)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (OPERATOR, OPERATOR[:-1], "operator"),
        (OPERATOR, OPERATOR.upper(), "operator"),
        ("1" * 64, "one", "contracts"),
        ("3" * 64, "3" * 63, "bundles"),
        ("smallest_cohort = 3", "smallest_cohort = 1", "smallest_cohort"),
        ("smallest_cohort = 3", "smallest_cohort = 2.5", "smallest_cohort"),
        ("epsilon = 3.0", "epsilon = 0.0", "epsilon"),
        ("epsilon = 3.0", "epsilon = inf", "epsilon"),
        ("epsilon = 3.0", "epsilon = nan", "epsilon"),
        ("epsilon = 3.0", 'epsilon = "3"', "epsilon"),
        ("delta = 1e-5", "delta = 0.1", "delta"),
        ("delta = 1e-5", "delta = 0.0", "delta"),
        ("run_epsilon = 1.0", "run_epsilon = -1.0", "run_epsilon"),
        ("run_epsilon = 1.0", "", "run_epsilon"),
        ("run_epsilon = 1.0", "run_epsilon = 1.0\nspare = 2", "spare"),
        ('source = "warehouse"\n', "", "source"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_guessed(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in TEXT
    (tmp_path / "policy.toml").write_text(TEXT.replace(old, new, 1))
    with pytest.raises(NodeConfigError, match=said):
        load_policy(tmp_path / "policy.toml")


def test_a_policy_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NodeConfigError, match=r"policy\.toml"):
        load_policy(tmp_path / "policy.toml")


def test_a_contract_that_is_listed_is_allowed(tiny_contract: Contract) -> None:
    policy_for(tiny_contract).require_contract(tiny_contract)


def test_a_contract_that_is_not_listed_is_refused_with_its_hash_and_the_next_step(
    tiny_contract: Contract,
) -> None:
    other = tiny_contract.with_privacy(epsilon=0.9)
    with pytest.raises(PolicyRefused) as told:
        policy_for(tiny_contract).require_contract(other)
    assert str(told.value) == (
        f"contract tiny, hash {other.hash()}, is not among the 1 that policy.toml accepts: read it, and add "
        "its hash to contracts if you agree with it"
    )
    with pytest.raises(PolicyRefused, match="not among the 0"):
        policy_for(tiny_contract, contracts=[]).require_contract(tiny_contract)


def test_a_contract_that_opens_sums_of_too_few_is_refused(tiny_contract: Contract) -> None:
    policy_for(tiny_contract, smallest_cohort=3).require_contract(tiny_contract)
    with pytest.raises(
        PolicyRefused, match=r"opens sums of 3 organisations; .* asks for at least 4: agree on"
    ):
        policy_for(tiny_contract, smallest_cohort=4).require_contract(tiny_contract)
    absent = tiny_contract.with_encryption(
        committee={"members": 5, "threshold": 4, "colluding_members": 1}
    ).with_privacy(absent=1)
    with pytest.raises(PolicyRefused, match="opens sums of 2 organisations"):
        policy_for(absent, smallest_cohort=3).require_contract(absent)


def test_the_hash_of_a_policy_changes_with_all_that_it_says(tiny_contract: Contract) -> None:
    budget = {"epsilon": 3.0, "delta": 1e-5, "run_epsilon": 1.0}
    changes: list[dict[str, object]] = [
        {},
        {"source": "other"},
        {"operator": "1" * 64},
        {"contracts": []},
        {"bundles": ["1" * 64]},
        {"smallest_cohort": 3},
        {"budget": budget},
        {"budget": {**budget, "epsilon": 2.0}},
        {"budget": {**budget, "delta": 1e-6}},
        {"budget": {**budget, "run_epsilon": 2.0}},
    ]
    hashes = [policy_for(tiny_contract, **change).hash() for change in changes]
    assert len(set(hashes)) == len(changes)
    assert hashes[0] == policy_for(tiny_contract).hash()
