"""What one training of an experiment gives."""

from __future__ import annotations

from dataclasses import dataclass

from fedscore.learners.program import Trained
from simulations.results import PartyRun, Run
from simulations.timings import Timing

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a job gave.

    Attributes:
        run: The row of the results.
        timing: How long it took.
        parties: What it is worth to each party, for the scenario's own runs and for local training alone.
        trained: The card or the model, of federated runs alone.
    """

    run: Run
    timing: Timing
    parties: tuple[PartyRun, ...] = ()
    trained: Trained | None = None
