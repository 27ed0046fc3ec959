"""The Flower server app: one run of the contract's program over the connected nodes.

It finds its files through the run's configuration: `flwr run … --run-config 'config="/path/of/server.toml"'`.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedscore.contract import load_contract
from fedscore.errors import FedscoreError, NodeConfigError
from fedscore.sums.ceremonies import ceremony_of
from fedscore.sums.paillier import PaillierCombiner
from fedscore.sums.series import KeySeries
from server.chronicle import FileChronicle
from server.config import ServerConfig, load_server_config
from server.coordinator import Coordinator, RunResult
from server.grid_transport import GridTransport
from server.record import RunRecord, RunStatus, write_card, write_record
from server.transport import Transport

__all__ = ["app", "run_once"]

logger = logging.getLogger(__name__)

_JOIN_POLL_SECONDS = 0.2

app = ServerApp()
"""The app of a deployment; the bundle without code points here."""


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run once, with the configuration that the run names.

    Raises:
        FedscoreError: The run cannot be made, or failed; `run.json` says why.
    """
    path = context.run_config.get("config")
    if not isinstance(path, str) or not path:
        raise NodeConfigError(
            "the server's configuration is not known: start the run with "
            """--run-config 'config="/path/of/server.toml"'"""
        )
    run_once(grid, load_server_config(path))


def run_once(grid: Grid, config: ServerConfig) -> RunResult:
    """Train one card and write it.

    Args:
        grid: Reaches the nodes.
        config: Where things are; `card.json` and `run.json` go into its state folder.

    Raises:
        FedscoreError: The run cannot be made, or failed; `run.json` says why.
    """
    config.state.mkdir(parents=True, exist_ok=True)
    progress = _Progress(config.state)
    try:
        contract = load_contract(config.contract)
        record = ceremony_of(contract, config.ceremony)
        series = KeySeries.of(record)
        transport = GridTransport(grid, timeout_seconds=config.answer_seconds)
        coordinator = Coordinator(
            contract=contract,
            series=series,
            combiner=PaillierCombiner(committee=record.committee, signing_keys=contract.signing_keys),
            transport=transport,
            chronicle=FileChronicle(config.state, series),
            observer=progress,
        )
        progress.note(run=coordinator.run_id, contract_hash=contract.hash())
        everybody = {*contract.parties_by_name, *series.member_names.values()}
        _await_nodes(transport, expected=len(everybody), seconds=config.join_seconds)
        result = coordinator.run()
    except FedscoreError as failure:
        progress.note(status=RunStatus.FAILED, reason=str(failure))
        raise
    except BaseException:
        progress.note(status=RunStatus.FAILED, reason="an internal error: the server's log has its text")
        raise
    write_card(result.card, config.state)
    progress.note(
        status=RunStatus.FINISHED,
        values_per_party=result.values_per_party,
        bytes_per_party=result.bytes_per_party,
        rounds_abandoned=result.abandoned,
        liars=result.liars,
    )
    return result


def _await_nodes(transport: Transport, *, expected: int, seconds: float) -> None:
    """Wait until as many nodes are connected as there are parties and other members, or no longer.

    Too few are no error here: the coordinator knows how many may be absent.
    """
    deadline = time.monotonic() + seconds
    while len(transport.addresses()) < expected and time.monotonic() < deadline:
        time.sleep(_JOIN_POLL_SECONDS)


class _Progress:
    """Keeps `run.json` up to date; an observer of the coordinator."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._record = RunRecord(run="", status=RunStatus.RUNNING, contract_hash="")
        # A card of an earlier run must not pass for this one's.
        (folder / "card.json").unlink(missing_ok=True)
        self.note()

    def note(self, **changes: object) -> None:
        self._record = replace(self._record, **changes)  # type: ignore[arg-type]  # checked by the callers' names
        write_record(self._record, self._folder)

    def round_opened(self, name: str, number: int, rounds: int) -> None:
        logger.info("%s: opened, sum %d of %d", name, number, rounds)
        self.note(rounds_opened=number)

    def noticed(self, what: str) -> None:
        logger.warning("%s", what)
        self.note(noticed=(*self._record.noticed, what))
