"""Reasons are those that docs/card-format.md describes, worked out here record by record from the file."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.card import Card, CardTable
from fedscore.card.reasons import LOSS_UNITS, NO_REASON, Losses, reason_text
from fedscore.contract import Characteristic, Grid, Interaction, InteractionSide, Role, ValueType
from tests.cards import number, plain_card, table
from tests.random_cards import Drawn, cards_with_rows


def by_hand(card: Card, role: Role, cells: list[int]) -> list[tuple[str, Fraction]]:
    """Characteristics with what they cost in points, the largest first."""
    document = json.loads(card.to_json())
    lost: dict[str, Fraction] = {}
    for entry in document["characteristics"]:
        lost[entry["name"]] = Fraction(0)
    for entry in document["interactions"]:
        for name in entry["parents"]:
            lost.setdefault(name, Fraction(0))
    entries = document["characteristics"] + document["interactions"]
    for entry, labels, cell in zip(entries, card.grid.tables, cells, strict=True):
        sides = entry["parents"] or [entry["name"]]
        if not all(role in card.grid.holders[name] for name in sides):
            continue
        if labels.cells[cell].kind.value == "not held":
            continue
        bins = [one for one in entry["bins"] if one["share"] > 0]
        bins = [one for one in bins if labels.cells[one["cells"][0]].kind.value != "not held"]
        weight = sum(one["share"] for one in bins)
        mean = sum(one["share"] * round(one["points"] * 100) for one in bins) / weight if weight else 0
        own = next(round(one["points"] * 100) for one in entry["bins"] if cell in one["cells"])
        for name in sides:
            lost[name] += Fraction(round(mean) - own, 100 * len(sides))
    order = list(lost)
    ranked = sorted(lost.items(), key=lambda item: (-item[1], order.index(item[0])))
    return [(name, loss) for name, loss in ranked if loss > 0]


@given(cards_with_rows(), st.data(), st.integers(0, 7))
def test_reasons_are_those_that_are_worked_out_by_hand(drawn: Drawn, data: st.DataObject, count: int) -> None:
    card = drawn.card
    row = st.tuples(*(st.integers(0, one.size - 1) for one in card.grid.tables))
    # What a role does not hold is in its own cell, so nobody else's cell is asked for.
    cells = np.array(data.draw(st.lists(row, min_size=1, max_size=8)), dtype=np.int32)
    for column, one in enumerate(card.grid.tables):
        if drawn.role not in card.grid.holders.get(one.name, {drawn.role}):
            cells[:, column] = one.size - 1
    losses = Losses(card, role=drawn.role)
    places, amounts = losses.largest(cells, count)
    assert places.shape == amounts.shape == (len(cells), count)
    for record, mine, costs in zip(cells.tolist(), places.tolist(), amounts.tolist(), strict=True):
        expected = by_hand(card, drawn.role, record)[:count]
        found = [
            (losses.names[place], Fraction(cost, LOSS_UNITS))
            for place, cost in zip(mine, costs, strict=True)
            if place != NO_REASON
        ]
        assert found == expected
        assert mine[len(expected) :] == [NO_REASON] * (count - len(expected))


def largest(card: Card, *cells: int, count: int = 3, role: Role = Role.PLATFORM) -> list[tuple[str, float]]:
    losses = Losses(card, role=role)
    places, amounts = losses.largest(np.array([cells]), count)
    return [
        (losses.names[place], amount / LOSS_UNITS)
        for place, amount in zip(places[0].tolist(), amounts[0].tolist(), strict=True)
        if place != NO_REASON
    ]


def test_equal_losses_stand_in_the_order_of_the_card() -> None:
    card = plain_card(*(table(name, [-1.0, 0.0, 1.0]) for name in ("b", "a", "c")))
    assert largest(card, 0, 0, 0) == [("b", 1.0), ("a", 1.0), ("c", 1.0)]


def test_who_lost_nothing_is_told_nothing() -> None:
    card = plain_card(table("a", [-1.0, 0.0, 1.0]), table("b", [-1.0, 0.0, 1.0]))
    assert largest(card, 1, 2) == []
    assert largest(card, 2, 0) == [("b", 1.0)]


def test_the_reference_is_rounded_to_hundredths_once() -> None:
    """A mean of 1/3 of a hundredth is none."""
    card = plain_card(table("a", [0.0, 0.0, 0.01]))
    assert largest(card, 0) == []
    assert largest(plain_card(table("a", [0.0, 0.01, 0.01])), 0) == [("a", 0.01)]


def one_role(points: list[float]) -> Card:
    item = Characteristic(name="a", column="a", type=ValueType.NUMBER, edges=(1.0,), roles=(Role.COLLECTOR,))
    return plain_card(table("a", points), grid=Grid(characteristics=(item,)))


def test_what_the_role_does_not_hold_is_no_reason_and_moves_no_reference() -> None:
    card = one_role([0.0, 2.0, 4.0, -100.0])
    assert largest(card, 3) == []
    assert largest(card, 0, role=Role.COLLECTOR) == [("a", 2.0)]


def test_bins_that_nobody_fell_into_move_no_reference() -> None:
    entry = table("a", [0.0, 2.0, 400.0])
    bins = [
        bin_.model_copy(update={"share": share})
        for bin_, share in zip(entry.bins, (0.5, 0.5, 0.0), strict=True)
    ]
    assert largest(plain_card(entry.model_copy(update={"bins": tuple(bins)})), 0) == [("a", 1.0)]
    empty = tuple(bin_.model_copy(update={"share": 0.0}) for bin_ in entry.bins)
    assert largest(plain_card(entry.model_copy(update={"bins": empty})), 0) == []


def crossed() -> Card:
    items = (number("a", 3), number("b", 3).model_copy(update={"input_only": True}))
    sides = [InteractionSide(of=name, edges=(1.0,)) for name in "ab"]
    pair = Interaction(first=sides[0], second=sides[1])
    grid = Grid(characteristics=items, interactions=(pair,))
    points = table("pair", [-9.0, *[1.0] * 8])
    return plain_card(
        table("a", [-1.0, 0.0, 1.0]),
        grid=grid,
        interactions=(CardTable(name=pair.name, parents=("a", "b"), monotone=None, bins=points.bins),),
    )


def test_half_of_what_an_interaction_costs_goes_to_each_side() -> None:
    """The mean of its points is -0.11, so the pair costs 8.89."""
    assert largest(crossed(), 0, 0) == [("a", 1.0 + 4.445), ("b", 4.445)]
    assert Losses(crossed(), role=Role.PLATFORM).names == ("a", "b")


@pytest.mark.parametrize(
    ("reasons", "language", "told"),
    [
        ({"en": "E", "zh": "Z"}, "zh", "Z"),
        ({"en": "E", "zh": "Z"}, "zh-Hans-CN", "Z"),
        ({"en": "E", "zh-Hant": "T", "zh-Hans": "S"}, "zh-Hant", "T"),
        ({"en": "E", "zh-Hant": "T", "zh-Hans": "S"}, "zh", "S"),
        ({"en": "E", "zh-Hans": "S"}, "zh-SG", "S"),
        ({"en": "E", "zh": "Z"}, "de", "E"),
        ({"zh": "Z"}, "de", "what it says"),
        ({}, "en", "what it says"),
    ],
)
def test_a_text_is_found_for_every_language(reasons: dict[str, str], language: str, told: str) -> None:
    item = number("a", 3).model_copy(update={"reasons": reasons, "description": "what it says"})
    assert reason_text(Grid(characteristics=(item,)), "a", language) == told


def test_without_any_words_there_is_the_name() -> None:
    assert reason_text(Grid(characteristics=(number("a", 3),)), "a", "en") == "a"


def test_losses_do_not_depend_on_how_many_records_are_asked_for() -> None:
    generator = np.random.default_rng(1)
    names = [f"c{place}" for place in range(12)]
    card = plain_card(*(table(name, (generator.integers(-500, 500, 6) / 100).tolist()) for name in names))
    cells = generator.integers(0, 6, (500, 12)).astype(np.uint8)
    losses = Losses(card, role=Role.PLATFORM)
    whole = losses.largest(cells, 4)
    for start in range(0, 500, 125):
        part = losses.largest(cells[start : start + 125], 4)
        assert np.array_equal(part[0], whole[0][start : start + 125])
        assert np.array_equal(part[1], whole[1][start : start + 125])
