"""What must hold of a split by date, and what it does to a contract's hash."""

from __future__ import annotations

import datetime as dt

import pytest

from fedscore.contract import Contract, check, parse_contract
from fedscore.errors import ContractError

DATED = 'test_share = 0.0\ncolumn = "as_of"\ntest_from = 2017-05-01\n'
CONSENT = '\n[consent]\ngiven = "agreed"\n'


@pytest.fixture
def text(tiny_text: str) -> str:
    return tiny_text.replace("row_cap = 4000", 'row_cap = 4000\nperson = "customer"')


def splitting(text: str, entries: str) -> str:
    assert text.count("test_share = 0.3\n") == 1
    return text.replace("test_share = 0.3\n", entries)


def test_a_split_by_date_is_read(text: str) -> None:
    assert check(splitting(text, DATED)) == ()
    by_date, by_person = parse_contract(splitting(text, DATED)).split, parse_contract(text).split
    assert (by_date.column, by_date.test_from) == ("as_of", dt.date(2017, 5, 1))
    assert (by_date.has_test_rows, by_date.separates_persons) == (True, False)
    assert (by_person.has_test_rows, by_person.separates_persons) == (True, True)
    nothing = parse_contract(splitting(text, "test_share = 0.0\n")).split
    assert (nothing.has_test_rows, nothing.separates_persons) == (False, True)


MISTAKES = {
    "a column alone": (
        'test_share = 0.0\ncolumn = "as_of"\n',
        "column =",
        "needs the day that parts them: add",
    ),
    "a day alone": (
        "test_share = 0.0\ntest_from = 2017-05-01\n",
        "test_from",
        "name it as column, or remove",
    ),
    "by both": (
        DATED.replace("0.0", "0.25"),
        "test_share",
        "by date or by person, not by both: set test_share to 0 instead of 0.25",
    ),
    "a day as text": (
        DATED.replace("2017-05-01", '"2017-05-01"'),
        "test_from",
        "must be a date, as 2025-06-30, without quotes. The first day whose rows test",
    ),
    "a moment": (DATED.replace("2017-05-01", "2017-05-01T10:00:00"), "test_from", "must be a date, as 2025"),
    "a number": (DATED.replace("2017-05-01", "20170501"), "test_from", "must be a date, as 2025-06-30"),
    "a number for the column": (DATED.replace('"as_of"', "7"), "column =", "must be text in quotes"),
    "an empty column": (DATED.replace('"as_of"', '""'), "column =", "must be text that is not empty"),
    "the id": (DATED.replace("as_of", "id"), "column =", "column id already identifies rows: name a column"),
    "the person": (DATED.replace("as_of", "customer"), "column =", "customer already identifies persons"),
    "the outcome": (DATED.replace("as_of", "y"), "column =", "column y already holds the outcome"),
    "consent": (
        DATED.replace("as_of", "agreed"),
        "column =",
        "agreed already is what given of consent reads",
    ),
    "a characteristic": (
        DATED.replace("as_of", "segment"),
        "column =",
        "segment already is characteristic segm",
    ),
    "a misspelling": (DATED.replace("test_from", "test_form"), "test_form", "did you mean test_from"),
}


@pytest.mark.parametrize(("entries", "marker", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_line(text: str, entries: str, marker: str, message: str) -> None:
    whole = splitting(text + CONSENT, entries)
    found = next(one for one in check(whole) if message in one.message)
    assert marker in whole.splitlines()[(found.line or 0) - 1]
    with pytest.raises(ContractError, match=f"line {found.line}"):
        parse_contract(whole)


def test_a_sound_split_beside_consent_has_no_findings(text: str) -> None:
    assert check(splitting(text + CONSENT, DATED)) == ()


def test_the_day_and_the_column_are_part_of_the_contract(text: str) -> None:
    variants = [
        DATED,
        DATED.replace("05-01", "05-02"),
        DATED.replace("as_of", "made_on"),
        "test_share = 0.0\n",
    ]
    assert len({parse_contract(splitting(text, entries)).hash() for entries in variants}) == len(variants)


def test_a_contract_split_by_date_survives_being_changed_and_written(text: str) -> None:
    contract = parse_contract(splitting(text, DATED))
    assert contract.with_privacy(epsilon=2.0).split == contract.split
    assert Contract.model_validate_json(contract.model_dump_json()).hash() == contract.hash()
    assert contract.model_dump(mode="json")["split"]["test_from"] == "2017-05-01"


def test_rows_kept_by_date_can_be_evaluated_and_none_cannot(text: str) -> None:
    evaluated = text + "\n[evaluation]\n"
    assert check(splitting(evaluated, DATED)) == ()
    [found] = check(splitting(evaluated, "test_share = 0.0\n"))
    assert found.message.endswith("set split.test_share above 0, or split.test_from to a day")
