"""How long an experiment's trainings took: wall clocks, which no two machines and no two days share."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from fedscore.contract import NoiseMode
from simulations.engines import Engine
from simulations.files import write_whole
from simulations.scenario import Baseline

__all__ = ["Timing", "Timings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long one training took, on the machine that did it; the run's coordinates come first.

    Attributes:
        variation: As in `Run`, like the next five.
        learner: What was trained.
        baseline: What it is compared as.
        noise: Who added noise.
        epsilon: The record-level epsilon asked for.
        seed: What everything random was drawn from.
        seconds: Duration of the training, all parties, all members and the server one after another.
        encrypt_seconds: Of it, encryption of all parties; 0 where nothing is encrypted, like the next three,
            and on Flower's engine, where nobody sees all of it.
        prove_seconds: Proofs of plaintext knowledge and signatures.
        verify_seconds: Their verification by the server and by every committee member.
        open_seconds: Partial openings, their combination, and its checks.
        phases: How often the server asked and waited for answers; 0 where nothing was exchanged.
        engine: What carried the messages.
    """

    variation: Mapping[str, str] = field(default_factory=dict)
    learner: str
    baseline: Baseline | None
    noise: NoiseMode
    epsilon: float | None
    seed: int
    seconds: float
    encrypt_seconds: float = 0.0
    prove_seconds: float = 0.0
    verify_seconds: float = 0.0
    open_seconds: float = 0.0
    phases: int = 0
    engine: Engine = Engine.IN_PROCESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Everything that `timings.json` holds.

    Attributes:
        created: When the experiment ended, with its time zone.
        processors: Processors of the machine that the experiment could use when it ended.
        runs: In the order of the results' runs. A training that was found in the store has the time that it
            took when it was done.
    """

    created: datetime
    processors: int
    runs: Sequence[Timing]

    def to_json(self) -> str:
        """The object of `timings.json`, with a line break at its end."""
        document = {
            "created": self.created.isoformat(timespec="seconds"),
            "processors": self.processors,
            "runs": [dataclasses.asdict(timing) for timing in self.runs],
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    def write(self, folder: Path) -> None:
        """Write `timings.json` in one step.

        Raises:
            ScenarioError: The file cannot be written.
        """
        write_whole(folder / "timings.json", self.to_json())
