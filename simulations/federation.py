"""A whole consortium in one process: the nodes and the coordinator of a deployment, over Flower's objects."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt
from flwr.app import Context

from clients.app import build_app
from clients.node import Node
from clients.rounds import MemoryRounds
from fedscore.card import Card
from fedscore.contract import Contract, NoiseMode
from fedscore.data import Rows
from fedscore.learners.agenda import Agenda
from fedscore.sums import Combiner, Member, Sealer
from fedscore.sums.paillier import PaillierCombiner, PaillierMember, PaillierSealer
from privacy.dp.accounting import Guarantee
from privacy.paillier.ceremony import Ceremony
from server.coordinator import Coordinator, Observer
from server.grid_transport import GridTransport
from simulations.in_process_grid import InProcessGrid
from simulations.plain import PlainCombiner, PlainMember, PlainSealer
from simulations.randomness import SeededRandomness

__all__ = ["EncryptionMode", "FederationResult", "train_alone", "train_federation"]


class EncryptionMode(Enum):
    """Whether a simulation encrypts."""

    PLAIN = "plain"
    PAILLIER = "paillier"


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationResult:
    """What a simulated run gave.

    Attributes:
        card: The card.
        guarantee: (ε, δ) of one record; none without noise.
        person_guarantee: (ε, δ) of a person; none without noise.
        openings: The opened sums, on the lattice.
        rounds: Number of private sums.
        values_per_party: Numbers that one party sent.
        bytes_per_party: Bytes of them, sealed.
        seconds: Wall time.
    """

    card: Card
    guarantee: Guarantee | None
    person_guarantee: Guarantee | None
    openings: tuple[npt.NDArray[np.int64], ...]
    rounds: int
    values_per_party: int
    bytes_per_party: int
    seconds: float


def train_federation(
    contract: Contract,
    rows: Mapping[str, Rows],
    *,
    seed: int,
    encryption: EncryptionMode = EncryptionMode.PLAIN,
    keys: Ceremony | None = None,
    serialise: bool = False,
    observer: Observer | None = None,
) -> FederationResult:
    """Trains a card as a deployment would, with seeded noise.

    Args:
        contract: With its roster; noise mode and budget are the contract's.
        rows: Training rows of every party on the roster.
        seed: Of the noise; encryption is random in any case.
        encryption: Plain sums are the same integers as encrypted ones.
        keys: For `EncryptionMode.PAILLIER`: a key and its shares; the first parties hold them.
        serialise: Sends every message through Flower's own objects.
        observer: Is told about each round.
    """
    started = time.perf_counter()
    agenda_of = _shared_derivation()
    sealer, members, combiner = _scheme(encryption, keys)
    nodes = {
        party.name: Node(
            party=party.name,
            contract=contract,
            load_rows=lambda name=party.name: rows[name],  # type: ignore[misc]  # binds this turn's name
            sealer=sealer,
            member=members[number] if number < len(members) else None,
            rounds=MemoryRounds(),
            randomness=SeededRandomness([seed, number]),
            agenda_of=agenda_of,
        )
        for number, party in enumerate(contract.parties)
    }

    def node_of(context: Context) -> Node:
        return nodes[str(context.node_config["party"])]

    grid = InProcessGrid(
        build_app(node_of),
        [{"party": party.name, "role": party.role.value} for party in contract.parties],
        serialise=serialise,
    )
    coordinator = Coordinator(
        contract=contract,
        combiner=combiner,
        transport=GridTransport(grid),
        observer=observer,
        agenda_of=agenda_of,
    )
    result = coordinator.run()
    agenda = agenda_of(contract, coordinator.run_id)
    noisy = contract.privacy.noise is not NoiseMode.NONE
    return FederationResult(
        card=result.card,
        guarantee=agenda.record if noisy else None,
        person_guarantee=agenda.person if noisy else None,
        openings=result.openings,
        rounds=agenda.rounds,
        values_per_party=result.values_per_party,
        bytes_per_party=result.bytes_per_party,
        seconds=time.perf_counter() - started,
    )


def train_alone(contract: Contract, rows: Rows) -> FederationResult:
    """Trains the same program on one table, without noise and without anybody else.

    With all parties' rows this is the pooled card; with one party's, its local card.

    Args:
        contract: Its privacy terms are replaced by no noise.
        rows: Training rows.
    """
    started = time.perf_counter()
    noiseless = contract.with_privacy(noise=NoiseMode.NONE)
    agenda = Agenda(noiseless, run="0" * 32)
    openings: list[npt.NDArray[np.int64]] = []
    for _ in range(agenda.rounds):
        turn = agenda.turn(openings)
        request = turn.envelope.request
        openings.append(
            turn.query.contributions(rows).lattice_total(
                scale=request.scale,
                limit_squared=request.sensitivity_squared,
                dimension=request.dimension,
            )
        )
    return FederationResult(
        card=agenda.finish(openings),
        guarantee=None,
        person_guarantee=None,
        openings=tuple(openings),
        rounds=agenda.rounds,
        values_per_party=0,
        bytes_per_party=0,
        seconds=time.perf_counter() - started,
    )


def _scheme(encryption: EncryptionMode, keys: Ceremony | None) -> tuple[Sealer, tuple[Member, ...], Combiner]:
    """Who seals, who sits on the committee, who combines."""
    if encryption is EncryptionMode.PLAIN:
        return PlainSealer(), (PlainMember(),), PlainCombiner()
    if keys is None:
        raise ValueError("encrypted simulations need the keys of a ceremony")
    members = tuple(PaillierMember(share) for share in keys.shares)
    return (
        PaillierSealer(keys.public_key),
        members,
        PaillierCombiner(
            public_key=keys.public_key, members=keys.shares[0].members, threshold=keys.shares[0].threshold
        ),
    )


def _shared_derivation() -> Callable[[Contract, str], Agenda]:
    """What each party derives is public and equal, so one process derives it once."""
    derived: dict[tuple[str, str], Agenda] = {}

    def agenda_of(contract: Contract, run: str) -> Agenda:
        key = (contract.hash(), run)
        if key not in derived:
            derived[key] = Agenda(contract, run=run)
        return derived[key]

    return agenda_of
