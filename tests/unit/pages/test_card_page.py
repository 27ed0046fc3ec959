from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.card import Card, CardSignature
from fedscore.pages import Standing, card_page, words
from fedscore.pages.rulers import ruler_of
from fedscore.pages.sheets import characteristic_sheets
from fedscore.pages.svg import Axis
from tests.cards import plain_card, table
from tests.pages import Page, full_card

CARD = full_card()


def shown(card: Card, standing: Standing = Standing.UNSIGNED) -> Page:
    return Page(card_page(card, standing))


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    text = card_page(CARD, Standing.UNSIGNED)
    page = Page(text)
    assert page.loaded == []
    assert {"script", "link", "iframe", "img"}.isdisjoint(page.tags)
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "@import" not in text
    assert len(text) < 60_000


def test_every_bin_is_there_with_its_numbers() -> None:
    text = shown(CARD).text
    for entry in CARD.tables:
        for bin_ in entry.bins:
            number = f"{words.points(bin_.points)} ± {words.precise(bin_.standard_error)}"
            assert f"{bin_.label} {number} {words.share(bin_.share)} {words.rate(bin_.bad_rate)}" in text


def test_what_the_score_is_worth_and_what_it_cost() -> None:
    text = shown(CARD).text.replace("\N{NO-BREAK SPACE}", " ")
    for expected in (
        "AUC on test rows, 0.7318 to 0.7744",
        "A 601.00 and more 61.1% 1.27% 0.19% 0.98% to 1.80%",
        "B below 601.00 38.9% 10.93% 0.71% not measurable",
        "Not measurable under this noise: brier",
        "ε 0.9973",
        "ε 3.127",
        f"δ = {words.delta(2.5e-6)}",
        "Up to 1 of them may have been absent, and up to 2 may tell others",
        CARD.fingerprint,
        "shop-1 (platform), agency-1 (collector)",
        "2026-01-31T23:59:59Z",
        "trend of spent, spent",
        "column age_years",
        "held by platforms",
    ):
        assert expected in text


def test_the_strongest_comes_first_and_what_is_no_value_is_set_apart() -> None:
    page = shown(CARD).text
    assert page.index(" age ") < page.index(" trend ")
    sheets = {sheet.name: sheet for sheet in characteristic_sheets(CARD)}
    assert [line.label for line in sheets["spent"].apart] == ["missing", "not held"]
    assert [line.label for line in sheets["spent"].values] == ["< 100", "≥ 100"]
    spreads = [sheet.spread for sheet in characteristic_sheets(CARD)]
    assert spreads == sorted(spreads, reverse=True)


def test_the_standing_of_the_signature_is_told() -> None:
    assert "Nobody has signed this card" in shown(CARD).text
    signature = CardSignature(signer="operator", key="0a" * 32, signature="0b" * 64)
    card = CARD.with_signature(signature)
    verified, unchecked = shown(card, Standing.VERIFIED).text, shown(card, Standing.UNCHECKED).text
    assert f"Signed by operator (key {'0a' * 32}); the signature holds for the whole file" in verified
    assert "which was not checked" in unchecked


def test_markup_in_names_is_text() -> None:
    hostile = "<script>alert(1)</script>&\"'{{ 7*7 }}"
    card = full_card(
        contract_name=hostile,
        purpose=hostile,
        grades=[grade.model_copy(update={"name": hostile}) for grade in CARD.grades],
        characteristics=[
            entry.model_copy(
                update={"bins": tuple(bin_.model_copy(update={"label": hostile}) for bin_ in entry.bins)}
            )
            for entry in CARD.characteristics
        ],
    )
    page = shown(card)
    assert "script" not in page.tags
    assert page.text.count("alert(1)") >= 12
    assert "{{ 7*7 }}" in page.text
    assert " 49 " not in page.text


@pytest.mark.parametrize("bins", [3, 40])
def test_cards_of_odd_shapes(bins: int) -> None:
    points = [round(-20 + 40 * place / bins, 2) for place in range(bins)]
    card = plain_card(table("x" * 64, points))
    page = shown(card)
    assert page.tags.count("tr") == bins + 1
    for absent in ("Grades", "What the score is worth", "Interactions", "How groups fare"):
        assert absent not in page.text
    assert "the card does not say what its training cost" in page.text.lower()


def test_one_bin_without_any_points() -> None:
    flat = plain_card(table("flat", [0.0, 0.0, 0.0]))
    one = table("flat", [0.0]).bins[0].model_copy(update={"cells": (0, 1, 2), "share": 0.0})
    card = flat.model_copy(
        update={"characteristics": (flat.characteristics[0].model_copy(update={"bins": (one,)}),)}
    )
    assert "0.00" in shown(card).text


@given(
    st.lists(st.floats(-9999, 9999), min_size=1, max_size=30),
    st.floats(-1e5, 1e5),
)
def test_whatever_the_points_a_bar_stays_on_its_ruler(points: list[float], beyond: float) -> None:
    values = [round(value, 2) for value in points]
    card = plain_card(table("x", [*values, 0.0, 1.0]))
    ruler = ruler_of(characteristic_sheets(card))
    assert ruler.low <= 0 <= ruler.high
    assert 0 in ruler.ticks
    assert all(ruler.shows(tick) for tick in ruler.ticks)
    assert 2 <= len(ruler.ticks) <= 10
    for value in [*values, beyond]:
        left, wide = ruler.box(0, value)
        assert 0 <= left <= left + wide <= 100.01
    assert all(ruler.shows(value) for value in values)


@given(st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_an_axis_keeps_the_order(one: float, other: float, root: bool) -> None:  # noqa: FBT001 - hypothesis'
    axis = Axis(low=0.0, high=1.0, start=200.0, end=10.0, root=root)
    low, high = sorted((one, other))
    assert 200.0 >= axis.at(low) >= axis.at(high) >= 10.0
    assert axis.at(2.0) == 10.0


def test_pictures_are_there_when_there_is_something_to_draw() -> None:
    text = card_page(CARD, Standing.UNSIGNED)
    drawings = re.findall(r'<svg class="drawing".*?</svg>', text, flags=re.DOTALL)
    assert len(drawings) == 2
    assert drawings[0].count('class="point"') == 2
    assert drawings[1].count('class="bar') == 4
    # Bad counts that noise made negative are no bars upside down.
    assert all(float(height) >= 0 for height in re.findall(r'height="([-\d.]+)"', text))
    without = full_card(evaluation=None, bands=None)
    assert 'class="drawing"' not in card_page(without, Standing.UNSIGNED)
