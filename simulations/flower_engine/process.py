"""What the engine's own process does: one run, whose result goes back through a pipe."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from flwr.serverapp import Grid

from clients.app import build_app
from fedscore.errors import FedscoreError
from server.grid_transport import GridTransport
from simulations.flower_engine.folder import RunFolder
from simulations.flower_engine.nodes import NodesOfFolder
from simulations.participants import FederationResult

__all__ = ["Task", "engine_process"]

_POLL_SECONDS = 0.05
_TIDY_SECONDS = 10.0
_ANSWER_SECONDS = 24 * 3600.0
"""In one process the server waits for as long as its nodes take, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the process is told.

    Attributes:
        folder: The run's.
        processes: Largest number of processes that answer for nodes.
    """

    folder: Path
    processes: int


def engine_process(task: Task, sender: Connection) -> None:
    """Runs, and sends a `FederationResult`, or the `FedscoreError` that the run ended with.

    It makes a process group, in which Ray's processes are too: whoever ends the group leaves none of them.
    The terminal's Ctrl-C does not reach it.

    Args:
        task: What to do.
        sender: Where the first process listens.
    """
    os.setpgrp()
    threading.Thread(target=_end_with_parent, args=(task.folder,), daemon=True).start()
    outcome: FederationResult | FedscoreError
    try:
        outcome = _run(task)
    except FedscoreError as error:
        outcome = error
    sender.send(outcome)
    sender.close()


def _end_with_parent(folder: Path) -> None:
    """Leaves nothing behind if the first process was killed, and can tidy up no more."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    # Actors are still at work: what they write meanwhile goes in the next turn.
    deadline = time.monotonic() + _TIDY_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def _run(task: Task) -> FederationResult:
    # It loads much of Flower, for which the first process has no use.
    from simulations.flower_engine.session import Session, run_session  # noqa: PLC0415

    participants = RunFolder(task.folder).terms().participants()

    def server(grid: Grid, stopping: Callable[[], bool]) -> FederationResult:
        transport = GridTransport(
            grid,
            signer=participants.operator,
            poll_seconds=_POLL_SECONDS,
            timeout_seconds=_ANSWER_SECONDS,
            stopping=stopping,
        )
        return participants.run(transport)

    result = run_session(
        build_app(NodesOfFolder(folder=str(task.folder))),
        server,
        Session(nodes=len(participants.names), processes=task.processes, folder=task.folder / "ray"),
    )
    # The server's part alone was measured here.
    return replace(result, stages={}, processor_stages={})
