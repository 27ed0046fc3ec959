"""The consortium's questions: which day is what, and that nothing of later days is trained on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from clients.platform.rows import GRACE_DAYS
from fedscore.contract import Contract, Role
from fedscore.errors import ScenarioError
from simulations.early_warning.consortium import (
    BROADEST,
    TEST_DAY,
    TRAINING_DAY,
    consortium_contract,
    consortium_questions,
)
from simulations.early_warning.events import first_events
from simulations.early_warning.questions import HORIZONS, Question
from simulations.synthetic import SyntheticConsortium, make_consortium


@pytest.fixture(scope="module")
def consortium() -> SyntheticConsortium:
    return make_consortium(people=3000, seed=11)


@pytest.fixture(scope="module")
def questions(consortium: SyntheticConsortium) -> tuple[Question, ...]:
    return consortium_questions(consortium)


@pytest.mark.parametrize("as_of", [TRAINING_DAY, TEST_DAY])
@pytest.mark.parametrize("horizon", [1, *HORIZONS])
def test_events_are_the_outcomes_of_the_rows(
    consortium: SyntheticConsortium, as_of: dt.date, horizon: int
) -> None:
    some = 0
    for party in consortium.parties:
        seen = horizon + (GRACE_DAYS if party.role is Role.PLATFORM else 0)
        rows = party.rows(as_of=as_of, horizon_days=seen).select(["id", "y"]).to_pydict()
        # The longest horizon's events say by their day which shorter horizons they are in.
        events = first_events(party.tables, party.role, as_of=as_of, horizon_days=max(HORIZONS))
        assert rows["y"] == [int(events.get(one, horizon) < horizon) for one in rows["id"]]
        assert all(0 <= day < max(HORIZONS) for day in events.values())
        some += sum(rows["y"])
    assert some > 0


def test_every_outcome_of_the_training_is_known_before_the_test_day(
    questions: tuple[Question, ...],
) -> None:
    assert max(question.contract.outcome.horizon_days for question in questions) == max(HORIZONS) + GRACE_DAYS
    for question in questions:
        assert TRAINING_DAY + dt.timedelta(days=question.contract.outcome.horizon_days) <= TEST_DAY


def test_nothing_from_the_test_day_on_changes_what_is_trained_on(
    consortium: SyntheticConsortium, questions: tuple[Question, ...]
) -> None:
    parties = tuple(replace(party, tables=until(TEST_DAY, party.tables)) for party in consortium.parties)
    cut = consortium_questions(replace(consortium, parties=parties))
    changed = 0
    for question, other in zip(questions, cut, strict=True):
        for party, rows in question.training.items():
            assert np.array_equal(rows.cells, other.training[party].cells)
            assert np.array_equal(rows.outcome, other.training[party].outcome)
            assert rows.ids.tolist() == other.training[party].ids.tolist()
            changed += int(question.test[party].outcome.sum() != other.test[party].outcome.sum())
    assert changed > 0


def until(day: dt.date, tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The tables as they were on the evening before a day."""
    started = {
        "accounts": "opened_on",
        "orders": "ordered_at",
        "refunds": "refunded_at",
        "logins": "at",
        "repayments": "due_on",
        "cases": "opened_on",
        "contacts": "at",
        "promises": "made_on",
    }
    limit = pa.scalar(day, pa.date32())
    cut = {}
    for name, table in tables.items():
        column = "paid_on" if name == "repayments" and "case_id" in table.column_names else started[name]
        kept = table.filter(pc.less(table[column].cast(pa.date32()), limit))
        for ended in {"paid_on", "closed_on"} & set(kept.column_names):
            later = pc.greater_equal(kept[ended], limit)
            kept = set_to_nothing(kept, ended, later)
            if "amount_paid" in kept.column_names:
                kept = set_to_nothing(kept, "amount_paid", later)
        cut[name] = kept
    for child in ("contacts", "promises", "repayments"):
        if "cases" in cut and child in cut:
            known = pc.is_in(
                cut[child]["case_id"].cast(pa.string()), cut["cases"]["case_id"].cast(pa.string())
            )
            cut[child] = cut[child].filter(known)
    return cut


def set_to_nothing(table: pa.Table, name: str, where: pa.ChunkedArray) -> pa.Table:
    column = pc.if_else(pc.fill_null(where, False), pa.scalar(None, table[name].type), table[name])
    return table.set_column(table.column_names.index(name), name, column)


def test_nobody_is_trained_on_and_measured(questions: tuple[Question, ...]) -> None:
    for question in questions:
        assert set(question.pooled_training.persons).isdisjoint(question.pooled_test.persons)


def test_a_longer_horizon_has_the_shorter_ones_events(questions: tuple[Question, ...]) -> None:
    assert [question.horizon_days for question in questions] == list(HORIZONS)
    for shorter, longer in pairwise(questions):
        assert (longer.pooled_test.outcome >= shorter.pooled_test.outcome).all()
        assert longer.pooled_test.outcome.sum() > shorter.pooled_test.outcome.sum()
        bad = shorter.pooled_test.outcome == 1
        assert np.array_equal(longer.pooled_lead_days[bad], shorter.pooled_lead_days[bad])
        assert np.array_equal(longer.pooled_test.cells, shorter.pooled_test.cells)
    assert questions[-1].horizon_days == BROADEST


def test_events_that_do_not_agree_with_outcomes_are_a_defect(questions: tuple[Question, ...]) -> None:
    question = questions[0]
    lead = {party: np.zeros_like(days) for party, days in question.lead_days.items()}
    with pytest.raises(ScenarioError, match="do not agree"):
        replace(question, lead_days=lead)
    with pytest.raises(ScenarioError, match="roster"):
        replace(question, lead_days={})


@pytest.mark.parametrize("horizon", HORIZONS)
def test_each_horizon_has_a_contract_of_its_own(horizon: int) -> None:
    contract: Contract = consortium_contract(horizon)
    assert f"within {horizon} days" in contract.outcome.definition
    others = {consortium_contract(other).hash() for other in HORIZONS}
    assert len(others) == 3
    assert contract.hash() in others
