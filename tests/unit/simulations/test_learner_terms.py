from __future__ import annotations

import pickle

import pytest

from fedscore.contract import Encoding, NeuralTerms, NoiseMode, Optimiser, Recipe, Training
from simulations.learner_terms import LearnerTerms, noise_of, trained_by

SHARED, LOCAL = NeuralTerms(), NeuralTerms(training=Training.LOCAL)


def test_a_scorecard_has_no_neural_terms() -> None:
    assert LearnerTerms().neural is None
    assert LearnerTerms().model_dump() == {"name": "scorecard"}


def test_a_scorecard_may_name_its_recipe_and_nothing_else_may() -> None:
    terms = LearnerTerms.model_validate({"recipe": "filtered"})
    assert terms.recipe is Recipe.FILTERED
    assert LearnerTerms.model_validate(terms.model_dump(mode="json")) == terms
    assert "recipe" not in LearnerTerms.model_validate({"name": "neural"}).model_dump()
    with pytest.raises(ValueError, match="recipe belongs to the scorecard"):
        LearnerTerms.model_validate({"name": "neural", "recipe": "plain"})


def test_a_neural_model_has_the_contracts_terms_and_defaults() -> None:
    assert LearnerTerms.model_validate({"name": "neural"}).neural == NeuralTerms()
    given = {
        "model": "mlp",
        "hidden": [8, 4],
        "encoding": "one-hot",
        "training": "local",
        "rounds": 5,
        "one_in": 3,
        "local_steps": 2,
        "max_grad_norm": 0.5,
        "optimiser": "momentum",
        "learning_rate": 1,
        "patience": 0,
    }
    assert set(given) == set(NeuralTerms.model_fields)
    terms = LearnerTerms.model_validate({"name": "neural", **given}).neural
    assert terms == NeuralTerms.model_validate(given)
    assert type(terms) is NeuralTerms


@pytest.mark.parametrize(
    ("terms", "noise", "expected"),
    [
        (None, NoiseMode.SHARED, NoiseMode.SHARED),
        (None, NoiseMode.LOCAL, NoiseMode.LOCAL),
        (SHARED, NoiseMode.SHARED, NoiseMode.SHARED),
        (SHARED, NoiseMode.LOCAL, NoiseMode.LOCAL),
        (LOCAL, NoiseMode.SHARED, NoiseMode.LOCAL),
        (LOCAL, NoiseMode.LOCAL, NoiseMode.LOCAL),
        (LOCAL, NoiseMode.NONE, NoiseMode.NONE),
    ],
)
def test_noise_goes_with_the_training(
    terms: NeuralTerms | None, noise: NoiseMode, expected: NoiseMode
) -> None:
    assert noise_of(terms, noise) is expected


def test_the_other_way_of_training_keeps_the_model_and_drops_what_would_be_idle() -> None:
    shared = NeuralTerms(
        hidden=(8,), encoding=Encoding.ONE_HOT, optimiser=Optimiser.MOMENTUM, one_in=4, patience=5
    )
    local = trained_by(shared, Training.LOCAL)
    assert local == shared.model_copy(update={"training": Training.LOCAL, "patience": 0})
    longer = local.model_copy(update={"local_steps": 9})
    assert trained_by(longer, Training.SHARED) == shared.model_copy(update={"patience": 0})


@pytest.mark.parametrize("terms", [SHARED.model_copy(update={"patience": 5}), LOCAL])
def test_the_same_way_changes_nothing(terms: NeuralTerms) -> None:
    assert trained_by(terms, terms.training) == terms


def test_terms_go_to_another_process() -> None:
    terms = LearnerTerms.model_validate({"name": "neural", "rounds": 5})
    assert pickle.loads(pickle.dumps(terms)) == terms  # noqa: S301 - what was pickled on this line
