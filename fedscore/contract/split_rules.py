"""What must hold of the split: by person or by date, and a date's column is used for nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from fedscore.contract.draft import Draft
from fedscore.contract.findings import Problem, error, plain

__all__ = ["split_problems"]


def split_problems(draft: Draft) -> Iterator[Problem]:
    """Problems of the split into training and test rows."""
    terms = draft.split
    if terms is None:
        return
    if terms.column is not None and terms.test_from is None:
        yield error(
            ("split", "column"),
            "a column of dates needs the day that parts them: add test_from, as 2017-05-01, or remove column",
        )
    if terms.test_from is not None and terms.column is None:
        yield error(
            ("split", "test_from"),
            "a day parts rows by a column of dates: name it as column, or remove test_from",
        )
    if terms.test_from is not None and terms.test_share > 0.0:
        yield error(
            ("split", "test_share"),
            f"rows are split by date or by person, not by both: set test_share to 0 instead of "
            f"{plain(terms.test_share)}, or remove column and test_from",
        )
    taken = _other_columns(draft)
    if terms.column in taken:
        yield error(
            ("split", "column"),
            f"column {terms.column} already {taken[terms.column]}: name a column that holds the rows' dates "
            "alone",
        )


def _other_columns(draft: Draft) -> dict[str | None, str]:
    """Columns that are used already, and for what."""
    taken: dict[str | None, str] = {
        item.column: f"is characteristic {item.name}" for item in draft.characteristics.values()
    }
    if draft.consent is not None:
        taken |= {
            column: f"is what {entry} of consent reads" for entry, column in draft.consent.columns.items()
        }
    if draft.outcome is not None:
        taken[draft.outcome.column] = "holds the outcome"
    if draft.rows is not None:
        if draft.rows.person is not None:
            taken[draft.rows.person] = "identifies persons"
        taken[draft.rows.id] = "identifies rows"
    return taken
