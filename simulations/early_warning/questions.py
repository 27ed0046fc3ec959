"""What is asked at one horizon: who trains on what, and on which later rows the answer is measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.errors import ScenarioError

__all__ = ["HORIZONS", "Question", "with_outcome"]

HORIZONS = (7, 15, 30)
"""Days: the trade's usual three."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """One horizon.

    Attributes:
        horizon_days: The horizon.
        contract: With this horizon's outcome, and a roster.
        training: Training rows by party; every label was known before the first test row's day.
        test: Later rows by party.
        lead_days: Days from a test row's own day to the event, by party, in the order of `test`; NaN where
            there is no event within the horizon.

    Raises:
        ScenarioError: Parties differ, or events do not agree with outcomes: that is a defect.
    """

    horizon_days: int
    contract: Contract
    training: Mapping[str, Rows]
    test: Mapping[str, Rows]
    lead_days: Mapping[str, npt.NDArray[np.float64]]

    def __post_init__(self) -> None:
        names = list(self.contract.parties_by_name)
        if not names == list(self.training) == list(self.test) == list(self.lead_days):
            raise ScenarioError("parties of training and test are not those of the roster: this is a defect")
        for party, rows in self.test.items():
            if not np.array_equal(np.isfinite(self.lead_days[party]), rows.outcome == 1):
                raise ScenarioError(f"events of {party} do not agree with its outcomes: this is a defect")

    @property
    def pooled_training(self) -> Rows:
        """Training rows of all parties, party by party."""
        return Rows.concatenate(list(self.training.values()))

    @property
    def pooled_test(self) -> Rows:
        """Test rows of all parties, party by party."""
        return Rows.concatenate(list(self.test.values()))

    @property
    def pooled_lead_days(self) -> npt.NDArray[np.float64]:
        """As `lead_days`, in the order of `pooled_test`."""
        return np.concatenate(list(self.lead_days.values()))


def with_outcome(contract: Contract, *, definition: str, bucket: str, horizon_days: int) -> Contract:
    """The same contract about another outcome.

    Args:
        contract: Any.
        definition: When a row counts as bad.
        bucket: The bucket of delinquency.
        horizon_days: After how many days the outcome is known.

    Raises:
        ContractError: No contract may say that.
    """
    document = json.loads(contract.model_dump_json())
    document["outcome"] |= {"definition": definition, "bucket": bucket, "horizon_days": horizon_days}
    return Contract.model_validate_json(json.dumps(document))
