"""Which learner a scenario trains: the scorecard, or a neural model with a contract's own terms."""

from __future__ import annotations

from typing import Any, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from fedscore.contract import Learner, NeuralTerms, NoiseMode, Recipe, Training
from fedscore.contract.draft import Draft
from fedscore.contract.learner_rules import learner_problems

__all__ = ["LearnerTerms", "noise_of", "trained_by"]


class LearnerTerms(NeuralTerms):
    """The learner; a neural model's terms are those of a contract, under the same names, with its defaults.

    Attributes:
        name: What is trained: a scorecard, or a neural model, to which alone the entries below belong.
        recipe: Which program makes a scorecard, "plain" or "filtered"; the contract's own if left out.
    """

    name: Learner = Learner.SCORECARD
    recipe: Recipe | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name is not Learner.SCORECARD and self.recipe is not None:
            raise ValueError('recipe belongs to the scorecard: say name = "scorecard", or leave it out')
        if self.name is Learner.SCORECARD and (idle := sorted(self.model_fields_set - {"name", "recipe"})):
            raise ValueError(
                f'{", ".join(idle)} would do nothing: the learner is the scorecard; say name = "neural", '
                "or leave this out"
            )
        if mistakes := _mistakes(self.neural):
            raise ValueError("; ".join(mistakes))
        return self

    @model_serializer(mode="wrap")
    def _without_idle_terms(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """None of the other learner's terms are told."""
        told: dict[str, Any] = serialise(self)
        recipe = told.pop("recipe")
        if self.name is not Learner.SCORECARD:
            return told
        return {"name": told["name"]} if recipe is None else {"name": told["name"], "recipe": recipe}

    @property
    def neural(self) -> NeuralTerms | None:
        """The terms as a contract has them; None for the scorecard."""
        if self.name is Learner.SCORECARD:
            return None
        return NeuralTerms.model_validate({name: getattr(self, name) for name in NeuralTerms.model_fields})


def _mistakes(terms: NeuralTerms | None) -> list[str]:
    """The contract's own rules, so that no scenario asks for what no contract may say."""
    if terms is None:
        return []
    draft = Draft(
        characteristics={},
        derived={},
        interactions={},
        parties={},
        complete_roster=False,
        outcome=None,
        rows=None,
        consent=None,
        privacy=None,
        encryption=None,
        scorecard=None,
        names_neural=True,
        learner=Learner.NEURAL,
        neural=terms,
        split=None,
        grades=None,
        evaluation=None,
        groups={},
        names_monitoring=False,
        monitoring=None,
        unreadable=frozenset(),
    )
    return [f"{problem.path[-1]}: {problem.message}" for problem in learner_problems(draft)]


def noise_of(terms: NeuralTerms | None, noise: NoiseMode) -> NoiseMode:
    """Who adds noise while a learner is trained.

    Args:
        terms: Of a neural model; None for the scorecard.
        noise: What the scenario says. Shared noise becomes local in local training, where every party's steps
            carry the whole noise, and nothing is left to be shared.
    """
    if terms is not None and terms.training is Training.LOCAL and noise is NoiseMode.SHARED:
        return NoiseMode.LOCAL
    return noise


def trained_by(terms: NeuralTerms, training: Training) -> NeuralTerms:
    """The same model, trained in one of the two ways.

    What belongs to the other way alone (`local_steps`, `patience`) is as if it had been left out.
    """
    if terms.training is training:
        return terms
    idle = "local_steps" if training is Training.SHARED else "patience"
    usual = NeuralTerms.model_fields[idle].default
    return NeuralTerms.model_validate({**terms.model_dump(), "training": training, idle: usual})
