"""Scores raw rows from card.json alone, by docs/card-format.md, with the standard library."""

import functools
import json
import math
from bisect import bisect_right
from pathlib import Path
from typing import Any

Values = dict[str, Any]


class Reader:
    def __init__(self, path: Path, role: str) -> None:
        self.card = json.loads(path.read_text(encoding="utf-8"))
        self.grid = self.card["grid"]
        self.items = {item["name"]: item for item in self.grid["characteristics"] + self.grid["derived"]}
        self.roles = {item["name"]: set(item["roles"]) for item in self.grid["characteristics"]}
        for item in self.grid["derived"]:
            self.roles[item["name"]] = set.intersection(*(self.roles[name] for name in item["of"]))
        self.held = {name for name, roles in self.roles.items() if role in roles}

    def score(self, row: Values) -> tuple[int, float, str | None]:
        """Hundredths of points, probability and grade of a row: a dict of columns."""
        raw, clean = self.values(row)
        cells = [self.cell(item, raw, clean) for item in self.items.values() if not item["input_only"]]
        cells += [self.crossed(pair, clean) for pair in self.grid["interactions"]]
        tables = self.card["characteristics"] + self.card["interactions"]
        total = round(self.card["intercept_points"] * 100)
        for cell, table in zip(cells, tables, strict=True):
            total += next(round(entry["points"] * 100) for entry in table["bins"] if cell in entry["cells"])
        scale = self.card["scale"]
        factor = scale["points_to_double_odds"] / math.log(2)
        offset = scale["reference_points"] - factor * math.log(scale["reference_odds"])
        probability = 1 / (1 + math.exp(min(max((total / 100 - offset) / factor, -700), 700)))
        for grade in self.card["grades"]:
            if grade["lowest_score"] is None or total >= round(grade["lowest_score"] * 100):
                return total, probability, grade["name"]
        return total, probability, None

    def values(self, row: Values) -> tuple[Values, Values]:
        """Values as they stand, and with special codes missing; what is missing is None."""
        raw, clean = Values(), Values()
        for name, item in ((name, item) for name, item in self.items.items() if name in self.held):
            if "formula" in item:
                source = raw if item["specials_as_values"] else clean
                raw[name] = clean[name] = derive(item, [source[one] for one in item["of"]])
                continue
            value = None if row[item["column"]] == "" else row[item["column"]]
            if item["type"] == "category":
                raw[name] = clean[name] = None if value is None else str(value)
            else:
                raw[name] = None if value is None or math.isnan(value) else float(value)
                is_code = raw[name] in [special["code"] for special in item["special"]]
                clean[name] = None if is_code else raw[name]
        return raw, clean

    def cell(self, item: Values, raw: Values, clean: Values) -> int:
        """Cells are values, other levels, special codes, missing, not held: those that there are."""
        name, levels = item["name"], item.get("levels", [])
        codes = [as_text(one["code"]) if levels else one["code"] for one in item.get("special", [])]
        first_code = len(levels) + 1 if levels else len(item["edges"]) + 1
        if name not in self.held:
            return first_code + len(codes) + 1
        if raw[name] in codes:
            return first_code + codes.index(raw[name])
        if clean[name] is None:
            return first_code + len(codes)
        return place(levels, item["edges"], clean[name])

    def crossed(self, pair: Values, clean: Values) -> int:
        """The first side's cell runs slowest; the last cell of a side is for all that it does not name."""
        sides, cell = (pair["first"], pair["second"]), 0
        held = all(side["of"] in self.held for side in sides)
        for side in sides:
            last = len(side["levels"]) or len(side["edges"]) + 1
            value = clean[side["of"]] if held else None
            own = last if value is None else place(side["levels"], side["edges"], value)
            cell = cell * (last + 1) + own
        return cell


def as_text(code: float | str) -> str:
    return str(int(code)) if isinstance(code, float) and code.is_integer() else str(code)


def place(levels: list[str], edges: list[float], value: Any) -> int:  # noqa: ANN401 - a level or a number
    within = levels.index(value) if value in levels else len(levels)
    return within if levels else bisect_right(edges, value)


def derive(item: Values, inputs: list[float | None]) -> float | None:
    """The value of a derived characteristic, None where it has none."""
    known = [value for value in inputs if value is not None]
    if len(known) < len(inputs):
        return None
    x = [value if item["floor"] is None else max(value, item["floor"]) for value in known]
    x = [value if item["cap"] is None else min(value, item["cap"]) for value in x]
    steps = [(len(x) - 1) / 2 - place for place in range(len(x))]
    weights = steps if item["formula"] == "trend" else item["weights"] or [1.0] * len(x)
    total = functools.reduce(float.__add__, map(float.__mul__, weights, x))
    above = [item["threshold"] is not None and value > item["threshold"] for value in x]
    bottom = max(x[-1], item["denominator_floor"] or -math.inf)
    value = {
        "ratio": x[0] / bottom if bottom else math.nan,
        "max": max(x),
        "min": min(x),
        "sum": total,
        "mean": total / len(x),
        "trend": total / (sum(step * step for step in steps) or math.nan),
        "count_above": float(sum(above)),
        "months_since": float([*above, True].index(True)),
    }[item["formula"]]
    return None if math.isnan(value) else value
