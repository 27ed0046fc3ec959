"""What must hold between a contract's learner and the terms of its model."""

from __future__ import annotations

from collections.abc import Iterator

from fedscore.contract.draft import Draft
from fedscore.contract.findings import Problem, error, warning
from fedscore.contract.neural_terms import Learner, NeuralModelKind, NeuralTerms, Training
from fedscore.contract.terms import NoiseMode

__all__ = ["learner_problems"]


def learner_problems(draft: Draft) -> Iterator[Problem]:
    """A neural model needs its terms, and none of a learner's terms may do nothing."""
    if draft.scorecard is not None and draft.learner in (Learner.NEURAL, Learner.MONITORING):
        yield error(("scorecard",), 'these terms belong to learner = "scorecard": say so, or remove them')
    if draft.neural is None:
        if draft.learner is Learner.NEURAL and not draft.names_neural:
            yield error(
                ("learner",), 'learner = "neural" needs its terms: add a table [neural], if only empty'
            )
        return
    if draft.learner in (Learner.SCORECARD, Learner.MONITORING):
        yield error(("neural",), 'these terms belong to learner = "neural": say so, or remove them')
    yield from _idle_terms(draft.neural)
    if draft.neural.one_in > 1 and draft.privacy is not None and draft.privacy.answer_seconds == 0:
        yield warning(
            ("neural", "one_in"),
            "sampling promises more only while nobody learns how many records took part, and the time of an "
            "answer tells it: in a deployment, set privacy.answer_seconds above the slowest answer",
        )
    if (
        draft.neural.training is Training.LOCAL
        and draft.privacy is not None
        and draft.privacy.noise is NoiseMode.SHARED
    ):
        yield error(
            ("neural", "training"),
            "in local training every party adds the whole noise by itself, so nothing is shared: "
            'use privacy.noise = "local", or training = "shared"',
        )


def _idle_terms(terms: NeuralTerms) -> Iterator[Problem]:
    usual = NeuralTerms()
    if terms.training is Training.SHARED and terms.local_steps != usual.local_steps:
        yield error(
            ("neural", "local_steps"),
            'parties take steps of their own in training = "local" alone: remove it',
        )
    if terms.training is Training.LOCAL and terms.patience:
        yield error(
            ("neural", "patience"),
            'what local training releases does not tell noise from progress: remove it, or use "shared"',
        )
    if terms.model is NeuralModelKind.LOGISTIC and terms.hidden != usual.hidden:
        yield error(("neural", "hidden"), 'a logistic model has no hidden layer: remove it, or use "mlp"')
