"""The processes of a loopback federation: started together, stopped together, some perhaps killed before."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clients.config import load_node_config
from clients.starting import LAUNCHER, node_start
from fedscore.contract import (
    CommitteeTerms,
    Contract,
    NeuralTerms,
    NoiseMode,
    Party,
    Training,
    load_contract,
)
from fedscore.errors import ScenarioError
from fedscore.messages.programs import (
    register_command,
    superexec_command,
    superlink_command,
)
from privacy.paillier.ceremony import deal
from simulations.loopback.certificates import write_private, write_tls
from simulations.loopback.parties import (
    MeetingPoint,
    PartyFolder,
    agree,
    as_toml,
    write_operator,
    write_parties,
)
from simulations.loopback.processes import Processes, free_ports, run_briefly
from simulations.synthetic import SyntheticConsortium, make_consortium

__all__ = [
    "CONNECTION",
    "THREE_ORGANISATIONS",
    "LoopbackFederation",
    "LoopbackTerms",
    "contract_of",
    "loopback_federation",
    "register",
    "start_node",
    "start_operator",
]

CONNECTION = "consortium"
"""What Flower's configuration calls the SuperLink."""

_TWO_OF_THREE = CommitteeTerms(members=3, threshold=2, colluding_members=1)
_CONTRACT = Path(__file__).parent.parent / "contracts" / "consortium.toml"
_START_SECONDS = 120.0
_COMMAND_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopbackTerms:
    """Who takes part in a loopback federation, and what it survives.

    Attributes:
        platforms: How many platforms.
        collectors: How many collection agencies.
        committee: Who opens sums: the first organisations sit on it.
        absent: Organisations that a sum may lack.
        spare_rounds: Rounds that may be abandoned and asked again.
        neural: The neural model to train; none for a scorecard.
    """

    platforms: int = 2
    collectors: int = 1
    committee: CommitteeTerms = _TWO_OF_THREE
    absent: int = 0
    spare_rounds: int = 0
    neural: NeuralTerms | None = None


THREE_ORGANISATIONS = LoopbackTerms()
"""Two platforms and a collection agency, who form the committee; any two of them open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopbackFederation:
    """A federation whose processes wait for runs.

    Attributes:
        contract: What the organisations agreed on.
        parties: The organisations' folders.
        config: The operator's `server.toml`.
        processes: Everything that was started.
        nodes: Each organisation's SuperNode, by name.
    """

    contract: Contract
    parties: tuple[PartyFolder, ...]
    config: Path
    processes: Processes
    nodes: Mapping[str, subprocess.Popen[bytes]]

    @property
    def operator(self) -> Path:
        """The operator's folder."""
        return self.config.parent

    def kill(self, party: str) -> None:
        """End an organisation's node and all that it started, at once and for good: `kill -9`."""
        self.processes.kill(self.nodes[party])


@contextmanager
def loopback_federation(
    out: Path,
    *,
    people: int,
    seed: int,
    key_bits: int,
    terms: LoopbackTerms,
    client: Sequence[str] = LAUNCHER,
    tell: Callable[[str], None],
) -> Iterator[LoopbackFederation]:
    """Prepare and start a federation; whatever happens in its block, everything is stopped at its end.

    Args:
        out: An empty or new folder: the organisations', the operator's, and logs.
        people: How many people to invent.
        seed: What they are drawn from; noise and keys come from the operating system.
        key_bits: Size of the consortium's key.
        terms: Who takes part.
        client: The command with which a node answers a message; tests have another.
        tell: Is told, in a sentence, how it goes on.

    Raises:
        FedscoreError: The folder is not empty, the terms break a rule, or a process does not do its part.
    """
    out = out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise ScenarioError(f"{out} is not empty: pass a new folder with --out")
    tell(f"inventing {people:,} people")
    consortium = make_consortium(
        people=people, platforms=terms.platforms, collectors=terms.collectors, seed=seed
    )
    contract = contract_of(consortium, key_bits, terms)
    committee = terms.committee
    tell(f"key ceremony ({key_bits} bits, any {committee.threshold} of {committee.members} open)")
    dealt = deal(bits=key_bits, members=committee.members, threshold=committee.threshold)
    agreed = agree(contract, dealt=dealt)
    config = write_operator(out, agreed=agreed)
    authority, certificate, key = write_tls(config.parent)
    port, *node_ports = free_ports(1 + len(consortium.parties))
    meeting = MeetingPoint(superlink=f"localhost:{port}", authority=authority, ports=node_ports)
    parties = tuple(write_parties(out, consortium=consortium, agreed=agreed, meeting=meeting))
    with Processes() as processes:
        tell(f"starting the SuperLink on port {port} of the loopback interface")
        start_operator(
            processes, config.parent, port=port, authority=authority, certificate=certificate, key=key
        )
        nodes = {}
        for party in parties:
            tell(f"registering and starting the node of {party.name}")
            register(party, config.parent)
            nodes[party.name] = start_node(processes, party, client=client)
        yield LoopbackFederation(
            contract=agreed.contract, parties=parties, config=config, processes=processes, nodes=nodes
        )


def contract_of(consortium: SyntheticConsortium, key_bits: int, terms: LoopbackTerms) -> Contract:
    """The shipped contract of the synthetic consortium, with these organisations on its roster.

    Raises:
        ContractError: The committee does not fit the organisations and the absences.
    """
    is_local = terms.neural is not None and terms.neural.training is Training.LOCAL
    noise = NoiseMode.LOCAL if is_local else NoiseMode.SHARED
    return (
        load_contract(_CONTRACT)
        .with_parties(())
        .with_privacy(absent=terms.absent, spare_rounds=terms.spare_rounds, noise=noise)
        .with_neural(terms.neural)
        .with_encryption(key_bits=key_bits, committee=terms.committee.model_dump())
        .with_parties([Party(name=party.name, role=party.role) for party in consortium.parties])
    )


def start_operator(
    processes: Processes, operator: Path, *, port: int, authority: Path, certificate: Path, key: Path
) -> None:
    """Start the SuperLink and its executor.

    Args:
        processes: Will stop them.
        operator: The operator's folder.
        port: Where the SuperLink listens.
        authority: The authority's certificate.
        certificate: The server's.
        key: The server's private key.

    Raises:
        RunFailed: The SuperLink does not listen.
    """
    secret = operator / "superexec.secret"
    write_private(secret, secrets.token_bytes(32))
    home = operator / "flwr"
    home.mkdir()
    superlink = f"localhost:{port}"
    connection = {"address": superlink, "root-certificates": str(authority)}
    (home / "config.toml").write_text(
        as_toml({"superlink": {"default": CONNECTION, CONNECTION: connection}}), encoding="utf-8"
    )
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


def register(party: PartyFolder, operator: Path) -> None:
    """Let an organisation's node in, as the operator.

    Raises:
        RunFailed: The SuperLink refuses.
    """
    run_briefly(
        register_command(party.public_key, connection=CONNECTION),
        home=operator / "flwr",
        folder=operator,
        seconds=_COMMAND_SECONDS,
    )


def start_node(
    processes: Processes, party: PartyFolder, *, client: Sequence[str] = LAUNCHER
) -> subprocess.Popen[bytes]:
    """Start an organisation's node, as `fedscore node start` does.

    Args:
        processes: Will stop it.
        party: Its folder.
        client: The command with which it answers a message.
    """
    config = load_node_config(party.config)
    start = node_start(party.config, config, client=client)
    return processes.start(
        start.command,
        folder=party.folder,
        home=config.state / "flower",
        log=party.folder / "supernode.log",
        variables=start.environment,
    )
