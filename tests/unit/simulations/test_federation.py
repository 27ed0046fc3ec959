"""A federation in one process: what is encrypted is what is added in clear, also when some drop out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from flwr.app import Message

from fedscore.contract import Contract, Party, Role, parse_contract
from fedscore.data import Rows
from fedscore.errors import RunFailed
from fedscore.messages import Phase
from fedscore.messages.codec import MESSAGE_TYPES
from fedscore.sums.stages import Stage
from simulations.federation import EncryptionMode, FederationResult, Wire, train_federation
from simulations.in_process_grid import Fault, FaultHook, place_of
from simulations.keys import SimulatedKeys
from simulations.plain import COMMITTEE

TEXT = """
version = 1
name = "seven"
purpose = "tests"
[outcome]
definition = "30 days past due within 90 days"
bucket = "30+"
horizon_days = 90
[rows]
row_cap = 500
[split]
test_share = 0.3
key = "seven"
[[characteristics]]
name = "utilisation"
type = "number"
description = "balance divided by limit"
edges = [0.5]
[[characteristics]]
name = "late"
type = "number"
description = "instalments paid late"
edges = [0.5, 1.5]
[privacy]
epsilon = 1.0
delta = 1e-5
"""
NAMES = tuple(f"party-{number}" for number in range(1, 8))
DROPS_OUT = "party-5"
GO_SILENT = ("party-6", "party-7")
PHASES = {kind: phase for phase, kind in MESSAGE_TYPES.items()}


@dataclass
class Log:
    """An observer, and a fault hook that writes down who was asked what, before it decides."""

    decide: Callable[[str, Phase, int], Fault | None] = lambda _name, _phase, _round: None
    asked: list[tuple[str, Phase, int]] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def fate(self, message: Message) -> Fault | None:
        name = (*NAMES, COMMITTEE)[place_of(message.metadata.dst_node_id)]
        one = (name, PHASES[message.metadata.message_type], int(message.metadata.group_id))
        self.asked.append(one)
        return self.decide(*one)

    def rounds(self, name: str, phase: Phase) -> list[int]:
        return [number for who, what, number in self.asked if (who, what) == (name, phase)]

    def round_opened(self, name: str, number: int, rounds: int) -> None:
        assert name
        assert number <= rounds
        self.opened.append(number)

    def noticed(self, what: str) -> None:
        self.told.append(what)


def faults_of_a_bad_day(name: str, phase: Phase, number: int) -> Fault | None:
    """A party's third vector is lost; from the second round on two committee members hear nothing."""
    if (name, phase, number) == (DROPS_OUT, Phase.COLLECT, 3):
        return Fault.LOSE_REPLY
    return Fault.DROP if name in GO_SILENT and phase is Phase.OPEN and number >= 2 else None


@pytest.fixture(scope="module")
def contract() -> Contract:
    """Seven parties, all on the committee, any five of whom open; one may be absent."""
    roster = [Party(name=name, role=Role.PLATFORM) for name in NAMES]
    committee = {"members": 7, "threshold": 5, "colluding_members": 1}
    return (
        parse_contract(TEXT)
        .with_parties(roster)
        .with_encryption(key_bits=2048, committee=committee)
        .with_privacy(absent=1)
    )


@pytest.fixture(scope="module")
def rows(contract: Contract) -> dict[str, Rows]:
    generator = np.random.default_rng(8)
    dealt = {}
    for name in NAMES:
        cells = np.column_stack([generator.integers(0, table.size, 300) for table in contract.tables])
        risk = 1 / (1 + np.exp(2 - 0.7 * cells[:, 0] - 0.5 * cells[:, 1]))
        dealt[name] = Rows(
            cells=cells.astype(np.int32),
            outcome=(generator.random(300) < risk).astype(np.int8),
            ids=np.array([f"{name}-{row}" for row in range(300)], dtype=object),
        )
    return dealt


def wire(fault: FaultHook) -> Wire:
    # Whoever answers at all has answered by the first poll: nobody needs to wait for the others.
    return Wire(fault=fault, answer_seconds=0.01)


@pytest.fixture(scope="module")
def bad_day(
    contract: Contract, rows: dict[str, Rows], known_keys: Callable[[Contract], SimulatedKeys]
) -> tuple[FederationResult, Log]:
    """An encrypted training from which one party and two committee members drop out."""
    log = Log(decide=faults_of_a_bad_day)
    result = train_federation(
        contract,
        rows,
        seed=4,
        encryption=EncryptionMode.PAILLIER,
        keys=known_keys(contract),
        wire=wire(log.fate),
        observer=log,
    )
    return result, log


def test_encrypted_openings_are_the_plain_ones_although_some_drop_out(
    contract: Contract, rows: dict[str, Rows], bad_day: tuple[FederationResult, Log]
) -> None:
    encrypted, _ = bad_day
    plain = train_federation(contract, rows, seed=4, wire=wire(Log(decide=faults_of_a_bad_day).fate))
    assert len(encrypted.openings) == encrypted.rounds
    assert all(map(np.array_equal, encrypted.openings, plain.openings))
    assert encrypted.card == plain.card
    whole = train_federation(contract, rows, seed=4)
    same = [np.array_equal(one, other) for one, other in zip(plain.openings, whole.openings, strict=True)]
    assert same[:2] == [True, True]
    assert not any(same[2:])


def test_a_run_with_drop_outs_ends_with_a_card_within_its_budget(
    contract: Contract, bad_day: tuple[FederationResult, Log]
) -> None:
    result, log = bad_day
    privacy = result.card.privacy
    assert privacy is not None
    assert privacy.epsilon is not None
    assert privacy.epsilon <= contract.privacy.epsilon
    assert privacy.absent == 1
    assert {event["honest_shares"] for event in privacy.events} == {
        7 - 1 - contract.privacy.colluding_parties
    }
    assert len(privacy.events) == result.rounds
    assert log.opened == list(range(1, result.rounds + 1))
    assert set(result.stages) == set(Stage)
    assert all(seconds > 0 for seconds in result.stages.values())


def test_who_drops_out_of_a_sum_is_out_of_the_run_but_still_opens(
    bad_day: tuple[FederationResult, Log],
) -> None:
    result, log = bad_day
    everything = list(range(1, result.rounds + 1))
    assert result.absent == (DROPS_OUT,)
    assert log.rounds(DROPS_OUT, Phase.COLLECT) == [1, 2, 3]
    assert log.rounds(DROPS_OUT, Phase.OPEN) == everything
    (told,) = (what for what in log.told if DROPS_OUT in what)
    assert f"{DROPS_OUT} is silent (no answer within 0.01 seconds)" in told


def test_members_that_go_silent_are_not_waited_for_again_and_still_take_part_in_sums(
    bad_day: tuple[FederationResult, Log],
) -> None:
    result, log = bad_day
    for name in GO_SILENT:
        assert log.rounds(name, Phase.OPEN) == [1, 2]
        assert log.rounds(name, Phase.COLLECT) == list(range(1, result.rounds + 1))
        assert sum(f"committee member {name} is silent" in what for what in log.told) == 1
    assert len(log.told) == 3


def test_a_round_that_too_few_answer_is_asked_again_if_that_is_paid_for(
    contract: Contract, rows: dict[str, Rows]
) -> None:
    def two_lost(name: str, phase: Phase, number: int) -> Fault | None:
        lost = phase is Phase.COLLECT and number == 2 and name in {NAMES[0], NAMES[1]}
        return Fault.LOSE_REPLY if lost else None

    with pytest.raises(RunFailed, match=r"pays for 0 spare rounds: the run is interrupted"):
        train_federation(contract, rows, seed=4, wire=wire(Log(decide=two_lost).fate))

    log = Log(decide=two_lost)
    paid = contract.with_privacy(spare_rounds=1)
    result = train_federation(paid, rows, seed=4, wire=wire(log.fate), observer=log)

    assert log.rounds(NAMES[0], Phase.COLLECT) == list(range(1, result.rounds + 2))
    (told,) = log.told
    assert "5 parties answered, 6 are needed; without an answer: party-1, party-2" in told
    assert "the round is abandoned, stays paid, and is asked again as a new one" in told
    privacy = result.card.privacy
    assert privacy is not None
    assert privacy.epsilon is not None
    assert privacy.epsilon <= 1.0
    assert [event["sum"] for event in privacy.events][-1] == "spare 1"
    assert len(privacy.events) == result.rounds + 1


def test_the_way_of_messages_changes_nothing(contract: Contract, rows: dict[str, Rows]) -> None:
    short = train_federation(contract, rows, seed=4)
    long = train_federation(contract, rows, seed=4, wire=Wire(serialise=True))
    assert short.card == long.card
    assert short.stages == {}


def test_encryption_needs_keys(contract: Contract, rows: dict[str, Rows]) -> None:
    with pytest.raises(ValueError, match="need the keys of a ceremony"):
        train_federation(contract, rows, seed=4, encryption=EncryptionMode.PAILLIER)
