"""Results with every way of organising a consortium, for tests of what is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np

from fedscore.contract import Contract, NoiseMode, Role
from simulations.audit.findings import Finding, Verdict
from simulations.audit.row import AuditRow, LowerBounds, Membership
from simulations.report import ReportContent
from simulations.results import Origin, PartyRun, Results, Run
from simulations.scenario import Baseline, Scenario, load_scenario
from simulations.timings import Timing, Timings
from tests.cards import plain_card, table

__all__ = ["EPSILONS", "SEEDS", "audits", "experiment", "party_runs", "runs"]

EPSILONS = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0)
SEEDS = (1, 4, 100, 333, 1002)
_NOWHERE: Mapping[str, str] = {}
_LEVELS = {
    Baseline.POOLED_NO_NOISE: 0.7788,
    Baseline.LOCAL_ONLY: 0.7574,
    Baseline.POOLED_LIGHTGBM: 0.7851,
}
_LEARNERS = {Baseline.POOLED_LIGHTGBM: "lightgbm", Baseline.NAIVE_TUNED_TRUE: "neural"}


def _run(baseline: Baseline | None, epsilon: float | None, **changes: Any) -> Run:  # noqa: ANN401 - fields
    given: dict[str, Any] = {
        "learner": "scorecard" if baseline is None else _LEARNERS.get(baseline, "scorecard"),
        "baseline": baseline,
        "private": epsilon is not None,
        "epsilon": epsilon,
        "epsilon_spent": epsilon,
        "epsilon_person": epsilon,
        "delta": 1e-5,
        "noise": NoiseMode.NONE if epsilon is None else NoiseMode.LOCAL,
        "encrypted": False,
        "parties": 20,
        "brier": 0.13,
        "calibration_error": 0.01,
        "rounds": 0 if epsilon is None else 9,
        "values_per_party": 0 if epsilon is None else 2000,
        "bytes_per_party": 0 if epsilon is None else 16_000,
        "openings_sha256": "ab" * 32 if baseline is None else None,
    }
    return Run(**{**given, "gini": 2 * changes["auc"] - 1, "ks": changes["auc"] - 0.34, **changes})


def runs(
    variation: Mapping[str, str] = _NOWHERE,
    *,
    epsilons: Sequence[float] = EPSILONS,
    seeds: Sequence[int] = SEEDS,
) -> tuple[Run, ...]:
    """Own runs, local noise and the recipe at every epsilon, and three levels; splits move all together."""
    generator = np.random.default_rng(7)
    split = dict(zip(seeds, generator.normal(0, 0.004, len(seeds)), strict=True))
    found = []
    for baseline, lost in ((None, 0.002), (Baseline.LOCAL_NOISE, 0.01), (Baseline.NAIVE_TUNED_TRUE, 0.03)):
        for epsilon in epsilons:
            for seed in seeds:
                noise = generator.normal(0, 0.001 / epsilon**0.5)
                changes: dict[str, Any] = {"auc": float(0.779 - lost / epsilon**0.5 + split[seed] + noise)}
                if baseline is None:
                    changes["noise"] = NoiseMode.SHARED
                if baseline is Baseline.NAIVE_TUNED_TRUE:
                    changes |= {"epsilon_reported": 0.2 * epsilon, "epsilon_spent": 0.999 * epsilon}
                found.append(_run(baseline, epsilon, seed=seed, variation=variation, **changes))
    for baseline, level in _LEVELS.items():
        for seed in seeds:
            area = float(level + split[seed] + generator.normal(0, 0.001))
            found.append(_run(baseline, None, seed=seed, variation=variation, auc=area))
    return tuple(found)


def party_runs(
    parties: int,
    variation: Mapping[str, str] = _NOWHERE,
    *,
    epsilons: Sequence[float] = EPSILONS,
    seeds: Sequence[int] = SEEDS,
) -> tuple[PartyRun, ...]:
    """Small parties gain and large ones lose; the smallest train no card of their own."""
    generator = np.random.default_rng(3)
    found = []
    for number in range(parties):
        rows = int(40 * 1.3 ** (24 * number / max(parties - 1, 1)))
        shared = {
            "variation": variation,
            "party": f"shop-{number + 1:04}",
            "role": Role.PLATFORM if number % 3 else Role.COLLECTOR,
            "training_rows": rows,
            "test_rows": rows // 3,
        }
        for seed in seeds:
            alone = None if rows < 60 else float(0.79 - 1.2 / rows**0.5 + generator.normal(0, 0.004))
            own: dict[str, Any] = {**shared, "baseline": Baseline.LOCAL_ONLY, "epsilon": None}
            found.append(PartyRun(**own, seed=seed, auc=alone))
            for epsilon in epsilons:
                together: dict[str, Any] = {**shared, "baseline": None, "epsilon": epsilon}
                area = float(0.775 - 0.004 / epsilon + generator.normal(0, 0.004))
                found.append(PartyRun(**together, seed=seed, auc=area))
    return tuple(found)


_Kind = TypeVar("_Kind", LowerBounds, Membership)


def _filled(kind: type[_Kind], **given: Any) -> _Kind:  # noqa: ANN401 - fields
    """What is not given is a quarter."""
    return kind(**{one.name: 0.25 for one in fields(kind)} | given)


def audits(
    variation: Mapping[str, str] = _NOWHERE,
    *,
    epsilons: Sequence[float] = EPSILONS,
    verdict: Verdict = Verdict.PASSED,
) -> tuple[AuditRow, ...]:
    """Tight where the promise is weak, and blind at the smallest epsilons."""
    return tuple(
        AuditRow(
            variation=variation,
            epsilon=epsilon,
            delta=1e-5,
            verdict=verdict,
            findings=(
                Finding(name="noise", verdict=Verdict.PASSED, told="As promised <b>.", power="5 % less."),
                Finding(name="lower bound", verdict=verdict, told="An ε of 0.31.", power="At most 5.43."),
            ),
            lower=_filled(
                LowerBounds,
                trainings=1234,
                confidence=0.999,
                epsilon=0.31 * epsilon if epsilon > 0.1 else 0.0,
                most=5.43,
                expected=0.45 * epsilon,
                gaussian_epsilon=0.62 * epsilon,
                gaussian_most=7.65,
                gaussian_expected=0.8 * epsilon,
                detectable=1.37 if epsilon > 0.1 else float("inf"),
            ),
            membership=tuple(
                _filled(
                    Membership,
                    of=of,
                    records=records,
                    shadows=64,
                    auc=0.5 + lead,
                    auc_low=0.49 + lead,
                    auc_high=0.51 + lead,
                    auc_allowed=1 - 1 / (1 + float(np.exp(epsilon))),
                    fpr=0.001,
                    tpr=0.0013,
                    tpr_low=0.0007,
                    tpr_high=0.0023,
                    tpr_allowed=min(0.001 * float(np.exp(epsilon)) + 1e-5, 1.0),
                )
                for of, records, lead in (("ordinary", 360, 0.003), ("outliers", 40, 0.017))
            ),
        )
        for epsilon in epsilons
    )


def experiment(
    contract: Contract,
    *,
    runs: Sequence[Run],
    parties: Sequence[PartyRun] = (),
    audits: Sequence[AuditRow] = (),
    terms: Scenario | None = None,
    seconds: float = 4.2,
) -> ReportContent:
    """Everything that a report tells, of these runs."""
    terms = load_scenario("taiwan").terms if terms is None else terms
    places = list(dict.fromkeys(tuple(run.variation.items()) for run in runs))
    return ReportContent(
        title="An experiment",
        introduction=("Rows were dealt.",),
        results=Results(
            versions={"fedscore": "9.9", "numpy": "2.0"},
            code_sha256="12" * 32,
            origins=tuple(
                Origin(variation=dict(place), contract_hash="ab" * 32, data_sha256="34" * 32)
                for place in places
            ),
            scenario={"name": "taiwan", **terms.model_dump(mode="json")},
            runs=runs,
            parties=parties,
            audits=audits,
        ),
        timings=Timings(
            created=datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
            processors=2,
            runs=[
                Timing(
                    variation=run.variation,
                    learner=run.learner,
                    baseline=run.baseline,
                    noise=run.noise,
                    epsilon=run.epsilon,
                    seed=run.seed,
                    seconds=seconds,
                    phases=19 if run.rounds else 0,
                )
                for run in runs
            ],
        ),
        trained=plain_card(table("utilisation", [10.0, -0.01, -20.0]), contract_hash="cd" * 32),
        contract=contract,
    )
