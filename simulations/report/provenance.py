"""Where a report comes from: the scenario as a file that can be run again, and fingerprints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulations.loopback.parties import as_toml
from simulations.report.frontier import Variation
from simulations.results import Run
from simulations.wording import method_in_words

__all__ = ["Opening", "is_runnable", "openings_of", "scenario_in_words"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The fingerprint of what a run opened.

    Attributes:
        variation: Where the run is in the sweep.
        method: What was done, in words.
        epsilon: The one asked for.
        seed: Of the run.
        sha256: Of all opened sums.
    """

    variation: Variation
    method: str
    epsilon: float | None
    seed: int
    sha256: str


def openings_of(runs: Sequence[Run]) -> tuple[Opening, ...]:
    """The fingerprints of all runs that opened sums.

    Args:
        runs: All of them.
    """
    return tuple(
        Opening(
            variation=tuple(run.variation.items()),
            method=method_in_words(run),
            epsilon=run.epsilon,
            seed=run.seed,
            sha256=run.openings_sha256,
        )
        for run in runs
        if run.openings_sha256 is not None
    )


def is_runnable(scenario: Mapping[str, Any]) -> bool:
    """Whether what was run is a scenario of `fedscore simulate`; the demo's is not, its people are invented.

    Args:
        scenario: As results have it.
    """
    return "path" in scenario.get("data", {})


def scenario_in_words(scenario: Mapping[str, Any]) -> str:
    """The experiment as a TOML file that gives it again, or as JSON where no file can.

    Args:
        scenario: As results have it: what a scenario says, and its name.
    """
    if not is_runnable(scenario):
        return json.dumps(scenario, indent=2, ensure_ascii=False)
    entries = {key: value for key, value in scenario.items() if key != "name" and value is not None}
    plain = {key: value for key, value in entries.items() if not isinstance(value, Mapping)}
    sections = [
        f"\n[{key}]\n{as_toml(value)}" for key, value in entries.items() if isinstance(value, Mapping)
    ]
    return f"# {scenario['name']}\n{as_toml(plain)}{''.join(sections)}"
