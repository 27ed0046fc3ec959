"""What is each method of a scenario trained under? One contract per method, all of the same ground."""

from __future__ import annotations

from fedscore.contract import Contract, NeuralTerms, NoiseMode, Recipe, Training
from simulations.learner_terms import noise_of, trained_by
from simulations.scenario import Baseline, Scenario

__all__ = ["contract_of", "neural_terms"]

_WAYS = {Baseline.NEURAL_SHARED: Training.SHARED, Baseline.NEURAL_LOCAL: Training.LOCAL}
_ALONE = frozenset({Baseline.POOLED_NO_NOISE, Baseline.LOCAL_ONLY})


def neural_terms(scenario: Scenario) -> NeuralTerms:
    """The terms of a scenario's neural methods: its learner's, or the usual ones beside a scorecard."""
    terms = scenario.learner.neural
    return NeuralTerms() if terms is None else terms


def contract_of(
    baseline: Baseline | None, scenario: Scenario, contract: Contract, *, epsilon: float | None
) -> Contract:
    """The contract that a method is trained under.

    Args:
        baseline: The method; None for the scenario's own runs.
        scenario: Whose learner and noise they are.
        contract: Of the scenario's own runs.
        epsilon: The budget; the contract's own where it is None.

    Raises:
        ContractError: The scenario asks for terms that no contract may have.
    """
    if epsilon is not None:
        contract = contract.with_privacy(epsilon=epsilon)
    if baseline is Baseline.LOCAL_NOISE:
        return contract.with_privacy(noise=NoiseMode.LOCAL)
    if baseline is Baseline.SCORECARD:
        return _with_learner(contract, None, scenario).with_recipe(Recipe.PLAIN)
    if baseline in _WAYS:
        return _with_learner(contract, trained_by(neural_terms(scenario), _WAYS[baseline]), scenario)
    own = scenario.learner.neural
    if baseline in _ALONE and own is not None:
        # Whoever is alone has nobody to average with.
        return _with_learner(contract, trained_by(own, Training.SHARED), scenario)
    return contract


def _with_learner(contract: Contract, terms: NeuralTerms | None, scenario: Scenario) -> Contract:
    """With another learner, and the noise that goes with it."""
    noise = noise_of(terms, scenario.privacy.noise)
    # No state in between may break a rule: local training and shared noise never meet.
    return contract.with_neural(None).with_privacy(noise=noise).with_neural(terms)
