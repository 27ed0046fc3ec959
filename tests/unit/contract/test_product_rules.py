"""What must hold of grades, evaluation, groups and monitoring: every mistake with its line and remedy."""

from __future__ import annotations

import pytest

from fedscore.contract import Contract, check, parse_contract
from fedscore.errors import ContractError
from tests.evaluations import PRODUCT

GRADES = '[grades]\nnames = ["A", "B", "C", "D"]\nlargest_bad_rates = [0.1, 0.25, 0.45]\n'
EVALUATION = "[evaluation]\nalert_rates = [0.05, 0.2]\n"
SEGMENT = '[[groups]]\nof = "segment"\nlevels = ["card"]\n'
LATE = '[[groups]]\nof = "late_payments"\nedges = [0.5, 1.5]\n'


@pytest.fixture
def text(tiny_text: str) -> str:
    return tiny_text + PRODUCT


def test_a_sound_contract_has_no_findings(text: str) -> None:
    assert [finding for finding in check(text) if finding.line is not None] == []
    contract = parse_contract(text)
    assert contract.grades is not None
    assert contract.evaluation is not None
    assert contract.grades.largest_bad_rates == (0.1, 0.25, 0.45)
    assert contract.evaluation.alert_rates == (0.05, 0.2)
    assert [side.of for side in contract.groups] == ["segment", "late_payments"]


# What is replaced by what, on which line the finding is, and what it says.
MISTAKES = {
    "a grade twice": (
        '["A", "B", "C", "D"]',
        '["A", "B", "B", "D"]',
        "names",
        "grade B is named twice: keep",
    ),
    "too many alert rates": (
        "[0.05, 0.2]",
        f"[{', '.join(f'0.{number}' for number in range(11, 22))}]",
        "alert_rates",
        "an array of at most 10",
    ),
    "one grade": ('["A", "B", "C", "D"]', '["A"]', "names", "an array of at least 2"),
    "an empty name": ('["A", "B", "C", "D"]', '["A", "B", "C", ""]', "names", "text that is not empty"),
    "neither rates nor shares": (
        "largest_bad_rates = [0.1, 0.25, 0.45]\n",
        "",
        "[grades]",
        "give largest_bad_rates or shares, one of the two",
    ),
    "both rates and shares": (
        "largest_bad_rates = [0.1, 0.25, 0.45]\n",
        "largest_bad_rates = [0.1, 0.25, 0.45]\nshares = [0.1, 0.25, 0.45]\n",
        "[grades]",
        "give largest_bad_rates or shares, one of the two",
    ),
    "too few rates": (
        "[0.1, 0.25, 0.45]",
        "[0.1, 0.25]",
        "largest_bad_rates",
        "4 grades need 3 entries, for the last one takes the rest: there are 2",
    ),
    "too many shares": (
        "largest_bad_rates = [0.1, 0.25, 0.45]",
        "shares = [0.1, 0.2, 0.3, 0.4]",
        "shares",
        "4 grades need 3 entries, for the last one takes the rest: there are 4",
    ),
    "rates fall": (
        "[0.1, 0.25, 0.45]",
        "[\n0.1,\n0.45,\n0.25,\n]",
        "0.25,",
        "0.25 follows 0.45: bad rates must increase strictly",
    ),
    "rates repeat": ("[0.1, 0.25, 0.45]", "[\n0.1,\n0.10,\n0.45,\n]", "0.10,", "0.1 follows 0.1"),
    "a rate of 1": ("0.45]", "1.0]", "largest_bad_rates", "below 1"),
    "a rate of 0": ("[0.1, 0.25", "[0.0, 0.25", "largest_bad_rates", "above 0"),
    "shares of everybody": (
        "largest_bad_rates = [0.1, 0.25, 0.45]",
        "shares = [0.3, 0.3, 0.4]",
        "shares",
        "the shares add up to 1 and leave nothing for the last grade: they must add up to less than 1",
    ),
    "nothing for the sum of scores": (
        "[0.1, 0.25, 0.45]\n",
        "[0.1, 0.25, 0.45]\nbudget_share = 0.0\n",
        "budget_share",
        "0.001",
    ),
    "next to nothing for the sum of scores": (
        "[0.1, 0.25, 0.45]\n",
        "[0.1, 0.25, 0.45]\nbudget_share = 1e-7\n",
        "budget_share",
        "0.001",
    ),
    "most for the sum of scores": (
        "[0.1, 0.25, 0.45]\n",
        "[0.1, 0.25, 0.45]\nbudget_share = 0.6\n",
        "budget_share",
        "0.5",
    ),
    "an unknown entry": (
        "[0.1, 0.25, 0.45]\n",
        "[0.1, 0.25, 0.45]\nname = 3\n",
        "name = 3",
        "did you mean names",
    ),
    "an alert rate twice": (
        "[0.05, 0.2]",
        "[0.05, 0.05]",
        "alert_rates",
        "alert rate 0.05 is named twice: keep one of them",
    ),
    "an alert rate of 1": ("[0.05, 0.2]", "[0.05, 1.0]", "alert_rates", "below 1"),
    "nothing kept for testing": (
        "test_share = 0.3",
        "test_share = 0.0",
        "[evaluation]",
        "nothing is kept for testing, so nothing can be evaluated: set split.test_share above 0, or",
    ),
    "groups without an evaluation": (
        EVALUATION,
        "",
        "[[groups]]",
        "groups are compared by evaluation alone: add a table [evaluation]",
    ),
    "groups twice": (
        LATE,
        SEGMENT + "# again\n",
        None,
        "groups of segment are named twice: keep one of them",
    ),
    "groups of what is not there": (
        '[[groups]]\nof = "segment"',
        '[[groups]]\nof = "segmemt"',
        '"segmemt"',
        "did you mean segment",
    ),
    "levels that the characteristic does not name": (
        'of = "segment"\nlevels = ["card"]',
        'of = "segment"\nlevels = ["cart"]',
        '"cart"',
        "cart",
    ),
    "edges that the grid does not name": (
        "edges = [0.5, 1.5]\n",
        "edges = [1.5, 0.5]\n",
        "[1.5, 0.5]",
        "0.5 follows 1.5",
    ),
    "levels of a number": (
        'of = "late_payments"\nedges = [0.5, 1.5]',
        'of = "late_payments"\nlevels = ["few"]',
        "few",
        "edges",
    ),
    "grades of another learner": (
        'purpose = "tests"\n',
        'purpose = "tests"\nlearner = "neural"\n',
        "[grades]",
        'these terms belong to learner = "scorecard": remove them',
    ),
    "an evaluation of another learner": (
        'purpose = "tests"\n',
        'purpose = "tests"\nlearner = "neural"\n',
        "[evaluation]",
        'these terms belong to learner = "scorecard": remove them',
    ),
    "groups of another learner": (
        'purpose = "tests"\n',
        'purpose = "tests"\nlearner = "neural"\n',
        "[[groups]]",
        'these terms belong to learner = "scorecard": remove them',
    ),
    "monitoring without its card": (
        'purpose = "tests"\n',
        'purpose = "tests"\nlearner = "monitoring"\n',
        "learner",
        'learner = "monitoring" needs the card that is watched: add a table [monitoring]',
    ),
    "a card to watch of another learner": (
        "[evaluation]",
        f'[monitoring]\ncard = "{"5e" * 32}"\n\n[evaluation]',
        "[monitoring]",
        'this belongs to learner = "monitoring": say so, or remove it',
    ),
}


@pytest.mark.parametrize(("old", "new", "on", "says"), MISTAKES.values(), ids=MISTAKES)
def test_every_mistake_has_its_line(text: str, old: str, new: str, on: str | None, says: str) -> None:
    assert text.count(old) == 1, f"{old!r} must occur once to be replaced"
    wrong = text.replace(old, new)
    findings = [finding for finding in check(wrong) if says in finding.message]
    assert findings, [finding.message for finding in check(wrong)]
    if on is not None:
        lines = [number for number, line in enumerate(wrong.splitlines(), start=1) if on in line]
        assert any(finding.line in lines for finding in findings)
    with pytest.raises(ContractError):
        parse_contract(wrong)


@pytest.mark.parametrize("left_out", [GRADES, EVALUATION + "\n" + SEGMENT + "\n" + LATE, SEGMENT, LATE])
def test_each_part_may_be_left_out(text: str, left_out: str) -> None:
    assert text.count(left_out) == 1
    parse_contract(text.replace(left_out, ""))


def test_what_is_said_of_the_score_is_in_the_hash(text: str) -> None:
    changes = [
        (GRADES, ""),
        ("0.25", "0.26"),
        ('"C"', '"E"'),
        (LATE, ""),
        ("alert_rates = [0.05, 0.2]", ""),
        ("[0.5, 1.5]", "[0.5]"),
        ("0.45]\n", "0.45]\nbudget_share = 0.1\n"),
    ]
    hashes = {parse_contract(text.replace(*change, 1)).hash() for change in changes}
    assert len(hashes | {parse_contract(text).hash()}) == len(changes) + 1


def test_a_contract_that_says_nothing_of_it_has_the_hash_that_it_had(tiny_text: str) -> None:
    plain = parse_contract(tiny_text)
    assert (plain.grades, plain.evaluation, plain.groups, plain.monitoring) == (None, None, (), None)
    told = plain.model_dump()
    assert Contract.model_validate(told).hash() == plain.hash()
