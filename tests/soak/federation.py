"""A federation as a deployment runs it: units that are started again when they end, as systemd would."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from clients.config import load_node_config
from clients.starting import node_start
from fedscore.contract import CommitteeTerms, Contract
from fedscore.errors import RunFailed
from fedscore.messages.programs import program
from privacy.paillier.ceremony import deal
from server.bundling import bundle_hash, pack
from simulations.loopback.certificates import write_tls
from simulations.loopback.federation import LoopbackTerms, contract_of
from simulations.loopback.parties import (
    Agreed,
    MeetingPoint,
    PartyFolder,
    agree,
    as_toml,
    write_operator,
    write_parties,
)
from simulations.loopback.processes import Processes, free_ports
from simulations.synthetic import make_consortium

__all__ = ["BUNDLE", "Federation", "Unit", "soaked_federation"]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUNDLE = HERE / "bundle"

TERMS = LoopbackTerms(
    platforms=3,
    collectors=1,
    committee=CommitteeTerms(members=4, threshold=3, colluding_members=1),
    absent=1,
    spare_rounds=1,
)
"""Four organisations, all on the committee; any three open, 2 x 3 > 4 + 1, and one may be away."""

PEOPLE = 1000
KEY_BITS = 2048
ANSWER_SECONDS = 45.0
JOIN_SECONDS = 20.0
SERVER_SECONDS = 5.0
"""What systemd waits for before it starts the server again."""

_START_SECONDS = 120.0


@dataclass
class Unit:
    """One service: started again some time after it has ended, with nothing left of what it was before.

    Attributes:
        name: Its name.
        begin: Starts it.
        delay: What systemd waits for, in seconds.
        process: The one that runs, or ran last.
        due: When it is started again; None while it runs.
        starts: How often it was started.
        since: When it was started last.
    """

    name: str
    begin: Callable[[], subprocess.Popen[bytes]]
    delay: float
    process: subprocess.Popen[bytes] = field(init=False)
    due: float | None = None
    starts: int = 1
    since: float = field(init=False)

    def __post_init__(self) -> None:
        self.process = self.begin()
        self.since = time.monotonic()

    @property
    def runs(self) -> bool:
        return self.due is None and self.process.poll() is None

    def attend(self) -> None:
        """Looks after it once."""
        if self.due is None and self.process.poll() is not None:
            # systemd ends all that a service started before it starts it again.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.due = time.monotonic() + self.delay
        elif self.due is not None and time.monotonic() >= self.due:
            self.process, self.due, self.since = self.begin(), None, time.monotonic()
            self.starts += 1

    def end(self) -> None:
        """Ends it as its owner would, who finds it stuck; it is started again like after any other end."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass(frozen=True)
class Federation:
    """What a soak works on.

    Attributes:
        contract: What was agreed on.
        config: The operator's server.toml.
        parties: The organisations' folders.
        server: SuperLink, executor and server apps.
        nodes: Each organisation's, by name.
        processes: Ends all of it.
    """

    contract: Contract
    config: Path
    parties: tuple[PartyFolder, ...]
    server: Unit
    nodes: Mapping[str, Unit]
    processes: Processes

    @property
    def operator(self) -> Path:
        return self.config.parent

    @property
    def state(self) -> Path:
        return self.operator / "state"

    def attend(self) -> None:
        for unit in (self.server, *self.nodes.values()):
            unit.attend()

    def command(self, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """Starts `fedscore …` as the operator types it."""
        return self.processes.start(
            [sys.executable, "-m", "tests.soak.command", *arguments],
            folder=ROOT,
            home=self.operator,
            log=log,
            variables=_variables(),
        )


@contextmanager
def soaked_federation(
    out: Path, *, seed: int, node_delay: float, tell: Callable[[str], None]
) -> Iterator[Federation]:
    """Prepares and starts a federation, and ends all of it."""
    consortium = make_consortium(
        people=PEOPLE, platforms=TERMS.platforms, collectors=TERMS.collectors, seed=seed
    )
    committee = TERMS.committee
    tell(f"key ceremony ({KEY_BITS} bits, any {committee.threshold} of {committee.members} open)")
    dealt = deal(bits=KEY_BITS, members=committee.members, threshold=committee.threshold)
    agreed = agree(contract_of(consortium, KEY_BITS, TERMS), dealt=dealt)
    port, *node_ports = free_ports(1 + len(consortium.parties))
    config = _write_operator(out, agreed, port)
    meeting = MeetingPoint(
        superlink=f"localhost:{port}", authority=config.parent / "ca.crt", ports=node_ports
    )
    parties = tuple(write_parties(out, consortium=consortium, agreed=agreed, meeting=meeting))
    for party in parties:
        _accept_bundle(party)
    with Processes() as processes:
        tell(f"starting the server on port {port}")
        server = Unit("server", lambda: _server(processes, config), SERVER_SECONDS)
        processes.await_port(port, seconds=_START_SECONDS)
        nodes = {}
        for party in parties:
            tell(f"registering and starting the node of {party.name}")
            _register(party, config)
            nodes[party.name] = Unit(party.name, _node_starter(processes, party), node_delay)
        yield Federation(
            contract=agreed.contract,
            config=config,
            parties=parties,
            server=server,
            nodes=nodes,
            processes=processes,
        )


def _write_operator(out: Path, agreed: Agreed, port: int) -> Path:
    config = write_operator(out, agreed=agreed, answer_seconds=ANSWER_SECONDS)
    authority, certificate, key = write_tls(config.parent)
    listen = {"port": port, "certificate": str(certificate), "key": str(key), "authority": str(authority)}
    with config.open("a", encoding="utf-8") as file:
        file.write(as_toml({"join_seconds": JOIN_SECONDS, "listen": listen}))
    return config


def _accept_bundle(party: PartyFolder) -> None:
    """Its owner lists what the soak ships, instead of what a deployment does."""
    policy = party.folder / "policy.toml"
    text = policy.read_text(encoding="utf-8")
    policy.write_text(text.replace(bundle_hash(), hashlib.sha256(pack(BUNDLE)).hexdigest()), encoding="utf-8")


def _server(processes: Processes, config: Path) -> subprocess.Popen[bytes]:
    return processes.start(
        [program("fedscore"), "server", "start", str(config)],
        folder=config.parent,
        home=config.parent,
        log=config.parent / "server.log",
        variables=_variables(),
    )


def _node_starter(processes: Processes, party: PartyFolder) -> Callable[[], subprocess.Popen[bytes]]:
    def begin() -> subprocess.Popen[bytes]:
        config = load_node_config(party.config)
        start = node_start(party.config, config, client=(sys.executable, "-I", str(HERE / "client.py")))
        return processes.start(
            start.command,
            folder=party.folder,
            home=config.state / "flower",
            log=party.folder / "supernode.log",
            variables=start.environment,
        )

    return begin


def _register(party: PartyFolder, config: Path) -> None:
    done = subprocess.run(
        [program("fedscore"), "server", "register", str(config), str(party.public_key)],
        capture_output=True,
        text=True,
        timeout=_START_SECONDS,
        check=False,
        env=_variables(),
    )
    if done.returncode:
        raise RunFailed(f"the node of {party.name} was not registered:\n{done.stdout}{done.stderr}")


def _variables() -> dict[str, str]:
    """The server app's process imports the soak's own app from here."""
    local = "localhost,127.0.0.1"
    return {**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": local, "no_proxy": local}
