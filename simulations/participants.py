"""Who takes part in a simulated run, whatever carries it: the nodes and the coordinator of a deployment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from clients.books import NoBooks
from clients.memory import Memory
from clients.node import Node, Submitter
from clients.porter import Porter
from fedscore.card import Card
from fedscore.contract import Contract, NoiseMode
from fedscore.data import Rows
from fedscore.errors import ProtocolError
from fedscore.learners.agenda import Agenda
from fedscore.learners.choice import program_of
from fedscore.learners.program import Product, Trained
from fedscore.messages import Ask, Refusal, Reply
from fedscore.monitoring import MonitoringReport
from fedscore.sums.stages import Stage
from privacy.dp.accounting import Guarantee
from privacy.dp.randomness import RandomSource
from privacy.identities import Identity
from server.chronicle import VolatileChronicle
from server.coordinator import Coordinator, Observer
from server.transport import Silence, Transport
from simulations.keys import SimulatedKeys, keyed, simulated_identity
from simulations.schemes import EncryptionMode, scheme_of

__all__ = ["FederationResult", "Participants", "RowsOf"]

RowsOf = Callable[[str], Rows]
"""Rows of a party, by name."""


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
        phases: How often the server asked and waited for answers; 0 where nothing was exchanged.
        absent: Parties of the roster that were out of the run by its last sum.
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
    phases: int = 0
    absent: tuple[str, ...] = ()
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


class Participants:
    """Makes the nodes of a simulated federation, and runs their coordinator over a transport.

    Attributes:
        contract: With a key for every party.
        names: The parties in the roster's order, then members of the committee that are no parties.
        series: The key's.
        operator: Who signs what the nodes are asked.
    """

    def __init__(
        self,
        contract: Contract,
        *,
        encryption: EncryptionMode,
        keys: SimulatedKeys | None,
        identity_of: Callable[[str], Identity] = simulated_identity,
        watched: Card | None = None,
    ) -> None:
        """Sets up a federation.

        Args:
            contract: With its roster.
            encryption: Plain sums are the same integers as encrypted ones.
            keys: For `EncryptionMode.PAILLIER`: a key, its committee and their shares.
            identity_of: The identity of each organisation, whose key the contract's roster has.
            watched: The finished card, if the contract watches one.

        Raises:
            ValueError: It encrypts, and there are no keys.
        """
        self.contract = keyed(contract)
        self._encryption = encryption
        self._identity_of = identity_of
        self._agenda_of = _shared_derivation(watched)
        self._scheme = scheme_of(
            encryption, keys, self.contract, agenda_of=self._agenda_of, identity_of=identity_of
        )
        self._parties = self.contract.parties_by_name
        self.names = (*self._parties, *(name for name in self._scheme.members if name not in self._parties))
        self.series = self._scheme.series
        self.operator = identity_of("operator")

    def porter(
        self,
        name: str,
        *,
        memory: Memory,
        randomness: RandomSource,
        rows_of: RowsOf,
        test_rows_of: RowsOf | None,
    ) -> Porter:
        """Makes the node of one participant, and its porter.

        Args:
            name: One of `names`.
            memory: What the node did before.
            randomness: Of the node's noise.
            rows_of: Training rows; asked for its own alone, and only when they are needed.
            test_rows_of: Test rows, if the contract has an evaluation.
        """
        node = Node(
            name=name,
            contract=self.contract,
            series=self.series,
            signer=self._identity_of(name),
            memory=memory,
            books=NoBooks(),
            submitter=Submitter(
                load_rows=lambda _day: rows_of(name),
                load_test_rows=None if test_rows_of is None else lambda _day: test_rows_of(name),
                sealer=self._scheme.sealer(name),
                randomness=randomness,
            )
            if name in self._parties
            else None,
            member=self._scheme.members.get(name),
            agenda_of=self._agenda_of,
        )
        return Porter(lambda: node, party=name, operator=self.operator.public.signing_key)

    def run(self, transport: Transport, *, observer: Observer | None = None) -> FederationResult:
        """Runs the coordinator until it has a card, a model or a report.

        Args:
            transport: Carries asks to every node; it signs as `operator`.
            observer: Is told about each round.

        Raises:
            RunFailed: Too few answer.
        """
        started = time.perf_counter()
        counted = _Counted(transport)
        coordinator = Coordinator(
            contract=self.contract,
            series=self.series,
            combiner=self._scheme.combiner,
            transport=counted,
            chronicle=VolatileChronicle(self.series),
            observer=observer,
            agenda_of=self._agenda_of,
        )
        result = coordinator.run()
        agenda = self._agenda_of(self.contract, coordinator.run_id)
        noisy = self.contract.privacy.noise is not NoiseMode.NONE
        encrypted = self._encryption is EncryptionMode.PAILLIER
        return FederationResult(
            product=result.trained,
            guarantee=agenda.record if noisy else None,
            person_guarantee=agenda.person if noisy else None,
            openings=result.openings,
            rounds=len(result.openings),
            values_per_party=result.values_per_party,
            bytes_per_party=result.bytes_per_party,
            seconds=time.perf_counter() - started,
            phases=counted.phases,
            absent=result.absent,
            stages=self._scheme.stages.seconds if encrypted else {},
            processor_stages=self._scheme.stages.processor_seconds if encrypted else {},
        )


class _Counted:
    """A transport that counts how often it is waited for."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.phases = 0

    def addresses(self) -> tuple[int, ...]:
        """See `Transport.addresses`."""
        return self._inner.addresses()

    def ask(self, asks: Mapping[int, Ask]) -> Mapping[int, Reply | Refusal | Silence]:
        """See `Transport.ask`."""
        self.phases += 1
        return self._inner.ask(asks)


def _shared_derivation(watched: Card | None) -> Callable[[Contract, str], Agenda]:
    """What each party derives is public and equal, so one process derives it once."""
    derived: dict[tuple[str, str], Agenda] = {}

    def agenda_of(contract: Contract, run: str) -> Agenda:
        key = (contract.hash(), run)
        if key not in derived:
            derived[key] = Agenda(contract, run=run, program=program_of(contract, watched))
        return derived[key]

    return agenda_of
