"""The committee member's gate: what it checks before it helps to open a sum, and what it remembers first.

Claim: under one key a member helps to open, per round, one product, of the submissions of one cohort, that it
multiplied itself; every submission is signed and proven by a party of the roster for exactly this contract,
run, round, request and transcript; rounds only grow; and who was missing from a sum of the run that was
opened, or that this member released, takes no part in its later ones. Where more than one cohort is
admissible, 2t > N + c_m: any two sets of t members have an honest one in common, so no two cohorts of one
round are opened (ADR 8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from clients.memory import NodeState, Release
from fedscore.contract import Contract
from fedscore.errors import CohortRefused, EncryptionError, RoundRefused, TranscriptRefused
from fedscore.learners.agenda import Turn
from fedscore.messages import Ask, Head
from fedscore.messages.transcript import submission_digests
from fedscore.sums import Member
from fedscore.sums.series import HEAD_DOMAIN, KeySeries, Signer

__all__ = ["CommitteeGate"]


class CommitteeGate:
    """Decides for one member; every method takes a state and returns the next, and stores nothing itself."""

    def __init__(
        self, *, name: str, contract: Contract, series: KeySeries, member: Member, signer: Signer
    ) -> None:
        """Sets up a gate.

        Args:
            name: The member's organisation.
            contract: The one that its owner accepted.
            series: The key's.
            member: Its share at work.
            signer: Signs as this organisation.
        """
        self._name = name
        self._contract = contract
        self._series = series
        self._member = member
        self._signer = signer

    @property
    def index(self) -> int:
        """The member's number."""
        return self._member.index

    def follow(self, state: NodeState, ask: Ask) -> NodeState:
        """Moves along the transcript to where the server says that it stands, if that is proven.

        A member that helped to open the newest round checks the opening against the product that it made.
        One that was away needs the signatures of c_m + 1 members, one of whom is honest.

        Args:
            state: What the member remembers.
            ask: Carries the server's head, the opening behind it, and signatures.

        Returns:
            The state with that head; or the very same state, if nothing proves the head to this member yet.

        Raises:
            TranscriptRefused: The server's head is older than the member's, or another of the same round.
        """
        claimed = ask.head
        if claimed == state.head:
            return state
        if claimed.round <= state.head.round or claimed.key_id != state.head.key_id:
            raise TranscriptRefused(
                f"the server's transcript stands at round {claimed.round}, this member's at "
                f"{state.head.round}: a forked or older history is refused; bring the server up to date"
            )
        if not state.abstains and claimed == self._own_head(state, ask.opening):
            return replace(state, head=claimed, made_since=())
        if len(self._series.vouchers(claimed, ask.head_signatures)) < self._series.vouchers_needed:
            return state
        # An old head could be signed as well: where this member may have forgotten something, only one over a
        # submission that it has made since is certainly newer than everything forgotten.
        if state.unproven and claimed.submissions.get(self._name) not in state.made_since:
            return state
        return replace(state, head=claimed, abstains=False, made_since=())

    def vouch(self, state: NodeState, ask: Ask) -> bytes:
        """Returns a signature under the server's head, or nothing if it is not this member's own."""
        if state.abstains or ask.head != state.head:
            return b""
        return self._signer.sign(HEAD_DOMAIN, state.head.to_bytes())

    def admit(self, state: NodeState, ask: Ask, turn: Turn) -> tuple[NodeState, bytes]:
        """Lets one cohort of a round through.

        Args:
            state: What the member remembers, after `follow`.
            ask: With all submissions.
            turn: What the member derived itself; its digest is the ask's.

        Returns:
            The state to be stored before anything is released, and the encrypted sum.

        Raises:
            TranscriptRefused: The member cannot tell that the server's transcript is true, or abstains.
            RoundRefused: The round is older than one that was released, or was released otherwise.
            CohortRefused: The parties are not an admissible cohort.
            CiphertextRefused: A submission is malformed; this and the next two name its party.
            SignatureRefused: A submission is not its party's own, made for this very round.
            ProofRefused: A submission is by somebody who does not know what is in it.
        """
        self._require_transcript(state, ask)
        digests = submission_digests(ask.submissions)
        self._require_round(state, ask, turn, digests)
        self._require_cohort(state, ask)
        product = self._member.product(ask.submissions, turn.envelope)
        release = Release(
            round=ask.round,
            run=ask.run,
            step=len(ask.openings),
            request=turn.envelope.digest,
            head=turn.envelope.head,
            submissions=digests,
            product=hashlib.sha256(product).hexdigest(),
            shape=turn.envelope.shape,
        )
        return replace(state, released=release), product

    def _require_transcript(self, state: NodeState, ask: Ask) -> None:
        if state.abstains:
            raise TranscriptRefused(
                "this member abstains: its memory was lost, and a round that it has forgotten may still be "
                "open; it helps again once a sum with its own new submission is opened and "
                f"{self._series.vouchers_needed} members vouch for that; an auditor, who makes none, needs a "
                "new ceremony"
            )
        if ask.head != state.head:
            raise TranscriptRefused(
                f"nothing proves the server's transcript of round {ask.head.round} to this member, which "
                f"knows round {state.head.round}: {self._series.vouchers_needed} members must vouch for it"
            )

    def _require_round(self, state: NodeState, ask: Ask, turn: Turn, digests: Mapping[str, str]) -> None:
        if ask.round <= state.head.round:
            raise RoundRefused(
                f"round {ask.round} is not after the last opened one, {state.head.round}: ask a new round"
            )
        last = state.released
        if last is None or ask.round > last.round:
            return
        if ask.round < last.round:
            raise RoundRefused(
                f"round {ask.round} is older than {last.round}, which this member has released: ask a new "
                "round"
            )
        if (last.run, last.request, dict(last.submissions)) != (ask.run, turn.envelope.digest, dict(digests)):
            raise RoundRefused(
                f"round {ask.round} was released for another cohort or request: a second one would show "
                "the difference; ask a new round"
            )

    def _require_cohort(self, state: NodeState, ask: Ask) -> None:
        parties = ask.submissions.keys()
        strangers = parties - self._contract.parties_by_name.keys()
        if strangers:
            raise CohortRefused(
                f"{len(strangers)} of the submissions are of nobody on the contract's roster: leave them out"
            )
        if len(parties) < self._contract.smallest_cohort:
            raise CohortRefused(
                f"a cohort of {len(parties)} is refused: at least {self._contract.smallest_cohort} parties "
                "of the roster are needed"
            )
        # A round that was released counts as opened, whatever the server says: it may have been, in secret.
        last = state.released
        earlier = [state.head.cohort] if ask.openings else []
        earlier += [frozenset(last.submissions)] if last is not None and last.run == ask.run else []
        back = sorted({party for cohort in earlier for party in parties - cohort})
        if back:
            raise CohortRefused(
                f"{', '.join(back)}: missing from a sum of this run that was opened, or may have been, so "
                "out of the run; leave it out, or start a new run"
            )

    def _own_head(self, state: NodeState, opening: bytes) -> Head | None:
        """The head that the member derives from a published opening of what it released last."""
        last = state.released
        # What was released under another head than the member's is no next link of its transcript.
        if last is None or last.head != state.head.hash or not opening:
            return None
        try:
            product, values = self._member.reopen(opening, last.shape)
        except EncryptionError:
            return None
        if hashlib.sha256(product).hexdigest() != last.product:
            return None
        return state.head.successor(
            round_number=last.round,
            run=last.run,
            step=last.step,
            request=last.request,
            submissions=last.submissions,
            values=values,
            opening=opening,
        )
