"""The operator's loop: ask for vectors, ask for their sum's opening, go on until there is a card."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from fedscore.card import Card
from fedscore.contract import Contract
from fedscore.errors import OpeningError, RunFailed
from fedscore.learners.agenda import Agenda, Turn
from fedscore.messages import Ask, Phase, Reply
from fedscore.messages.transcript import submission_digests
from fedscore.sums import Combiner, OpenedSum
from fedscore.sums.series import KeySeries
from server.answers import Answer, fits, listed, said
from server.chronicle import Chronicle
from server.greeting import Acquaintance, acquaint
from server.transport import Silence, Transport

__all__ = ["Coordinator", "Observer", "RunResult"]

_Who = TypeVar("_Who", str, int)


class Observer(Protocol):
    """Is told how a run goes on."""

    def round_opened(self, name: str, number: int, rounds: int) -> None:
        """A sum was opened: its name, its number from 1, and how many there will be."""
        ...

    def noticed(self, what: str) -> None:
        """Something did not go as it should, and the run went on: a sentence that names who."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run gave.

    Attributes:
        card: The finished card.
        openings: The opened sums, on the lattice.
        values_per_party: Numbers in one party's vectors over all rounds.
        bytes_per_party: Bytes of one party's submissions over all rounds.
        abandoned: Rounds that could not be opened and were asked again; they are paid for.
        liars: Committee members whose partial openings were wrong, by name.
    """

    card: Card
    openings: tuple[npt.NDArray[np.int64], ...]
    values_per_party: int
    bytes_per_party: int
    abandoned: int
    liars: tuple[str, ...]


@dataclass(slots=True)
class _Tally:
    values: int = 0
    sent: int = 0
    abandoned: int = 0


class _Abandoned(Exception):  # noqa: N818 - leads to a new round, never leaves this module
    """The round cannot be opened; it may have been in secret, so it stays paid."""

    def __init__(self, reason: str, problems: Iterable[str]) -> None:
        super().__init__(reason)
        self.problems = tuple(problems)


class Coordinator:
    """Runs one program over a transport.

    It is trusted to be available. It sees sealed vectors and opened sums, derives every request from the
    contract like everybody else, and holds no key.
    """

    def __init__(
        self,
        *,
        contract: Contract,
        series: KeySeries,
        combiner: Combiner,
        transport: Transport,
        chronicle: Chronicle,
        observer: Observer | None = None,
        run: str | None = None,
        agenda_of: Callable[[Contract, str], Agenda] = lambda contract, run: Agenda(contract, run=run),
    ) -> None:
        """Prices the program before anything is asked for.

        Args:
            contract: With its roster.
            series: The key's.
            combiner: Joins partial openings.
            transport: Reaches the nodes.
            chronicle: Keeps the key's transcript.
            observer: Is told about progress.
            run: 32 hexadecimal digits; a fresh one if left out.
            agenda_of: Derives a run; simulations share one derivation among all parties.
        """
        self._contract = contract
        self._contract_hash = contract.hash()
        self._series = series
        self._combiner = combiner
        self._transport = transport
        self._chronicle = chronicle
        self._observer = observer
        self.run_id = run if run is not None else secrets.token_hex(16)
        self._agenda = agenda_of(contract, self.run_id)
        self._standing = chronicle.load()
        self._parties: dict[str, int] = {}
        self._members: dict[int, int] = {}
        self._quiet: dict[int, int] = {}
        self._tally = _Tally()
        self._liars: list[str] = []

    def run(self) -> RunResult:
        """Runs all rounds.

        Raises:
            RunFailed: Too few parties or committee members answered; names them and their codes.
            LayoutError: An opened sum is no sum of vectors within their bounds.
        """
        self._meet()
        openings: list[npt.NDArray[np.int64]] = []
        while len(openings) < self._agenda.rounds:
            turn = self._begin_round(openings)
            try:
                submissions = self._collect(turn, openings)
                opened = self._open(turn, openings, submissions)
            except _Abandoned as abandoned:
                self._ask_again(abandoned)
                continue
            self._close_round(turn, openings, submissions, opened)
            openings.append(opened.values)
            if self._observer is not None:
                name = turn.envelope.request.name
                self._observer.round_opened(name, len(openings), self._agenda.rounds)
        return RunResult(
            card=self._agenda.finish(openings),
            openings=tuple(openings),
            values_per_party=self._tally.values,
            bytes_per_party=self._tally.sent,
            abandoned=self._tally.abandoned,
            liars=tuple(self._liars),
        )

    def _ask(
        self, phase: Phase, turn: Turn | None = None, openings: Sequence[npt.NDArray[np.int64]] = ()
    ) -> Ask:
        return Ask(
            phase=phase,
            run=self.run_id,
            round=turn.envelope.round if turn is not None else 0,
            contract_hash=self._contract_hash,
            head=self._standing.head,
            opening=self._standing.opening,
            head_signatures=self._standing.signatures,
            request_hash=turn.envelope.digest if turn is not None else "",
            openings=tuple(openings),
        )

    def _meet(self) -> None:
        """Finds out who is there, and where the transcript stands."""
        hello = self._ask(Phase.HELLO)
        answers = self._transport.ask(dict.fromkeys(self._transport.addresses(), hello))
        met: Acquaintance = acquaint(
            answers, hello, contract=self._contract, series=self._series, standing=self._standing
        )
        self._parties, self._members = dict(met.parties), dict(met.members)
        self._standing = met.standing
        self._chronicle.store(self._standing)
        problems = list(met.problems)
        problems += [
            said(f"node {address}", answer)
            for address, answer in answers.items()
            if not isinstance(answer, Reply)
        ]
        needed = self._contract.smallest_cohort
        if len(self._parties) < needed:
            raise RunFailed(
                f"hello: {len(self._parties)} parties answered, {needed} are needed; without an answer: "
                f"{self._absent(self._parties)}; nothing was asked for yet{listed(problems)}"
            )
        if len(self._members) < self._combiner.threshold:
            raise RunFailed(
                f"hello: {len(self._members)} committee members are present, {self._combiner.threshold} are "
                f"needed to open a sum; without an answer: {self._missing_members()}; nothing was asked for "
                f"yet: start their nodes{listed(problems)}"
            )
        for problem in problems:
            self._notice(problem)

    def _begin_round(self, openings: Sequence[npt.NDArray[np.int64]]) -> Turn:
        """Takes a number that no round under the key has had, and keeps it before anybody is asked."""
        number = self._standing.round + 1
        self._standing = self._standing.after(number)
        self._chronicle.store(self._standing)
        return self._agenda.turn(openings, round_number=number, head=self._standing.head.hash)

    def _ask_again(self, abandoned: _Abandoned) -> None:
        self._tally.abandoned += 1
        problems = listed(abandoned.problems)
        spare_rounds = self._contract.privacy.spare_rounds
        if self._tally.abandoned > spare_rounds:
            raise RunFailed(
                f"{abandoned}; the contract pays for {spare_rounds} spare rounds: the run ends here, and "
                f"what it opened stays spent; begin a new run when all are back{problems}"
            )
        # Those who were silent are worth another try before the run fails.
        self._members |= self._quiet
        self._quiet = {}
        if len(self._members) < self._combiner.threshold:
            raise RunFailed(
                f"{abandoned}; {len(self._members)} committee members are left, and "
                f"{self._combiner.threshold} are needed to open a sum: the run ends here, and what it opened "
                f"stays spent; begin a new run without those who lied{problems}"
            )
        self._notice(
            f"{abandoned}; the round is abandoned, stays paid, and is asked again as a new one{problems}"
        )

    def _collect(self, turn: Turn, openings: Sequence[npt.NDArray[np.int64]]) -> dict[str, bytes]:
        ask = self._ask(Phase.COLLECT, turn, openings)
        answers = self._answers(ask, self._parties)
        submissions = {
            party: answer.payload
            for party, answer in answers.items()
            if fits(answer, ask) and answer.party == party
        }
        problems = [said(party, answers[party]) for party in answers if party not in submissions]
        refused = self._combiner.refused(submissions, turn.envelope)
        for party, reason in refused.items():
            del submissions[party]
            problems.append(f"its submission is refused, {reason}")
        if len(submissions) < self._contract.smallest_cohort:
            raise _Abandoned(
                f"{turn.envelope.request.name}: {len(submissions)} parties answered, "
                f"{self._contract.smallest_cohort} are needed; without an answer: "
                f"{self._absent(submissions)}",
                problems,
            )
        for problem in problems:
            self._notice(f"{turn.envelope.request.name}: {problem}")
        self._tally.values += turn.envelope.request.dimension
        self._tally.sent += max(len(sealed) for sealed in submissions.values())
        return submissions

    def _open(
        self,
        turn: Turn,
        openings: Sequence[npt.NDArray[np.int64]],
        submissions: Mapping[str, bytes],
    ) -> OpenedSum:
        ask = replace(self._ask(Phase.OPEN, turn, openings), submissions=dict(submissions))
        # From here on the sum may be opened, if only in secret: whoever is not in it stays out of the run.
        self._parties = {party: self._parties[party] for party in submissions}
        partials = self._partials(ask, turn.envelope.request.name)
        try:
            return self._combiner.combine(submissions, partials, turn.envelope)
        except OpeningError:
            proven = self._proven(replace(ask, phase=Phase.PROVE), turn, partials)
        return self._combiner.combine(submissions, proven, turn.envelope)

    def _partials(self, ask: Ask, name: str) -> dict[int, bytes]:
        """Asks the committee; who is silent is not waited for in the next rounds."""
        partials, problems = self._from_members(ask, self._members)
        if len(partials) < self._combiner.threshold:
            # For the same cohort a member may answer twice: that costs time, where a new round costs privacy.
            # By now it may have been started again, or enough others may vouch for the transcript.
            late, problems = self._from_others(ask, partials)
            partials |= late
        self._require_enough(partials, "arrived", name, problems.values())
        return partials

    def _require_enough(
        self, partials: Collection[int], what: str, name: str, problems: Iterable[str]
    ) -> None:
        """Gives up a round that too few members help to open; else only tells what went wrong."""
        if len(partials) < self._combiner.threshold:
            raise _Abandoned(
                f"{name}: {len(partials)} of {self._combiner.threshold} needed partial openings {what}",
                problems,
            )
        for problem in problems:
            self._notice(f"{name}: {problem}")

    def _from_others(self, ask: Ask, asked: Collection[int]) -> tuple[dict[int, bytes], dict[int, str]]:
        """Asks all members but these, the quiet ones too, with the signatures that have come in meanwhile."""
        others = {
            member: address
            for member, address in {**self._members, **self._quiet}.items()
            if member not in asked
        }
        return self._from_members(replace(ask, head_signatures=self._standing.signatures), others)

    def _from_members(self, ask: Ask, members: Mapping[int, int]) -> tuple[dict[int, bytes], dict[int, str]]:
        """Returns what members sent, and what is to be said of the others; the silent become the quiet."""
        asked = dict(members)
        sent: dict[int, bytes] = {}
        problems: dict[int, str] = {}
        for member, answer in self._answers(ask, asked).items():
            self._place(member, asked[member], quiet=isinstance(answer, Silence))
            if fits(answer, ask) and answer.committee_member == member:
                sent[member] = answer.payload
            else:
                problems[member] = said(f"committee member {self._series.member_names[member]}", answer)
        return sent, problems

    def _place(self, member: int, address: int, *, quiet: bool) -> None:
        self._members.pop(member, None)
        self._quiet.pop(member, None)
        (self._quiet if quiet else self._members)[member] = address

    def _proven(self, ask: Ask, turn: Turn, partials: Mapping[int, bytes]) -> dict[int, bytes]:
        """Finds out which partial openings were wrong: their members are named and leave the run.

        Who sends no proof is not shown to have lied, and is left alone for a while like the silent.
        """
        name = turn.envelope.request.name
        asked = {member: self._members[member] for member in partials}
        proofs, problems = self._from_members(ask, asked)
        for member in asked.keys() - proofs.keys():
            problems[member] += ", and its partial opening is left out"
            self._place(member, asked[member], quiet=True)
        shown = self._combiner.proven(ask.submissions, proofs, turn.envelope)
        honest = {member: partial for member, partial in shown.items() if partial == partials[member]}
        problems |= self._expelled(proofs.keys() - honest.keys())
        if len(honest) < self._combiner.threshold:
            # A proof carries the partial opening, so whoever has not been asked yet may still help.
            late, more = self._from_others(ask, asked)
            shown = self._combiner.proven(ask.submissions, late, turn.envelope)
            problems |= more | self._expelled(late.keys() - shown.keys())
            honest |= shown
        self._require_enough(honest, "are proven", name, problems.values())
        return honest

    def _expelled(self, members: Iterable[int]) -> dict[int, str]:
        """Leaves liars out of the run, and returns what is to be said of each."""
        problems = {}
        for member in sorted(members):
            liar = self._series.member_names[member]
            self._liars.append(liar)
            del self._members[member]
            problems[member] = (
                f"committee member {liar} could not prove its partial opening, which is wrong: it is out of "
                "this run"
            )
        return problems

    def _close_round(
        self,
        turn: Turn,
        openings: Sequence[npt.NDArray[np.int64]],
        submissions: Mapping[str, bytes],
        opened: OpenedSum,
    ) -> None:
        """Adds the link to the transcript."""
        head = self._standing.head.successor(
            round_number=turn.envelope.round,
            run=self.run_id,
            step=len(openings),
            request=turn.envelope.digest,
            submissions=submission_digests(submissions),
            values=opened.values,
            opening=opened.opening,
        )
        self._standing = replace(self._standing, head=head, opening=opened.opening, signatures={})
        self._chronicle.store(self._standing)

    def _answers(self, ask: Ask, addresses: Mapping[_Who, int]) -> dict[_Who, Answer]:
        """Asks each of them; signatures under the transcript's head are kept on the way."""
        by_address = self._transport.ask(dict.fromkeys(addresses.values(), ask))
        answers = {
            who: by_address.get(address, Silence(reason="no answer")) for who, address in addresses.items()
        }
        for answer in answers.values():
            if isinstance(answer, Reply) and answer.committee_member is not None:
                # One by one: whoever gives itself another's number must not hide that member's signature.
                signed = {answer.committee_member: answer.head_signature}
                if not signed.keys() <= self._standing.signatures.keys():
                    self._standing = self._standing.vouched(
                        self._series.vouchers(self._standing.head, signed)
                    )
        return answers

    def _absent(self, present: Collection[str]) -> str:
        return ", ".join(sorted(self._contract.parties_by_name.keys() - set(present)))

    def _missing_members(self) -> str:
        names = self._series.member_names
        return ", ".join(names[member] for member in sorted(names.keys() - self._members.keys()))

    def _notice(self, what: str) -> None:
        if self._observer is not None:
            self._observer.noticed(what)
