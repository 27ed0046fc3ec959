"""Trains on Flower's engine from a process that stays free of it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import secrets
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.errors import FedscoreError, RunFailed
from simulations.engines import Engine, require_engine
from simulations.environment import inherited
from simulations.flower_engine.folder import RunFolder, Terms
from simulations.flower_engine.process import Task, engine_process
from simulations.keys import SimulatedKeys
from simulations.participants import FederationResult
from simulations.schemes import EncryptionMode

__all__ = ["train_on_flower"]

_SETTINGS = {
    # Nothing that runs here reports to anybody.
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray listens on every address of the machine, and runs what it is sent.
    "RAY_AUTH_MODE": "token",
    # It would take the environment of `uv run` to its actors.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Without it Ray warns that its default will change.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # What nodes log comes as often as they log it.
    "RAY_DEDUP_LOGS": "0",
    # One numerical thread in each process, as everywhere in simulations: last bits depend on it.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}
_END_SECONDS = 5.0
_PAUSE_SECONDS = 0.02
_LONGEST_BASE = 20
"""Characters of a folder under which Ray's sockets still have a path that the system accepts."""


def train_on_flower(
    contract: Contract,
    rows: Mapping[str, Rows],
    *,
    seed: int,
    processes: int,
    encryption: EncryptionMode = EncryptionMode.PLAIN,
    keys: SimulatedKeys | None = None,
    test_rows: Mapping[str, Rows] | None = None,
) -> FederationResult:
    """Trains as `train_federation` does, on Flower's engine: the same openings.

    Interrupted (Ctrl-C) or failed, it ends all of the engine's processes and leaves nothing behind.

    Args:
        contract: With its roster; noise mode and budget are the contract's.
        rows: Training rows of every party on the roster.
        seed: Of the noise; encryption is random in any case.
        processes: Largest number of processes that answer for nodes.
        encryption: Plain sums are the same integers as encrypted ones.
        keys: For `EncryptionMode.PAILLIER`: a key, its committee and their shares.
        test_rows: Test rows of every party, if the contract has an evaluation.

    Returns:
        What the run gave; `seconds` with the engine's start and end. Nothing is known of how long the nodes'
        cryptography took.

    Raises:
        MissingExtra: Ray is not installed.
        RunFailed: The run failed as it would in one process, or the engine did.
    """
    require_engine(Engine.FLOWER)
    started = time.perf_counter()
    terms = Terms(
        contract=contract,
        seed=seed,
        encryption=encryption,
        keys=keys,
        evaluates=test_rows is not None,
    )
    with _private_folder() as path:
        RunFolder(path).furnish(terms, rows, test_rows)
        result = _elsewhere(Task(folder=path, processes=processes))
    return replace(result, seconds=time.perf_counter() - started)


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    base = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(
        prefix="fedscore-",
        dir=base if len(base) <= _LONGEST_BASE else "/tmp",  # noqa: S108 - a folder of its own in it
    ) as path:
        yield Path(path)


def _elsewhere(task: Task) -> FederationResult:
    """Runs the engine in a process of its own, and ends all that it has started."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=engine_process, args=(task, sender), name="flower-engine")
    try:
        with _environment(task.folder / "flower"):
            process.start()
        # Else nobody would notice that the other end is closed.
        sender.close()
        outcome = receiver.recv()
    except EOFError:
        wait([process.sentinel])
        raise RunFailed(
            f"the process of Flower's engine ended with exit code {process.exitcode} and without a result: "
            "what it wrote above says why; the same scenario runs with --engine in-process"
        ) from None
    finally:
        receiver.close()
        _end(process)
    if isinstance(outcome, FedscoreError):
        raise outcome
    if not isinstance(outcome, FederationResult):
        raise RunFailed(f"the process of Flower's engine sent a {type(outcome).__name__}: this is a defect")
    return outcome


def _end(process: BaseProcess) -> None:
    """Ends a process and its group, whatever they are at: what matters was sent, or is no more wanted."""
    if process.pid is None:
        return
    # Until it has been joined, nobody else can get its number.
    _signalled(process.pid, signal.SIGKILL)
    process.kill()
    process.join()
    deadline = time.monotonic() + _END_SECONDS
    while _signalled(process.pid, 0) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)


def _signalled(group: int, number: int) -> bool:
    """Sends a signal to a process group; 0 only asks whether there is one."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # macOS permits no signal to those that have ended and were not yet collected.
        return False
    return True


def _environment(home: Path) -> AbstractContextManager[None]:
    """What a process inherits that is started meanwhile; Flower keeps its own files in `home`."""
    return inherited({**_SETTINGS, "RAY_AUTH_TOKEN": secrets.token_hex(32), "FLWR_HOME": str(home)})
