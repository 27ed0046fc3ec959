"""Trains the cards of one question and scores its later rows: federated, pooled, and each party alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from fedscore.data import Cells
from fedscore.learners.program import Trained
from simulations import methods
from simulations.early_warning.questions import Question
from simulations.federation import EncryptionMode, train_alone, train_federation

__all__ = ["Method", "Scored", "Trainings", "score_question", "train_federated"]

_Floats = npt.NDArray[np.float64]


class Method(StrEnum):
    """How a card comes about."""

    FEDERATED = "federated"
    """One card over all parties, by private sums with shared noise."""

    BROADEST = "federated-one-card"
    """The federated card of the source's broadest question, for all horizons: one budget instead of three."""

    POOLED = "pooled-no-noise"
    """One card over all rows in one place, without privacy."""

    ALONE = "own-card"
    """Each party's own card on its own rows, without noise: what it has without the consortium."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trainings:
    """The federated cards of one question.

    Attributes:
        cards: One per seed of the noise.
        epsilon: For one record, everything that one training released; None where nothing is promised.
        epsilon_person: The same for a person.
    """

    cards: Sequence[Trained]
    epsilon: float | None
    epsilon_person: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """What a method says of the test rows.

    Attributes:
        method: Which.
        probabilities: For each training, the probability of the bad outcome [n], in the order of
            `pooled_test`.
        epsilon: For one record; None where nothing is promised.
        epsilon_person: The same for a person.
        without_card: Parties that could not train by themselves, for want of rows of both outcomes; their
            rows get the same probability each.
    """

    method: Method
    probabilities: Sequence[_Floats]
    epsilon: float | None = None
    epsilon_person: float | None = None
    without_card: int = 0


def train_federated(question: Question, *, seeds: Sequence[int], trained: Callable[[], None]) -> Trainings:
    """Train one card over all parties, once per seed.

    Args:
        question: Who trains on what.
        seeds: Of the noise; at least one.
        trained: Is called after each training.
    """
    cards = []
    for seed in seeds:
        result = train_federation(
            question.contract, question.training, seed=seed, encryption=EncryptionMode.PLAIN
        )
        cards.append(result.trained)
        trained()
    return Trainings(
        cards=cards,
        epsilon=None if result.guarantee is None else result.guarantee.epsilon,
        epsilon_person=None if result.person_guarantee is None else result.person_guarantee.epsilon,
    )


def score_question(
    question: Question, own: Trainings, broadest: Trainings, *, trained: Callable[[], None]
) -> tuple[Scored, ...]:
    """Train what needs no federation, and score the test rows with every method.

    Args:
        question: Who trains on what.
        own: The federated cards of this question.
        broadest: Those of the broadest question; where they are `own`, they are no method of their own.
        trained: Is called after the pooled card and after the set of the parties' own.
    """
    cells = question.pooled_test.cells
    scored = [_federated(Method.FEDERATED, own, cells)]
    if broadest is not own:
        scored.append(_federated(Method.BROADEST, broadest, cells))
    pooled = train_alone(question.contract, question.pooled_training).trained.probability(cells)
    trained()
    alone, without = _alone(question)
    trained()
    return (
        *scored,
        Scored(method=Method.POOLED, probabilities=[pooled]),
        Scored(method=Method.ALONE, probabilities=[alone], without_card=without),
    )


def _federated(method: Method, trainings: Trainings, cells: Cells) -> Scored:
    return Scored(
        method=method,
        probabilities=[card.probability(cells) for card in trainings.cards],
        epsilon=trainings.epsilon,
        epsilon_person=trainings.epsilon_person,
    )


def _alone(question: Question) -> tuple[_Floats, int]:
    results = methods.local_results(question.contract, question.training)
    parts = []
    for party, rows in question.test.items():
        if party in results:
            parts.append(results[party].trained.probability(rows.cells))
        else:
            training = question.training[party].outcome
            parts.append(np.full(len(rows), float(training.mean()) if len(training) else 0.0))
    return np.concatenate(parts), len(question.test) - len(results)
