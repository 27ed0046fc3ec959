"""An audit of a scenario: what its program really does, from four sides, beside what it promises."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedscore.contract import Contract
from fedscore.errors import ScenarioError
from fedscore.sums import noised_total
from simulations.audit.bounds import attack, lower_bound_finding, lower_bounds, trainings_of
from simulations.audit.findings import Finding, Verdict, verdict_of
from simulations.audit.membership import Protection, attacked, membership, membership_finding, pool_of
from simulations.audit.noise import noise_findings
from simulations.audit.promise import Promise
from simulations.audit.row import AuditRow, LowerBounds, Membership
from simulations.audit.sensitivity import Worst, sensitivity_findings, worst_records
from simulations.audit.shares import Contribute, auditable_agenda, draw_run
from simulations.audit.sources import SeededSource, Source, SystemSource
from simulations.audit.terms import AuditTerms
from simulations.dealing import Dealt, Ground, deal_rows, read_ground
from simulations.lookup import find_contract, find_data
from simulations.scenario import load_scenario
from simulations.variants import contract_of

__all__ = ["Audit", "audit", "audit_scenario"]

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found.

    Attributes:
        scenario: What was audited.
        terms: How far the audit went.
        rows: Budget by budget.
    """

    scenario: str
    terms: AuditTerms
    rows: tuple[AuditRow, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all answers."""
        return verdict_of(finding for row in self.rows for finding in row.findings)

    def to_json(self) -> str:
        """The audit as one JSON object."""
        document = {
            "scenario": self.scenario,
            "terms": self.terms.model_dump(mode="json"),
            "verdict": self.verdict.value,
            "audits": [row.to_document() for row in self.rows],
        }
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def audit(
    scenario: str,
    *,
    data: Path | None,
    overrides: Sequence[str],
    processes: int = 2,
    progress: Progress = lambda _what: None,
    contribute: Contribute = noised_total,
) -> Audit:
    """Audits all budgets of a scenario under its first seed, with noise from the operating system.

    Args:
        scenario: A file, or the name of a shipped scenario; without `[audit]` it is audited by the defaults.
        data: The data file, or the folder that holds it; looked up if left out.
        overrides: `key=VALUE` settings.
        processes: At most so many.
        progress: Is told what is done.
        contribute: What nodes do for a sum.

    Raises:
        FedscoreError: The scenario, the contract or the data cannot be used as they are.
    """
    loaded = load_scenario(scenario, overrides)
    if len(loaded.variations) > 1:
        raise ScenarioError(
            f"{loaded.name} has a sweep of {len(loaded.variations)} variations; one is audited at a time: "
            "run it with fedscore simulate, which audits all of them if it has [audit], or leave [sweep] out"
        )
    terms = loaded.terms.audit or AuditTerms()
    ground = read_ground(loaded.terms, find_contract(loaded), find_data(loaded, data))
    rows = [
        audit_scenario(
            ground,
            epsilon=epsilon,
            terms=terms,
            source=SystemSource(),
            processes=processes,
            progress=lambda what, epsilon=epsilon: progress(f"epsilon {epsilon:g}: {what}"),  # type: ignore[misc]  # binds this turn's epsilon
            contribute=contribute,
        )
        for epsilon in loaded.terms.privacy.epsilon
    ]
    return Audit(scenario=loaded.name, terms=terms, rows=tuple(rows))


def audit_scenario(
    ground: Ground,
    *,
    epsilon: float,
    terms: AuditTerms,
    source: Source | None = None,
    processes: int = 1,
    progress: Progress = lambda _what: None,
    contribute: Contribute = noised_total,
) -> AuditRow:
    """Audits one budget of a scenario, under its first seed.

    Args:
        ground: The scenario's data and terms.
        epsilon: The budget.
        terms: How far the audit goes.
        source: Where noise comes from; if left out, from the scenario's seed, so that the row is a function
            of the scenario and its data.
        processes: At most so many; with a seeded source the row does not depend on it.
        progress: Is told what is done.
        contribute: What nodes do for a sum.

    Raises:
        ScenarioError: The scenario promises nothing, or its sums cannot be audited.
    """
    seed = ground.terms.split.seeds[0]
    contract = contract_of(None, ground.terms, ground.contract, epsilon=epsilon)
    auditable_agenda(contract, run="0" * 32)
    auditor = _Auditor(
        contract=contract,
        promise=Promise.of(contract),
        dealt=deal_rows(ground, seed=seed),
        terms=terms,
        seed=seed,
        source=SeededSource(seed) if source is None else source,
        processes=processes,
        progress=progress,
        contribute=contribute,
    )
    worst, findings = auditor.noise_and_sensitivity()
    lower, of_lower = auditor.lower(worst) if terms.trainings else (None, ())
    members, of_members = auditor.membership() if terms.shadows else ((), ())
    findings = (*findings, *of_lower, *of_members)
    return AuditRow(
        epsilon=epsilon,
        delta=contract.privacy.delta,
        verdict=verdict_of(findings),
        findings=findings,
        lower=lower,
        membership=members,
        seeded=isinstance(auditor.source, SeededSource),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Auditor:
    """One audit; each part of it gets its part of the level, so that all together are wrong no more often."""

    contract: Contract
    promise: Promise
    dealt: Dealt
    terms: AuditTerms
    seed: int
    source: Source
    processes: int
    progress: Progress
    contribute: Contribute

    @property
    def level(self) -> float:
        """Of one part."""
        return self.terms.level / (1 + bool(self.terms.trainings) + bool(self.terms.shadows))

    def noise_and_sensitivity(self) -> tuple[tuple[Worst, ...], tuple[Finding, ...]]:
        """Every share of several runs, and the worst records of every sum."""
        drawn = []
        for number in range(self.terms.runs):
            drawn.append(
                draw_run(
                    self.contract,
                    self.dealt.training,
                    self.dealt.test,
                    number=number,
                    contribute=self.contribute,
                    source=self.source,
                    processes=self.processes,
                )
            )
            self.progress(f"run {number + 1} of {self.terms.runs}")
        worst = worst_records(drawn[0], self.contract, seed=self.seed, contribute=self.contribute)
        self.progress("the worst records were looked for")
        return worst, (
            *noise_findings(drawn, self.contract, level=self.level, worst=worst),
            *sensitivity_findings(worst),
        )

    def lower(self, worst: tuple[Worst, ...]) -> tuple[LowerBounds, tuple[Finding, ...]]:
        """Trainings with and without a worst record."""
        attacker = attack(
            self.contract,
            self.dealt.pooled_training,
            self.dealt.pooled_test,
            worst,
            seed=self.seed,
            source=self.source,
            contribute=self.contribute,
        )
        total = 2 * self.terms.trainings
        found = lower_bounds(
            trainings_of(
                attacker,
                self.terms.trainings,
                processes=self.processes,
                progress=lambda done: self.progress(f"training {done:,} of {total:,}"),
            ),
            promise=self.promise,
            # Two bounds.
            confidence=1.0 - self.level / 2.0,
        )
        finding = lower_bound_finding(found, self.promise)
        return found, (finding,)

    def membership(self) -> tuple[tuple[Membership, ...], tuple[Finding, ...]]:
        """Shadow trainings with noise and without."""
        pool = pool_of(
            self.dealt.pooled_training,
            records=self.terms.records,
            outliers=self.terms.outliers,
            seed=self.seed,
        )
        private, noiseless, unprotected = (
            attacked(
                self.contract,
                pool,
                self.terms.shadows,
                protection=protection,
                seed=self.seed,
                source=self.source,
                contribute=self.contribute,
                processes=self.processes,
            )
            for protection in (Protection.PROMISED, Protection.NOISE_LEFT_OUT, Protection.NONE)
        )
        self.progress(f"three times {self.terms.shadows} shadow trainings")
        found = membership(private, noiseless, unprotected, pool, self.promise)
        return found, tuple(membership_finding(one, level=self.level / len(found)) for one in found)
