"""Runs a scenario's jobs, on as many processes as there are processors, each with one numerical thread."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from threadpoolctl import threadpool_limits

from fedscore.contract import NoiseMode
from fedscore.errors import RunFailed, RunOver, ScenarioError
from simulations import methods
from simulations.audit.row import AuditRow
from simulations.audit.run import audit_scenario
from simulations.audit.terms import AuditTerms
from simulations.dealing import Ground, deal_rows
from simulations.engines import Engine
from simulations.environment import inherited
from simulations.federation import EncryptionMode
from simulations.keys import SimulatedKeys
from simulations.naive_baseline import naive_flower_opacus
from simulations.outcomes import Outcome
from simulations.results import Failure
from simulations.scenario import NAIVE, Baseline, Scenario
from simulations.variants import contract_of, neural_terms
from simulations.versions import code_sha256, require_same_code

__all__ = [
    "AuditJob",
    "Found",
    "Job",
    "Outcome",
    "Task",
    "attempt",
    "available_processors",
    "encrypts",
    "is_audited",
    "jobs_of",
    "perform",
    "run_jobs",
    "tasks_of",
]

_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_NEEDS_EPSILON = frozenset({Baseline.LOCAL_NOISE, *NAIVE})
_OF_THE_SCENARIOS_NOISE = frozenset({Baseline.SCORECARD, Baseline.NEURAL_SHARED, Baseline.NEURAL_LOCAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training to be done.

    Attributes:
        variation: Which variation of the scenario, from 0.
        seed: What everything random is drawn from.
        baseline: What is trained; None for the scenario's own run.
        epsilon: The budget; None without noise.
    """

    variation: int = 0
    seed: int
    baseline: Baseline | None
    epsilon: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditJob:
    """One audit to be done.

    Attributes:
        variation: Which variation of the scenario, from 0.
        epsilon: The budget whose promise is put to the test.
        terms: How far the audit goes.
    """

    variation: int = 0
    epsilon: float
    terms: AuditTerms


Task = Job | AuditJob
Found = Outcome | AuditRow | Failure


def jobs_of(terms: Scenario, *, variation: int = 0) -> tuple[Job, ...]:
    """All trainings of a scenario: its own runs by epsilon and seed, then baseline by baseline."""
    with_epsilon: set[Baseline | None] = {*_NEEDS_EPSILON}
    if terms.privacy.noise is not NoiseMode.NONE:
        with_epsilon |= {None, *_OF_THE_SCENARIOS_NOISE}
    return tuple(
        Job(variation=variation, seed=seed, baseline=baseline, epsilon=epsilon)
        for baseline in (None, *terms.baselines)
        for epsilon in (terms.privacy.epsilon if baseline in with_epsilon else (None,))
        for seed in terms.split.seeds
    )


def tasks_of(terms: Scenario, *, variation: int = 0) -> tuple[Task, ...]:
    """All jobs of a scenario: its trainings, then an audit of each budget, if it asks for audits."""
    trainings = jobs_of(terms, variation=variation)
    if terms.audit is None or not is_audited(terms):
        return trainings
    audits = (
        AuditJob(variation=variation, epsilon=epsilon, terms=terms.audit) for epsilon in terms.privacy.epsilon
    )
    return (*trainings, *audits)


def is_audited(terms: Scenario) -> bool:
    """Whether a scenario's promises are put to the test: it asks for that, and promises something."""
    return terms.audit is not None and terms.noise is not NoiseMode.NONE


def encrypts(task: Task, terms: Scenario) -> bool:
    """Whether a task needs the keys of a ceremony: own runs alone do, where the scenario encrypts."""
    own = isinstance(task, Job) and task.baseline is None
    return own and terms.encryption.mode is EncryptionMode.PAILLIER


def perform(
    job: Job,
    ground: Ground,
    keys: SimulatedKeys | None,
    *,
    engine: Engine = Engine.IN_PROCESS,
    processes: int = 1,
) -> Outcome:
    """Do one training; the same job on the same ground gives the same figures, to the last bit.

    Numerical libraries have one thread meanwhile: with several, sums are added in another order.

    Args:
        job: What to train.
        ground: The scenario's data and terms.
        keys: Outcome of a key ceremony, if the scenario encrypts.
        engine: What carries the messages of federated trainings.
        processes: Largest number of processes of an engine that has several.

    Raises:
        RunFailed: The scenario's faults have ended the run, as they would end one of a deployment.
        RunOver: Likewise, for good.
    """
    with _one_thread_each(), threadpool_limits(limits=1):
        return _perform(job, ground, keys, engine=engine, processes=processes)


def attempt(
    job: Job,
    ground: Ground,
    keys: SimulatedKeys | None,
    *,
    engine: Engine = Engine.IN_PROCESS,
    processes: int = 1,
) -> Outcome | Failure:
    """Do one training, as `perform` does; one that the scenario's faults have ended is a failure.

    Args:
        job: What to train.
        ground: The scenario's data and terms.
        keys: Outcome of a key ceremony, if the scenario encrypts.
        engine: What carries the messages of federated trainings.
        processes: Largest number of processes of an engine that has several.

    Raises:
        RunFailed: The run failed, and the scenario has no faults: this is a defect, or the engine's failure.
        RunOver: Likewise.
    """
    try:
        return perform(job, ground, keys, engine=engine, processes=processes)
    except (RunFailed, RunOver) as ended:
        if not ground.terms.faults.happen:
            raise
        contract = contract_of(job.baseline, ground.terms, ground.contract, epsilon=job.epsilon)
        return Failure(
            learner=contract.learner,
            baseline=job.baseline,
            noise=contract.privacy.noise,
            epsilon=job.epsilon,
            parties=len(contract.parties),
            seed=job.seed,
            # What follows, a line for each, is who was silent.
            reason=str(ended).partition("\n")[0],
        )


def _perform(
    job: Job,
    ground: Ground,
    keys: SimulatedKeys | None,
    *,
    engine: Engine,
    processes: int,
) -> Outcome:
    dealt = deal_rows(ground, seed=job.seed)
    contract = contract_of(job.baseline, ground.terms, ground.contract, epsilon=job.epsilon)
    match job.baseline:
        case None:
            return methods.federated(
                contract,
                dealt,
                seed=job.seed,
                encryption=ground.terms.encryption.mode,
                keys=keys,
                engine=engine,
                processes=processes,
                faults=ground.terms.faults,
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
                contract,
                dealt,
                seed=job.seed,
                encryption=EncryptionMode.PLAIN,
                baseline=job.baseline,
                engine=engine,
                processes=processes,
                faults=ground.terms.faults,
            )
            return replace(outcome, parties=(), trained=None)


def run_jobs(
    tasks: Sequence[Task],
    grounds: Sequence[Ground],
    *,
    keys: Mapping[int, SimulatedKeys],
    workers: int,
    finished: Callable[[Task, Found], None],
    engine: Engine = Engine.IN_PROCESS,
) -> None:
    """Do all tasks.

    Interrupted (Ctrl-C) or failed, it ends its processes at once and leaves nothing behind; if this process
    is killed, the others end by themselves.

    Args:
        tasks: What to do.
        grounds: Data and terms of each variation.
        keys: Outcome of a key ceremony, for the variations that encrypt.
        workers: Largest number of processes; with 1, or for one task, everything happens in this one.
        finished: Is called in this process after each task with what it gave, in the order in which they end.
        engine: What carries the messages of federated trainings. Flower's has the processes for itself:
            then one task is done after another.
    """
    processes = min(workers, len(tasks))
    if processes <= 1 or engine is Engine.FLOWER:
        for task in tasks:
            finished(task, _do(task, grounds, keys, engine=engine, processes=workers))
        return
    texts = {variation: held.to_texts() for variation, held in keys.items()}
    others = set(multiprocessing.active_children())
    with _one_thread_each():
        pool = ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(tuple(grounds), texts, code_sha256()),
        )
        try:
            futures = {pool.submit(_do_here, task): task for task in tasks}
            for future in as_completed(futures):
                # What has been told is let go: a large sweep has many cards.
                finished(futures.pop(future), future.result())
            pool.shutdown()
        except BrokenProcessPool:
            raise ScenarioError(
                "a process of the simulation ended before its work was done, as when memory runs out: run "
                "the same again, and it goes on from what was finished; fewer processes need less memory"
            ) from None
        except BaseException:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            # The pool's own thread collects its processes; whoever else joined them would race with it.
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _do(
    task: Task,
    grounds: Sequence[Ground],
    keys: Mapping[int, SimulatedKeys],
    *,
    engine: Engine = Engine.IN_PROCESS,
    processes: int = 1,
) -> Found:
    ground = grounds[task.variation]
    if isinstance(task, Job):
        return attempt(task, ground, keys.get(task.variation), engine=engine, processes=processes)
    with _one_thread_each(), threadpool_limits(limits=1):
        return audit_scenario(ground, epsilon=task.epsilon, terms=task.terms)


def available_processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _one_thread_each() -> AbstractContextManager[None]:
    """Keep numerical libraries of child processes, which read this when they are loaded, to one thread."""
    return inherited(dict.fromkeys(_THREAD_LIMITS, "1"))


_here: list[tuple[Sequence[Ground], Mapping[int, SimulatedKeys], str]] = []


def _begin(grounds: Sequence[Ground], key_texts: Mapping[int, tuple[str, ...]], code: str) -> None:
    # The terminal sends Ctrl-C to every process; the first one tells the others when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_first_process, daemon=True).start()
    keys = {variation: SimulatedKeys.from_texts(texts) for variation, texts in key_texts.items()}
    _here.append((grounds, keys, code))


def _end_with_the_first_process() -> None:
    """A process that is killed cannot tell the others to end, and they would wait for work for ever."""
    first = multiprocessing.parent_process()
    if first is not None:
        first.join()
        os._exit(1)


def _do_here(task: Task) -> Found:
    grounds, keys, code = _here[0]
    # This process has loaded the source as it was when it began.
    require_same_code(code)
    return _do(task, grounds, keys)
