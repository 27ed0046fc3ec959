from __future__ import annotations

import pytest

from fedscore.contract import Contract, NeuralTerms, NoiseMode, Recipe, Training
from simulations.scenario import Baseline, Scenario, parse_scenario
from simulations.variants import contract_of, neural_terms

TEXT = """
[data]
path = "x.parquet"
contract = "taiwan"
[parties]
count = 3
"""
NEURAL = "learner={name='neural', rounds=7, hidden=[5], patience=3}"
LOCAL = "learner={name='neural', training='local', rounds=7, hidden=[5], local_steps=2}"
MODEL = NeuralTerms(rounds=7, hidden=(5,))


def ground(contract: Contract, *settings: str) -> tuple[Scenario, Contract]:
    """A scenario, and the contract of its own runs."""
    terms = parse_scenario(TEXT, overrides=settings)
    return terms, contract.with_privacy(noise=terms.noise).with_neural(terms.learner.neural)


def changed(terms: NeuralTerms, **changes: object) -> NeuralTerms:
    return terms.model_copy(update=changes)


@pytest.mark.parametrize(
    ("settings", "baseline", "neural", "noise"),
    [
        ((), None, None, NoiseMode.SHARED),
        ((), Baseline.LOCAL_NOISE, None, NoiseMode.LOCAL),
        ((), Baseline.NEURAL_SHARED, NeuralTerms(), NoiseMode.SHARED),
        ((), Baseline.NEURAL_LOCAL, NeuralTerms(training=Training.LOCAL), NoiseMode.LOCAL),
        ((), Baseline.POOLED_NO_NOISE, None, NoiseMode.SHARED),
        (("privacy.noise='local'",), Baseline.NEURAL_SHARED, NeuralTerms(), NoiseMode.LOCAL),
        ((NEURAL,), None, changed(MODEL, patience=3), NoiseMode.SHARED),
        ((NEURAL,), Baseline.SCORECARD, None, NoiseMode.SHARED),
        ((NEURAL,), Baseline.LOCAL_NOISE, changed(MODEL, patience=3), NoiseMode.LOCAL),
        ((NEURAL,), Baseline.NEURAL_LOCAL, changed(MODEL, training=Training.LOCAL), NoiseMode.LOCAL),
        ((NEURAL,), Baseline.LOCAL_ONLY, changed(MODEL, patience=3), NoiseMode.SHARED),
        ((LOCAL,), None, changed(MODEL, training=Training.LOCAL, local_steps=2), NoiseMode.LOCAL),
        ((LOCAL,), Baseline.SCORECARD, None, NoiseMode.SHARED),
        ((LOCAL,), Baseline.NEURAL_SHARED, MODEL, NoiseMode.SHARED),
        ((LOCAL,), Baseline.POOLED_NO_NOISE, MODEL, NoiseMode.SHARED),
        ((LOCAL, "privacy.noise='none'"), Baseline.NEURAL_SHARED, MODEL, NoiseMode.NONE),
    ],
)
def test_every_method_has_its_learner_and_its_noise(
    tiny_contract: Contract,
    settings: tuple[str, ...],
    baseline: Baseline | None,
    neural: NeuralTerms | None,
    noise: NoiseMode,
) -> None:
    terms, contract = ground(tiny_contract, *settings)
    variant = contract_of(baseline, terms, contract, epsilon=3.0)
    assert variant.neural == neural
    assert variant.privacy.noise is noise
    assert variant.privacy.epsilon == 3.0
    # Nothing else differs.
    same = variant.with_neural(None).with_privacy(noise=NoiseMode.SHARED, epsilon=1.0)
    expected = tiny_contract.with_privacy(epsilon=1.0, noise=NoiseMode.SHARED)
    # The plain recipe is what documents compare other learners with.
    assert same == (expected.with_recipe(Recipe.PLAIN) if baseline is Baseline.SCORECARD else expected)


def test_without_epsilon_the_contract_keeps_its_own(tiny_contract: Contract) -> None:
    terms, contract = ground(tiny_contract)
    assert contract_of(None, terms, contract, epsilon=None) == contract


def test_neural_methods_beside_a_scorecard_have_the_usual_terms() -> None:
    assert neural_terms(parse_scenario(TEXT)) == NeuralTerms()
    assert neural_terms(parse_scenario(TEXT, overrides=(NEURAL,))) == changed(MODEL, patience=3)
