"""From values to scores, probabilities, grades and reasons, many records at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fedscore.card.model import Card
from fedscore.card.reasons import NO_REASON, Losses, reason_text
from fedscore.contract import Role, ValueType
from fedscore.data import Values, cells_of

__all__ = ["USUAL_LANGUAGE", "USUAL_REASONS", "Scored", "Scorer"]

USUAL_REASONS = 4
"""Reasons that are told unless asked otherwise: what lenders are used to."""

USUAL_LANGUAGE = "en"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """Records with their scores.

    Attributes:
        hundredths: [records], scores in whole hundredths of points.
        score: [records], points.
        probability: [records], of the outcome.
        grades: [records], places in the card's grades; all `NO_REASON` where the card has none.
        reasons: [records, reasons], places of the scorer's `reason_names`, `NO_REASON` where there is none.
        losses: [records, reasons], what each of them costs, `reasons.LOSS_UNITS` to a point.
    """

    hundredths: npt.NDArray[np.int64]
    score: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]
    grades: npt.NDArray[np.int64]
    reasons: npt.NDArray[np.int64]
    losses: npt.NDArray[np.int64]


class Scorer:
    """A card, ready to score records of one role.

    Attributes:
        card: The card.
        role: Whose records are scored.
        reasons: How many are told, at most.
        losses: What each cell costs.
        reason_names: [characteristics], the code of each reason.
        reason_texts: [characteristics], what is told of each.
    """

    def __init__(
        self,
        card: Card,
        *,
        role: Role,
        reasons: int = USUAL_REASONS,
        language: str = USUAL_LANGUAGE,
    ) -> None:
        """Looks everything up that does not depend on records.

        Args:
            card: A card whose signature was checked.
            role: Whose records are scored.
            reasons: How many are told, at most.
            language: Of their texts.
        """
        self.card = card
        self.role = role
        self.reasons = reasons
        self.losses = Losses(card, role=role)
        self.reason_names = self.losses.names
        self.reason_texts = tuple(reason_text(card.grid, name, language) for name in self.reason_names)
        held = [item for item in card.grid.characteristics if role in item.roles]
        self.numbers = {item.name: item.column for item in held if item.type is ValueType.NUMBER}
        self.categories = {item.name: item.column for item in held if item.type is ValueType.CATEGORY}

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it needs, each once."""
        return self.card.grid.source_columns(self.role)

    def score(self, values: Values) -> Scored:
        """Scores records.

        Args:
            values: Of every characteristic that the role holds.
        """
        return self.score_cells(cells_of(values, self.card.grid, role=self.role))

    def score_cells(self, cells: npt.NDArray[np.integer[Any]]) -> Scored:
        """Scores records that are binned already.

        Args:
            cells: [records, tables], as the card's grid has them.

        Raises:
            CardError: The cells do not belong to the card's tables.
        """
        total = self.card.hundredths(cells)
        score = total / 100.0
        places, losses = self.losses.largest(cells, self.reasons)
        return Scored(
            hundredths=total,
            score=score,
            probability=self.card.probability_of(score),
            grades=self.card.grade_places(total)
            if self.card.grades
            else np.full(len(cells), NO_REASON, dtype=np.int64),
            reasons=places,
            losses=losses,
        )
