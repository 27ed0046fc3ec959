"""A whole consortium in one process: the nodes and the coordinator of a deployment, over Flower's objects."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from flwr.app import Context

from clients.app import build_app
from clients.memory import MemoryOnly
from clients.porter import Porter
from fedscore.card import Card
from fedscore.contract import Contract, NoiseMode
from fedscore.data import Rows
from fedscore.learners.agenda import Agenda
from fedscore.sums import noised_total
from privacy.identities import Identity
from server.coordinator import Observer
from server.grid_transport import GridTransport
from simulations.in_process_grid import FaultHook, InProcessGrid
from simulations.keys import SimulatedKeys, simulated_identity
from simulations.participants import FederationResult, Participants
from simulations.randomness import SeededRandomness
from simulations.schemes import EncryptionMode

__all__ = ["EncryptionMode", "FederationResult", "Wire", "alone", "train_alone", "train_federation"]


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
    participants = Participants(
        contract, encryption=encryption, keys=keys, identity_of=identity_of, watched=watched
    )
    porters = {
        name: participants.porter(
            name,
            memory=MemoryOnly(participants.series),
            randomness=SeededRandomness([seed, number]),
            rows_of=rows.__getitem__,
            test_rows_of=None if test_rows is None else test_rows.__getitem__,
        )
        for number, name in enumerate(participants.names)
    }

    def porter_of(context: Context) -> Porter:
        return porters[str(context.node_config["name"])]

    grid = InProcessGrid(
        build_app(porter_of),
        [{"name": name} for name in participants.names],
        serialise=wire.serialise,
        fault=wire.fault,
    )
    transport = GridTransport(grid, signer=participants.operator, timeout_seconds=wire.answer_seconds)
    result = participants.run(transport, observer=observer)
    return replace(result, seconds=time.perf_counter() - started)


def alone(contract: Contract) -> Contract:
    """The contract as whoever trains alone heeds it: without noise, and without sums over test rows.

    One that is so already is given back as it is: with a long roster, changing it takes longer than training.
    """
    if contract.evaluation is None and contract.privacy.noise is NoiseMode.NONE:
        return contract
    return contract.with_evaluation(None).with_privacy(noise=NoiseMode.NONE)


def train_alone(contract: Contract, rows: Rows) -> FederationResult:
    """Trains the same program on one table, without noise and without anybody else.

    With all parties' rows this is the pooled card; with one party's, its local card.

    Args:
        contract: Its privacy terms are replaced by no noise; see `alone`.
        rows: Training rows.
    """
    started = time.perf_counter()
    agenda = Agenda(alone(contract), run="0" * 32)
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
