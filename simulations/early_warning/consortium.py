"""The questions of the synthetic consortium: trained as of one day, measured on others sixty days later.

What a horizon of H days asks is whether somebody will newly be in arrears: at a platform, whether an
instalment that falls due on one of the H days from the as-of date is not settled seven days later; at an
agency, whether a new case is opened on one of them. So a platform knows the outcome H + 7 days after the
as-of date, and an agency after H. An instalment that is overdue already as of the date is no part of the
outcome, only of the characteristics.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clients.platform.rows import GRACE_DAYS
from fedscore.contract import Contract, Party, Role, load_contract
from fedscore.data import Rows, rows_from_table, test_rows, training_rows
from simulations.early_warning.events import first_events
from simulations.early_warning.questions import HORIZONS, Question, with_outcome
from simulations.synthetic import AS_OF, SyntheticConsortium, SyntheticParty

__all__ = ["BROADEST", "TEST_DAY", "TRAINING_DAY", "consortium_contract", "consortium_questions"]

TEST_DAY = AS_OF
"""The day as of which rows are measured."""

TRAINING_DAY = TEST_DAY - dt.timedelta(days=60)
"""The day as of which rows are trained on; the longest horizon's outcome is known 23 days before the test."""

BROADEST = 30
"""Whoever is in arrears within a shorter horizon is so within this one, which has the most events."""

_CONTRACT = Path(__file__).parents[1] / "contracts" / "consortium.toml"


def consortium_contract(horizon_days: int) -> Contract:
    """The consortium's contract about one horizon: a card alone, as its worth is measured exactly."""
    return with_outcome(
        load_contract(_CONTRACT).with_evaluation(None).with_grades(None),
        definition=f"A payment becomes newly overdue within {horizon_days} days after the as-of date. "
        f"Platforms: an instalment falls due within them and is not settled {GRACE_DAYS} days later. "
        "Agencies: a client hands over a new case of the person within them.",
        bucket=f"{GRACE_DAYS + 1}+",
        horizon_days=horizon_days + GRACE_DAYS,
    )


def consortium_questions(consortium: SyntheticConsortium) -> tuple[Question, ...]:
    """One question per horizon; people who are measured were not trained on, and rows are of a later day.

    Args:
        consortium: Invented organisations.
    """
    roster = [Party(name=party.name, role=party.role) for party in consortium.parties]
    questions = []
    for horizon in HORIZONS:
        contract = consortium_contract(horizon).with_parties(roster)
        training, test, lead = {}, {}, {}
        for party in consortium.parties:
            training[party.name] = training_rows(_rows(party, contract, TRAINING_DAY, horizon), contract)
            rows = test_rows(_rows(party, contract, TEST_DAY, horizon), contract)
            test[party.name] = rows
            events = first_events(party.tables, party.role, as_of=TEST_DAY, horizon_days=horizon)
            lead[party.name] = _in_order(rows, events)
        questions.append(
            Question(horizon_days=horizon, contract=contract, training=training, test=test, lead_days=lead)
        )
    return tuple(questions)


def _rows(party: SyntheticParty, contract: Contract, as_of: dt.date, horizon: int) -> Rows:
    seen = horizon + GRACE_DAYS if party.role is Role.PLATFORM else horizon
    return rows_from_table(party.rows(as_of=as_of, horizon_days=seen), contract, role=party.role)


def _in_order(rows: Rows, events: Mapping[str, int]) -> npt.NDArray[np.float64]:
    return np.array([events.get(str(one), np.nan) for one in rows.ids], dtype=np.float64)
