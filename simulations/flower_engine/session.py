"""One session of Flower's engine: a client app on some nodes, and what a server does with them.

It is meant for a process of its own (`engine`), which it leaves with a changed environment, and with threads
of Flower's that end on their own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from flwr.app import ConfigRecordValues, Context
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

from fedscore.errors import RunFailed

__all__ = ["Session", "run_session"]

_Result = TypeVar("_Result")

_OBJECT_STORE = 128 * 2**20
"""Shared memory of Ray's, in bytes: it holds what is on its way to an actor. By default it is a third of the
machine's."""

_BEGIN_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """How much of the machine a session takes.

    Attributes:
        nodes: Number of nodes.
        processes: Largest number of actor processes; each takes one processor.
        folder: Where Ray keeps its own files; its path must be short, for there are sockets among them.
    """

    nodes: int
    processes: int
    folder: Path

    @property
    def backend(self) -> dict[str, dict[str, ConfigRecordValues]]:
        """The settings of Flower's backend."""
        return {
            "client_resources": {"num_cpus": 1},
            "init_args": {
                # Never a cluster that is there already, whatever the environment says.
                "address": "local",
                "num_cpus": min(self.nodes, self.processes),
                "num_gpus": 0,
                "object_store_memory": _OBJECT_STORE,
                "_temp_dir": str(self.folder),
                "include_dashboard": False,
                "logging_level": logging.ERROR,
                # What nodes log is the researcher's to read.
                "log_to_driver": True,
            },
        }


def run_session(
    client_app: ClientApp, server: Callable[[Grid, Callable[[], bool]], _Result], session: Session
) -> _Result:
    """Starts Flower's engine, lets a server do its work in it, and ends it.

    Args:
        client_app: Answers for every node; it goes to an actor with every message, so it must be small.
        server: Is called with the grid once all nodes are there, and with what tells it to end at once.
        session: Number of nodes, and what they may take of the machine.

    Returns:
        What `server` returned.

    Raises:
        RunFailed: The engine failed. What `server` raised comes out as it is.
    """
    results: list[_Result] = []
    failures: list[Exception] = []
    over = threading.Event()
    server_app = ServerApp()

    @server_app.main()
    def main(grid: Grid, _context: Context) -> None:
        try:
            # Flower starts the server first, and registers the nodes meanwhile.
            while len(list(grid.get_node_ids())) < session.nodes and not over.wait(_BEGIN_SECONDS):
                pass
            results.append(server(grid, over.is_set))
        except Exception as error:  # noqa: BLE001 - raised below, where it is not taken for the engine's
            failures.append(error)

    logging.getLogger("flwr").setLevel(logging.ERROR)
    try:
        run_simulation(server_app, client_app, session.nodes, backend_config=session.backend)
    except RuntimeError as error:
        raise RunFailed(
            "Flower's engine failed: what it wrote above says why; the same scenario runs without it, with "
            "--engine in-process"
        ) from error
    finally:
        # Flower does not wait for its server when it is interrupted.
        over.set()
    for failure in failures:
        raise failure
    if not results:
        raise RunFailed("Flower's engine ended before its server did: run again, or use --engine in-process")
    return results[0]
