"""The finished scorecard: points per bin, readable by people and by programs."""

from fedscore.card.build import build_card
from fedscore.card.model import Card
from fedscore.card.parts import (
    Bin,
    CardParty,
    CardSignature,
    CardTable,
    Evaluation,
    Grade,
    GroupMeasures,
    Measure,
    PrivacyRecord,
    Provenance,
    Scale,
    ScoreBands,
)
from fedscore.card.reading import read_trained

__all__ = [
    "Bin",
    "Card",
    "CardParty",
    "CardSignature",
    "CardTable",
    "Evaluation",
    "Grade",
    "GroupMeasures",
    "Measure",
    "PrivacyRecord",
    "Provenance",
    "Scale",
    "ScoreBands",
    "build_card",
    "read_trained",
]
