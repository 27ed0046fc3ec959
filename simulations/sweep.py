"""Which variations does a scenario's `[sweep]` ask for? A grid over any of its keys."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedscore.errors import ScenarioError

__all__ = ["MOST_VARIATIONS", "Mistake", "grid_of", "in_words", "listed", "toml_text", "varied"]

MOST_VARIATIONS = 200
"""A grid grows by products: what is larger than this was hardly meant."""

Coordinates = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """What is wrong with one variation.

    Attributes:
        coordinates: Of the variation.
        text: A sentence.
    """

    coordinates: Coordinates
    text: str


def grid_of(document: Mapping[str, Any], settings: Iterable[str] = ()) -> dict[str, tuple[Any, ...]]:
    """The swept keys of a scenario, dotted, with their values.

    Args:
        document: The scenario as TOML; `sweep` may name keys in quotes ("parties.count") or as tables.
        settings: Keys that were set by hand, which no grid may overrule.

    Raises:
        ScenarioError: The sweep is none; every mistake is listed.
    """
    asked = document.get("sweep", {})
    if not isinstance(asked, Mapping):
        raise ScenarioError(_refusal(['sweep is a table of lists, as in "parties.count" = [5, 20, 100]']))
    grid = _flat(asked)
    by_hand = sorted(set(settings) & grid.keys())
    mistakes = [
        *(f"sweep: {key}: {mistake}" for key, values in grid.items() if (mistake := _mistake(key, values))),
        *(f"{key} is swept, and --set {key} would do nothing: --set sweep.{key}=[…]" for key in by_hand),
        *(
            f"sweep: {key} belongs to {other}, which is swept too: sweep one of the two"
            for key in grid
            for other in grid
            if key.startswith(f"{other}.")
        ),
    ]
    sizes = [len(values) for values in grid.values() if isinstance(values, list)]
    if not mistakes and (count := math.prod(sizes)) > MOST_VARIATIONS:
        told = f"{' times '.join(map(str, sizes))}, {count}," if len(sizes) > 1 else f"{count}"
        mistakes.append(
            f"sweep: a grid of {told} variations; the most is {MOST_VARIATIONS}: try fewer values"
        )
    if mistakes:
        raise ScenarioError(_refusal(mistakes))
    return {key: tuple(values) for key, values in grid.items()}


def _flat(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat


def _mistake(key: str, values: object) -> str | None:
    if key.partition(".")[0] == "sweep":
        return "a sweep cannot be swept"
    if not isinstance(values, list):
        return f"write a list of the values to try, as [{toml_text(values)}]"
    if not values:
        return "the list is empty, so nothing would run: name a value, or leave the key out"
    texts = [toml_text(value) for value in values]
    if repeated := [text for place, text in enumerate(texts) if text in texts[:place]]:
        return f"{repeated[0]} stands there twice"
    return None


def _refusal(mistakes: Sequence[str]) -> str:
    return "the scenario cannot be run as written:\n" + "\n".join(f"  - {mistake}" for mistake in mistakes)


def varied(
    document: Mapping[str, Any], grid: Mapping[str, tuple[Any, ...]]
) -> tuple[tuple[dict[str, str], dict[str, Any]], ...]:
    """The document of each variation, with its coordinates; the last key varies fastest.

    Args:
        document: The scenario, which is left as it is.
        grid: Swept keys and their values.

    Raises:
        ScenarioError: A key goes through a plain value of the scenario.
    """
    variations = []
    for values in itertools.product(*grid.values()):
        coordinates = {key: toml_text(value) for key, value in zip(grid, values, strict=True)}
        changed = copy.deepcopy(dict(document))
        for key, value in zip(grid, values, strict=True):
            _put(changed, key, copy.deepcopy(value))
        variations.append((coordinates, changed))
    return tuple(variations)


def _put(document: dict[str, Any], key: str, value: object) -> None:
    *tables, last = key.split(".")
    for table in tables:
        inner = document.setdefault(table, {})
        if not isinstance(inner, dict):
            raise ScenarioError(
                _refusal([f"sweep: {key}: {table!r} is a value of the scenario, not a table"])
            )
        document = inner
    document[last] = value


def toml_text(value: object) -> str:
    """A value as TOML has it, on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case list() | tuple():
            return f"[{', '.join(map(toml_text, value))}]"
        case dict():
            return f"{{ {', '.join(f'{key} = {toml_text(inner)}' for key, inner in value.items())} }}"
        case _:
            return str(value)


def in_words(coordinates: Coordinates) -> str:
    """Coordinates as one would say them."""
    return ", ".join(f"{key} = {value}" for key, value in coordinates.items())


def listed(mistakes: Sequence[Mistake], variations: Sequence[Coordinates]) -> list[str]:
    """Each mistake once, with the variations that it belongs to; with none, if all have it.

    Args:
        mistakes: In the order of the variations.
        variations: The coordinates of all variations, those without a mistake included.
    """
    having: dict[str, list[Coordinates]] = {}
    for mistake in mistakes:
        having.setdefault(mistake.text, []).append(mistake.coordinates)
    return [
        text if len(places) == len(variations) else f"with {_where(places, variations)}: {text}"
        for text, places in having.items()
    ]


def _where(places: Sequence[Coordinates], variations: Sequence[Coordinates]) -> str:
    for key, value in places[0].items():
        if [place for place in variations if place.get(key) == value] == list(places):
            return f"{key} = {value}"
    return "; ".join(in_words(place) for place in places)
