"""The operator's loop: ask for vectors, ask for their sum's opening, go on until there is a card."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeGuard

import numpy as np
import numpy.typing as npt

from fedscore.card import Card
from fedscore.contract import Contract
from fedscore.errors import RunFailed
from fedscore.learners.agenda import Agenda, Turn
from fedscore.messages import Ask, Phase, Refusal, Reply
from fedscore.sums import Combiner
from server.transport import Silence, Transport

__all__ = ["Coordinator", "Observer", "RunResult"]


class Observer(Protocol):
    """Is told how a run goes on."""

    def round_opened(self, name: str, number: int, rounds: int) -> None:
        """A sum was opened: its name, its number from 1, and how many there will be."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run gave.

    Attributes:
        card: The finished card.
        openings: The opened sums, on the lattice.
        values_per_party: Numbers in one party's vectors over all rounds.
        bytes_per_party: Bytes of one party's sealed vectors over all rounds.
    """

    card: Card
    openings: tuple[npt.NDArray[np.int64], ...]
    values_per_party: int
    bytes_per_party: int


@dataclass(slots=True)
class _Tally:
    values: int = 0
    sent: int = 0


class Coordinator:
    """Runs one program over a transport.

    It is trusted to be available. It sees sealed vectors and opened sums, derives every request from the
    contract like everybody else, and holds no key.
    """

    def __init__(
        self,
        *,
        contract: Contract,
        combiner: Combiner,
        transport: Transport,
        observer: Observer | None = None,
        run: str | None = None,
        agenda_of: Callable[[Contract, str], Agenda] = lambda contract, run: Agenda(contract, run=run),
    ) -> None:
        """Prices the program before anything is asked for.

        Args:
            contract: With its roster.
            combiner: Joins partial openings.
            transport: Reaches the nodes.
            observer: Is told about progress.
            run: 32 hexadecimal digits; a fresh one if left out.
            agenda_of: Derives a run; simulations share one derivation among all parties.
        """
        self._contract = contract
        self._contract_hash = contract.hash()
        self._combiner = combiner
        self._transport = transport
        self._observer = observer
        self.run_id = run if run is not None else secrets.token_hex(16)
        self._agenda = agenda_of(contract, self.run_id)
        self._addresses: dict[str, int] = {}
        self._members: dict[int, int] = {}
        self._tally = _Tally()

    def run(self) -> RunResult:
        """Runs all rounds.

        Raises:
            RunFailed: Too few parties or committee members answered; names them and their codes.
            OpeningError: Partial openings do not combine.
        """
        self._meet()
        openings: list[npt.NDArray[np.int64]] = []
        for number in range(self._agenda.rounds):
            turn = self._agenda.turn(openings)
            submissions = self._collect(turn, openings)
            openings.append(self._open(turn, openings, submissions))
            if self._observer is not None:
                self._observer.round_opened(turn.envelope.request.name, number + 1, self._agenda.rounds)
        return RunResult(
            card=self._agenda.finish(openings),
            openings=tuple(openings),
            values_per_party=self._tally.values,
            bytes_per_party=self._tally.sent,
        )

    def _ask(self, phase: Phase, turn: Turn | None, openings: Sequence[npt.NDArray[np.int64]]) -> Ask:
        return Ask(
            phase=phase,
            run=self.run_id,
            round=len(openings),
            contract_hash=self._contract_hash,
            request_hash=turn.envelope.digest if turn is not None else "",
            openings=tuple(openings),
        )

    def _meet(self) -> None:
        """Finds out which node is which party, and which sit on the committee."""
        hello = self._ask(Phase.HELLO, None, [])
        answers = self._transport.ask(dict.fromkeys(self._transport.addresses(), hello))
        problems = []
        for address, answer in answers.items():
            if not isinstance(answer, Reply):
                problems.append(_said(f"node {address}", answer))
            elif answer.party not in self._contract.parties_by_name:
                problems.append(f"node {address} is not on the contract's roster")
            elif answer.party in self._addresses:
                problems.append(f"{answer.party} answers from two nodes")
            else:
                self._addresses[answer.party] = address
                if answer.committee_member is not None:
                    self._members[answer.committee_member] = address
        self._require_parties(self._addresses.keys(), "hello", problems)
        if len(self._members) < self._combiner.threshold:
            raise RunFailed(
                f"{len(self._members)} committee members are present, {self._combiner.threshold} are needed "
                f"to open a sum: start their nodes{_listed(problems)}"
            )

    def _collect(self, turn: Turn, openings: Sequence[npt.NDArray[np.int64]]) -> dict[str, bytes]:
        ask = self._ask(Phase.COLLECT, turn, openings)
        answers = self._transport.ask(dict.fromkeys(self._addresses.values(), ask))
        submissions: dict[str, bytes] = {}
        problems = []
        for party, address in self._addresses.items():
            answer = answers.get(address, Silence(reason="no answer"))
            if self._fits(answer, ask, party):
                submissions[party] = answer.payload
            else:
                problems.append(_said(party, answer))
        self._require_parties(submissions.keys(), turn.envelope.request.name, problems)
        # Whoever dropped out stays out: two sums with and without one party would show its vector.
        self._addresses = {party: self._addresses[party] for party in submissions}
        self._tally.values += turn.envelope.request.dimension
        self._tally.sent += max(len(sealed) for sealed in submissions.values())
        return submissions

    def _open(
        self,
        turn: Turn,
        openings: Sequence[npt.NDArray[np.int64]],
        submissions: Mapping[str, bytes],
    ) -> npt.NDArray[np.int64]:
        ask = replace(self._ask(Phase.OPEN, turn, openings), submissions=dict(submissions))
        answers = self._transport.ask(dict.fromkeys(self._members.values(), ask))
        partials: dict[int, bytes] = {}
        problems = []
        for member, address in self._members.items():
            answer = answers.get(address, Silence(reason="no answer"))
            if self._fits(answer, ask, None):
                partials[member] = answer.payload
            else:
                problems.append(_said(f"committee member {member}", answer))
        if len(partials) < self._combiner.threshold:
            raise RunFailed(
                f"{turn.envelope.request.name}: {len(partials)} of {self._combiner.threshold} needed partial "
                f"openings arrived; the run ends here and what it opened stays spent{_listed(problems)}"
            )
        return self._combiner.open(submissions, partials, turn.envelope)

    def _fits(self, answer: Reply | Refusal | Silence, ask: Ask, party: str | None) -> TypeGuard[Reply]:
        """Whether an answer belongs to what was asked."""
        return (
            isinstance(answer, Reply)
            and (answer.phase, answer.run, answer.round, answer.request_hash)
            == (ask.phase, ask.run, ask.round, ask.request_hash)
            and party in (None, answer.party)
        )

    def _require_parties(self, present: Collection[str], what: str, problems: Sequence[str]) -> None:
        terms = self._contract.privacy
        needed = max(terms.minimum_cohort, len(self._contract.parties) - terms.absent)
        if len(present) < needed:
            absent = sorted(self._contract.parties_by_name.keys() - set(present))
            raise RunFailed(
                f"{what}: {len(present)} parties answered, {needed} are needed; without an answer: "
                f"{', '.join(absent)}; the run ends here and what it opened stays spent{_listed(problems)}"
            )


def _said(who: str, answer: Reply | Refusal | Silence) -> str:
    match answer:
        case Refusal(code=code):
            return f"{who} refused ({code})"
        case Silence(reason=reason):
            return f"{who} is silent ({reason})"
        case Reply():
            return f"{who} answered something else than was asked"


def _listed(problems: Sequence[str]) -> str:
    return "".join(f"\n  - {problem}" for problem in problems)
