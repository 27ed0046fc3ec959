"""The script of a loopback federation: prepare, start, run, collect, stop."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedscore.card import Card
from fedscore.contract import Contract, Party, load_contract
from fedscore.errors import RunFailed, ScenarioError
from fedscore.messages.programs import (
    register_command,
    run_command,
    superexec_command,
    superlink_command,
    supernode_command,
)
from privacy.paillier.ceremony import deal
from server import BUNDLE
from simulations.loopback.certificates import write_private, write_tls
from simulations.loopback.parties import PartyFolder, as_toml, write_operator, write_parties
from simulations.loopback.processes import Processes, free_ports, run_briefly
from simulations.synthetic import SyntheticConsortium, make_consortium

__all__ = ["LoopbackResult", "run_loopback"]

_CONTRACT = Path(__file__).parent.parent / "contracts" / "consortium.toml"
_CONNECTION = "consortium"
_START_SECONDS = 120.0
_COMMAND_SECONDS = 120.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopbackResult:
    """What a loopback federation gave.

    Attributes:
        card: The card, as the server app wrote it.
        record: The run's record, as `server.record.RunRecord` has it.
        contract: What it was trained under.
        parties: The organisations' folders.
        seconds: Wall time from the submission of the run to its end.
    """

    card: Card
    record: Mapping[str, Any]
    contract: Contract
    parties: tuple[PartyFolder, ...]
    seconds: float


def run_loopback(
    out: Path,
    *,
    people: int,
    seed: int,
    key_bits: int,
    bundle: Path = BUNDLE,
    timeout_seconds: float = 1800.0,
    tell: Callable[[str], None],
) -> LoopbackResult:
    """Train one card over two platforms and a collection agency, each in processes of its own.

    Args:
        out: An empty or new folder: the organisations', the operator's, logs, and `card.json`.
        people: How many people to invent.
        seed: What they are drawn from; noise and keys come from the operating system.
        key_bits: Size of the consortium's key.
        bundle: What Flower is told to run; tests have another.
        timeout_seconds: Longest duration of the run itself.
        tell: Is told, in a sentence, how it goes on.

    Raises:
        FedscoreError: The folder is not empty, a process does not do its part, or the run fails.
    """
    out = out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise ScenarioError(f"{out} is not empty: pass a new folder with --out")
    tell(f"inventing {people:,} people")
    consortium = make_consortium(people=people, platforms=2, collectors=1, seed=seed)
    contract = _contract_of(consortium, key_bits)
    tell(f"key ceremony ({key_bits} bits, two of three open)")
    keys = deal(bits=key_bits, members=3, threshold=2)
    parties = write_parties(out, consortium=consortium, contract=contract, keys=keys)
    config = write_operator(out, contract=contract, keys=keys)
    with Processes() as processes:
        _start(processes, config.parent, parties, tell)
        tell("training")
        started = time.monotonic()
        run = processes.start(
            run_command(bundle, config, connection=_CONNECTION),
            folder=config.parent,
            home=config.parent / "flwr",
            log=config.parent / "run.log",
        )
        record = _await_end(run, processes, config.parent, timeout_seconds, tell)
        seconds = time.monotonic() - started
    card = Card.read(config.parent / "state" / "card.json")
    (out / "card.json").write_bytes((config.parent / "state" / "card.json").read_bytes())
    return LoopbackResult(
        card=card, record=record, contract=contract, parties=tuple(parties), seconds=seconds
    )


def _contract_of(consortium: SyntheticConsortium, key_bits: int) -> Contract:
    roster = [Party(name=party.name, role=party.role) for party in consortium.parties]
    return load_contract(_CONTRACT).with_parties(roster).with_encryption(key_bits=key_bits)


def _start(
    processes: Processes,
    operator: Path,
    parties: Sequence[PartyFolder],
    tell: Callable[[str], None],
) -> None:
    """Start the SuperLink, its executor and the nodes, and let the operator register the nodes' keys."""
    authority, certificate, key = write_tls(operator)
    secret = operator / "superexec.secret"
    write_private(secret, secrets.token_bytes(32))
    port, *node_ports = free_ports(1 + len(parties))
    home = operator / "flwr"
    home.mkdir()
    connection = {"address": f"localhost:{port}", "root-certificates": str(authority)}
    (home / "config.toml").write_text(
        as_toml({"superlink": {"default": _CONNECTION, _CONNECTION: connection}}), encoding="utf-8"
    )
    superlink = f"localhost:{port}"
    tell(f"starting the SuperLink on port {port} of the loopback interface")
    processes.start(
        superlink_command(
            port=port,
            authority=authority,
            certificate=certificate,
            key=key,
            secret=secret,
            database=operator / "superlink.db",
        ),
        folder=operator,
        home=operator / "superlink",
        log=operator / "superlink.log",
    )
    processes.await_port(port, seconds=_START_SECONDS)
    processes.start(
        superexec_command(superlink=superlink, authority=authority, secret=secret),
        folder=operator,
        home=operator / "superexec",
        log=operator / "superexec.log",
    )
    for party, node_port in zip(parties, node_ports, strict=True):
        tell(f"registering and starting the node of {party.name}")
        run_briefly(
            register_command(party.public_key, connection=_CONNECTION),
            home=home,
            folder=operator,
            seconds=_COMMAND_SECONDS,
        )
        processes.start(
            supernode_command(
                party.config,
                superlink=superlink,
                authority=authority,
                key=party.private_key,
                listen=f"127.0.0.1:{node_port}",
            ),
            folder=party.folder,
            home=party.folder / "flwr",
            log=party.folder / "supernode.log",
        )


def _await_end(
    run: subprocess.Popen[bytes],
    processes: Processes,
    operator: Path,
    timeout_seconds: float,
    tell: Callable[[str], None],
) -> Mapping[str, Any]:
    """Wait until `flwr run` has streamed the run to its end; return the record of a run that succeeded."""
    deadline = time.monotonic() + timeout_seconds
    opened = 0
    while run.poll() is None:
        processes.require_running()
        record = _record(operator)
        if record.get("rounds_opened", 0) > opened:
            opened = record["rounds_opened"]
            tell(f"{opened} sums opened")
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
