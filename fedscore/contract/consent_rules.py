"""What must hold of the columns of consent: each says one thing, and none is used for anything else."""

from __future__ import annotations

from collections.abc import Iterator

from fedscore.contract.common_rules import repeated
from fedscore.contract.draft import Draft
from fedscore.contract.findings import Problem, error

__all__ = ["consent_problems"]


def consent_problems(draft: Draft) -> Iterator[Problem]:
    """Problems of the columns of consent; a contract without them has none."""
    terms = draft.consent
    if terms is None:
        return
    if terms.scope is not None and not terms.scopes:
        yield error(
            ("consent", "scope"),
            'a column of scopes needs the texts that allow use: add them, as scopes = ["credit scoring"]',
        )
    if terms.scopes and terms.scope is None:
        yield error(
            ("consent", "scopes"),
            "scopes need the column that holds them: name it as scope, or remove scopes",
        )
    for text in repeated(terms.scopes):
        yield error(("consent", "scopes"), f"scope {text} is named twice: keep one of them")
    taken = _other_columns(draft)
    for entry, column in terms.columns.items():
        if column in taken:
            yield error(
                ("consent", entry),
                f"column {column} already {taken[column]}: name a column that speaks of consent alone",
            )
        taken[column] = f"is what {entry} reads"


def _other_columns(draft: Draft) -> dict[str, str]:
    """Columns that are used already, and for what."""
    taken = {item.column: f"is characteristic {item.name}" for item in draft.characteristics.values()}
    if draft.outcome is not None:
        taken[draft.outcome.column] = "holds the outcome"
    if draft.rows is not None:
        if draft.rows.person is not None:
            taken[draft.rows.person] = "identifies persons"
        taken[draft.rows.id] = "identifies rows"
    return taken
