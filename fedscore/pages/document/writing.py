"""The document's parts in their order, written as a page or as Markdown."""

from __future__ import annotations

from enum import StrEnum

from fedscore.card import Card
from fedscore.contract import Contract
from fedscore.errors import CardError
from fedscore.pages.document.assurance import (
    approvals_section,
    explanations_section,
    limits_section,
    monitoring_section,
    privacy_section,
    provenance_section,
)
from fedscore.pages.document.blocks import Document
from fedscore.pages.document.method import method_section
from fedscore.pages.document.performance import (
    fairness_section,
    performance_section,
    points_section,
    stability_section,
)
from fedscore.pages.document.purpose import data_section, outcome_section, purpose_section
from fedscore.pages.standing import Standing
from fedscore.pages.writing import fill_in

__all__ = ["DocumentForm", "card_document", "document_of"]


class DocumentForm(StrEnum):
    """What a document is written in."""

    PAGE = "html"
    MARKDOWN = "md"


def card_document(
    card: Card, standing: Standing, form: DocumentForm, *, contract: Contract | None = None
) -> str:
    """Writes the document.

    Args:
        card: The card.
        standing: What is known of its signature.
        form: What it is written in.
        contract: The one that it was trained under, for what is not in the card.

    Raises:
        CardError: The card was trained under another contract.
    """
    return fill_in(f"document.{form}.j2", {"document": document_of(card, standing, contract)})


def document_of(card: Card, standing: Standing, contract: Contract | None) -> Document:
    """The document, before it is written; see `card_document`."""
    if contract is not None and contract.hash() != card.contract_hash:
        raise CardError(
            f"the card of {card.contract_name} was trained under contract {card.contract_hash[:16]}…, and "
            f"the file is {contract.hash()[:16]}…: name the very contract, or leave --contract out"
        )
    return Document(
        title=f"Model document: {card.contract_name}",
        lead=(
            "Written from the card file alone"
            + (" and its contract" if contract is not None else "")
            + ". What is not there is said to be missing, with the way to get it; blank lines are for "
            "people to fill in."
        ),
        sections=(
            purpose_section(card),
            outcome_section(card),
            data_section(card, contract),
            method_section(card),
            performance_section(card),
            stability_section(card),
            limits_section(card),
            privacy_section(card, contract),
            fairness_section(card),
            explanations_section(card),
            monitoring_section(card),
            approvals_section(),
            provenance_section(card, standing),
            points_section(card),
        ),
    )
