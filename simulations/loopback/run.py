"""One run of a loopback federation: submit, watch, collect."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.starting import LAUNCHER
from fedscore.card import Card
from fedscore.contract import Contract, Learner
from fedscore.errors import ProtocolError, RunFailed
from fedscore.learners.neural.model import NeuralModel
from fedscore.learners.program import Trained
from fedscore.messages.programs import run_command
from server import BUNDLE
from simulations.loopback.federation import (
    CONNECTION,
    THREE_ORGANISATIONS,
    LoopbackFederation,
    LoopbackTerms,
    loopback_federation,
)
from simulations.loopback.parties import PartyFolder

__all__ = ["LoopbackResult", "run_loopback", "train"]

_POLL_SECONDS = 0.5

RunSeen = Mapping[str, Any]
"""What `run.json` says at the moment, as `server.record.RunRecord` has it; empty before the run has begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopbackResult:
    """What a loopback federation gave.

    Attributes:
        trained: The card or the model, as the server app wrote it.
        record: The run's record, as `server.record.RunRecord` has it.
        contract: What it was trained under.
        parties: The organisations' folders.
        seconds: Wall time from the submission of the run to its end.
    """

    trained: Trained
    record: Mapping[str, Any]
    contract: Contract
    parties: tuple[PartyFolder, ...]
    seconds: float

    @property
    def card(self) -> Card:
        """The card of a scorecard's run.

        Raises:
            ProtocolError: Another learner was trained.
        """
        if not isinstance(self.trained, Card):
            raise ProtocolError("the run trained a neural model and no card: read `trained`")
        return self.trained


def run_loopback(
    out: Path,
    *,
    people: int,
    seed: int,
    key_bits: int,
    terms: LoopbackTerms = THREE_ORGANISATIONS,
    client: Sequence[str] = LAUNCHER,
    tell: Callable[[str], None],
) -> LoopbackResult:
    """Start a federation, each organisation in processes of its own, and train over it once.

    Args:
        out: An empty or new folder: the organisations', the operator's, logs, and `card.json` or
            `model.json`.
        people: How many people to invent.
        seed: What they are drawn from; noise and keys come from the operating system.
        key_bits: Size of the consortium's key.
        terms: Who takes part; two platforms and a collection agency if left out.
        client: The command with which a node answers a message; tests have another.
        tell: Is told, in a sentence, how it goes on.

    Raises:
        FedscoreError: The folder is not empty, a process does not do its part, or the run fails.
    """
    with loopback_federation(
        out, people=people, seed=seed, key_bits=key_bits, terms=terms, client=client, tell=tell
    ) as federation:
        result = train(federation, tell=tell)
    name = result.trained.file_name
    for written in (federation.operator / "state").glob(f"{name.removesuffix('.json')}*.json"):
        (out / written.name).write_bytes(written.read_bytes())
    return result


def train(
    federation: LoopbackFederation,
    *,
    timeout_seconds: float = 1800.0,
    watch: Callable[[RunSeen], None] = lambda _seen: None,
    tell: Callable[[str], None],
) -> LoopbackResult:
    """Train once over a federation that has been started; another run may have been before.

    Args:
        federation: Its processes run.
        timeout_seconds: Longest duration of the run.
        watch: Is called about twice a second while the run goes on; may kill nodes.
        tell: Is told, in a sentence, how it goes on.

    Raises:
        RunFailed: A process that nobody killed has ended, the time is over, or the run failed.
    """
    tell("training")
    operator = federation.operator
    # The record of an earlier run must not pass for this one's.
    (operator / "state" / "run.json").unlink(missing_ok=True)
    started = time.monotonic()
    run = federation.processes.start(
        run_command(BUNDLE, federation.config, connection=CONNECTION),
        folder=operator,
        home=operator / "flwr",
        log=operator / "run.log",
    )
    record = _await_end(run, federation, timeout_seconds, watch, tell)
    return LoopbackResult(
        trained=_trained(federation.contract, operator / "state"),
        record=record,
        contract=federation.contract,
        parties=federation.parties,
        seconds=time.monotonic() - started,
    )


def _trained(contract: Contract, state: Path) -> Trained:
    if contract.learner is Learner.NEURAL:
        return NeuralModel.read(state / "model.json")
    return Card.read(state / "card.json")


def _await_end(
    run: subprocess.Popen[bytes],
    federation: LoopbackFederation,
    timeout_seconds: float,
    watch: Callable[[RunSeen], None],
    tell: Callable[[str], None],
) -> RunSeen:
    """Wait until `flwr run` has streamed the run to its end; return the record of a run that succeeded."""
    deadline = time.monotonic() + timeout_seconds
    operator = federation.operator
    opened, noticed = 0, 0
    while run.poll() is None:
        federation.processes.require_running()
        record = _record(operator)
        if record.get("rounds_opened", 0) > opened:
            opened = record["rounds_opened"]
            tell(f"{opened} sums opened")
        for what in record.get("noticed", ())[noticed:]:
            noticed += 1
            tell(what)
        watch(record)
        if time.monotonic() > deadline:
            raise RunFailed(
                f"the run did not end within {timeout_seconds:g} seconds: see the logs in {operator}"
            )
        time.sleep(_POLL_SECONDS)
    record = _record(operator)
    if record.get("status") != "finished":
        reason = record.get("reason") or f"the server app left no word; see {operator / 'run.log'}"
        raise RunFailed(f"the run failed: {reason}")
    return record


def _record(operator: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((operator / "state" / "run.json").read_bytes())
    except FileNotFoundError:
        return {}
    return content
