"""From the rows of a source to its table: train as of one day, measure on later rows, at every horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np

from fedscore.errors import ScenarioError
from simulations.early_warning import consortium, superlender
from simulations.early_warning.consortium import TEST_DAY, TRAINING_DAY, consortium_questions
from simulations.early_warning.figures import Sample, measure
from simulations.early_warning.loans import HISTORY, PEOPLE, find_folder, read_loans, read_people
from simulations.early_warning.methods import Method, Trainings, score_question, train_federated
from simulations.early_warning.questions import HORIZONS, Question
from simulations.early_warning.results import EarlyWarning, HorizonResult, MethodResult
from simulations.early_warning.superlender import LAST_DAY, TEST_FROM, superlender_questions
from simulations.files import result_folder
from simulations.synthetic import make_consortium

__all__ = ["EarlyWarningTerms", "Source", "Watcher", "run_early_warning"]


class Source(StrEnum):
    """Whose rows they are."""

    CONSORTIUM = "consortium"
    """Invented organisations and people, at two days."""

    SUPERLENDER = "superlender"
    """Superlender's past loans, by bank, before and after one day."""


_BROADEST = {Source.CONSORTIUM: consortium.BROADEST, Source.SUPERLENDER: superlender.BROADEST}


class Watcher(Protocol):
    """Is told how it goes on."""

    def stage(self, text: str) -> None:
        """Something that takes a while has begun."""
        ...

    def started(self, jobs: int) -> None:
        """So many trainings will be done."""
        ...

    def finished(self, job: object) -> None:
        """One of them is done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyWarningTerms:
    """What is asked for.

    Attributes:
        source: Whose rows.
        seeds: Of the noise: one federated training each.
        people: How many people to invent, for the consortium.
        population: What they are drawn from.
        data: Folder of Superlender's files; looked up if left out.

    Raises:
        ScenarioError: Seeds are missing or repeated, or data are given to a source that invents its own.
    """

    source: Source
    seeds: Sequence[int] = (1, 2, 3, 4, 5)
    people: int = 60_000
    population: int = 1
    data: Path | None = None

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ScenarioError("early warning needs at least one seed, and each only once")
        if self.data is not None and self.source is Source.CONSORTIUM:
            raise ScenarioError("the consortium invents its rows: leave --data out, or name superlender")


def run_early_warning(
    terms: EarlyWarningTerms, *, out: Path | None = None, watcher: Watcher
) -> tuple[EarlyWarning, Path]:
    """Train and measure at every horizon, and write `early_warning.json` and `early_warning.csv`.

    Args:
        terms: What is asked for.
        out: Folder for the results; `runs/early-warning-<source>` if left out.
        watcher: Is told how it goes on.

    Returns:
        The results, and the folder that they are in.

    Raises:
        FedscoreError: Data are missing or cannot be used as they are.
    """
    folder = result_folder(out if out is not None else Path("runs") / f"early-warning-{terms.source}")
    questions, told = _questions(terms, watcher)
    watcher.started(len(HORIZONS) * (len(terms.seeds) + 2))
    trainings = {
        question.horizon_days: train_federated(
            question, seeds=terms.seeds, trained=lambda: watcher.finished(None)
        )
        for question in questions
    }
    broadest = trainings[_BROADEST[terms.source]]
    results = EarlyWarning(
        version=version("fedscore"),
        created=datetime.now(UTC),
        source=terms.source.value,
        terms=told,
        seeds=tuple(terms.seeds),
        horizons=tuple(
            _answer(question, trainings[question.horizon_days], broadest, watcher) for question in questions
        ),
    )
    results.write(folder)
    return results, folder


def _questions(
    terms: EarlyWarningTerms, watcher: Watcher
) -> tuple[tuple[Question, ...], dict[str, str | int]]:
    if terms.source is Source.SUPERLENDER:
        folder = find_folder(terms.data)
        watcher.stage(f"turning {HISTORY} into rows as of each approval")
        questions = superlender_questions(read_loans(folder / HISTORY), read_people(folder / PEOPLE))
        return questions, {"test_from": TEST_FROM.isoformat(), "outcomes_certain_by": LAST_DAY.isoformat()}
    watcher.stage(f"inventing {terms.people:,} people and the events of their lives as customers")
    invented = make_consortium(people=terms.people, seed=terms.population)
    watcher.stage("turning every organisation's events into rows as of two dates")
    return consortium_questions(invented), {
        "people": terms.people,
        "population": terms.population,
        "training_day": TRAINING_DAY.isoformat(),
        "test_day": TEST_DAY.isoformat(),
    }


def _answer(question: Question, own: Trainings, broadest: Trainings, watcher: Watcher) -> HorizonResult:
    training, test = question.pooled_training, question.pooled_test
    _, person = np.unique(test.persons.astype(np.str_), return_inverse=True)
    sample = Sample(outcome=test.outcome, lead_days=question.pooled_lead_days, person=person.astype(np.int64))
    scored = score_question(question, own, broadest, trained=lambda: watcher.finished(None))
    reference = scored[0].probabilities
    return HorizonResult(
        horizon_days=question.horizon_days,
        contract_hash=question.contract.hash(),
        parties=len(question.training),
        training_rows=len(training),
        training_bad=int(training.outcome.sum()),
        test_rows=len(test),
        test_bad=int(test.outcome.sum()),
        methods=tuple(
            MethodResult(
                method=one.method,
                epsilon=one.epsilon,
                epsilon_person=one.epsilon_person,
                without_card=one.without_card,
                measured=measure(
                    sample,
                    one.probabilities,
                    reference=None if one.method is Method.FEDERATED else reference,
                ),
            )
            for one in scored
        ),
    )
