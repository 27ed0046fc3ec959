"""How groups of people fare, as tables: a row for each measure, a column for each group."""

from __future__ import annotations

from dataclasses import dataclass

from fedscore.card import Card, Measure

__all__ = ["GroupTable", "group_tables"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """The groups that one characteristic makes.

    Attributes:
        name: The characteristic.
        groups: What the groups are called.
        rows: The measures' names, and each group's; none where noise hides it.
    """

    name: str
    groups: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Measure | None, ...]], ...]


def group_tables(card: Card) -> tuple[GroupTable, ...]:
    """The groups that the evaluation compares; none if there are none."""
    told = card.evaluation.groups if card.evaluation is not None else ()
    tables = []
    for name in dict.fromkeys(group.group for group in told):
        members = [group for group in told if group.group == name]
        by_measure = [{one.name: one for one in group.measures} for group in members]
        measures = dict.fromkeys(measure for measures in by_measure for measure in measures)
        rows = tuple(
            (measure, tuple(measures.get(measure) for measures in by_measure)) for measure in measures
        )
        tables.append(GroupTable(name=name, groups=tuple(group.label for group in members), rows=rows))
    return tuple(tables)
