"""A whole consortium in one process: the nodes and the coordinator of a deployment, over Flower's objects."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt
from flwr.app import Context

from clients.app import build_app
from clients.books import NoBooks
from clients.memory import MemoryOnly
from clients.node import Node, Submitter
from clients.porter import Porter
from fedscore.card import Card
from fedscore.contract import Contract, NoiseMode
from fedscore.data import Rows
from fedscore.errors import ProtocolError
from fedscore.learners.agenda import Agenda
from fedscore.learners.choice import program_of
from fedscore.learners.program import Product, Trained
from fedscore.monitoring import MonitoringReport
from fedscore.sums import Combiner, Member, Sealer, noised_total
from fedscore.sums.paillier import PaillierCombiner, PaillierMember, PaillierSealer
from fedscore.sums.series import KeySeries
from fedscore.sums.stages import Stage, Stages
from privacy.dp.accounting import Guarantee
from privacy.identities import Identity
from server.chronicle import VolatileChronicle
from server.coordinator import Coordinator, Observer
from server.grid_transport import GridTransport
from simulations.in_process_grid import FaultHook, InProcessGrid
from simulations.keys import SimulatedKeys, keyed, simulated_identity
from simulations.plain import PlainCombiner, PlainMember, PlainSealer, plain_series
from simulations.randomness import SeededRandomness

__all__ = ["EncryptionMode", "FederationResult", "Wire", "train_alone", "train_federation"]


class EncryptionMode(Enum):
    """Whether a simulation encrypts."""

    PLAIN = "plain"
    PAILLIER = "paillier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """How messages are carried in one process.

    Attributes:
        serialise: Sends every message through Flower's own objects.
        fault: Decides the fate of each message.
        answer_seconds: How long to wait for answers, if messages may be lost.
    """

    serialise: bool = False
    fault: FaultHook | None = None
    answer_seconds: float = 600.0


_SHORT_WIRE = Wire()


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationResult:
    """What a simulated run gave.

    Attributes:
        product: The card, the model or the report.
        guarantee: (ε, δ) of one record; none without noise.
        person_guarantee: (ε, δ) of a person; none without noise.
        openings: The opened sums, on the lattice.
        rounds: Number of private sums.
        values_per_party: Numbers that one party sent.
        bytes_per_party: Bytes of them, sealed.
        seconds: Wall time.
        stages: Wall time of cryptography, by stage; empty without encryption.
        processor_stages: The same in processor time, on all cores.
    """

    product: Product
    guarantee: Guarantee | None
    person_guarantee: Guarantee | None
    openings: tuple[npt.NDArray[np.int64], ...]
    rounds: int
    values_per_party: int
    bytes_per_party: int
    seconds: float
    stages: Mapping[Stage, float] = field(default_factory=dict)
    processor_stages: Mapping[Stage, float] = field(default_factory=dict)

    @property
    def trained(self) -> Trained:
        """The card or the model of a run that trained.

        Raises:
            ProtocolError: It watched a card.
        """
        if not isinstance(self.product, Trained):
            raise ProtocolError("the run watched a card and trained nothing: read `report`")
        return self.product

    @property
    def card(self) -> Card:
        """The card of a scorecard's run.

        Raises:
            ProtocolError: Another learner was trained.
        """
        if not isinstance(self.product, Card):
            raise ProtocolError("the run trained a neural model and no card: read `trained`")
        return self.product

    @property
    def report(self) -> MonitoringReport:
        """The report of a run that watched a card.

        Raises:
            ProtocolError: It trained.
        """
        if not isinstance(self.product, MonitoringReport):
            raise ProtocolError("the run trained, and watched no card: read `trained`")
        return self.product


def train_federation(  # noqa: PLR0913 - a run, and what carries and keeps it
    contract: Contract,
    rows: Mapping[str, Rows],
    *,
    seed: int,
    encryption: EncryptionMode = EncryptionMode.PLAIN,
    keys: SimulatedKeys | None = None,
    wire: Wire = _SHORT_WIRE,
    observer: Observer | None = None,
    identity_of: Callable[[str], Identity] = simulated_identity,
    test_rows: Mapping[str, Rows] | None = None,
    watched: Card | None = None,
) -> FederationResult:
    """Trains or watches a card as a deployment would, with seeded noise.

    Args:
        contract: With its roster; noise mode and budget are the contract's.
        rows: Training rows of every party on the roster.
        seed: Of the noise; encryption is random in any case.
        encryption: Plain sums are the same integers as encrypted ones.
        keys: For `EncryptionMode.PAILLIER`: a key, its committee and their shares.
        wire: How messages are carried.
        observer: Is told about each round.
        identity_of: The identity of each organisation, whose key the contract's roster has.
        test_rows: Test rows of every party, if the contract has an evaluation.
        watched: The finished card, if the contract watches one.
    """
    started = time.perf_counter()
    contract = keyed(contract)
    agenda_of = _shared_derivation(watched)
    scheme = _scheme(encryption, keys, contract, agenda_of(contract, "0" * 32), identity_of)
    parties = contract.parties_by_name
    names = (*parties, *(name for name in scheme.members if name not in parties))
    nodes = {
        name: Node(
            name=name,
            contract=contract,
            series=scheme.series,
            signer=identity_of(name),
            memory=MemoryOnly(scheme.series),
            books=NoBooks(),
            submitter=Submitter(
                load_rows=lambda _day, name=name: rows[name],  # type: ignore[misc]  # binds this turn's name
                load_test_rows=None if test_rows is None else lambda _day, name=name: test_rows[name],  # type: ignore[misc]  # likewise
                sealer=scheme.sealer(name),
                randomness=SeededRandomness([seed, number]),
            )
            if name in parties
            else None,
            member=scheme.members.get(name),
            agenda_of=agenda_of,
        )
        for number, name in enumerate(names)
    }

    operator = identity_of("operator")
    porters = {
        name: Porter(lambda node=node: node, party=name, operator=operator.public.signing_key)  # type: ignore[misc]  # binds this turn's node
        for name, node in nodes.items()
    }

    def porter_of(context: Context) -> Porter:
        return porters[str(context.node_config["name"])]

    grid = InProcessGrid(
        build_app(porter_of), [{"name": name} for name in names], serialise=wire.serialise, fault=wire.fault
    )
    coordinator = Coordinator(
        contract=contract,
        series=scheme.series,
        combiner=scheme.combiner,
        transport=GridTransport(grid, signer=operator, timeout_seconds=wire.answer_seconds),
        chronicle=VolatileChronicle(scheme.series),
        observer=observer,
        agenda_of=agenda_of,
    )
    result = coordinator.run()
    agenda = agenda_of(contract, coordinator.run_id)
    noisy = contract.privacy.noise is not NoiseMode.NONE
    encrypted = encryption is EncryptionMode.PAILLIER
    return FederationResult(
        product=result.trained,
        guarantee=agenda.record if noisy else None,
        person_guarantee=agenda.person if noisy else None,
        openings=result.openings,
        rounds=len(result.openings),
        values_per_party=result.values_per_party,
        bytes_per_party=result.bytes_per_party,
        seconds=time.perf_counter() - started,
        stages=scheme.stages.seconds if encrypted else {},
        processor_stages=scheme.stages.processor_seconds if encrypted else {},
    )


def train_alone(contract: Contract, rows: Rows) -> FederationResult:
    """Trains the same program on one table, without noise and without anybody else.

    With all parties' rows this is the pooled card; with one party's, its local card.

    Args:
        contract: Its privacy terms are replaced by no noise.
        rows: Training rows.
    """
    started = time.perf_counter()
    noiseless = contract.with_evaluation(None).with_privacy(noise=NoiseMode.NONE)
    agenda = Agenda(noiseless, run="0" * 32)
    openings: list[npt.NDArray[np.int64]] = []
    while not agenda.is_finished(openings):
        query, request = agenda.next_sum(openings)
        openings.append(
            noised_total(query, rows, request, row_cap=len(rows), randomness=SeededRandomness([0]))
        )
    return FederationResult(
        product=agenda.finish(openings),
        guarantee=None,
        person_guarantee=None,
        openings=tuple(openings),
        rounds=len(openings),
        values_per_party=0,
        bytes_per_party=0,
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scheme:
    """Who seals, who sits on the committee, who combines."""

    series: KeySeries
    sealer: Callable[[str], Sealer]
    members: Mapping[str, Member]
    combiner: Combiner
    stages: Stages


def _scheme(
    encryption: EncryptionMode,
    keys: SimulatedKeys | None,
    contract: Contract,
    agenda: Agenda,
    identity_of: Callable[[str], Identity],
) -> _Scheme:
    stages = Stages()
    if encryption is EncryptionMode.PLAIN:
        member = PlainMember()
        return _Scheme(
            series=plain_series(contract.parties[0].name),
            sealer=lambda _name: PlainSealer(),
            members={contract.parties[0].name: member},
            combiner=PlainCombiner(),
            stages=stages,
        )
    if keys is None:
        raise ValueError("encrypted simulations need the keys of a ceremony")
    record = keys.record
    per_party = sum(request.layout.plaintexts_for(request.dimension) for request in agenda.requests)
    signing_keys = contract.signing_keys
    return _Scheme(
        series=KeySeries.of(record),
        sealer=lambda name: PaillierSealer(
            public_key=record.public_key,
            party=name,
            signer=identity_of(name),
            expected=per_party * len(contract.parties),
            stages=stages,
        ),
        members={
            member.name: PaillierMember(share=share, signing_keys=signing_keys, stages=stages)
            for member, share in zip(record.members, keys.shares, strict=True)
        },
        combiner=PaillierCombiner(committee=record.committee, signing_keys=signing_keys, stages=stages),
        stages=stages,
    )


def _shared_derivation(watched: Card | None) -> Callable[[Contract, str], Agenda]:
    """What each party derives is public and equal, so one process derives it once."""
    derived: dict[tuple[str, str], Agenda] = {}

    def agenda_of(contract: Contract, run: str) -> Agenda:
        key = (contract.hash(), run)
        if key not in derived:
            derived[key] = Agenda(contract, run=run, program=program_of(contract, watched))
        return derived[key]

    return agenda_of
