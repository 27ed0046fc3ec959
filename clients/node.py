"""What a node does when it is asked: derive the request itself, answer or refuse, and never raise."""

from __future__ import annotations

import datetime as dt
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

from clients.books import Books, Expense, Price
from clients.gate import CommitteeGate
from clients.memory import Collected, Memory, NodeState
from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.errors import (
    BudgetExhausted,
    CiphertextRefused,
    CohortRefused,
    DataError,
    EvidenceDamaged,
    LedgerMismatch,
    NodeConfigError,
    ProofRefused,
    ProtocolError,
    RoundRefused,
    SignatureRefused,
    TranscriptRefused,
)
from fedscore.learners.agenda import Agenda, Turn
from fedscore.messages import SOFTWARE, Ask, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.transcript import MAXIMUM_LEAD, chain_openings, is_run, submission_digest
from fedscore.sums import Member, Sealer, Side, noised_total
from fedscore.sums.series import HELLO_DOMAIN, KeySeries, Signer
from privacy.dp.randomness import RandomSource

__all__ = ["AUDITOR", "Node", "Submitter"]

logger = logging.getLogger(__name__)

AUDITOR = "auditor"
"""The role of a committee member that is no party: it has no rows, and helps to open."""

KEPT = 64
"""Most submissions of its own that a node keeps in mind to recognise a new transcript by."""

MAXIMUM_RUNS = 10_000
"""Most runs under one key at one node, which remembers all of them."""


class _ContractRefused(ProtocolError):  # noqa: N818 - named like the others of its kind
    """The server follows another contract."""


_Codes: TypeAlias = tuple[tuple[type[Exception], RefusalCode], ...]

_CODES: _Codes = (
    (CiphertextRefused, RefusalCode.SUBMISSION),
    (SignatureRefused, RefusalCode.SUBMISSION),
    (ProofRefused, RefusalCode.SUBMISSION),
    (CohortRefused, RefusalCode.COHORT),
    (TranscriptRefused, RefusalCode.TRANSCRIPT),
    (RoundRefused, RefusalCode.ROUND),
    (BudgetExhausted, RefusalCode.BUDGET),
    (LedgerMismatch, RefusalCode.LEDGER),
    (EvidenceDamaged, RefusalCode.LEDGER),
    (NodeConfigError, RefusalCode.LEDGER),
    (ProtocolError, RefusalCode.REQUEST),
)
"""What the server is told; the first class that fits. The text stays in the node's log."""

_ANSWER_CODES: _Codes = (
    (_ContractRefused, RefusalCode.CONTRACT),
    # What the data caused has one code, whatever it was.
    (DataError, RefusalCode.DATA),
    *_CODES,
)
"""The same for what goes wrong while an answer is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    """What a node needs to take part in sums.

    Attributes:
        load_rows: Reads the training rows that may be used in a run which began on a day; called only when
            they are needed.
        load_test_rows: Likewise the test rows, for sums that evaluate.
        sealer: Encrypts, proves and signs.
        randomness: Source of the noise.
        answer_seconds: What every answer takes that is computed from rows, in whole multiples; 0 for as long
            as it needs.
    """

    load_rows: Callable[[dt.date], Rows]
    sealer: Sealer
    randomness: RandomSource
    answer_seconds: int = 0
    load_test_rows: Callable[[dt.date], Rows] | None = None

    def rows_of(self, side: Side, day: dt.date) -> Rows:
        """Reads the rows of one side.

        Raises:
            DataError: The data do not fit the contract.
            ProtocolError: This node evaluates nothing.
        """
        if side is Side.TRAINING:
            return self.load_rows(day)
        if self.load_test_rows is None:
            raise ProtocolError("a sum over test rows, and this node was set up without any")
        return self.load_test_rows(day)


class Node:
    """One organisation's side of the protocol.

    The server's message is only a hint. From the contract that its owner accepted and the openings so far,
    the node derives query, sensitivity, noise share and slots itself, and refuses a server whose request has
    another hash. What it sent once for a round it resends byte for byte; a different question about the
    same round, or an older round, is refused.

    Attributes:
        contract: The one that its owner accepted.
    """

    def __init__(  # noqa: PLR0913 - each is a part that simulations and tests replace by itself
        self,
        *,
        name: str,
        contract: Contract,
        series: KeySeries,
        signer: Signer,
        memory: Memory,
        books: Books,
        submitter: Submitter | None,
        member: Member | None,
        agenda_of: Callable[[Contract, str], Agenda] = lambda contract, run: Agenda(contract, run=run),
    ) -> None:
        """Sets up a node.

        Args:
            name: Of the organisation, on the contract's roster or in the ceremony's record.
            contract: The one that its owner accepted.
            series: The key's.
            signer: Signs as this organisation.
            memory: What it did before.
            books: What it spent before, and may spend.
            submitter: Its part in sums; none for a committee member that is no party.
            member: Its seat on the committee, if it has one.
            agenda_of: Derives a run; simulations share one derivation among their nodes.
        """
        self._name = name
        party = contract.parties_by_name.get(name)
        self._role = party.role.value if party is not None else AUDITOR
        self.contract = contract
        self._contract_hash = contract.hash()
        self._series = series
        self._signer = signer
        self._memory = memory
        self._books = books
        self._submitter = submitter
        self._gate = (
            CommitteeGate(name=name, contract=contract, series=series, member=member, signer=signer)
            if member is not None
            else None
        )
        self._member = member
        self._agenda_of = agenda_of

    @property
    def committee_member(self) -> int | None:
        """The number of its seat on the committee, or none."""
        return self._gate.index if self._gate is not None else None

    def answer(self, ask: Ask) -> Reply | Refusal:
        """Answers the server; whatever goes wrong becomes a code without text."""
        try:
            with self._memory.locked(), self._books.locked(), self._unhurried(ask):
                answer = self._answer(ask)
                if isinstance(answer, Refusal):
                    self._books.refused(ask, answer.code)
                return answer
        except Exception as error:  # noqa: BLE001 - memory or books cannot be used; nothing may leave but a code
            return self._refused(ask, error, _CODES)

    @contextmanager
    def _unhurried(self, ask: Ask) -> Iterator[None]:
        """Takes as long for every answer that is computed from rows; whoever else asks waits meanwhile."""
        pace = self._submitter.answer_seconds if self._submitter is not None else 0
        began = time.monotonic()
        try:
            yield
        finally:
            if ask.phase is Phase.COLLECT and pace:
                taken = time.monotonic() - began
                time.sleep(math.ceil(taken / pace) * pace - taken)

    def _answer(self, ask: Ask) -> Reply | Refusal:
        try:
            return self._handle(ask)
        except Exception as error:  # noqa: BLE001 - nothing may leave but a code
            return self._refused(ask, error, _ANSWER_CODES)

    def _handle(self, ask: Ask) -> Reply:
        if ask.contract_hash != self._contract_hash:
            raise _ContractRefused("the server follows another contract than the one accepted here")
        if not is_run(ask.run):
            raise ProtocolError("the run's id is not 32 hexadecimal digits")
        state = self._memory.load()
        if ask.head.key_id != state.head.key_id:
            raise TranscriptRefused("the server's transcript is of another key: use one ceremony's files")
        self._books.require_current(state, ask.head)
        if ask.phase is Phase.HELLO:
            return self._hello(ask, state)
        state = self._followed(state, ask)
        agenda = self._agenda_of(self.contract, ask.run)
        turn = self._turn(state, ask, agenda)
        if ask.phase is Phase.COLLECT:
            state, payload = self._collect(state, ask, turn, self._price(agenda))
        else:
            state, payload = self._help_to_open(state, ask, turn)
        return self._reply(ask, state, payload=payload, request_hash=turn.envelope.digest)

    def _hello(self, ask: Ask, state: NodeState) -> Reply:
        # A server that lost its own transcript learns where this one stands; nothing is refused here.
        if ask.head.round > state.head.round:
            state = self._followed(state, ask)
        if self._submitter is not None:
            self._books.require_affordable(self._price(self._agenda_of(self.contract, ask.run)))
        payload = state.head.to_bytes() if self._gate is not None else b""
        # A member signs the head that it sends, whatever the server's is.
        reply = self._reply(replace(ask, head=state.head), state, payload=payload)
        return replace(
            reply, signature=self._signer.sign(HELLO_DOMAIN, reply.introduction(ask.contract_hash))
        )

    def _followed(self, state: NodeState, ask: Ask) -> NodeState:
        """Follows the transcript; what a member came to know is kept."""
        if self._gate is None:
            return state
        followed = self._gate.follow(state, ask)
        if followed is not state:
            followed = self._stored(followed)
            # What it abstained from may be over now; what the books know of it is compared again.
            self._books.require_current(followed, ask.head)
        return followed

    def _turn(self, state: NodeState, ask: Ask, agenda: Agenda) -> Turn:
        head = ask.head
        openings = chain_openings(ask.openings)
        goes_on = bool(ask.openings) or head.run == ask.run
        if goes_on and (head.run, head.step, head.openings) != (ask.run, len(ask.openings), openings):
            raise TranscriptRefused(
                "the openings are not those that the transcript's head stands for: begin a new run"
            )
        if not head.round < ask.round <= state.last_round + MAXIMUM_LEAD:
            raise RoundRefused(
                f"round {ask.round} is not after the transcript's head, {head.round}, or more than "
                f"{MAXIMUM_LEAD} ahead of {state.last_round}, the newest known here: ask the next one"
            )
        turn = agenda.turn(ask.openings, round_number=ask.round, head=head.hash)
        if ask.request_hash != turn.envelope.digest:
            raise ProtocolError(
                f"{turn.envelope.request.name}: the server derived another request than this node did; the "
                "two run different versions, or the server lies"
            )
        return turn

    def _collect(self, state: NodeState, ask: Ask, turn: Turn, price: Price) -> tuple[NodeState, bytes]:
        if self._submitter is None:
            raise CohortRefused(f"{self._name} is no party of the contract and takes part in no sum")
        last = state.collected
        key = state.head.key_id
        if last is not None and (ask.round, turn.envelope.digest) == (last.round, last.request):
            self._books.sent(key, ask.round, submission_digest(last.submission))
            return state, last.submission
        self._require_new(state, ask)
        # What the sum costs is on the disk before anything is computed for it.
        day = self._books.charge(
            Expense(
                key=key,
                round=ask.round,
                name=turn.envelope.request.name,
                request=turn.envelope.digest,
                event=turn.envelope.request.event,
                price=price,
            )
        )
        values = noised_total(
            turn.query,
            self._submitter.rows_of(turn.envelope.request.side, day),
            turn.envelope.request,
            row_cap=self.contract.rows.row_cap,
            randomness=self._submitter.randomness,
        )
        submission = self._submitter.sealer.seal(values.tolist(), turn.envelope)
        collected = Collected(
            round=ask.round,
            run=ask.run,
            step=len(ask.openings),
            openings=chain_openings(ask.openings),
            request=turn.envelope.digest,
            head_round=ask.head.round,
            repeats=_repeats(last, ask),
            submission=submission,
        )
        ended = state.ended
        if last is not None and last.run != ask.run:
            ended = (*ended, last.run)
        made_since = (*state.made_since, submission_digest(submission))[-KEPT:] if state.unproven else ()
        state = replace(state, collected=collected, ended=ended, made_since=made_since)
        state = self._stored(state)
        self._books.sent(key, ask.round, submission_digest(submission))
        return state, submission

    def _stored(self, state: NodeState) -> NodeState:
        """Remembers a state, and with it how far the books had come."""
        state = replace(state, books=self._books.mark())
        self._memory.store(state)
        return state

    def _price(self, agenda: Agenda) -> Price:
        return Price(
            run=agenda.run,
            contract=self._contract_hash,
            program=agenda.event,
            epsilon=agenda.record.epsilon,
        )

    def _require_new(self, state: NodeState, ask: Ask) -> None:
        """Refuses a round that is not after all others, and a sum that has been repeated too often."""
        last = state.collected
        if last is None:
            return
        if ask.round <= last.round:
            raise RoundRefused(
                f"round {ask.round} is refused: this node answered round {last.round} already, and a second "
                "answer would spend the noise twice; ask a new round"
            )
        if ask.head.round < last.head_round:
            raise TranscriptRefused(
                f"the server's transcript stands at round {ask.head.round}, this node was shown "
                f"{last.head_round} before: an older history is refused"
            )
        if ask.run != last.run:
            self._require_beginning(state, ask)
        elif chain_openings(ask.openings[: last.step]) != last.openings:
            raise TranscriptRefused("the openings differ from those that this node was shown before: a fork")
        paid = self.contract.privacy.spare_rounds
        if _repeats(last, ask) > paid:
            raise BudgetExhausted(
                f"the run asks for a sum once more; {paid} spare rounds were paid for and are used: begin a "
                "new run, or agree on more spare_rounds"
            )

    def _require_beginning(self, state: NodeState, ask: Ask) -> None:
        """Refuses a new run that does not begin here; else two runs in turns would repeat for nothing."""
        if ask.openings:
            raise RoundRefused(
                "this node did not answer the run's earlier sums: it takes part in the next run"
            )
        if ask.run in state.ended:
            raise RoundRefused("another run has followed this one here, so it is over: begin a new run")
        if len(state.ended) >= MAXIMUM_RUNS:
            raise RoundRefused(f"the key has served {MAXIMUM_RUNS} runs: hold a ceremony for a new one")

    def _help_to_open(self, state: NodeState, ask: Ask, turn: Turn) -> tuple[NodeState, bytes]:
        if self._gate is None or self._member is None:
            raise CohortRefused(f"{self._name} has no seat on the committee")
        admitted, product = self._gate.admit(state, ask, turn)
        # Only after the cohort is on disk may anything leave; for the same cohort it may leave again.
        if admitted.released != state.released:
            admitted = self._stored(admitted)
        if admitted.released is not None:
            self._books.opened(state.head.key_id, admitted.released)
        if ask.phase is Phase.PROVE:
            return admitted, self._member.prove(product, turn.envelope)
        return admitted, self._member.partial(product)

    def _reply(self, ask: Ask, state: NodeState, *, payload: bytes, request_hash: str = "") -> Reply:
        return Reply(
            party=self._name,
            role=self._role,
            version=SOFTWARE,
            committee_member=self.committee_member,
            phase=ask.phase,
            run=ask.run,
            round=ask.round,
            request_hash=request_hash,
            last_round=state.last_round,
            head_signature=self._gate.vouch(state, ask) if self._gate is not None else b"",
            signature=b"",
            payload=payload,
        )

    def _refused(self, ask: Ask, error: Exception, codes: _Codes) -> Refusal:
        """Tells the owner's log why, and the server a code."""
        code = next((code for known, code in codes if isinstance(error, known)), RefusalCode.INTERNAL)
        if code is RefusalCode.INTERNAL:
            # The text of an unexpected exception may hold data: it stays in the node's own log.
            logger.error("round %d (%s) failed", ask.round, ask.phase, exc_info=error)
        else:
            logger.warning("refused round %d (%s), %s: %s", ask.round, ask.phase, code, error)
        return Refusal(
            party=self._name,
            version=SOFTWARE,
            phase=ask.phase,
            round=ask.round,
            code=code,
        )


def _repeats(last: Collected | None, ask: Ask) -> int:
    """How many repeated sums the run has had with this round: each is paid for, whatever came between."""
    if last is None or last.run != ask.run:
        return 0
    return last.repeats + (len(ask.openings) == last.step)
