"""An audit of a scenario: its program is run some times over, and looked at share by share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedscore.sums import noised_total
from simulations.audit.findings import Finding, Verdict, verdict_of
from simulations.audit.noise import noise_findings
from simulations.audit.sensitivity import sensitivity_findings
from simulations.audit.shares import Contribute, draw_run
from simulations.dealing import deal_rows, read_ground
from simulations.lookup import find_contract, find_data
from simulations.scenario import load_scenario
from simulations.variants import contract_of

__all__ = ["Audit", "audit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found.

    Attributes:
        scenario: What was audited.
        epsilon: That its program promises to a record.
        level: The chance at which each finding may be wrong.
        runs: How often the program ran.
        findings: Question by question.
    """

    scenario: str
    epsilon: float
    level: float
    runs: int
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all answers."""
        return verdict_of(self.findings)

    def to_json(self) -> str:
        """The audit as one JSON object."""
        document = {
            "scenario": self.scenario,
            "epsilon": self.epsilon,
            "level": self.level,
            "runs": self.runs,
            "verdict": self.verdict,
            "findings": [
                {
                    "name": one.name,
                    "verdict": one.verdict,
                    "told": one.told,
                    "power": one.power,
                    "p_value": one.p_value,
                }
                for one in self.findings
            ],
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def audit(
    scenario: str,
    *,
    data: Path | None,
    overrides: Sequence[str],
    runs: int,
    level: float,
    progress: Callable[[int], None] = lambda _run: None,
    contribute: Contribute = noised_total,
) -> Audit:
    """Audits a scenario's first budget and first seed, with noise from the operating system.

    Args:
        scenario: A file, or the name of a shipped scenario.
        data: The data file, or the folder that holds it; looked up if left out.
        overrides: `key=VALUE` settings.
        runs: How often the program runs: more runs see smaller errors.
        level: The chance at which each finding may be wrong.
        progress: Is told the number of each run as it ends.
        contribute: What nodes do for a sum.

    Raises:
        FedscoreError: The scenario, the contract or the data cannot be used as they are.
    """
    loaded = load_scenario(scenario, overrides)
    ground = read_ground(loaded.terms, find_contract(loaded), find_data(loaded, data))
    dealt = deal_rows(ground, seed=loaded.terms.split.seeds[0])
    epsilon = loaded.terms.privacy.epsilon[0]
    contract = contract_of(None, loaded.terms, ground.contract, epsilon=epsilon)
    drawn = []
    for number in range(runs):
        drawn.append(
            draw_run(contract, dealt.training, dealt.test, run=f"{number:032x}", contribute=contribute)
        )
        progress(number + 1)
    return Audit(
        scenario=loaded.name,
        epsilon=epsilon,
        level=level,
        runs=runs,
        findings=(
            *noise_findings(drawn, level=level),
            *sensitivity_findings(
                drawn[0], contract, seed=loaded.terms.split.seeds[0], contribute=contribute
            ),
        ),
    )
