from __future__ import annotations

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.contract import FindingLevel, ValueType, check, parse_contract
from fedscore.contract.column_hints import Column, ColumnKind, Use, grid_hint, is_coded, use_of
from fedscore.contract.proposal import Proposal, propose
from fedscore.contract.proposal_text import to_decide
from fedscore.errors import ContractError

SHOP = (
    Column(name="account_id", kind=ColumnKind.TEXT),
    Column(name="person_id", kind=ColumnKind.WHOLE),
    Column(name="opened_at", kind=ColumnKind.MOMENT),
    Column(name="age", kind=ColumnKind.WHOLE),
    Column(name="order amount (EUR)", kind=ColumnKind.NUMBER),
    Column(name="channel", kind=ColumnKind.TEXT),
    Column(name="profession_code", kind=ColumnKind.WHOLE),
    Column(name="is_new", kind=ColumnKind.TRUTH),
    Column(name="home_latitude", kind=ColumnKind.NUMBER),
    Column(name="tags", kind=ColumnKind.NESTED),
    Column(name="late_30", kind=ColumnKind.UNKNOWN),
    Column(name="bad", kind=ColumnKind.WHOLE),
)


def filled_in(text: str) -> str:
    """What a person would do, line by line."""
    answers = {
        'purpose = ""': 'purpose = "tests"',
        'definition = ""': 'definition = "30 days late"',
        'column = ""': 'column = "the outcome"',
        'bucket = ""': 'bucket = "30+"',
        "horizon_days = 0": "horizon_days = 90",
        'id = ""': 'id = "row"',
        "row_cap = 0": "row_cap = 1000",
        "edges = []": "edges = [1, 2, 3]",
        "levels = []": 'levels = ["a", "b"]',
        'type = ""': 'type = "category"\nlevels = ["a"]',
    }
    lines = text.splitlines()
    for number in to_decide(text):
        entry = lines[number - 1].partition("#")[0].strip()
        lines[number - 1] = answers[entry]
    return "\n".join(lines)


def errors_of(text: str) -> list[int | None]:
    return [finding.line for finding in check(text) if finding.level is FindingLevel.ERROR]


def left_out(proposal: Proposal) -> dict[str, str]:
    return {one.column: one.reason for one in proposal.left_out}


def test_what_is_refused_is_what_is_to_be_decided() -> None:
    proposal = propose(SHOP, name="shop")
    assert errors_of(proposal.text) == list(to_decide(proposal.text))
    # purpose, definition, bucket, horizon, which id, cap; age, amount, channel, code, the unknown type
    assert proposal.to_decide == 11


def test_filled_in_it_is_a_contract() -> None:
    contract = parse_contract(filled_in(propose(SHOP, name="shop").text))
    assert (contract.name, contract.outcome.column, contract.rows.id) == ("shop", "bad", "row")
    by_name = {item.name: item for item in contract.characteristics}
    assert list(by_name) == [
        "age",
        "order_amount_EUR_",
        "channel",
        "profession_code",
        "is_new",
        "late_30",
    ]
    assert by_name["order_amount_EUR_"].column == "order amount (EUR)"
    assert by_name["age"].whole
    assert by_name["profession_code"].type is ValueType.CATEGORY
    assert by_name["is_new"].levels == ("true", "false")
    assert contract.grades is not None
    assert contract.evaluation is not None
    assert contract.parties == ()


def test_what_is_offered_can_be_taken() -> None:
    text = propose(SHOP, name="shop").text
    known = {"consent", "groups", "parties", "scorecard"}
    for block in re.findall(r"^#: \[+(\w+)\]+$", text, flags=re.MULTILINE):
        assert block in known
    taken = filled_in(text).replace("#: person =", "person =").replace("#: rows_per", "rows_per")
    assert parse_contract(taken).rows.person == "person_id"
    given_up = text.replace("#: ", "").replace("test_share = 0.3", "test_share = 0.0")
    # Every offer taken at once is TOML still.
    assert tomllib.loads(given_up)["split"]["column"] == "opened_at"


def test_columns_that_are_left_out_say_why() -> None:
    reasons = left_out(propose(SHOP, name="shop"))
    assert list(reasons) == ["account_id", "person_id", "opened_at", "home_latitude", "tags"]
    assert "exact location" in reasons["home_latitude"]
    assert "identifier" in reasons["account_id"]
    assert "date" in reasons["opened_at"]
    text = propose(SHOP, name="shop").text
    assert all(f'# "{column}": {reason}.' in text for column, reason in reasons.items())


def test_fair_lending_is_warned_of_where_it_stands() -> None:
    text = propose(SHOP, name="shop").text
    warned = text.index("# Take care: it seems to be about age")
    assert 0 < text.index('name = "age"') - warned < 200


def test_one_plain_identifier_is_taken_and_a_shared_one_is_not() -> None:
    age = Column(name="age", kind=ColumnKind.WHOLE)

    def chosen(*names: str) -> str:
        ids = [Column(name=name, kind=ColumnKind.WHOLE) for name in names]
        return str(tomllib.loads(propose([*ids, age], name="x").text)["rows"]["id"])

    assert chosen("customerid") == "customerid"
    assert chosen("customer_id", "ID") == "ID"
    assert chosen("customer_id", "loan_id") == ""
    assert chosen("ID_SHOP") == ""
    assert chosen() == ""


def test_which_of_several_outcomes_is_meant_is_to_be_decided() -> None:
    columns = [
        Column(name="id", kind=ColumnKind.WHOLE),
        Column(name="age", kind=ColumnKind.WHOLE),
        Column(name="default_60", kind=ColumnKind.WHOLE),
        Column(name="default_90", kind=ColumnKind.WHOLE),
    ]
    open_ = propose(columns, name="x")
    assert tomllib.loads(open_.text)["outcome"]["column"] == ""
    assert 'perhaps "default_60", "default_90"' in open_.text
    decided = propose(columns, name="x", outcome="default_60")
    assert tomllib.loads(decided.text)["outcome"]["column"] == "default_60"
    # The other one would tell what is to be predicted.
    assert "outcome" in left_out(decided)["default_90"]
    assert decided.characteristics == ("age",)


def test_a_column_that_was_named_must_be_there() -> None:
    with pytest.raises(ContractError, match="no column 'agee' \\(did you mean age\\?\\)"):
        propose(SHOP, name="x", outcome="agee")
    with pytest.raises(ContractError, match="name two columns"):
        propose(SHOP, name="x", outcome="age", identifier="age")


def test_a_file_without_characteristics_is_refused() -> None:
    with pytest.raises(ContractError, match="no column is left"):
        propose([Column(name="id", kind=ColumnKind.WHOLE)], name="x")


def test_a_column_that_is_there_twice_is_no_characteristic() -> None:
    twice = [Column(name="age", kind=ColumnKind.UNKNOWN)] * 2
    proposal = propose([*twice, Column(name="income", kind=ColumnKind.UNKNOWN)], name="x")
    assert proposal.characteristics == ("income",)
    assert left_out(proposal) == {"age": "there more than once: keep the right one"}


def test_names_that_a_contract_does_not_take_are_changed_and_stay_apart() -> None:
    names = ["a b", "a_b", "a/b", "收入", "_", "x" * 100, "x" * 101, "y" * 300]
    columns = [Column(name=name, kind=ColumnKind.NUMBER) for name in names]
    proposal = propose(columns, name="…")
    contract = parse_contract(filled_in(proposal.text).replace('id = "row"', 'id = "row no"'))
    assert contract.name == "unnamed"
    assert [item.column for item in contract.characteristics] == names[:-1]
    assert len({item.name for item in contract.characteristics}) == len(names) - 1
    assert "longer than 256" in left_out(proposal)["y" * 300]


@given(
    st.lists(
        st.builds(Column, name=st.text(max_size=12), kind=st.sampled_from(ColumnKind)),
        min_size=1,
        max_size=8,
    ),
    st.text(max_size=10),
)
def test_whatever_columns_are_called_the_proposal_is_refused_for_its_todos_alone(
    columns: list[Column], name: str
) -> None:
    columns = [*columns, Column(name="months_known", kind=ColumnKind.NUMBER)]
    if [column.name for column in columns].count("months_known") > 1:
        return
    text = propose(columns, name=name).text
    tomllib.loads(text)
    assert errors_of(text) == list(to_decide(text))
    parse_contract(filled_in(text).replace('id = "row"', 'id = "row of the file"'))


@pytest.mark.parametrize(
    ("name", "kind", "use"),
    [
        ("customerid", ColumnKind.TEXT, Use.IDENTIFIER),
        ("systemloanid", ColumnKind.WHOLE, Use.IDENTIFIER),
        ("paid", ColumnKind.NUMBER, Use.CHARACTERISTIC),
        ("SeriousDlqin2yrs", ColumnKind.WHOLE, Use.OUTCOME),
        ("y", ColumnKind.WHOLE, Use.OUTCOME),
        ("late_rate", ColumnKind.NUMBER, Use.CHARACTERISTIC),
        ("created", ColumnKind.MOMENT, Use.DATE),
        ("signup_date", ColumnKind.TEXT, Use.DATE),
    ],
)
def test_uses_by_name(name: str, kind: ColumnKind, use: Use) -> None:
    assert use_of(Column(name=name, kind=kind)) is use


def test_codes_and_quantities_by_name() -> None:
    assert is_coded(Column(name="RESIDENCE_TYPE", kind=ColumnKind.WHOLE))
    assert not is_coded(Column(name="MONTHS_IN_RESIDENCE", kind=ColumnKind.WHOLE))
    hint = grid_hint("days_past_due")
    assert hint is not None
    assert hint.unit == "days"
    assert grid_hint("zebra") is None
