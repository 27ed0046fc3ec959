"""What must hold of derived characteristics: inputs that exist, and parameters that the formula takes."""

from __future__ import annotations

from collections.abc import Iterator

from fedscore.contract.characteristics import Characteristic, Derived, Formula, Role, ValueType
from fedscore.contract.common_rules import name_problems, number_grid_problems, repeated, subject_problems
from fedscore.contract.draft import Draft
from fedscore.contract.findings import Path, Problem, closest, error, plain, warning

__all__ = ["derived_problems"]

_WITH_THRESHOLD = frozenset({Formula.COUNT_ABOVE, Formula.MONTHS_SINCE})


def derived_problems(draft: Draft) -> Iterator[Problem]:
    """Problems of derived characteristics; an input must be a characteristic or derived further up."""
    seen = {item.name for item in draft.characteristics.values()}
    held = draft.holders()
    used = draft.used_names()
    for index, item in draft.derived.items():
        path = ("derived", index)
        yield from _reference_problems(path, item, seen, draft)
        inputs = [held[name] for name in item.of if name in seen]
        yield from name_problems(path, item.name, seen)
        yield from subject_problems(path, (item.name,), item)
        yield from number_grid_problems(path, item.edges, item)
        yield from _formula_problems(path, item, draft)
        if inputs and all(inputs) and not frozenset[Role].intersection(*inputs):
            yield error((*path, "of"), "no role holds all of these, so nobody could compute it: name others")
        if item.input_only and item.name not in used and not draft.unreadable:
            yield warning((*path, "input_only"), f"nothing uses {item.name}: take it out")


def _reference_problems(path: Path, item: Derived, seen: set[str], draft: Draft) -> Iterator[Problem]:
    known = draft.by_name()
    for place, name in enumerate(item.of):
        where = (*path, "of", place)
        source = known.get(name)
        if name == item.name:
            yield error(where, f"{name} is its own input: name others")
        elif source is None and name not in draft.unreadable:
            yield error(where, f"{name} is no characteristic of this contract{closest(name, known)}")
        elif source is not None and name not in seen:
            yield error(where, f"{name} is derived further down: move it up")
        elif isinstance(source, Characteristic) and source.type is ValueType.CATEGORY:
            yield error(where, f"{name} is a category, and {item.formula} computes with numbers")
    for name in repeated(item.of):
        yield error((*path, "of"), f"{name} is named twice: keep one of them")


def _formula_problems(path: Path, item: Derived, draft: Draft) -> Iterator[Problem]:
    formula, given = item.formula, len(item.of)
    if formula is Formula.RATIO and given != 2:
        yield error((*path, "of"), f"a ratio takes a numerator and a denominator, not {given} inputs")
    if formula is Formula.TREND and given < 2:
        yield error((*path, "of"), f"a trend takes at least 2 inputs, most recent first, not {given}")
    if formula in _WITH_THRESHOLD and item.threshold is None:
        yield error(path, f"{formula} needs a threshold, as threshold = 0: say what an input must be above")
    unused = {
        "threshold": (
            item.threshold is not None and formula not in _WITH_THRESHOLD,
            "count_above or months_since",
        ),
        "weights": (bool(item.weights) and formula is not Formula.SUM, "sum"),
        "denominator_floor": (item.denominator_floor is not None and formula is not Formula.RATIO, "ratio"),
    }
    for key, (is_unused, where) in unused.items():
        if is_unused:
            yield error((*path, key), f"{key} belongs to {where}, and does nothing in {formula}: remove it")
    if item.weights and formula is Formula.SUM and len(item.weights) != given:
        yield error((*path, "weights"), f"{len(item.weights)} weights for {given} inputs: give one for each")
    if item.floor is not None and item.cap is not None and item.floor >= item.cap:
        yield error(
            (*path, "cap"), f"the cap {plain(item.cap)} is not above the floor {plain(item.floor)}: raise it"
        )
    special = {entry.name for entry in draft.characteristics.values() if entry.special}
    if item.specials_as_values and not special.intersection(item.of) and not draft.unreadable:
        yield warning((*path, "specials_as_values"), "none of its inputs has special codes: remove it")
