"""Where in a document a table stands: between two comments that bear its name."""

from __future__ import annotations

import re

from fedscore.errors import ScenarioError

__all__ = ["placed", "tables_in"]

_NAME = r"[a-z][a-z0-9-]*"
_BEGIN = rf"^<!-- figures: (?P<name>{_NAME})(?: [^\n]*)?-->$"
_END = rf"^<!-- end of figures: (?P<end>{_NAME}) -->$"
_PLACE = re.compile(rf"{_BEGIN}\n(?P<table>.*?){_END}", re.MULTILINE | re.DOTALL)


def tables_in(text: str) -> dict[str, str]:
    """Find the tables of a document.

    Args:
        text: The document.

    Returns:
        What stands between the comments, by name, without the empty lines around it.

    Raises:
        ScenarioError: A comment has no counterpart, or two places have one name.
    """
    places = list(_PLACE.finditer(text))
    names = [place["name"] for place in places]
    comments = text.count("<!-- figures:"), text.count("<!-- end of figures:")
    if comments != (len(names), len(names)) or names != [place["end"] for place in places]:
        raise ScenarioError(
            "the comments around the tables do not match: each table stands between '<!-- figures: NAME -->' "
            "and '<!-- end of figures: NAME -->', each on a line of its own"
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ScenarioError(
            f"more than one place is marked as {', '.join(twice)}: a table stands at one place"
        )
    return {place["name"]: place["table"].strip("\n") + "\n" for place in places}


def placed(text: str, name: str, table: str) -> str:
    """Put a table to its place.

    Args:
        text: The document.
        name: What the place is marked with.
        table: The table, as Markdown.

    Returns:
        The document with this table and everything else as it was.

    Raises:
        ScenarioError: There is no such place, or the comments do not match.
    """
    if name not in tables_in(text):
        raise ScenarioError(
            f"the document has no place for the table {name}: put '<!-- figures: {name} -->' and "
            f"'<!-- end of figures: {name} -->' on two lines where it should stand"
        )
    match = next(place for place in _PLACE.finditer(text) if place["name"] == name)
    table = table.strip("\n")
    return f"{text[: match.start('table')]}\n{table}\n\n{text[match.end('table') :]}"
