"""The operator's loop: ask for vectors, ask for their sum's opening, go on until the program ends."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fedscore.contract import Contract
from fedscore.errors import NodeConfigError, RoundAbandoned, RunFailed, RunOver
from fedscore.learners.agenda import Agenda, Turn
from fedscore.learners.program import Product
from fedscore.messages import Ask, Phase, Reply
from fedscore.messages.transcript import submission_digests
from fedscore.sums import Combiner, OpenedSum
from fedscore.sums.series import KeySeries
from server.answers import fits, listed, said
from server.checkpoint import Checkpoint, Checkpoints, NoCheckpoints, Stage
from server.chronicle import Chronicle
from server.committee import Committee
from server.correspondence import Correspondence
from server.greeting import Acquaintance, acquaint
from server.transport import Transport

__all__ = ["Coordinator", "Observer", "RunResult"]


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
        trained: The finished card, model or report.
        openings: The opened sums, on the lattice.
        values_per_party: Numbers in one party's vectors over all rounds.
        bytes_per_party: Bytes of one party's submissions over all rounds.
        abandoned: Rounds that could not be opened and were asked again; they are paid for.
        liars: Committee members whose partial openings were wrong, by name.
        absent: Parties of the roster that the last sum lacked, and so all that were out of the run by then.
        transcript: Hash of the transcript's head after the last sum.
        round: Number of the last sum's round, counted per key.
    """

    trained: Product
    openings: tuple[npt.NDArray[np.int64], ...]
    values_per_party: int
    bytes_per_party: int
    abandoned: int
    liars: tuple[str, ...]
    transcript: str
    round: int
    absent: tuple[str, ...] = ()


class Coordinator:
    """Runs one program over a transport, from its beginning or from a checkpoint.

    It is trusted to be available. It sees sealed vectors and opened sums, derives every request from the
    contract like everybody else, and holds no key.
    """

    def __init__(  # noqa: PLR0913 - a run, and what carries and keeps it
        self,
        *,
        contract: Contract,
        series: KeySeries,
        combiner: Combiner,
        transport: Transport,
        chronicle: Chronicle,
        checkpoints: Checkpoints | None = None,
        observer: Observer | None = None,
        run: str | None = None,
        resume: Checkpoint | None = None,
        stopping: Callable[[], bool] = lambda: False,
        agenda_of: Callable[[Contract, str], Agenda] = lambda contract, run: Agenda(contract, run=run),
    ) -> None:
        """Prices the program before anything is asked for.

        Args:
            contract: With its roster.
            series: The key's.
            combiner: Joins partial openings.
            transport: Reaches the nodes.
            chronicle: Keeps the key's transcript.
            checkpoints: Keep where the run stands; left out, the run ends with its process.
            observer: Is told about progress.
            run: 32 hexadecimal digits; a fresh one if left out.
            resume: Where to go on; the run is the checkpoint's.
            stopping: Whether the operator wants the run to end; is asked between phases.
            agenda_of: Derives a run; simulations share one derivation among all parties.

        Raises:
            NodeConfigError: The run to be resumed follows another contract.
        """
        self._contract = contract
        self._contract_hash = contract.hash()
        self._series = series
        self._combiner = combiner
        self._chronicle = chronicle
        self._checkpoints: Checkpoints = checkpoints if checkpoints is not None else NoCheckpoints()
        self._observer = observer
        self._resumed = resume is not None
        standing = chronicle.load()
        if resume is not None:
            self._require_contract(resume)
            standing = standing.joined(resume.standing)
        self._at = resume or Checkpoint(
            run=run if run is not None else secrets.token_hex(16),
            contract_hash=self._contract_hash,
            standing=standing,
            round=standing.round,
            stage=Stage.OPENED,
            parties=frozenset(contract.parties_by_name),
        )
        self.run_id = self._at.run
        self._agenda = agenda_of(contract, self.run_id)
        self._correspondence = Correspondence(
            transport=transport, series=series, standing=standing, stopping=stopping
        )
        self._committee = Committee(
            series=series,
            combiner=combiner,
            correspondence=self._correspondence,
            notice=self._notice,
            liars=self._at.liars,
        )
        self._addresses: dict[str, int] = {}

    def run(self) -> RunResult:
        """Runs all rounds that are left.

        Raises:
            RunFailed: Too few parties or committee members answered; names them and their codes. Once a
                round has been asked for, the run can be resumed.
            RunOver: The run can never go on.
            RunStopped: The operator ended it.
            LayoutError: An opened sum is no sum of vectors within their bounds; the run can never go on.
        """
        if self._resumed:
            # After a crash the chronicle may be behind the checkpoint.
            self._chronicle.store(self._correspondence.standing)
        if not self._agenda.is_finished(self._at.openings):
            self._meet()
        while not self._agenda.is_finished(self._at.openings):
            if self._at.stage is Stage.OPENED:
                self._begin_round()
            turn = self._agenda.turn(
                self._at.openings, round_number=self._at.round, head=self._at.standing.head.hash
            )
            try:
                if self._at.stage is Stage.COLLECT:
                    self._collect(turn)
                opened = self._committee.opened(self._opening_ask(turn), turn)
            except RoundAbandoned as abandoned:
                self._ask_again(abandoned)
                continue
            self._close_round(turn, opened)
        at = self._at
        return RunResult(
            trained=self._agenda.finish(at.openings),
            openings=at.openings,
            values_per_party=at.values,
            bytes_per_party=at.sent,
            abandoned=at.abandoned,
            liars=tuple(self._series.member_names[member] for member in at.liars),
            transcript=at.standing.head.hash,
            round=at.standing.head.round,
            absent=tuple(name for name in self._contract.parties_by_name if name not in at.parties),
        )

    def _require_contract(self, resume: Checkpoint) -> None:
        if resume.contract_hash != self._contract_hash:
            raise NodeConfigError(
                f"run {resume.run} was begun under another contract than the server's configuration names: "
                "put that contract back, or end the run with `fedscore server stop`"
            )

    def _ask(self, phase: Phase, turn: Turn | None = None) -> Ask:
        standing = self._correspondence.standing
        return Ask(
            phase=phase,
            run=self.run_id,
            round=turn.envelope.round if turn is not None else 0,
            contract_hash=self._contract_hash,
            head=standing.head,
            opening=standing.opening,
            head_signatures=standing.signatures,
            request_hash=turn.envelope.digest if turn is not None else "",
            openings=self._at.openings if turn is not None else (),
        )

    def _opening_ask(self, turn: Turn) -> Ask:
        return replace(self._ask(Phase.OPEN, turn), submissions=self._at.submissions)

    def _reached(self) -> dict[str, int]:
        """The addresses of those who are there and still belong to the run."""
        return {party: at for party, at in self._addresses.items() if party in self._at.parties}

    def _store(self, at: Checkpoint) -> None:
        """Keeps where the run stands, before anything is done that builds on it."""
        at = replace(at, standing=self._correspondence.standing)
        self._checkpoints.store(at)
        self._at = at
        self._chronicle.store(at.standing)

    def _meet(self) -> None:
        """Finds out who is there, and where the transcript stands."""
        hello = self._ask(Phase.HELLO)
        answers = self._correspondence.hello(hello)
        met: Acquaintance = acquaint(
            answers,
            hello,
            contract=self._contract,
            series=self._series,
            standing=self._correspondence.standing,
        )
        self._addresses = dict(met.parties)
        self._committee.welcome(met.members)
        self._correspondence.standing = met.standing
        self._chronicle.store(met.standing)
        if self._resumed and met.standing.head != self._at.standing.head:
            raise RunOver(
                f"run {self.run_id} can never go on: the key's transcript has moved on to round "
                f"{met.standing.head.round} without it; what it opened stays spent; begin a new run"
            )
        problems = [
            *met.problems,
            *(
                said(f"node {address}", answer)
                for address, answer in answers.items()
                if not isinstance(answer, Reply)
            ),
        ]
        if self._at.stage is not Stage.OPEN:
            self._require_parties(problems)
        if not self._committee.can_open:
            raise RunFailed(
                f"hello: {self._committee.size} committee members are present, {self._combiner.threshold} "
                f"are needed to open a sum; without an answer: {self._committee.missing}; "
                f"{self._so_far}: start their nodes{listed(problems)}"
            )
        for problem in problems:
            self._notice(problem)

    @property
    def _so_far(self) -> str:
        return "the run can be resumed" if self._resumed else "nothing was asked for yet"

    def _require_parties(self, problems: Iterable[str] = ()) -> None:
        present = self._reached()
        needed = self._contract.smallest_cohort
        if len(present) < needed:
            raise RunFailed(
                f"hello: {len(present)} parties answered, {needed} are needed; without an answer: "
                f"{self._absent(present)}; {self._so_far}{listed(problems)}"
            )

    def _begin_round(self) -> None:
        """Takes a number that no round under the key has had, and keeps it before anybody is asked."""
        # After a resume, a round may have been opened without those who are needed for the next one.
        self._require_parties()
        number = self._correspondence.standing.round + 1
        self._correspondence.standing = self._correspondence.standing.after(number)
        self._store(replace(self._at, round=number, stage=Stage.COLLECT))

    def _ask_again(self, abandoned: RoundAbandoned) -> None:
        """Gives a round up for a new one, or fails; then the checkpoint stays at this very round."""
        problems = listed(abandoned.problems)
        # Who lied is remembered also if the run is interrupted here.
        self._store(replace(self._at, liars=self._liars))
        if self._committee.is_lost:
            raise RunOver(
                f"{abandoned}; too many committee members have lied to open a sum without them: the run ends "
                f"here, and what it opened stays spent; begin a new run without those who lied{problems}"
            )
        spare_rounds = self._contract.privacy.spare_rounds
        if self._at.abandoned >= spare_rounds:
            raise RunFailed(
                f"{abandoned}; the contract pays for {spare_rounds} spare rounds: the run is interrupted, "
                f"and what it opened stays spent; resume it when all are back{problems}"
            )
        # Those who were silent are worth another try before the run fails.
        self._committee.recall_quiet()
        if not self._committee.can_open:
            raise RunFailed(
                f"{abandoned}; {self._committee.size} committee members are left, and "
                f"{self._combiner.threshold} are needed to open a sum: the run is interrupted, and what it "
                f"opened stays spent; resume it when the others are back{problems}"
            )
        # The new number is kept together with the count, so that no crash comes between them.
        self._at = replace(
            self._at, stage=Stage.OPENED, submissions={}, abandoned=self._at.abandoned + 1, liars=self._liars
        )
        self._notice(
            f"{abandoned}; the round is abandoned, stays paid, and is asked again as a new one{problems}"
        )

    def _collect(self, turn: Turn) -> None:
        ask = self._ask(Phase.COLLECT, turn)
        answers = self._correspondence.answers(ask, self._reached())
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
        name = turn.envelope.request.name
        if len(submissions) < self._contract.smallest_cohort:
            raise RoundAbandoned(
                f"{name}: {len(submissions)} parties answered, {self._contract.smallest_cohort} are needed; "
                f"without an answer: {self._absent(submissions)}",
                problems,
            )
        for problem in problems:
            self._notice(f"{name}: {problem}")
        # From here on the sum may be opened, if only in secret: whoever is not in it stays out of the run.
        self._store(
            replace(
                self._at,
                stage=Stage.OPEN,
                parties=frozenset(submissions),
                submissions=submissions,
                values=self._at.values + turn.envelope.request.dimension,
                sent=self._at.sent + max(len(sealed) for sealed in submissions.values()),
            )
        )

    def _close_round(self, turn: Turn, opened: OpenedSum) -> None:
        """Adds the link to the transcript."""
        at = self._at
        head = at.standing.head.successor(
            round_number=at.round,
            run=self.run_id,
            step=len(at.openings),
            request=turn.envelope.digest,
            submissions=submission_digests(at.submissions),
            values=opened.values,
            opening=opened.opening,
        )
        self._correspondence.standing = replace(
            self._correspondence.standing, head=head, opening=opened.opening, signatures={}
        )
        openings = (*at.openings, opened.values)
        self._store(replace(at, stage=Stage.OPENED, openings=openings, submissions={}, liars=self._liars))
        if self._observer is not None:
            self._observer.round_opened(turn.envelope.request.name, len(openings), self._agenda.rounds)

    @property
    def _liars(self) -> tuple[int, ...]:
        return tuple(self._committee.liars)

    def _absent(self, present: Collection[str]) -> str:
        return ", ".join(sorted(self._at.parties - set(present)))

    def _notice(self, what: str) -> None:
        if self._observer is not None:
            self._observer.noticed(what)
