"""What must hold of the columns of consent, and what they do to a contract's hash."""

from __future__ import annotations

import pytest

from fedscore.contract import Contract, check, parse_contract
from fedscore.errors import ContractError

ALL = 'given = "agreed"\nscope = "what"\nscopes = ["scoring", "all"]\nfrom = "since"\nuntil = "until"\n'
LEAST = 'given = "agreed"\n'


@pytest.fixture
def text(tiny_text: str) -> str:
    return tiny_text.replace("row_cap = 4000", 'row_cap = 4000\nperson = "customer"')


def consenting(text: str, entries: str) -> str:
    return f"{text}\n[consent]\n{entries}"


@pytest.mark.parametrize("entries", [ALL, LEAST, LEAST + 'until = "until"\n', LEAST + 'from = "since"\n'])
def test_sound_columns_have_no_findings(text: str, entries: str) -> None:
    assert check(consenting(text, entries)) == ()


def test_the_columns_are_known_by_their_entries(text: str) -> None:
    terms = parse_contract(consenting(text, ALL)).consent
    assert terms is not None
    assert terms.columns == {"given": "agreed", "scope": "what", "from": "since", "until": "until"}
    assert parse_contract(text).consent is None
    least = parse_contract(consenting(text, LEAST)).consent
    assert least is not None
    assert (least.columns, least.scopes) == ({"given": "agreed"}, ())


MISTAKES = {
    "nothing given": ('until = "until"\n', "[consent]", "given is missing: add it. The column that says"),
    "scope alone": (LEAST + 'scope = "what"\n', "scope =", 'as scopes = ["credit scoring"]'),
    "scopes alone": (LEAST + 'scopes = ["all"]\n', "scopes =", "name it as scope, or remove scopes"),
    "no scope": (LEAST + 'scope = "what"\nscopes = []\n', "scope =", "needs the texts that allow use"),
    "empty scope": (
        LEAST + 'scope = "what"\nscopes = ["b", "", "a"]\n',
        "scopes =",
        "text that is not empty",
    ),
    "scope twice": (
        LEAST + 'scope = "what"\nscopes = ["b", "a", "b"]\n',
        "scopes =",
        "scope b is named twice: keep one of them",
    ),
    "characteristic": (
        'given = "utilisation"\n',
        "given =",
        "column utilisation already is characteristic utilisation: name a column that speaks of consent",
    ),
    "id": (LEAST + 'until = "id"\n', "until =", "column id already identifies rows"),
    "person": (LEAST + 'from = "customer"\n', "from =", "column customer already identifies persons"),
    "outcome": ('given = "y"\n', "given =", "column y already holds the outcome"),
    "itself": (LEAST + 'until = "agreed"\n', "until =", "column agreed already is what given reads"),
    "one column of dates": (
        LEAST + 'from = "day"\nuntil = "day"\n',
        "until =",
        "column day already is what from reads",
    ),
    "number": (LEAST + "from = 7\n", "from =", "must be text in quotes. The column with the first day"),
    "empty column": ('given = ""\n', "given =", "must be text that is not empty"),
    "Python's name": (LEAST + 'since = "since"\n', "since =", "there is no entry since here"),
    "unknown entry": (
        LEAST + 'untill = "x"\n',
        "untill",
        "did you mean until?): remove it; there may be given",
    ),
    "no table": ("", "[consent]", "given is missing"),
}


@pytest.mark.parametrize(("entries", "marker", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_line(text: str, entries: str, marker: str, message: str) -> None:
    whole = consenting(text, entries)
    [found] = check(whole)
    assert message in found.message
    assert marker in whole.splitlines()[(found.line or 0) - 1]
    with pytest.raises(ContractError, match=f"line {found.line}, consent"):
        parse_contract(whole)


def test_entries_are_told_as_the_file_calls_them(text: str) -> None:
    [found] = check(consenting(text, LEAST + 'untill = "x"\n'))
    assert found.message.endswith("there may be given, scope, scopes, from, until")


def test_every_term_changes_the_hash_and_the_order_of_scopes_does_not(text: str) -> None:
    variants = ["", LEAST, ALL, ALL.replace("since", "begun"), ALL.replace('"all"', '"any"')]
    texts = [consenting(text, entries) if entries else text for entries in variants]
    assert len({parse_contract(one).hash() for one in texts}) == len(texts)
    turned = consenting(text, ALL.replace('["scoring", "all"]', '["all", "scoring"]'))
    assert parse_contract(turned).hash() == parse_contract(consenting(text, ALL)).hash()


def test_a_contract_with_consent_survives_being_changed_and_written(text: str) -> None:
    contract = parse_contract(consenting(text, ALL))
    assert contract.with_privacy(epsilon=2.0).consent == contract.consent
    assert Contract.model_validate_json(contract.model_dump_json()).hash() == contract.hash()
    assert contract.model_dump(mode="json")["consent"]["from"] == "since"
