"""What the operator may do about the run in a state folder: look at it, resume it, end it.

A run is open from the moment in which its first round's number is on disk until `run.json` says that it has
ended: as long as there is a checkpoint, and the record says nothing else. So a process may die at any point.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from fedscore.errors import NodeConfigError
from server.checkpoint import checkpointed_run
from server.record import RunRecord, RunStatus, read_record, write_record
from server.workplace import Workplace

__all__ = ["RunReport", "admitted", "open_run", "request_stop", "require_startable", "status_of"]

_DIED = "its process ended without a word: it was killed, or the machine stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """How the newest run of a state folder stands.

    Attributes:
        record: What `run.json` says, its status and reason as they are now: where no process is at work,
            nothing is `running`. None before the first run.
        at_work: Whether a process is at work in the folder now.
        resumable: Whether `fedscore server resume` can go on with the run.
        stopping: Whether the process at work has been told to stop.
    """

    record: RunRecord | None
    at_work: bool
    resumable: bool
    stopping: bool


def status_of(state: Path) -> RunReport:
    """Looks; changes nothing."""
    place = Workplace(state)
    if place.is_taken():
        return RunReport(record=read_record(state), at_work=True, resumable=False, stopping=place.must_stop())
    interrupted, record = open_run(state), read_record(state)
    if interrupted is None and record is not None and record.status is RunStatus.RUNNING:
        record = replace(record, status=RunStatus.FAILED, reason=f"{_DIED}; nothing was asked for yet")
    return RunReport(
        record=interrupted or record,
        at_work=False,
        resumable=bool(interrupted and checkpointed_run(state)),
        stopping=False,
    )


def open_run(state: Path) -> RunRecord | None:
    """Returns the record of the run that has asked for something and has not ended, as an interrupted one.

    Whoever is at work on it at this moment is not looked for.
    """
    run, record = checkpointed_run(state), read_record(state)
    if run is None or (record is not None and record.status.is_end):
        return None
    if record is None or (run and record.run != run):
        # The record was lost, and what it counted with it; the checkpoint knows what the run stands on.
        record = RunRecord(run=run, status=RunStatus.RUNNING, contract_hash="")
    reason = _DIED if record.status is RunStatus.RUNNING else record.reason
    return replace(record, status=RunStatus.INTERRUPTED, reason=reason)


def request_stop(state: Path) -> RunReport:
    """Ends the run for good (`fedscore server stop`); what was released stays spent.

    A process at work is told to stop, and does so within seconds: look at `status_of` until nobody is at
    work. An interrupted run without a process is ended here.

    Raises:
        NodeConfigError: There is nothing to end.
    """
    place = Workplace(state)
    if place.is_taken():
        place.ask_to_stop()
        return status_of(state)
    if open_run(state) is None:
        raise NodeConfigError(f"no run is going on in {state}, and none was interrupted: nothing was ended")
    with place.taken():
        interrupted = open_run(state)
        if interrupted is not None:
            reason = f"the operator ended it after it was interrupted ({interrupted.reason})"
            write_record(replace(interrupted, status=RunStatus.STOPPED, reason=reason), state)
    return status_of(state)


def admitted(state: Path, *, resume: bool) -> RunRecord | None:
    """Lets a run begin or go on, whoever is at work in the folder; for whoever holds its lock.

    Args:
        state: The folder.
        resume: Whether an interrupted run is to go on; else a new one begins.

    Returns:
        The record of the interrupted run to be resumed; none for a new run.

    Raises:
        NodeConfigError: There is an interrupted run and a new one is to begin; or the other way round.
    """
    interrupted = open_run(state)
    if resume and interrupted is None:
        raise NodeConfigError(
            f"no run was interrupted in {state}, so there is nothing to resume: begin one with `fedscore "
            "server run`"
        )
    if not resume and interrupted is not None:
        raise NodeConfigError(
            f"run {interrupted.run or '(its record is damaged)'} was interrupted: `fedscore server resume` "
            "goes on with it, `fedscore server stop` ends it; then a new one can begin"
        )
    return interrupted


def require_startable(state: Path, *, resume: bool) -> None:
    """Lets `fedscore server run`, or `resume`, start something: nobody is at work, and `admitted` holds.

    Args:
        state: The folder; it may not exist yet.
        resume: Whether an interrupted run is to go on; else a new one begins.

    Raises:
        NodeConfigError: It would be refused later; says why and what to do.
    """
    place = Workplace(state)
    if place.is_taken():
        raise place.refusal()
    admitted(state, resume=resume)
