"""What people read of a card: its page."""

from __future__ import annotations

from fedscore.pages.card_page import card_page
from fedscore.pages.standing import Standing, standing_in_words

__all__ = ["Standing", "card_page", "standing_in_words"]
