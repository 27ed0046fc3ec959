"""How a sum is opened: members help, whoever stays silent is tried again, and whoever lies is named."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from fedscore.errors import OpeningError, RoundAbandoned
from fedscore.learners.agenda import Turn
from fedscore.messages import Ask, Phase
from fedscore.sums import Combiner, OpenedSum
from fedscore.sums.series import KeySeries
from server.answers import fits, said
from server.correspondence import Correspondence
from server.transport import Silence

__all__ = ["Committee"]


class Committee:
    """The committee's members, as they are reached during one run.

    Attributes:
        liars: Members whose partial openings were wrong, by number; they are out of the run.
    """

    def __init__(
        self,
        *,
        series: KeySeries,
        combiner: Combiner,
        correspondence: Correspondence,
        notice: Callable[[str], None],
        liars: Iterable[int] = (),
    ) -> None:
        """Sets it up with nobody present.

        Args:
            series: The key's.
            combiner: Joins partial openings.
            correspondence: Reaches the members.
            notice: Is told what went wrong while a sum was opened all the same.
            liars: Who is out of the run already.
        """
        self.liars = list(liars)
        self._series = series
        self._combiner = combiner
        self._correspondence = correspondence
        self._notice = notice
        self._members: dict[int, int] = {}
        self._quiet: dict[int, int] = {}

    @property
    def size(self) -> int:
        """How many members are present."""
        return len(self._members)

    @property
    def can_open(self) -> bool:
        """Whether as many are present as are needed to open a sum."""
        return self.size >= self._combiner.threshold

    @property
    def is_lost(self) -> bool:
        """Whether so many have lied that the others cannot open a sum, whoever comes back."""
        return len(self._series.member_names) - len(self.liars) < self._combiner.threshold

    @property
    def missing(self) -> str:
        """The names of those who are not present."""
        names = self._series.member_names
        return ", ".join(names[member] for member in sorted(names.keys() - self._members.keys()))

    def welcome(self, members: Mapping[int, int]) -> None:
        """Takes in who is there, by number; liars stay out."""
        self._members = {member: address for member, address in members.items() if member not in self.liars}

    def recall_quiet(self) -> None:
        """Those who were silent are worth another try before the run fails."""
        self._members |= self._quiet
        self._quiet = {}

    def opened(self, ask: Ask, turn: Turn) -> OpenedSum:
        """Has a sum opened.

        Args:
            ask: In `Phase.OPEN`, with the cohort's submissions.
            turn: The sum's.

        Raises:
            RoundAbandoned: Too few members helped.
            LayoutError: The sum is none of vectors within their bounds.
        """
        partials = self._partials(ask, turn.envelope.request.name)
        try:
            return self._combiner.combine(ask.submissions, partials, turn.envelope)
        except OpeningError:
            proven = self._proven(replace(ask, phase=Phase.PROVE), turn, partials)
        return self._combiner.combine(ask.submissions, proven, turn.envelope)

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
            raise RoundAbandoned(
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
        return self._from_members(
            replace(ask, head_signatures=self._correspondence.standing.signatures), others
        )

    def _from_members(self, ask: Ask, members: Mapping[int, int]) -> tuple[dict[int, bytes], dict[int, str]]:
        """Returns what members sent, and what is to be said of the others; the silent become the quiet."""
        asked = dict(members)
        sent: dict[int, bytes] = {}
        problems: dict[int, str] = {}
        for member, answer in self._correspondence.answers(ask, asked).items():
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
            self.liars.append(member)
            del self._members[member]
            problems[member] = (
                f"committee member {liar} could not prove its partial opening, which is wrong: it is out of "
                "this run"
            )
        return problems
