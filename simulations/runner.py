"""Runs a scenario's methods over its seeds and epsilons, on as many processes as there are processors."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace

from fedscore.contract import NoiseMode
from simulations import methods
from simulations.dealing import Ground, deal_rows
from simulations.federation import EncryptionMode
from simulations.keys import SimulatedKeys
from simulations.naive_baseline import naive_flower_opacus
from simulations.outcomes import Outcome
from simulations.scenario import NAIVE, Baseline, Scenario
from simulations.variants import contract_of, neural_terms

__all__ = ["Job", "Outcome", "available_processors", "jobs_of", "perform", "run_jobs"]

_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_NEEDS_EPSILON = frozenset({Baseline.LOCAL_NOISE, *NAIVE})
_OF_THE_SCENARIOS_NOISE = frozenset({Baseline.SCORECARD, Baseline.NEURAL_SHARED, Baseline.NEURAL_LOCAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training to be done.

    Attributes:
        seed: What everything random is drawn from.
        baseline: What is trained; None for the scenario's own run.
        epsilon: The budget; None without noise.
    """

    seed: int
    baseline: Baseline | None
    epsilon: float | None


def jobs_of(terms: Scenario) -> tuple[Job, ...]:
    """All trainings of a scenario: its own runs by epsilon and seed, then baseline by baseline."""
    with_epsilon: set[Baseline | None] = {*_NEEDS_EPSILON}
    if terms.privacy.noise is not NoiseMode.NONE:
        with_epsilon |= {None, *_OF_THE_SCENARIOS_NOISE}
    return tuple(
        Job(seed=seed, baseline=baseline, epsilon=epsilon)
        for baseline in (None, *terms.baselines)
        for epsilon in (terms.privacy.epsilon if baseline in with_epsilon else (None,))
        for seed in terms.split.seeds
    )


def perform(job: Job, ground: Ground, keys: SimulatedKeys | None) -> Outcome:
    """Do one training; the same job on the same ground gives the same metrics.

    Args:
        job: What to train.
        ground: The scenario's data and terms.
        keys: Outcome of a key ceremony, if the scenario encrypts.
    """
    dealt = deal_rows(ground, seed=job.seed)
    contract = contract_of(job.baseline, ground.terms, ground.contract, epsilon=job.epsilon)
    match job.baseline:
        case None:
            return methods.federated(
                contract, dealt, seed=job.seed, encryption=ground.terms.encryption.mode, keys=keys
            )
        case Baseline.LOCAL_ONLY:
            return methods.local_only(contract, dealt, seed=job.seed)
        case Baseline.POOLED_NO_NOISE:
            return methods.pooled_no_noise(contract, dealt, seed=job.seed)
        case Baseline.POOLED_LIGHTGBM:
            numbered = ground.terms.data.number_rows
            return methods.pooled_lightgbm(contract, dealt, ground.path, seed=job.seed, number_rows=numbered)
        case Baseline.NAIVE_FLOWER_OPACUS | Baseline.NAIVE_TUNED | Baseline.NAIVE_TUNED_TRUE as baseline:
            terms = neural_terms(ground.terms)
            return naive_flower_opacus(contract, dealt, baseline=baseline, terms=terms, seed=job.seed)
        case _:
            # Federated under another contract. In plain: encryption would open the same integers.
            outcome = methods.federated(
                contract, dealt, seed=job.seed, encryption=EncryptionMode.PLAIN, baseline=job.baseline
            )
            return replace(outcome, parties=(), trained=None)


def run_jobs(
    jobs: Sequence[Job],
    ground: Ground,
    *,
    keys: SimulatedKeys | None,
    workers: int,
    finished: Callable[[Job], None],
) -> tuple[Outcome, ...]:
    """Do all jobs.

    Interrupted (Ctrl-C) or failed, it ends its processes at once and leaves nothing behind.

    Args:
        jobs: What to train.
        ground: The scenario's data and terms.
        keys: Outcome of a key ceremony, if the scenario encrypts.
        workers: Largest number of processes; with 1, or for one job, everything happens in this one.
        finished: Is called in this process after each job, in the order in which they end.

    Returns:
        Outcomes in the order of `jobs`, whatever `workers` is.
    """
    processes = min(workers, len(jobs))
    if processes == 1:
        outcomes = []
        for job in jobs:
            outcomes.append(perform(job, ground, keys))
            finished(job)
        return tuple(outcomes)
    others = set(multiprocessing.active_children())
    with _one_thread_each():
        pool = ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(ground, keys.to_texts() if keys is not None else ()),
        )
        try:
            futures = {pool.submit(_perform_here, job): job for job in jobs}
            for future in as_completed(futures):
                future.result()
                finished(futures[future])
            pool.shutdown()
            return tuple(future.result() for future in futures)
        except BaseException:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            # The pool's own thread collects its processes; whoever else joined them would race with it.
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def available_processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Keep numerical libraries of child processes, which read this when they are loaded, to one thread."""
    before = {name: os.environ.get(name) for name in _THREAD_LIMITS}
    os.environ.update(dict.fromkeys(_THREAD_LIMITS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_here: list[tuple[Ground, SimulatedKeys | None]] = []


def _begin(ground: Ground, key_texts: tuple[str, ...]) -> None:
    # The terminal sends Ctrl-C to every process; the first one tells the others when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _here.append((ground, SimulatedKeys.from_texts(key_texts) if key_texts else None))


def _perform_here(job: Job) -> Outcome:
    ground, keys = _here[0]
    return perform(job, ground, keys)
