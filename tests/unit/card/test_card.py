from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fedscore.card import Card
from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.errors import CardError
from simulations.federation import train_alone, train_federation


@pytest.fixture(scope="module")
def card(tiny_contract: Contract, make_rows: Callable[[int, int], Rows]) -> Card:
    rows = {party.name: make_rows(500, seed) for seed, party in enumerate(tiny_contract.parties)}
    return train_federation(tiny_contract, rows, seed=1).card


def test_a_card_survives_its_file(card: Card, tmp_path: Path) -> None:
    card.write(tmp_path / "card.json")
    assert Card.read(tmp_path / "card.json") == card
    assert list(tmp_path.iterdir()) == [tmp_path / "card.json"]


def test_the_file_alone_gives_the_score(
    card: Card, make_rows: Callable[[int, int], Rows], tmp_path: Path
) -> None:
    """A reader that knows nothing but JSON adds the same points."""
    card.write(tmp_path / "card.json")
    file = json.loads((tmp_path / "card.json").read_text())
    rows = make_rows(50, 9)
    tables = file["characteristics"] + file["interactions"]
    for record, score in zip(rows.cells.tolist(), card.score(rows.cells).tolist(), strict=True):
        points = file["intercept_points"]
        for cell, table in zip(record, tables, strict=True):
            points += next(bin_["points"] for bin_ in table["bins"] if cell in bin_["cells"])
        assert math.isclose(points, score, abs_tol=1e-9)


def test_twenty_points_double_the_odds(card: Card, make_rows: Callable[[int, int], Rows]) -> None:
    rows = make_rows(200, 9)
    odds = 1 / card.probability(rows.cells) - 1
    score = card.score(rows.cells)
    np.testing.assert_allclose(np.log2(odds) * 20, score - 600 + 20 * math.log2(30), atol=1e-6)


def test_a_card_says_what_it_cost(card: Card, tiny_contract: Contract) -> None:
    assert card.contract_hash == tiny_contract.hash()
    assert card.privacy is not None
    assert card.privacy.epsilon is not None
    assert card.privacy.epsilon <= 1.0
    assert len(card.privacy.events) == 9


def test_a_card_without_noise_claims_no_epsilon(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    privacy = train_alone(tiny_contract, make_rows(100, 1)).card.privacy
    assert privacy is not None
    assert privacy.epsilon is None
    assert privacy.person_epsilon is None


def test_every_cell_is_in_one_bin(card: Card, tiny_contract: Contract) -> None:
    for table, entry in zip(tiny_contract.tables, card.tables, strict=True):
        assert sorted(cell for bin_ in entry.bins for cell in bin_.cells) == list(range(table.size))


def test_the_strongest_characteristics_come_first(card: Card) -> None:
    spreads = [table.spread for table in card.strongest(3)]
    assert spreads == sorted(spreads, reverse=True)
    assert card.strongest(1)[0].name in {"utilisation", "late_payments"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "not a card of schema 2"),
        (lambda text: text.replace('"schema_version": 2', '"schema_version": 1'), "schema_version"),
        (lambda text: text.replace('"intercept_points"', '"points"'), "intercept_points"),
        (lambda _text: "", "not a card"),
        (lambda _text: "[]", "not a card"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(
    card: Card, tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    file = tmp_path / "card.json"
    file.write_text(change(card.to_json()))
    with pytest.raises(CardError, match=message):
        Card.read(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="cannot be read"):
        Card.read(tmp_path / "card.json")


@pytest.mark.parametrize(
    "cells", [np.zeros((3, 2), np.int32), np.full((3, 4), 99, np.int32), np.full((3, 4), -1, np.int32)]
)
def test_rows_of_other_tables_are_refused(card: Card, cells: np.ndarray) -> None:
    with pytest.raises(CardError):
        card.score(cells)
