"""Superlender's rows: what was known at approval, and nothing of what came after."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.contract import FindingLevel, Role, check
from fedscore.errors import DataError, ScenarioError
from simulations.early_warning import superlender
from simulations.early_warning.loan_rows import LoanRow, loan_rows, row_as_of_approval, rows_table
from simulations.early_warning.loans import (
    HISTORY,
    PEOPLE,
    Loan,
    Person,
    find_folder,
    read_loans,
    read_people,
)
from simulations.early_warning.questions import HORIZONS
from simulations.early_warning.superlender import (
    LAST_DAY,
    NO_BANK,
    TEST_FROM,
    measures_on,
    party_of,
    superlender_contract,
    superlender_questions,
    trains_on,
)

CONTRACT = Path(superlender.__file__).parents[1] / "contracts" / "superlender.toml"
START = dt.datetime(2016, 3, 1, 12)  # noqa: DTZ001 - the file's times have no zone


def loan(name: str, day: float, *, late: int = 0, term: int = 30, amount: float = 10_000.0) -> Loan:
    approved = START + dt.timedelta(days=day)
    due = approved.date() + dt.timedelta(days=term)
    first = approved.date() + dt.timedelta(days=min(term, 30))
    closed = dt.datetime.combine(due, dt.time(9)) + dt.timedelta(days=late)
    return Loan(
        loan_id=name,
        customer="c",
        approved=approved,
        first_due=first,
        closed=closed,
        amount=amount,
        total_due=1.3 * amount,
        term_days=term,
    )


some_loans = st.lists(
    st.tuples(
        st.integers(0, 400), st.integers(-20, 90), st.sampled_from([15, 30, 60, 90]), st.integers(1, 6)
    ),
    min_size=1,
    max_size=8,
).map(
    lambda drawn: [
        loan(str(place), day, late=max(late, 1 - term), term=term, amount=5_000.0 * steps)
        for place, (day, late, term, steps) in enumerate(drawn)
    ]
)


def as_of(one: Loan, moment: dt.datetime, days: int) -> Loan | None:
    """The loan with whatever was dated on `moment` or later changed; None for one that was not there."""
    if one.approved >= moment:
        return None
    if one.closed >= moment:
        # It was open: when it would be closed, nobody knew.
        return replace(one, closed=moment + dt.timedelta(days=days))
    return one


@given(some_loans, st.integers(0, 7), st.integers(0, 500), st.integers(1, 9))
def test_nothing_dated_after_the_approval_changes_a_row(
    loans: list[Loan], which: int, days: int, steps: int
) -> None:
    mine = loans[which % len(loans)]
    others = [one for one in loans if one is not mine]
    row = row_as_of_approval(mine, others, None)
    past = [as_of(one, mine.approved, days) for one in others]
    kept = [one for one in past if one is not None]
    later = [loan(f"later {n}", 401 + n, late=days, amount=5_000.0 * steps) for n in range(2)]
    changed = replace(mine, closed=mine.approved + dt.timedelta(days=days + 1))
    assert row_as_of_approval(changed, [*later, *kept], None) == row


@given(some_loans)
def test_the_order_of_loans_changes_nothing(loans: list[Loan]) -> None:
    mine, *others = loans
    assert row_as_of_approval(mine, others, None) == row_as_of_approval(mine, others[::-1], None)


def test_what_was_known_before_does_change_a_row() -> None:
    """The property above is no accident of a row that never changes."""
    mine, before = loan("b", 100), loan("a", 0, late=10)
    assert row_as_of_approval(mine, [before], None) != row_as_of_approval(mine, [], None)
    assert row_as_of_approval(mine, [before], None) != row_as_of_approval(
        mine, [replace(before, closed=before.closed + dt.timedelta(days=1))], None
    )


def test_a_row_by_hand() -> None:
    mine = loan("d", 200, term=15, amount=20_000.0)
    others = [loan("a", 0, late=-10), loan("b", 60, late=9), loan("c", 190, late=0), loan("e", 201)]
    row = row_as_of_approval(mine, others, Person(bank="GT Bank", age=31))
    assert row == LoanRow(
        loan_id="d",
        customer_id="c",
        loan_amount=20_000.0,
        total_due=26_000.0,
        term_days=15,
        loans_before=2,
        late_before=1,
        months_known=200 / (365.25 / 12),
        # Approved on day 60 at noon, due after 30 days, closed 9 days later at 9 o'clock.
        days_since_closed=math.floor(200.5 - (60 + 30 + 9 + 9 / 24)),
        last_days_late=9,
        worst_days_late=9,
        age=31,
    )


def test_a_loan_closed_at_the_very_moment_of_the_approval_is_not_known() -> None:
    before = loan("a", 0)
    mine = replace(loan("b", 60), approved=before.closed)
    assert row_as_of_approval(mine, [before], None).loans_before == 0
    a_second_later = replace(mine, approved=before.closed + dt.timedelta(seconds=1))
    assert row_as_of_approval(a_second_later, [before], None).loans_before == 1


@pytest.mark.parametrize(("term", "days"), [(15, 15), (30, 30), (60, 60), (90, 90)])
def test_the_whole_loan_is_due_with_its_last_instalment(term: int, days: int) -> None:
    one = loan("a", 0, term=term, late=4)
    assert one.due == one.approved.date() + dt.timedelta(days=days)
    assert one.days_late == 4
    assert one.event_day(7) == one.due + dt.timedelta(days=7)


@pytest.mark.parametrize("horizon", HORIZONS)
@given(one=some_loans.map(lambda loans: loans[0]), days=st.integers(1, 900))
def test_when_a_loan_was_closed_decides_nothing_of_where_it_is_used(
    one: Loan, days: int, horizon: int
) -> None:
    """Else late loans would be missing where they are trained on, and early ones where they are measured."""
    other = replace(one, closed=one.approved + dt.timedelta(days=days))
    assert trains_on(one, horizon) == trains_on(other, horizon)
    assert measures_on(one, horizon) == measures_on(other, horizon)


@pytest.mark.parametrize("horizon", HORIZONS)
def test_trained_outcomes_are_certain_before_the_test_begins(horizon: int) -> None:
    loans = [loan(str(day), day, term=term) for day in range(520) for term in (15, 30, 60, 90)]
    trained, tested = (
        {one.loan_id for one in loans if side(one, horizon)} for side in (trains_on, measures_on)
    )
    assert trained
    assert tested
    assert trained.isdisjoint(tested)
    for one in loans:
        if trains_on(one, horizon):
            assert one.approved.date() < TEST_FROM
            assert one.due + dt.timedelta(days=horizon) < TEST_FROM
        if measures_on(one, horizon):
            assert one.approved.date() >= TEST_FROM
            assert one.due + dt.timedelta(days=horizon) <= LAST_DAY


def made_up(customers: int, seed: int) -> tuple[list[Loan], dict[str, Person]]:
    """Customers of three banks and of none, from 2016-03 to 2017-06; some are mostly late."""
    generator = np.random.default_rng(seed)
    loans, people = [], {}
    for number in range(customers):
        name, day = f"customer {number}", float(generator.integers(0, 200))
        bank = [None, "GT Bank", "UBA", "First Bank"][number % 4]
        if number % 5:
            people[name] = Person(bank=bank, age=20 + number % 40)
        careless = generator.random() < 0.3
        while day < 420:
            late = int(generator.exponential(15)) if careless else int(generator.integers(-10, 2))
            drawn = loan(f"{number}-{day:.0f}", day, late=late)
            loans.append(replace(drawn, customer=name))
            day += float((drawn.closed - drawn.approved).days + generator.integers(1, 30))
    return loans, people


def test_questions_label_by_days_late_and_lead_to_the_day_of_the_event() -> None:
    loans, people = made_up(150, 1)
    by_id = {one.loan_id: one for one in loans}
    for question in superlender_questions(loans, people):
        rows, lead = question.pooled_test, question.pooled_lead_days
        assert 0 < rows.outcome.sum() < len(rows)
        for name, bad, days in zip(rows.ids, rows.outcome, lead, strict=True):
            one = by_id[str(name)]
            assert bad == (one.days_late >= question.horizon_days)
            if bad:
                assert days == 30 + question.horizon_days
        assert {str(name) for name in rows.ids} == {
            one.loan_id for one in loans if measures_on(one, question.horizon_days)
        }
        trained = {str(name) for name in question.pooled_training.ids}
        assert trained <= {one.loan_id for one in loans if trains_on(one, question.horizon_days)}
        per_person: dict[str, int] = {}
        for person in question.pooled_training.persons:
            per_person[str(person)] = per_person.get(str(person), 0) + 1
        assert max(per_person.values()) <= question.contract.rows.rows_per_person


def test_everybody_is_at_one_party_and_nobody_is_left_out() -> None:
    loans, people = made_up(60, 2)
    [question, *_] = superlender_questions(loans, people)
    known = {"GT Bank": "gt-bank", "UBA": "uba", "First Bank": "first-bank"}
    for party, rows in question.test.items():
        for person in rows.persons:
            bank = people[person].bank if person in people else None
            assert party == known.get(bank or "", NO_BANK)
    assert len(question.test[NO_BANK]) > 0


def test_a_later_payment_changes_labels_and_no_cell_of_the_same_loan() -> None:
    loans, people = made_up(60, 3)
    last: dict[str, Loan] = {}
    for one in loans:
        last[one.customer] = one
    # The last loan of each customer is nobody's history.
    shifted = [
        replace(one, closed=one.closed + dt.timedelta(days=60)) if last[one.customer] is one else one
        for one in loans
    ]
    before, after = (superlender_questions(some, people)[0] for some in (loans, shifted))
    assert np.array_equal(before.pooled_test.cells, after.pooled_test.cells)
    assert before.pooled_test.outcome.sum() < after.pooled_test.outcome.sum()


def test_a_bank_that_is_not_on_the_roster_is_refused() -> None:
    contract = superlender_contract(7)
    assert party_of(None, contract) == party_of(Person(bank=None, age=None), contract) == NO_BANK
    assert party_of(Person(bank="Standard  Chartered", age=None), contract) == "standard-chartered"
    with pytest.raises(DataError, match="not on the roster") as caught:
        party_of(Person(bank="Bank of Nowhere", age=None), contract)
    assert "Nowhere" not in str(caught.value)


def test_the_contract_is_sound_and_made_of_the_rows_columns() -> None:
    findings = check(CONTRACT.read_text(encoding="utf-8"))
    assert not [one for one in findings if one.level is FindingLevel.ERROR]
    contract = superlender_contract(15)
    assert set(contract.source_columns(Role.PLATFORM)) <= set(LoanRow.__slots__)
    assert {contract.rows.id, contract.rows.person} <= set(LoanRow.__slots__)
    assert NO_BANK in contract.parties_by_name
    # Grids are of round numbers; the ones that are no whole numbers are shares.
    edges = [edge for item in contract.characteristics for edge in item.edges]
    assert all(edge == round(edge) for edge in edges)


def test_a_table_without_rows_has_the_columns() -> None:
    assert rows_table([], []).column_names == [*LoanRow.__slots__, "y"]


def write(loans: Sequence[Loan], people: dict[str, Person], folder: Path) -> None:
    """The two files as the lender wrote them, with a column that nobody reads."""
    history: dict[str, Any] = {
        "systemloanid": [one.loan_id for one in loans],
        "customerid": [one.customer for one in loans],
        "approveddate": [one.approved for one in loans],
        "firstduedate": [dt.datetime.combine(one.first_due, dt.time()) for one in loans],
        "closeddate": [one.closed for one in loans],
        "loanamount": [one.amount for one in loans],
        "totaldue": [one.total_due for one in loans],
        "termdays": [one.term_days for one in loans],
        "loannumber": list(range(len(loans))),
    }
    table = {
        "customerid": [*people, *people],
        "bank_name_clients": [*(one.bank for one in people.values()), *(["Nowhere"] * len(people))],
        "age": [*(one.age for one in people.values()), *([99] * len(people))],
    }
    pq.write_table(pa.table(history), folder / HISTORY)
    pq.write_table(pa.table(table), folder / PEOPLE)


def test_files_are_read_as_they_were_written_and_first_lines_count(tmp_path: Path) -> None:
    loans, people = made_up(20, 4)
    write(loans, people, tmp_path)
    assert list(read_loans(tmp_path / HISTORY)) == loans
    assert read_people(tmp_path / PEOPLE) == people


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    loans, people = made_up(5, 5)
    write(loans, people, tmp_path)
    table = pq.read_table(tmp_path / HISTORY)
    pq.write_table(table.drop_columns(["closeddate"]), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="lacks the columns closeddate"):
        read_loans(tmp_path / "a.parquet")
    empty = pa.nulls(len(table), table["closeddate"].type)
    place = table.column_names.index("closeddate")
    pq.write_table(table.set_column(place, "closeddate", empty), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=f"{len(table)} loans lack a date"):
        read_loans(tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="must be a Parquet file"):
        read_people(tmp_path / "c.parquet")


def test_the_folder_is_looked_up_where_it_is_documented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with pytest.raises(ScenarioError, match="--data FOLDER") as caught:
        find_folder(None, {"FEDSCORE_DATA": "elsewhere"})
    assert "- elsewhere" in str(caught.value)
    shared = tmp_path / "shared" / "data"
    shared.mkdir(parents=True)
    write(*made_up(3, 6), shared)
    assert find_folder(None, {}).resolve() == shared
    assert find_folder(shared, {}) == shared
    with pytest.raises(ScenarioError, match="not found"):
        find_folder(tmp_path, {})


def test_the_real_files_fit(shared_data: Path) -> None:
    if not (shared_data / HISTORY).is_file():
        pytest.skip(f"{HISTORY} is not in shared/data")
    loans, people = read_loans(shared_data / HISTORY), read_people(shared_data / PEOPLE)
    assert (len(loans), len({one.customer for one in loans})) == (18_183, 4_359)
    assert all(abs((one.due - one.approved.date()).days - one.term_days) <= 10 for one in loans)
    contract = superlender_contract(7)
    banks = {party_of(people.get(one.customer), contract) for one in loans}
    assert banks == set(contract.parties_by_name)
    rows = loan_rows(loans, people)
    assert sum(row.loans_before == 0 for row in rows) >= 4_359
    assert all((row.last_days_late is None) == (row.loans_before == 0) for row in rows)
