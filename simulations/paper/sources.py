"""Which runs is a table made of?"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

from fedscore.errors import ScenarioError
from simulations.results import Results
from simulations.runs import Run
from simulations.scenario import Baseline

__all__ = ["Found", "Method", "Source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A scenario with its settings: what one `fedscore simulate` runs.

    Attributes:
        name: The folder of its results; no other source has it.
        scenario: A shipped scenario, or a file.
        settings: What is changed in it, as for `--set`.
    """

    name: str
    scenario: str
    settings: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """What runs it by itself."""
        settings = [part for setting in self.settings for part in ("--set", setting)]
        return shlex.join(["fedscore", "simulate", self.scenario, *settings])


Found = Mapping[Source, Results]
"""What the runs of each source gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to train, at one budget: the runs of a source that differ in nothing but their seed.

    Attributes:
        source: Where its runs are.
        baseline: What it is run as; None for the scenario's own runs.
        epsilon: The budget; None for methods without.
    """

    source: Source
    baseline: Baseline | None = None
    epsilon: float | None = None

    def at(self, epsilon: float) -> Method:
        """The same with another budget."""
        return replace(self, epsilon=epsilon)

    def runs(self, found: Found) -> tuple[Run, ...]:
        """Its runs, one for each seed.

        Raises:
            ScenarioError: There are none.
        """
        runs = tuple(
            run
            for run in found[self.source].runs
            if run.baseline is self.baseline and run.epsilon == self.epsilon
        )
        if not runs:
            raise ScenarioError(
                f"{self.source.command} ran nothing as {self.baseline or 'its own'} with epsilon "
                f"{self.epsilon}: the table and its source do not agree"
            )
        return runs

    def areas(self, found: Found) -> dict[int, float]:
        """The AUC on test rows by seed."""
        return {run.seed: run.auc for run in self.runs(found)}
