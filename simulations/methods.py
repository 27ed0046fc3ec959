"""The federated run and what it is compared with: each trains, and scores the same test rows."""

from __future__ import annotations

import dataclasses
import hashlib
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from fedscore.contract import Contract, NoiseMode
from fedscore.data import Rows
from fedscore.errors import ScenarioError
from fedscore.learners.program import Trained
from fedscore.metrics import auc, brier, calibration_error, ks
from fedscore.sums.stages import Stage
from privacy.dp.accounting import Guarantee
from server.coordinator import Observer
from simulations.dealing import Dealt
from simulations.engines import Engine
from simulations.fault_terms import FaultTerms
from simulations.faults import wire_of
from simulations.federation import EncryptionMode, FederationResult, alone, train_alone, train_federation
from simulations.flower_engine import train_on_flower
from simulations.keys import SimulatedKeys
from simulations.lightgbm_ceiling import ceiling_probabilities, raw_values
from simulations.outcomes import Outcome
from simulations.prv_estimate import prv_estimate
from simulations.results import PartyRun, Run
from simulations.scenario import Baseline
from simulations.timings import Timing

__all__ = [
    "LIGHTGBM",
    "Measured",
    "federated",
    "local_only",
    "local_results",
    "measure",
    "openings_sha256",
    "pooled_lightgbm",
    "pooled_no_noise",
]

LIGHTGBM = "lightgbm"
_NO_FAULTS = FaultTerms()


class _Figures(TypedDict):
    auc: float
    gini: float
    ks: float
    brier: float
    calibration_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a score is worth on test rows, exactly."""

    auc: float
    gini: float
    ks: float
    brier: float
    calibration_error: float

    @property
    def fields(self) -> _Figures:
        """By name, for a `Run`."""
        return _Figures(
            auc=self.auc,
            gini=self.gini,
            ks=self.ks,
            brier=self.brier,
            calibration_error=self.calibration_error,
        )


def measure(outcome: npt.NDArray[np.int8], probability: npt.NDArray[np.float64]) -> Measured:
    """Measure probabilities of the bad outcome against what happened.

    Args:
        outcome: Outcomes in {0, 1}, both of them present, shape [n].
        probability: Probability of the bad outcome, shape [n].

    Raises:
        DataError: There are no rows of one of the outcomes.
    """
    area = auc(outcome, probability)
    return Measured(
        auc=area,
        gini=2 * area - 1,
        ks=ks(outcome, probability),
        brier=brier(outcome, probability),
        calibration_error=calibration_error(outcome, probability),
    )


def federated(  # noqa: PLR0913 - a run, and what carries it
    contract: Contract,
    dealt: Dealt,
    *,
    seed: int,
    encryption: EncryptionMode,
    keys: SimulatedKeys | None = None,
    baseline: Baseline | None = None,
    observer: Observer | None = None,
    engine: Engine = Engine.IN_PROCESS,
    processes: int = 1,
    faults: FaultTerms = _NO_FAULTS,
) -> Outcome:
    """Train one card or one model over all parties, with the noise that the contract says.

    Args:
        contract: With roster, epsilon and noise mode of this run.
        dealt: Who holds which rows.
        seed: Of the noise.
        encryption: Whether sums are added under encryption.
        keys: Outcome of a key ceremony, for encrypted sums.
        baseline: Under which name the run is reported; None for the experiment's own.
        observer: Is told of each round, where the engine is in this process.
        engine: What carries the messages.
        processes: Largest number of processes that answer for nodes, where the engine has several.
        faults: Who is absent, drops out or is not heard.

    Raises:
        MissingExtra: The engine is not installed.
        ScenarioError: Faults are asked for of an engine that has none.
        RunFailed: Too few answer, or the engine failed.
    """
    wire = wire_of(faults, len(dealt.training), seed=seed, engine=engine)
    if engine is Engine.FLOWER:
        result = train_on_flower(
            contract,
            dealt.training,
            seed=seed,
            processes=processes,
            encryption=encryption,
            keys=keys,
            test_rows=dealt.test,
        )
    else:
        result = train_federation(
            contract,
            dealt.training,
            seed=seed,
            encryption=encryption,
            keys=keys,
            wire=wire,
            observer=observer,
            test_rows=dealt.test,
        )
    test = dealt.pooled_test
    trained = result.trained
    run = Run(
        learner=contract.learner,
        baseline=baseline,
        private=result.guarantee is not None,
        epsilon=None if result.guarantee is None else contract.privacy.epsilon,
        epsilon_spent=_epsilon(result.guarantee),
        epsilon_person=_epsilon(result.person_guarantee),
        delta=contract.privacy.delta,
        noise=contract.privacy.noise,
        encrypted=encryption is EncryptionMode.PAILLIER,
        parties=len(dealt.training),
        seed=seed,
        rounds=result.rounds,
        values_per_party=result.values_per_party,
        bytes_per_party=result.bytes_per_party,
        openings_sha256=openings_sha256(result.openings),
        absent=result.absent,
        epsilon_prv=None if result.guarantee is None else prv_estimate(trained.privacy),
        **measure(test.outcome, trained.probability(test.cells)).fields,
    )
    return Outcome(
        run=run,
        timing=_timing(run, result.seconds, phases=result.phases, stages=result.stages, engine=engine),
        parties=_worth_to_parties(run, contract, dealt, dict.fromkeys(dealt.training, trained)),
        trained=trained,
    )


def openings_sha256(openings: Sequence[npt.NDArray[np.int64]]) -> str:
    """A fingerprint of opened sums: the same for engines that do the same.

    Args:
        openings: Opened sums, in order.
    """
    digest = hashlib.sha256()
    for opening in openings:
        digest.update(np.ascontiguousarray(opening, dtype="<i8").tobytes())
    return digest.hexdigest()


def pooled_no_noise(contract: Contract, dealt: Dealt, *, seed: int) -> Outcome:
    """Train the same learner on everybody's rows in one place, without noise."""
    result = train_alone(contract, dealt.pooled_training)
    test = dealt.pooled_test
    run = _unprotected(
        Baseline.POOLED_NO_NOISE,
        measure(test.outcome, result.trained.probability(test.cells)),
        contract=contract,
        parties=1,
        seed=seed,
    )
    return Outcome(run=run, timing=_timing(run, result.seconds))


def local_results(contract: Contract, training: Mapping[str, Rows]) -> dict[str, FederationResult]:
    """Train at each party on its own rows, without noise: nothing leaves, so nothing needs protection.

    Args:
        contract: Whose learner is trained.
        training: Training rows by party.

    Returns:
        The card or model of each party that has rows of both outcomes; nobody can rank risks without both.
    """
    contract = alone(contract)
    return {
        party: train_alone(contract, rows)
        for party, rows in training.items()
        if len(np.unique(rows.outcome)) == 2
    }


def local_only(contract: Contract, dealt: Dealt, *, seed: int) -> Outcome:
    """What each party's own card or model is worth: on all test rows, in the mean, and on its own.

    Args:
        contract: Whose learner is trained.
        dealt: Who holds which rows.
        seed: What the rows were dealt by.

    Returns:
        A run of the means of the metrics over the parties that can train. It took as long as the slowest
        party, since parties train at the same time.

    Raises:
        ScenarioError: No party has rows of both outcomes.
    """
    results = local_results(contract, dealt.training)
    if not results:
        raise ScenarioError(
            "no party has training rows of both outcomes, so none can train by itself: use fewer parties"
        )
    test = dealt.pooled_test
    measured = [measure(test.outcome, result.trained.probability(test.cells)) for result in results.values()]
    mean = Measured(
        **{
            one.name: statistics.fmean(getattr(each, one.name) for each in measured)
            for one in dataclasses.fields(Measured)
        }
    )
    run = _unprotected(Baseline.LOCAL_ONLY, mean, contract=contract, parties=len(dealt.training), seed=seed)
    cards = {party: results[party].trained if party in results else None for party in dealt.training}
    return Outcome(
        run=run,
        timing=_timing(run, max(result.seconds for result in results.values())),
        parties=_worth_to_parties(run, contract, dealt, cards),
    )


def pooled_lightgbm(
    contract: Contract, dealt: Dealt, path: Path, *, seed: int, number_rows: bool = False
) -> Outcome:
    """Train LightGBM on everybody's raw columns in one place: the ceiling.

    Args:
        contract: Names the columns.
        dealt: Who holds which rows.
        path: The data file.
        seed: Of LightGBM's sampling.
        number_rows: Whether ids are the places of the rows in the file.
    """
    started = time.perf_counter()
    training, test = dealt.pooled_training, dealt.pooled_test
    probability = ceiling_probabilities(
        raw_values(path, contract, training.ids, number_rows=number_rows),
        training.outcome,
        raw_values(path, contract, test.ids, number_rows=number_rows),
        seed=seed,
    )
    run = _unprotected(
        Baseline.POOLED_LIGHTGBM,
        measure(test.outcome, probability),
        contract=contract,
        parties=1,
        seed=seed,
        learner=LIGHTGBM,
    )
    return Outcome(run=run, timing=_timing(run, time.perf_counter() - started))


def _unprotected(
    baseline: Baseline,
    measured: Measured,
    *,
    contract: Contract,
    parties: int,
    seed: int,
    learner: str | None = None,
) -> Run:
    return Run(
        learner=contract.learner if learner is None else learner,
        baseline=baseline,
        private=False,
        epsilon=None,
        epsilon_spent=None,
        epsilon_person=None,
        delta=contract.privacy.delta,
        noise=NoiseMode.NONE,
        encrypted=False,
        parties=parties,
        seed=seed,
        rounds=0,
        values_per_party=0,
        bytes_per_party=0,
        **measured.fields,
    )


def _timing(
    run: Run,
    seconds: float,
    *,
    phases: int = 0,
    stages: Mapping[Stage, float] = MappingProxyType({}),
    engine: Engine = Engine.IN_PROCESS,
) -> Timing:
    return Timing(
        learner=run.learner,
        baseline=run.baseline,
        noise=run.noise,
        epsilon=run.epsilon,
        seed=run.seed,
        seconds=seconds,
        phases=phases,
        encrypt_seconds=stages.get(Stage.ENCRYPT, 0.0),
        prove_seconds=stages.get(Stage.PROVE, 0.0),
        verify_seconds=stages.get(Stage.VERIFY, 0.0),
        open_seconds=stages.get(Stage.OPEN, 0.0),
        engine=engine,
    )


def _worth_to_parties(
    run: Run, contract: Contract, dealt: Dealt, trained: Mapping[str, Trained | None]
) -> tuple[PartyRun, ...]:
    roles = {party.name: party.role for party in contract.parties}
    return tuple(
        PartyRun(
            baseline=run.baseline,
            epsilon=run.epsilon,
            seed=run.seed,
            party=party,
            role=roles[party],
            training_rows=len(dealt.training[party]),
            test_rows=len(dealt.test[party]),
            auc=_own_auc(card, dealt.test[party]),
        )
        for party, card in trained.items()
    )


def _own_auc(trained: Trained | None, test: Rows) -> float | None:
    if trained is None or len(np.unique(test.outcome)) < 2:
        return None
    return auc(test.outcome, trained.probability(test.cells))


def _epsilon(guarantee: Guarantee | None) -> float | None:
    return None if guarantee is None or not np.isfinite(guarantee.epsilon) else guarantee.epsilon
