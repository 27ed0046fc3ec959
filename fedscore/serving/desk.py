"""A card, ready to answer calls: everything that changes when another card is served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from fedscore.card import Card
from fedscore.card.parts import hundredths
from fedscore.card.reasons import LOSS_UNITS, NO_REASON, reason_text
from fedscore.card.scoring import Scored, Scorer
from fedscore.card.single import ScoredRecord, SingleScorer
from fedscore.contract import Role
from fedscore.serving.metrics import Metrics
from fedscore.serving.records import Columns
from fedscore.serving.score_pb2 import (
    Column,
    DescribeResponse,
    Explanation,
    Grade,
    Reason,
    Record,
    Score,
)

__all__ = ["MOST_REASONS", "Desk"]

MOST_REASONS = 20
"""Reasons of one score."""

_LANGUAGES_AT_HAND = 64


class Desk:
    """A card, ready to answer.

    Attributes:
        card: The card.
        fingerprint: Its fingerprint.
    """

    def __init__(self, card: Card, metrics: Metrics, *, role: Role, reasons: int, language: str) -> None:
        """Prepares a card whose signature was checked.

        Args:
            card: The card.
            metrics: Where its scores are counted.
            role: Whose records are scored.
            reasons: How many are told unless asked otherwise.
            language: Of the reasons unless asked otherwise.
        """
        self.card = card
        self.fingerprint = card.fingerprint
        # Ranks as many as anybody may ask for; each answer tells as many as were asked for.
        self._scorer = Scorer(card, role=role, reasons=MOST_REASONS, language=language)
        self._single = SingleScorer(self._scorer)
        self._columns = Columns(self._scorer)
        self._metrics = metrics
        self._counters = metrics.of(card, self.fingerprint)
        self._grades = [grade.name for grade in card.grades]
        self._reasons = reasons
        self._language = language
        self._texts = lru_cache(maxsize=_LANGUAGES_AT_HAND)(self._texts_in)

    def score(self, record: Record, explanation: Explanation) -> Score:
        """Scores a record; the answer has faults instead of a score if it does not fit."""
        read = self._columns.read(record)
        if read.faults:
            self._metrics.unfit(1)
            return Score(id=record.id, faults=read.faults)
        numbers, categories = self._columns.by_characteristic(read)
        found = self._single.score(numbers, categories)
        return self._counted(record.id, found, explanation)

    def score_all(self, records: Sequence[Record], explanation: Explanation) -> list[Score]:
        """Scores records, each as `score` does, in less time."""
        reads = [self._columns.read(record) for record in records]
        fit = [read for read in reads if not read.faults]
        scored = self._scorer.score(self._columns.values(fit))
        self._metrics.unfit(len(reads) - len(fit))
        found = _one_by_one(scored)
        return [
            Score(id=record.id, faults=read.faults)
            if read.faults
            else self._counted(record.id, next(found), explanation)
            for record, read in zip(records, reads, strict=True)
        ]

    def description(self) -> DescribeResponse:
        """The card in short."""
        return DescribeResponse(
            card=self.fingerprint,
            contract_name=self.card.contract_name,
            outcome=self.card.outcome.definition,
            role=self._scorer.role.value,
            columns=[
                *(Column(name=name, number=True) for name in self._columns.numeric),
                *(Column(name=name, number=False) for name in self._columns.textual),
            ],
            grades=[
                Grade(
                    name=grade.name,
                    lowest_hundredths=None if grade.lowest_score is None else hundredths(grade.lowest_score),
                    bad_rate=grade.bad_rate,
                )
                for grade in self.card.grades
            ],
        )

    def _counted(self, identifier: str, found: ScoredRecord, explanation: Explanation) -> Score:
        self._counters.scored(found.score, found.grade)
        wanted = explanation.reasons if explanation.HasField("reasons") else self._reasons
        texts = self._texts(explanation.language or self._language)
        names = self._scorer.reason_names
        return Score(
            id=identifier,
            hundredths=found.hundredths,
            score=found.score,
            probability=found.probability,
            grade=self._grades[found.grade] if found.grade != NO_REASON else "",
            reasons=[
                Reason(code=names[reason], text=texts[reason], points_lost=lost / LOSS_UNITS)
                for reason, lost in zip(found.reasons[:wanted], found.losses[:wanted], strict=True)
                if reason != NO_REASON
            ],
        )

    def _texts_in(self, language: str) -> tuple[str, ...]:
        return tuple(reason_text(self.card.grid, name, language) for name in self._scorer.reason_names)


def _one_by_one(scored: Scored) -> Iterator[ScoredRecord]:
    columns = (
        column.tolist()
        for column in (
            scored.hundredths,
            scored.score,
            scored.probability,
            scored.grades,
            scored.reasons,
            scored.losses,
        )
    )
    for total, score, probability, grade, reasons, losses in zip(*columns, strict=True):
        yield ScoredRecord(
            hundredths=total,
            score=score,
            probability=probability,
            grade=grade,
            reasons=reasons,
            losses=losses,
        )
