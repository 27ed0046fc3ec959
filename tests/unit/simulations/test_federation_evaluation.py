"""A whole federation whose contract has grades and an evaluation: in clear, encrypted, and with absences."""

from __future__ import annotations

import pytest

from fedscore.contract import Contract
from fedscore.data import Rows
from simulations.federation import EncryptionMode, train_federation
from simulations.keys import SimulatedKeys
from tests.evaluations import product_contract, product_rows


@pytest.fixture(scope="module")
def contract(tiny_text: str) -> Contract:
    return product_contract(tiny_text)


def rows_of(contract: Contract, count: int, seed: int) -> dict[str, Rows]:
    return {
        party.name: product_rows(contract, count, seed + number, role=party.role)
        for number, party in enumerate(contract.parties)
    }


def test_encrypted_sums_make_the_card_that_sums_in_clear_make(
    contract: Contract, small_keys: SimulatedKeys
) -> None:
    training, testing = rows_of(contract, 800, 1), rows_of(contract, 400, 11)
    plain = train_federation(contract, training, seed=4, test_rows=testing)
    encrypted = train_federation(
        contract,
        training,
        seed=4,
        test_rows=testing,
        encryption=EncryptionMode.PAILLIER,
        keys=small_keys,
    )
    assert plain.rounds == encrypted.rounds == 13
    for one, other in zip(plain.openings, encrypted.openings, strict=True):
        assert one.tolist() == other.tolist()
    assert encrypted.card.claim() == plain.card.claim()
    assert plain.card.evaluation is not None
    assert len(plain.card.grades) == 4
    assert plain.card.bands is not None


def test_other_test_rows_change_the_metrics_and_nothing_else(contract: Contract) -> None:
    training = rows_of(contract, 800, 1)
    one, other = (
        train_federation(contract, training, seed=4, test_rows=rows_of(contract, 400, seed)).card
        for seed in (11, 21)
    )
    assert one.evaluation != other.evaluation
    assert one.model_copy(update={"evaluation": None}) == other.model_copy(update={"evaluation": None})


def test_an_evaluation_of_nobody_ends_with_a_card(contract: Contract) -> None:
    nobody = rows_of(contract, 0, 1)
    card = train_federation(contract, nobody, seed=4, test_rows=nobody).card
    assert card.evaluation is not None
    assert card.evaluation.measures == ()
    assert "auc" in card.evaluation.not_measured


def test_cards_are_compared_by_what_their_files_say(contract: Contract) -> None:
    """Also once both have scored, which leaves arrays in them."""
    training, testing = rows_of(contract, 300, 1), rows_of(contract, 100, 11)
    one, same, other = (
        train_federation(contract, training, seed=seed, test_rows=testing).card for seed in (4, 4, 5)
    )
    for card in (one, same, other):
        card.score(training["north"].cells)
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != "a card"
