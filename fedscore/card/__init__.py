"""The finished scorecard: points per bin, readable by people and by programs."""

from fedscore.card.build import build_card
from fedscore.card.model import Bin, Card, CardTable, PrivacyRecord, Scale
from fedscore.card.reading import read_trained

__all__ = ["Bin", "Card", "CardTable", "PrivacyRecord", "Scale", "build_card", "read_trained"]
