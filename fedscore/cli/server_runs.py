"""`fedscore server run`, `resume`, `stop` and `status`: the operator and a run."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedscore.cli.flower_home import CONNECTION, flower_home
from fedscore.errors import NodeConfigError

if TYPE_CHECKING:
    from server.config import ServerConfig
    from server.operations import RunReport

__all__ = ["resume", "run", "status", "stop"]

_POLL_SECONDS = 0.5
_STOP_SECONDS = 120.0
_SETTLE_SECONDS = 5.0

_Config = Annotated[Path, typer.Argument(help="The server's configuration, server.toml.", metavar="FILE")]


def run(file: _Config) -> None:
    """Train, or watch a card, over the connected nodes; the result and run.json go to the state folder.

    Ctrl-C ends the run cleanly: what it released stays charged, and it cannot be resumed. A second Ctrl-C
    leaves without waiting for that.
    """
    _train(file, resume=False)


def resume(file: _Config) -> None:
    """Go on with a run that was interrupted, where it was: no sum is opened twice.

    Ctrl-C does what it does to fedscore server run.
    """
    _train(file, resume=True)


def stop(file: _Config) -> None:
    """End the run for good; what it released stays charged. An interrupted run is ended too."""
    # Other commands do not pay for these.
    from server.config import load_server_config  # noqa: PLC0415
    from server.operations import request_stop, status_of  # noqa: PLC0415

    config = load_server_config(file)
    report = request_stop(config.state)
    deadline = time.monotonic() + _STOP_SECONDS
    while report.at_work and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        report = status_of(config.state)
    if report.at_work:
        raise NodeConfigError(
            f"the run was told to stop and has not ended within {_STOP_SECONDS:g} seconds: it does when the "
            f"answers that it waits for have come, or their time is over; see fedscore server status {file}"
        )
    _tell_run(report)


def status(
    file: _Config,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show the newest run, how far it has come, and what to do next."""
    # Other commands do not pay for these.
    from server.config import load_server_config  # noqa: PLC0415
    from server.operations import status_of  # noqa: PLC0415

    config = load_server_config(file)
    report = status_of(config.state)
    round_number, certificates = _transcript_round(config), _certificate_days(config)
    if as_json:
        found: dict[str, Any] = {
            "run": asdict(report.record) if report.record is not None else None,
            "at_work": report.at_work,
            "stopping": report.stopping,
            "resumable": report.resumable,
            "transcript_round": round_number,
            "certificate_days_left": certificates,
            "next": _next_step(report, file, config),
        }
        typer.echo(json.dumps(found, indent=2, allow_nan=False))
        return
    _tell_run(report)
    typer.echo(f"transcript       round {round_number}")
    for name, days in certificates.items():
        typer.echo(f"{name:<17}{'expired' if days < 0 else f'{days} days left'}")
    typer.echo(f"next             {_next_step(report, file, config)}")


def _train(file: Path, *, resume: bool) -> None:
    # Other commands do not pay for these.
    from fedscore.messages.programs import environment, run_command  # noqa: PLC0415
    from server import BUNDLE  # noqa: PLC0415
    from server.config import load_server_config  # noqa: PLC0415
    from server.operations import require_startable, status_of  # noqa: PLC0415
    from server.record import RunStatus  # noqa: PLC0415

    config = load_server_config(file)
    home = flower_home(file, config)
    require_startable(config.state, resume=resume)
    before = status_of(config.state).record
    child = subprocess.Popen(  # noqa: S603 - a fixed program
        run_command(BUNDLE, file, connection=CONNECTION, resume=resume),
        env=environment(home=home),
        # Ctrl-C is for this process, which lets the run end before its messages do.
        start_new_session=True,
    )
    interrupted = False
    try:
        try:
            child.wait()
        except KeyboardInterrupt:
            interrupted = True
            _end_cleanly(config.state, child)
    finally:
        child.terminate()
        child.wait()
    report = _settled(config.state)
    if report.record is None or report.record == before:
        raise NodeConfigError(
            "nothing was trained: what Flower said above tells why; `fedscore server start` must be running"
        )
    _tell_run(report)
    typer.echo(f"next             {_next_step(report, file, config)}")
    if interrupted:
        # What shells report of a process that SIGINT ended.
        raise typer.Exit(130)
    if report.record.status is not RunStatus.FINISHED:
        raise typer.Exit(1)


def _end_cleanly(state: Path, child: subprocess.Popen[bytes]) -> None:
    """Tells the run to stop, as soon as it is at work, and waits until it has."""
    from server.operations import request_stop, status_of  # noqa: PLC0415 - see above

    typer.echo(
        "ending the run: what it released stays charged; Ctrl-C again leaves without waiting", err=True
    )
    told = False
    while child.poll() is None or status_of(state).at_work:
        if not told:
            try:
                request_stop(state)
                told = True
            except NodeConfigError:
                # It was submitted, and no process has taken it up yet.
                told = False
        time.sleep(_POLL_SECONDS)


def _settled(state: Path) -> RunReport:
    """The run as its process left it: it may end a moment after its last message."""
    from server.operations import status_of  # noqa: PLC0415 - see above

    deadline = time.monotonic() + _SETTLE_SECONDS
    report = status_of(state)
    while report.at_work and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        report = status_of(state)
    return report


def _tell_run(report: RunReport) -> None:
    record = report.record
    if record is None:
        typer.echo("run              none yet")
        return
    at_work = ", told to stop" if report.stopping else ", a process is at work" if report.at_work else ""
    typer.echo(f"run              {record.run or 'not begun'}: {record.status}{at_work}")
    if record.reason:
        typer.echo(f"reason           {record.reason}")
    of_all = f" of {record.rounds}" if record.rounds else ""
    typer.echo(f"sums             {record.rounds_opened}{of_all} opened, {record.rounds_abandoned} abandoned")
    for what in record.noticed:
        typer.echo(f"noticed          {what}")


def _next_step(report: RunReport, file: Path, config: ServerConfig) -> str:
    from server.record import RunStatus  # noqa: PLC0415 - see above

    begin = f"fedscore server run {file}"
    if report.stopping:
        return "wait: it ends when the answers that it waits for have come"
    if report.at_work:
        return f"wait, or end it: fedscore server stop {file}"
    status = report.record.status if report.record is not None else None
    if status is RunStatus.INTERRUPTED and report.resumable:
        return f"fedscore server resume {file} goes on with it, fedscore server stop {file} ends it"
    if status is RunStatus.INTERRUPTED:
        return f"its checkpoint is damaged: fedscore server stop {file} ends it, then {begin} begins another"
    if status is RunStatus.FINISHED:
        name = _newest(config.state)
        again = "watches the card again" if name == "monitoring.json" else "trains another"
        return f"{name} lies in the state folder; {begin} {again}"
    return f"{begin} begins one"


def _newest(state: Path) -> str:
    """What the last run wrote: a folder may hold results of several."""
    written = [
        state / name for name in ("card.json", "model.json", "monitoring.json") if (state / name).exists()
    ]
    return max(written, key=lambda file: file.stat().st_mtime_ns).name if written else "card.json"


def _transcript_round(config: ServerConfig) -> int:
    from fedscore.contract import load_contract  # noqa: PLC0415 - see above
    from fedscore.sums.ceremonies import ceremony_of  # noqa: PLC0415
    from fedscore.sums.series import KeySeries  # noqa: PLC0415
    from server.chronicle import FileChronicle  # noqa: PLC0415

    series = KeySeries.of(ceremony_of(load_contract(config.contract), config.ceremony))
    return FileChronicle(config.state, series).load().round


def _certificate_days(config: ServerConfig) -> dict[str, int]:
    """Days for which each certificate is still good, below 0 once it has expired."""
    from fedscore.tls import days_left, read_certificate  # noqa: PLC0415 - see above

    if config.listen is None:
        return {}
    files = {"certificate": config.listen.certificate, "authority": config.listen.authority}
    return {name: days_left(read_certificate(file)) for name, file in files.items()}
