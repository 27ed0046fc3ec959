from __future__ import annotations

from dataclasses import replace

import pytest

from fedscore.contract import Contract, NeuralTerms, NoiseMode
from simulations.results import Run, summarise
from simulations.scenario import NAIVE as RECIPE
from simulations.scenario import Baseline
from simulations.wording import (
    bytes_in_words,
    epsilon_in_words,
    gap_in_words,
    method_in_words,
    points_in_words,
    product_in_words,
    promises,
    true_epsilon,
    warnings_in_words,
)

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


NEURAL = replace(RUN, learner="neural")
NAIVE = replace(
    NEURAL,
    baseline=Baseline.NAIVE_FLOWER_OPACUS,
    noise=NoiseMode.LOCAL,
    epsilon_spent=5.537,
    epsilon_reported=0.9971,
)


@pytest.mark.parametrize(
    ("learner", "baseline", "noise", "expected"),
    [
        ("scorecard", None, NoiseMode.SHARED, "federated, shared noise"),
        ("scorecard", Baseline.LOCAL_NOISE, NoiseMode.LOCAL, "federated, local noise"),
        ("scorecard", Baseline.POOLED_NO_NOISE, NoiseMode.NONE, "pooled card, no privacy"),
        ("scorecard", Baseline.SCORECARD, NoiseMode.SHARED, "scorecard"),
        ("neural", None, NoiseMode.SHARED, "neural (shared noise)"),
        ("neural", None, NoiseMode.LOCAL, "neural (local noise)"),
        ("neural", Baseline.NEURAL_SHARED, NoiseMode.SHARED, "neural (shared noise)"),
        ("neural", Baseline.NEURAL_LOCAL, NoiseMode.LOCAL, "neural (local noise)"),
        ("neural", Baseline.LOCAL_NOISE, NoiseMode.LOCAL, "same sums, local noise"),
        ("neural", Baseline.POOLED_NO_NOISE, NoiseMode.NONE, "pooled, no privacy"),
        ("neural", Baseline.NAIVE_FLOWER_OPACUS, NoiseMode.LOCAL, "naive Flower + Opacus"),
        ("lightgbm", Baseline.POOLED_LIGHTGBM, NoiseMode.NONE, "pooled LightGBM"),
    ],
)
def test_methods(learner: str, baseline: Baseline | None, noise: NoiseMode, expected: str) -> None:
    run = replace(RUN, learner=learner, baseline=baseline, noise=noise)
    assert method_in_words(run) == expected
    # The tables of a terminal have no room for more.
    assert len(expected) <= 23


def test_every_method_of_every_learner_has_a_name() -> None:
    for learner in ("scorecard", "neural"):
        others = {
            "scorecard": {Baseline.NEURAL_SHARED, Baseline.NEURAL_LOCAL, *RECIPE},
            "neural": {Baseline.SCORECARD, Baseline.POOLED_LIGHTGBM},
        }[learner]
        for baseline in set(Baseline) - others:
            assert method_in_words(replace(RUN, learner=learner, baseline=baseline))


def test_what_training_ends_with() -> None:
    assert (product_in_words(RUN), product_in_words(NEURAL)) == ("card", "model")


def test_the_true_epsilon_is_shown_where_another_one_is_reported() -> None:
    assert true_epsilon(RUN) == 1.0
    assert true_epsilon(NAIVE) == 5.537
    assert true_epsilon(replace(NAIVE, epsilon_spent=None)) is None


def test_whoever_reports_another_epsilon_is_warned_of() -> None:
    (told,) = warnings_in_words(summarise([RUN, NEURAL, NAIVE]))
    assert told.startswith(
        "naive Flower + Opacus: the recipe reports ε = 1.00, and its true ε is at most 5.54. It makes a new"
    )
    (told,) = warnings_in_words(summarise([replace(NAIVE, epsilon_spent=None)]))
    assert "its true ε is at most infinite" in told
    assert warnings_in_words(summarise([RUN])) == ()


def test_gaps_have_a_sign_and_a_margin_where_there_are_several_seeds() -> None:
    other = replace(NAIVE, auc=0.68)
    own, naive = summarise([NEURAL, other])
    assert (gap_in_words(own), gap_in_words(naive)) == ("\N{EN DASH}", "+0.0200")
    _, naive = summarise([NEURAL, replace(NEURAL, seed=2), other, replace(other, seed=2, auc=0.69)])
    assert gap_in_words(naive) == "+0.0150 ± 0.0635"


def test_texts_of_a_model_speak_of_no_card(tiny_contract: Contract) -> None:
    contract = tiny_contract.with_neural(NeuralTerms())
    assert "card" not in " ".join(texts(NEURAL, contract).values())
    unprotected = replace(
        NEURAL, private=False, epsilon=None, epsilon_spent=None, epsilon_person=None, noise=NoiseMode.NONE
    )
    assert "and so its model, promise nothing" in texts(unprotected, contract)["No privacy"]


def test_sampling_is_an_assumption_and_its_estimate_is_no_promise(tiny_contract: Contract) -> None:
    contract = tiny_contract.with_neural(NeuralTerms(one_in=8))
    told = texts(replace(NEURAL, epsilon_prv=0.912), contract)
    assert (
        "with a chance of 1 in 8, and nobody but its own organisation knows" in told["On these assumptions"]
    )
    assert "Opacus' PRV accountant estimates 0.912" in told["Promised to one record"]
    told = texts(NEURAL, tiny_contract.with_neural(NeuralTerms()))
    assert "chance of 1 in" not in told["On these assumptions"]
    assert "PRV" not in told["Promised to one record"]
