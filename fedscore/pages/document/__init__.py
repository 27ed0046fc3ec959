"""The model document: what a model-risk officer asks for, from the card and, if it is there, its contract."""

from __future__ import annotations

from fedscore.pages.document.writing import DocumentForm, card_document

__all__ = ["DocumentForm", "card_document"]
