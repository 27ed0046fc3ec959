"""What a node does when it is asked: derive the request itself, answer or refuse, and never raise."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from importlib.metadata import version

from clients.rounds import Rounds
from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.errors import CiphertextRefused, DataError, ProtocolError
from fedscore.learners.agenda import Agenda, Turn
from fedscore.messages import Ask, Phase, Refusal, RefusalCode, Reply
from fedscore.sums import Member, Sealer, noised_total
from privacy.dp.randomness import RandomSource

__all__ = ["Node"]

logger = logging.getLogger(__name__)

_RUN = re.compile(r"[0-9a-f]{32}")


class _Refused(Exception):  # noqa: N818 - carries a code to `answer`, never leaves this module
    def __init__(self, code: RefusalCode) -> None:
        super().__init__(code)
        self.code = code


class Node:
    """One organisation's side of the protocol.

    The server's message is only a hint. From the contract that its owner accepted and the openings so
    far, the node derives query, sensitivity, noise share and slots itself, and refuses a server whose
    request has another hash. What it sent once for a round it resends byte for byte; a different
    question about the same round is refused.

    Attributes:
        contract: The one that its owner accepted.
    """

    def __init__(
        self,
        *,
        party: str,
        contract: Contract,
        load_rows: Callable[[], Rows],
        sealer: Sealer,
        member: Member | None,
        rounds: Rounds,
        randomness: RandomSource,
        agenda_of: Callable[[Contract, str], Agenda] = lambda contract, run: Agenda(contract, run=run),
    ) -> None:
        """Sets up a node.

        Args:
            party: Its name on the contract's roster.
            contract: The one that its owner accepted.
            load_rows: Reads the training rows; called only when they are needed.
            sealer: Encrypts.
            member: Its seat on the committee, if it has one.
            rounds: What it answered before.
            randomness: Source of its noise.
            agenda_of: Derives a run; simulations share one derivation among their nodes.
        """
        self._party = contract.parties_by_name[party]
        self.contract = contract
        self._contract_hash = contract.hash()
        self._load_rows = load_rows
        self._sealer = sealer
        self._member = member
        self._rounds = rounds
        self._randomness = randomness
        self._agenda_of = agenda_of

    @property
    def committee_member(self) -> int | None:
        """The number of its seat on the committee, or none."""
        return self._member.index if self._member is not None else None

    def answer(self, ask: Ask) -> Reply | Refusal:
        """Answers the server; whatever goes wrong becomes a code without text."""
        try:
            return self._reply(ask, *self._handle(ask))
        except _Refused as refused:
            code = refused.code
        except CiphertextRefused:
            code = RefusalCode.CIPHERTEXT
        except DataError:
            code = RefusalCode.DATA
        except ProtocolError:
            code = RefusalCode.ROUND
        except Exception:
            # The text of an unexpected exception may hold data: it stays in the node's own log.
            logger.exception("round %d (%s) failed", ask.round, ask.phase)
            return self._refusal(ask, RefusalCode.INTERNAL)
        logger.warning("refused round %d (%s): %s", ask.round, ask.phase, code)
        return self._refusal(ask, code)

    def _handle(self, ask: Ask) -> tuple[bytes, str]:
        """Returns the payload and the hash of the request that it answers."""
        if ask.contract_hash != self._contract_hash:
            raise _Refused(RefusalCode.CONTRACT)
        if ask.phase is Phase.HELLO:
            return b"", ""
        turn = self._turn(ask)
        answer = self._collect if ask.phase is Phase.COLLECT else self._open
        return answer(ask, turn), turn.envelope.digest

    def _turn(self, ask: Ask) -> Turn:
        if not _RUN.fullmatch(ask.run) or ask.round != len(ask.openings):
            raise _Refused(RefusalCode.ROUND)
        turn = self._agenda_of(self.contract, ask.run).turn(ask.openings)
        if ask.request_hash != turn.envelope.digest:
            raise _Refused(RefusalCode.REQUEST)
        return turn

    def _collect(self, ask: Ask, turn: Turn) -> bytes:
        key = _collect_key(ask)
        sent = self._rounds.recall(key, turn.envelope.digest)
        if sent is not None:
            return sent
        values = noised_total(
            turn.query,
            self._load_rows(),
            turn.envelope.request,
            row_cap=self.contract.rows.row_cap,
            randomness=self._randomness,
        )
        sealed = self._sealer.seal(values.tolist(), turn.envelope)
        self._rounds.keep(key, turn.envelope.digest, sealed)
        return sealed

    def _open(self, ask: Ask, turn: Turn) -> bytes:
        if self._member is None:
            raise _Refused(RefusalCode.COHORT)
        self._check_cohort(ask, turn)
        key = f"{ask.run}-{ask.round}-open"
        question = turn.envelope.digest + _submissions_hash(ask.submissions)
        released = self._rounds.recall(key, question)
        if released is not None:
            return released
        partial = self._member.partial(ask.submissions, turn.envelope)
        self._rounds.keep(key, question, partial)
        return partial

    def _check_cohort(self, ask: Ask, turn: Turn) -> None:
        """Only a sum over enough parties of the roster may be opened, this node's own vector among them.

        The own vector ties the sum to this run and round: without it, ciphertexts of earlier runs could be
        opened once more under a new name.
        """
        submissions = ask.submissions
        terms = self.contract.privacy
        needed = max(terms.minimum_cohort, len(self.contract.parties) - terms.absent)
        strangers = submissions.keys() - self.contract.parties_by_name.keys()
        own = self._rounds.recall(_collect_key(ask), turn.envelope.digest)
        if (
            strangers
            or len(submissions) < needed
            or len(set(submissions.values())) < len(submissions)
            or own is None
            or submissions.get(self._party.name) != own
        ):
            raise _Refused(RefusalCode.COHORT)

    def _reply(self, ask: Ask, payload: bytes, request_hash: str) -> Reply:
        return Reply(
            party=self._party.name,
            role=self._party.role,
            version=version("fedscore"),
            committee_member=self.committee_member,
            phase=ask.phase,
            run=ask.run,
            round=ask.round,
            request_hash=request_hash,
            payload=payload,
        )

    def _refusal(self, ask: Ask, code: RefusalCode) -> Refusal:
        return Refusal(party=self._party.name, phase=ask.phase, round=ask.round, code=code)


def _collect_key(ask: Ask) -> str:
    return f"{ask.run}-{ask.round}-collect"


def _submissions_hash(submissions: Mapping[str, bytes]) -> str:
    chain = hashlib.sha256()
    for party in sorted(submissions):
        chain.update(hashlib.sha256(party.encode()).digest())
        chain.update(hashlib.sha256(submissions[party]).digest())
    return chain.hexdigest()
