from __future__ import annotations

from dataclasses import replace

import pytest

from fedscore.contract import Contract, NoiseMode
from simulations.results import Run
from simulations.wording import bytes_in_words, epsilon_in_words, points_in_words, promises

RUN = Run(
    learner="scorecard",
    baseline=None,
    private=True,
    epsilon=1.0,
    epsilon_spent=0.9991,
    epsilon_person=6.25,
    delta=1e-5,
    noise=NoiseMode.SHARED,
    encrypted=True,
    parties=3,
    seed=1,
    auc=0.7,
    gini=0.4,
    ks=0.3,
    brier=0.1,
    calibration_error=0.01,
    rounds=9,
    values_per_party=10,
    bytes_per_party=80,
    seconds=1.0,
)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, "\N{EN DASH}"), (999, "999 B"), (1000, "1.0 kB"), (15_240, "15.2 kB"), (2_500_000, "2.5 MB")],
)
def test_sizes(size: int, expected: str) -> None:
    assert bytes_in_words(size) == expected


@pytest.mark.parametrize(
    ("points", "expected"), [(-0.04, "+0.0"), (0.0, "+0.0"), (-0.06, "-0.1"), (12.34, "+12.3")]
)
def test_zero_points_have_no_sign_of_their_own(points: float, expected: str) -> None:
    assert points_in_words(points) == expected


def test_an_infinite_epsilon_prints_as_such() -> None:
    assert epsilon_in_words(None) == "∞"
    assert epsilon_in_words(0.5) == "0.5"


def texts(run: Run, contract: Contract) -> dict[str, str]:
    return {statement.heading: statement.text for statement in promises(run, contract)}


def test_a_person_with_several_rows_is_told_the_persons_epsilon(tiny_contract: Contract) -> None:
    document = tiny_contract.model_dump()
    document["rows"] |= {"person": "person", "organisations_per_person": 3}
    told = texts(RUN, Contract.model_validate(document))["Promised to one person"]
    assert "up to 3 organisations with one training row each" in told
    assert "ε = 6.25" in told


def test_a_person_with_one_row_is_promised_the_same(tiny_contract: Contract) -> None:
    assert "so the promise is the same" in texts(RUN, tiny_contract)["Promised to one person"]


def test_assumptions_name_who_may_be_absent_and_collude(tiny_contract: Contract) -> None:
    committee = {"members": 7, "threshold": 5, "colluding_members": 1}
    contract = tiny_contract.with_encryption(committee=committee).with_privacy(absent=1)
    told = texts(RUN, contract)["On these assumptions"]
    assert "The 3 parties add shares of the noise, of which up to 1 may be absent and up to 1 known" in told
    assert "of the 7 members of the committee, 5 of whom open a sum together, at most 1 collude" in told
    assert "2048 bits" in told


def test_a_plain_simulation_does_not_claim_encryption(tiny_contract: Contract) -> None:
    told = texts(replace(RUN, encrypted=False), tiny_contract)["On these assumptions"]
    assert "added them in clear" in told
    assert "Paillier" not in told


def test_local_noise_relies_on_nobody(tiny_contract: Contract) -> None:
    told = texts(replace(RUN, noise=NoiseMode.LOCAL), tiny_contract)["On these assumptions"]
    assert "relies on nobody else's" in told
    assert "shares of the noise" not in told


def test_no_organisation_is_promised_anything(tiny_contract: Contract) -> None:
    assert "Nothing is promised to an organisation" in texts(RUN, tiny_contract)["Not promised"]


def test_without_noise_nothing_is_promised(tiny_contract: Contract) -> None:
    run = replace(
        RUN, private=False, epsilon=None, epsilon_spent=None, epsilon_person=None, noise=NoiseMode.NONE
    )
    assert list(texts(run, tiny_contract)) == ["No privacy"]
