"""The Flower server app: one run of the contract's program over the connected nodes.

It finds its files through the run's configuration: `flwr run … --run-config 'config="/path/of/server.toml"'`.
Flower never resumes a run; a later one with `resume=true` goes on where the checkpoint says.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedscore.card import Card, Provenance
from fedscore.contract import load_contract
from fedscore.errors import FedscoreError, LayoutError, NodeConfigError, RunOver, RunStopped
from fedscore.learners.agenda import Agenda
from fedscore.learners.choice import program_of
from fedscore.learners.monitoring.card_file import watched_card
from fedscore.monitoring import MonitoringReport
from fedscore.sums.ceremonies import ceremony_of
from fedscore.sums.paillier import PaillierCombiner
from fedscore.sums.series import KeySeries
from privacy.identities import Identity
from server.checkpoint import FileCheckpoints, checkpointed_run
from server.chronicle import FileChronicle
from server.config import ServerConfig, load_server_config
from server.coordinator import Coordinator, RunResult
from server.grid_transport import GridTransport
from server.operations import admitted
from server.progress import Progress
from server.record import RunStatus, write_trained
from server.transport import Transport
from server.workplace import Workplace

__all__ = ["app", "run_once"]

_JOIN_POLL_SECONDS = 0.2

logger = logging.getLogger(__name__)

app = ServerApp()
"""The app of a deployment; the bundle without code points here."""


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run once, or go on with what was interrupted, with the configuration that the run names.

    Raises:
        FedscoreError: The run cannot be made, or failed; `run.json` says why.
    """
    path = context.run_config.get("config")
    if not isinstance(path, str) or not path:
        raise NodeConfigError(
            "the server's configuration is not known: start the run with "
            """--run-config 'config="/path/of/server.toml"'"""
        )
    resume = context.run_config.get("resume", False) in (True, "yes")
    try:
        run_once(grid, load_server_config(path), resume=resume)
    except RunStopped as stopped:
        # The operator's own wish is no failure for Flower to report.
        logger.warning("%s", stopped)


def run_once(grid: Grid, config: ServerConfig, *, resume: bool = False) -> RunResult:
    """Train one card or model, or watch a card, and write what came of it.

    Args:
        grid: Reaches the nodes.
        config: Where things are; `card.json`, `model.json` or `monitoring.json`, and `run.json`, go into its
            state folder.
        resume: Whether the interrupted run of the state folder goes on; else a new one begins.

    Raises:
        NodeConfigError: Another run is at work in the folder, or was interrupted; or there is none to resume.
            Nothing was touched.
        FedscoreError: The run cannot be made, or failed; `run.json` says why, and whether it can be resumed.
    """
    place = Workplace(config.state)
    with place.taken():
        progress = Progress(config.state, admitted(config.state, resume=resume))
        # A sign that nobody saw was meant for the process before.
        place.clear_sign()
        if resume:
            progress.note(status=RunStatus.RUNNING, reason="")
        try:
            return _trained(grid, config, place, progress, resume=resume)
        except BaseException as failure:
            # Once something is trained, whatever fails while clearing up is left to the next run.
            if progress.record.status is RunStatus.FINISHED:
                raise
            progress.note(status=_status(failure, config, progress), reason=_reason(failure))
            raise


def _trained(
    grid: Grid, config: ServerConfig, place: Workplace, progress: Progress, *, resume: bool
) -> RunResult:
    contract = load_contract(config.contract)
    ceremony = ceremony_of(contract, config.ceremony)
    card = watched_card(contract, config.card)
    series = KeySeries.of(ceremony)
    chronicle, checkpoints = FileChronicle(config.state, series), FileCheckpoints(config.state, series)
    checkpoint = None
    if resume:
        checkpoint = checkpoints.load()
    else:
        _clear_up(checkpoints, chronicle)
        progress.note(status=RunStatus.RUNNING)
    operator = _operator(config)
    transport = GridTransport(
        grid,
        signer=operator,
        timeout_seconds=config.answer_seconds,
        stopping=place.must_stop,
    )
    coordinator = Coordinator(
        contract=contract,
        series=series,
        combiner=PaillierCombiner(committee=ceremony.committee, signing_keys=contract.signing_keys),
        transport=transport,
        chronicle=chronicle,
        checkpoints=checkpoints,
        observer=progress,
        resume=checkpoint,
        stopping=place.must_stop,
        agenda_of=lambda agreed, run: Agenda(agreed, run=run, program=program_of(agreed, card)),
    )
    progress.note(
        run=coordinator.run_id,
        contract_hash=contract.hash(),
        rounds_opened=len(checkpoint.openings) if checkpoint is not None else 0,
    )
    everybody = {*contract.parties_by_name, *series.member_names.values()}
    _await_nodes(transport, expected=len(everybody), seconds=config.join_seconds, stopping=place.must_stop)
    result = coordinator.run()
    trained = result.trained
    if isinstance(trained, Card | MonitoringReport):
        trained = trained.with_provenance(
            Provenance(
                run=coordinator.run_id,
                transcript=result.transcript,
                round=result.round,
                finished=dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            )
        )
    write_trained(trained, config.state, signer=operator)
    progress.note(
        status=RunStatus.FINISHED,
        values_per_party=result.values_per_party,
        bytes_per_party=result.bytes_per_party,
        rounds_abandoned=result.abandoned,
        liars=result.liars,
    )
    checkpoints.clear()
    return result


def _clear_up(checkpoints: FileCheckpoints, chronicle: FileChronicle) -> None:
    """Removes what a run that has ended left behind; the transcript keeps what its checkpoint knows of it."""
    try:
        left = checkpoints.load()
    except NodeConfigError:
        # Nobody needs it any more.
        left = None
    if left is not None:
        chronicle.store(chronicle.load().joined(left.standing))
    checkpoints.clear()


def _status(failure: BaseException, config: ServerConfig, progress: Progress) -> RunStatus:
    """What becomes of a run that did not come to its end."""
    if isinstance(failure, RunStopped):
        return RunStatus.STOPPED
    has_asked = progress.record.status is RunStatus.RUNNING and checkpointed_run(config.state) is not None
    if has_asked and not isinstance(failure, RunOver | LayoutError):
        return RunStatus.INTERRUPTED
    return RunStatus.FAILED


def _reason(failure: BaseException) -> str:
    if isinstance(failure, FedscoreError):
        return str(failure)
    if not isinstance(failure, Exception):
        return "its process was told to end"
    return "an internal error: the server's log has its text"


def _operator(config: ServerConfig) -> Identity:
    try:
        text = config.identity.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise NodeConfigError(
            f"{config.identity.name} cannot be read ({type(error).__name__}): check its path and rights"
        ) from None
    return Identity.from_json(text)


def _await_nodes(
    transport: Transport, *, expected: int, seconds: float, stopping: Callable[[], bool]
) -> None:
    """Wait until as many nodes are connected as there are parties and other members, or no longer.

    Too few are no error here: the coordinator knows how many may be absent. It also sees the stop sign.
    """
    deadline = time.monotonic() + seconds
    while len(transport.addresses()) < expected and time.monotonic() < deadline and not stopping():
        time.sleep(_JOIN_POLL_SECONDS)
