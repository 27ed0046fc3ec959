"""How often parties were out of federated trainings by their last sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulations.results import Run

__all__ = ["Absences", "absent_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Absences:
    """Of all federated trainings together.

    Attributes:
        runs: Trainings that somebody was out of.
        of: All of them.
        most: Largest number of parties that were out of one of them.
        parties: Parties of that one's roster.
    """

    runs: int
    of: int
    most: int
    parties: int


def absent_of(runs: Sequence[Run]) -> Absences | None:
    """Count absences; None where everybody was there to the end.

    Args:
        runs: All of them; those that opened no sums do not count.
    """
    federated = [run for run in runs if run.openings_sha256 is not None]
    without = [run for run in federated if run.absent]
    if not without:
        return None
    worst = max(without, key=lambda run: len(run.absent))
    return Absences(runs=len(without), of=len(federated), most=len(worst.absent), parties=worst.parties)
