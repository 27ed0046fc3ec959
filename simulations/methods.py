"""The federated run and what it is compared with: each trains, scores the same test rows, gives one `Run`."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedscore.contract import Contract, NoiseMode
from fedscore.data import Rows
from fedscore.errors import ScenarioError
from fedscore.metrics import auc, brier, calibration_error, ks
from privacy.dp.accounting import Guarantee
from server.coordinator import Observer
from simulations.dealing import Dealt
from simulations.federation import EncryptionMode, FederationResult, train_alone, train_federation
from simulations.keys import SimulatedKeys
from simulations.lightgbm_ceiling import ceiling_probabilities, raw_values
from simulations.prv_estimate import prv_estimate
from simulations.results import Run
from simulations.scenario import Baseline

__all__ = [
    "LIGHTGBM",
    "Measured",
    "federated",
    "local_only",
    "local_results",
    "measure",
    "pooled_lightgbm",
    "pooled_no_noise",
]

LIGHTGBM = "lightgbm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a score is worth on test rows, exactly."""

    auc: float
    gini: float
    ks: float
    brier: float
    calibration_error: float

    @property
    def fields(self) -> dict[str, float]:
        """By name, for a `Run`."""
        return dataclasses.asdict(self)


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


def federated(
    contract: Contract,
    dealt: Dealt,
    *,
    seed: int,
    encryption: EncryptionMode,
    keys: SimulatedKeys | None = None,
    baseline: Baseline | None = None,
    observer: Observer | None = None,
) -> tuple[Run, FederationResult]:
    """Train one card or one model over all parties, with the noise that the contract says.

    Args:
        contract: With roster, epsilon and noise mode of this run.
        dealt: Who holds which rows.
        seed: Of the noise.
        encryption: Whether sums are added under encryption.
        keys: Outcome of a key ceremony, for encrypted sums.
        baseline: Under which name the run is reported; None for the experiment's own.
        observer: Is told of each round.
    """
    result = train_federation(
        contract,
        dealt.training,
        seed=seed,
        encryption=encryption,
        keys=keys,
        observer=observer,
        test_rows=dealt.test,
    )
    test = dealt.pooled_test
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
        seconds=result.seconds,
        epsilon_prv=None if result.guarantee is None else prv_estimate(result.trained.privacy),
        **{f"{stage}_seconds": seconds for stage, seconds in result.stages.items()},
        **measure(test.outcome, result.trained.probability(test.cells)).fields,
    )
    return run, result


def pooled_no_noise(contract: Contract, dealt: Dealt, *, seed: int) -> Run:
    """Train the same learner on everybody's rows in one place, without noise."""
    result = train_alone(contract, dealt.pooled_training)
    test = dealt.pooled_test
    return _unprotected(
        Baseline.POOLED_NO_NOISE,
        measure(test.outcome, result.trained.probability(test.cells)),
        contract=contract,
        parties=1,
        seed=seed,
        seconds=result.seconds,
    )


def local_results(contract: Contract, training: Mapping[str, Rows]) -> dict[str, FederationResult]:
    """Train at each party on its own rows, without noise: nothing leaves, so nothing needs protection.

    Args:
        contract: Whose learner is trained.
        training: Training rows by party.

    Returns:
        The card or model of each party that has rows of both outcomes; nobody can rank risks without both.
    """
    return {
        party: train_alone(contract, rows)
        for party, rows in training.items()
        if len(np.unique(rows.outcome)) == 2
    }


def local_only(
    contract: Contract, dealt: Dealt, *, seed: int, local: Mapping[str, FederationResult] | None = None
) -> Run:
    """The mean over parties of what each one's own card or model is worth on all test rows.

    Args:
        contract: Whose learner is trained.
        dealt: Who holds which rows.
        seed: What the rows were dealt by.
        local: What was trained before; trained here if left out.

    Returns:
        Means of the metrics; `seconds` is that of the slowest party, since parties train at the same time.

    Raises:
        ScenarioError: No party has rows of both outcomes.
    """
    results = local_results(contract, dealt.training) if local is None else local
    if not results:
        raise ScenarioError(
            "no party has training rows of both outcomes, so none can train by itself: use fewer parties"
        )
    test = dealt.pooled_test
    measured = [measure(test.outcome, result.trained.probability(test.cells)) for result in results.values()]
    mean = Measured(
        **{key: statistics.fmean(one.fields[key] for one in measured) for key in measured[0].fields}
    )
    return _unprotected(
        Baseline.LOCAL_ONLY,
        mean,
        contract=contract,
        parties=len(dealt.training),
        seed=seed,
        seconds=max(result.seconds for result in results.values()),
    )


def pooled_lightgbm(
    contract: Contract, dealt: Dealt, path: Path, *, seed: int, number_rows: bool = False
) -> Run:
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
    return _unprotected(
        Baseline.POOLED_LIGHTGBM,
        measure(test.outcome, probability),
        contract=contract,
        parties=1,
        seed=seed,
        seconds=time.perf_counter() - started,
        learner=LIGHTGBM,
    )


def _unprotected(
    baseline: Baseline,
    measured: Measured,
    *,
    contract: Contract,
    parties: int,
    seed: int,
    seconds: float,
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
        seconds=seconds,
        **measured.fields,
    )


def _epsilon(guarantee: Guarantee | None) -> float | None:
    return None if guarantee is None or not np.isfinite(guarantee.epsilon) else guarantee.epsilon
