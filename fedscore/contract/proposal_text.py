"""The text of a proposed contract: what is plain, what is offered, and what only people can decide."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from fedscore.contract.column_hints import (
    Column,
    ColumnKind,
    grid_hint,
    is_coded,
    is_of_a_person,
    is_shared,
)
from fedscore.contract.column_sorting import LeftOut, SortedColumns
from fedscore.contract.denylist import FAIR_LENDING, subjects_in

__all__ = ["TODO", "text_of", "to_decide"]

TODO = "TODO"
"""Marks what has to be decided before the contract can be signed."""

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_NAME = 64

_HEAD = f"""\
# A contract to edit, proposed from names and types of one file's columns. No value in it was read.
#
# A line with "{TODO}" must be decided: `fedscore contract check` refuses it until it is. A line that begins
# with #: is an offer: take the #: away to use it. Grids, levels and codes are published with the contract.
# Take them from data dictionaries and from knowledge of the product, NEVER from the data.
"""

_CONSENT = """\
# Which rows may be used. Without this table every row may.
#: [consent]
#: given = "consent"                 # 1 or true
#: from = "consent_from"             # the first day
#: until = "consent_until"           # the last day; empty sets no end
"""

_TERMS = """\
# epsilon: one record changes how likely anything is by e^epsilon at most; 1 is strong, above 8 says little.
# delta: well below one over the number of all rows of all organisations.
[privacy]
epsilon = 1.0
delta = 1e-6
noise = "shared"
absent = 0                           # how many organisations a sum may lack
colluding_parties = 1                # how many may pool what they know
minimum_cohort = 3                   # the fewest organisations whose sum is opened

# Before real rows come near: who opens sums, from `fedscore keys ceremony`.
[encryption]
key_bits = 3072
#: committee = { members = 7, threshold = 5, colluding_members = 1 }
#: ceremony = ""

# Which program makes the card: "filtered" if nothing is said, or "plain", whose attributes are fewer and
# coarser, and whose steps are the textbook's.
#: [scorecard]
#: recipe = "plain"

# Grades and calibration, for a twentieth of the training's budget. Either by shares of the customers, or by
# the bad rate that each grade but the last may have: largest_bad_rates = [0.01, 0.03, 0.1].
[grades]
names = ["A", "B", "C", "D"]
shares = [0.4, 0.3, 0.2]

# AUC, KS, calibration, and recall at these shares of alerts, over rows that did not train.
[evaluation]
alert_rates = [0.05]

# Groups whose scores and bad rates are compared, each by a coarse grid of a characteristic below.
#: [[groups]]
#: of = "age"
#: edges = [30, 60]
"""

_CHARACTERISTICS = """\
# ------------------------------------------------------------------------------------ characteristics
# Delete what no risk officer could explain to a customer. Each may also say:
#   roles = ["platform"]             who holds it, if not all: "platform", "collector"
#   special = [{ code = -1, meaning = "unknown" }]     codes that are no values; each has its own points
#   monotone = "increasing"          where the bad rate goes as a number grows; or "decreasing"
#   reasons = { en = "…" }           what a customer is told when it cost points, by language
#   input_only = true                it only feeds [[derived]] characteristics or [[interactions]]
"""

_LEFT_OUT = (
    "# ----------------------------------------------------------------------------------- columns left out"
)

_ROSTER = """\
# ------------------------------------------------------------------------------------------- the roster
# One for each organisation, with its key from `fedscore keys identity`. A simulation makes up its own.
#: [[parties]]
#: name = "shop-1"
#: role = "platform"
#: key = ""
"""


def text_of(found: SortedColumns, *, name: str) -> str:
    """Write the contract.

    Args:
        found: What the columns are for.
        name: What the contract is to be called, if it can be.
    """
    called = _identifier_of(name)
    parts = (
        _HEAD,
        _lines(_contract(called)),
        _lines(_outcome(found)),
        _lines(_rows(found)),
        _CONSENT,
        _lines(_split(found, called)),
        _TERMS,
        _CHARACTERISTICS,
        *_characteristics(found.characteristics),
        *([_lines(_left_out(found.left_out))] if found.left_out else []),
        _ROSTER,
    )
    return "\n".join(parts)


def to_decide(text: str) -> tuple[int, ...]:
    """The lines of a proposed contract, from 1, that have to be filled in."""
    return tuple(
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if not line.startswith("#") and f"# {TODO}:" in line
    )


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _contract(name: str) -> Iterator[str]:
    yield "version = 1"
    yield f"name = {_quoted(name)}"
    yield _todo('purpose = ""', "what the score is for, in one sentence; data serve nothing else")


def _outcome(found: SortedColumns) -> Iterator[str]:
    yield "[outcome]"
    yield _todo('definition = ""', "when an account counts as bad, in one sentence")
    if found.outcome is not None:
        yield _note(f"column = {_quoted(found.outcome)}", "1 is bad, 0 is good")
    else:
        yield _todo('column = ""', f"the column with 1 for bad and 0 for good{_candidates(found.outcomes)}")
    yield _todo('bucket = ""', 'the bucket of delinquency that makes it bad, as "30+"')
    yield _todo("horizon_days = 0", "how many days after a row's date the outcome is looked for, as 90")


def _rows(found: SortedColumns) -> Iterator[str]:
    yield "[rows]"
    if found.identifier is not None:
        yield _note(f"id = {_quoted(found.identifier)}", "tells rows apart")
    else:
        others = _candidates(name for name in found.identifiers if not is_shared(name))
        yield _todo('id = ""', f"the column that tells rows apart{others}")
    persons = [name for name in found.identifiers if is_of_a_person(name) and name != found.identifier]
    yield "# If one person may have several rows, or be at several organisations, say whose rows they are."
    yield f"#: person = {_quoted(persons[0] if persons else 'person_id')}"
    yield "#: rows_per_person = 1"
    yield _note(
        "organisations_per_person = 1", "believed, not checked: m of them cost a person m times the mu"
    )
    yield _todo("row_cap = 0", "the most training rows of one organisation, with room to grow")


def _split(found: SortedColumns, name: str) -> Iterator[str]:
    yield "# Which rows test and do not train: a share of persons, or all rows from a day on (out of time)."
    yield "[split]"
    yield "test_share = 0.3"
    yield f"key = {_quoted(f'{name}/1')}"
    if found.dates:
        yield "# Out of time, with test_share = 0.0:"
        yield f"#: column = {_quoted(found.dates[0])}"
        yield "#: test_from = 2025-01-01"


def _characteristics(columns: Iterable[Column]) -> Iterator[str]:
    names: set[str] = set()
    for column in columns:
        name = _identifier_of(column.name, taken=names)
        names.add(name)
        yield _lines(_characteristic(column, name))


def _characteristic(column: Column, name: str) -> Iterator[str]:
    for subject, phrase in subjects_in(FAIR_LENDING, names=(column.name,), description=""):
        yield f'# Take care: it seems to be about {subject.name} ("{phrase}"),'
        yield "# which fair-lending law forbids or restricts in many countries."
    yield "[[characteristics]]"
    yield f"name = {_quoted(name)}"
    if name != column.name:
        yield f"column = {_quoted(column.name)}"
    yield from _grid(column)
    yield '#: description = ""                  # what it says about a customer, in one sentence'


def _grid(column: Column) -> Iterator[str]:
    hint = grid_hint(column.name)
    example = f"e.g. {hint.edges} for {hint.quantity}" if hint else "as round numbers, in rising order"
    match column.kind:
        case ColumnKind.TRUTH:
            yield 'type = "category"'
            yield 'levels = ["true", "false"]'
        case ColumnKind.TEXT:
            yield 'type = "category"'
            yield _todo("levels = []", 'its public levels, as ["Y", "N"]; all others share one cell')
        case ColumnKind.UNKNOWN:
            yield _todo('type = ""', '"number" and then edges, or "category" and then levels, as offered')
            yield f"#: edges = []                        # {example}"
            yield '#: levels = []                       # as ["Y", "N"]; all others share one cell'
        case ColumnKind.WHOLE if is_coded(column):
            yield _note('type = "category"', 'its numbers seem to be codes; else "number", with edges')
            yield _todo("levels = []", 'its public levels, as ["1", "2"]; all others share one cell')
        case _:
            yield 'type = "number"'
            if column.kind is ColumnKind.WHOLE:
                yield "whole = true"
            if hint is not None and hint.unit:
                yield f"#: unit = {_quoted(hint.unit)}"
            yield _todo("edges = []", f"its public grid, {example}")


def _left_out(left_out: Sequence[LeftOut]) -> Iterator[str]:
    yield _LEFT_OUT
    for one in left_out:
        yield f"# {_quoted(one.column)}: {one.reason}."


def _todo(entry: str, what: str) -> str:
    return _note(entry, f"{TODO}: {what}")


def _note(entry: str, what: str) -> str:
    return f"{entry:<36} # {what}"


def _candidates(names: Iterable[str]) -> str:
    listed = ", ".join(map(_quoted, names))
    return f"; perhaps {listed}" if listed else ""


def _identifier_of(text: str, *, taken: Iterable[str] = ()) -> str:
    """A name that a contract may give, as near to a text as can be."""
    plain = _NOT_A_NAME.sub("_", text).lstrip("_.-")[:_LONGEST_NAME] or "unnamed"
    used, name, number = set(taken), plain, 1
    while name in used:
        number += 1
        name = f"{plain[: _LONGEST_NAME - 6]}-{number}"
    return name


def _quoted(text: str) -> str:
    """A text in quotes: a string of TOML, and of one line in a comment."""
    return '"' + "".join(_ESCAPED.get(sign) or _visible(sign) for sign in text) + '"'


_ESCAPED = {'"': '\\"', "\\": "\\\\"}


def _visible(sign: str) -> str:
    # What is no printable sign could end a line, or hide what it says.
    return sign if sign.isprintable() else f"\\U{ord(sign):08X}"
