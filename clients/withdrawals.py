"""The list of the people who withdrew their consent: a CSV file of the node's own.

    person,from
    17,2025-06-30
    42,

`person` is what the contract's column of persons holds, or that of rows if there is none. Blanks around an id
do not count, here or there; apart from them ids are compared as text, letter by letter: 017 withdraws nothing
of 17. `fedscore node check` says of how many of the list there is no row.

A withdrawal counts in the runs that begin on its day or later; without a day, or with one that is none, in
all of them. The list is read anew for each sum: an entry that is added during a run, and has no day, that on
which the run began or an earlier one, counts from the next sum of that run on. What was summed before stays
in the sums, and no finished model is made to forget.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from pathlib import Path

from clients.consent import Withdrawals
from fedscore.errors import DataError

__all__ = ["read_withdrawals"]

_COLUMNS = ("person", "from")
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def read_withdrawals(path: Path) -> Withdrawals:
    """Reads the list.

    Args:
        path: UTF-8, commas, a header with `person` and `from`; other columns are not looked at.

    Returns:
        The earliest day of each person; ids are without the blanks around them.

    Raises:
        DataError: The file cannot be read, has not these columns once each, or has lines that do not say who
            withdrew. The message never has an id.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            header, *entries = [fields for fields in csv.reader(lines) if fields] or [[]]
    except (OSError, UnicodeError, csv.Error) as refused:
        raise DataError(
            f"the list of withdrawals {path.name} cannot be read ({type(refused).__name__}): write it as CSV "
            "in UTF-8 with the columns person and from"
        ) from None
    if any(header.count(name) != 1 for name in _COLUMNS):
        raise DataError(
            f"the list of withdrawals {path.name} needs one column person and one column from: name them so "
            "in its first line"
        )
    person, since = (header.index(name) for name in _COLUMNS)
    unclear = sum(
        len(fields) > len(header) or len(fields) <= person or not fields[person].strip() for fields in entries
    )
    if unclear:
        raise DataError(
            f"the list of withdrawals {path.name} has {unclear} {'line' if unclear == 1 else 'lines'} that "
            "do not say who withdrew: give each its person, and put ids that hold a comma in double quotes"
        )
    found: dict[str, dt.date] = {}
    for fields in entries:
        day = _day(fields[since]) if since < len(fields) else dt.date.min
        name = fields[person].strip()
        found[name] = min(day, found.get(name, dt.date.max))
    return found


def _day(text: str) -> dt.date:
    """The day of an entry; the first of all days if there is none."""
    stripped = text.strip()
    try:
        return dt.date.fromisoformat(stripped) if _ISO_DAY.fullmatch(stripped) else dt.date.min
    except ValueError:
        return dt.date.min
