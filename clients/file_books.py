"""A node's books: what it spent, sent, helped to open and refused, on the disk before anything leaves.

The evidence is the truth: append-only, chained, signed, and synced line by line. The ledger beside it is its
view in SQLite, brought up to date or rebuilt whenever it is behind or cannot be read. What a round costs is
written before anything is computed for it, so a crash charges too much rather than too little; what was paid
for and never sent may be computed again under the same charge.

One pair of files belongs to one source of data, whatever contracts and keys its rows are used under: a
changed contract does not refill the budget.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from clients.books import Expense, Price
from clients.evidence_file import EvidenceFile
from clients.ledger_view import Begun, LedgerView, Opened
from clients.memory import Mark, NodeState, Release
from clients.view_upkeep import read_on, tip_of, up_to_date
from fedscore.errors import BudgetExhausted, LedgerMismatch, NodeConfigError, RoundRefused
from fedscore.files import exclusive, sync_folder
from fedscore.messages import Ask, Head, RefusalCode
from privacy.dp.events import Composed, Event
from privacy.evidence import Entry, Signer, write_entry
from privacy.ledger import Charge, Limits, RunSpending, Spending, event_fields

__all__ = ["EVIDENCE", "LEDGER", "LONGEST_RUN", "FileBooks"]

EVIDENCE = "evidence.jsonl"
"""Name of the evidence in its folder."""

LEDGER = "ledger.db"
"""Name of its view."""

WRONG_CLOCK = dt.timedelta(days=1)
"""No run begins while the newest line is further ahead of the clock: the clock was wrong then, or is now."""

LONGEST_RUN = dt.timedelta(days=30)
"""A run that began longer ago is over: its consents are of the day on which it began."""


class FileBooks:
    """Books in a folder: `evidence.jsonl`, and `ledger.db` beside it."""

    def __init__(
        self,
        folder: Path,
        *,
        party: str,
        signer: Signer,
        signing_key: bytes,
        source: str,
        limits: Limits | None,
        policy: str,
    ) -> None:
        """Names the files; the evidence must have begun.

        Args:
            folder: Of the source of data.
            party: The organisation's name.
            signer: Signs as this organisation.
            signing_key: Its public key, 32 bytes.
            source: The owner's name for the source.
            limits: What may be spent; none for an auditor, who has nothing to spend.
            policy: Hash of the policy that they come from, for the evidence.
        """
        self._folder = folder
        self._party = party
        self._origin = (party, source, signing_key.hex())
        self._signer = signer
        self._limits = limits
        self._policy = policy
        self._evidence = EvidenceFile(folder / EVIDENCE, signing_key=signing_key)
        self._open: LedgerView | None = None

    @staticmethod
    def create(folder: Path, *, party: str, source: str, signer: Signer, signing_key: bytes) -> bool:
        """Begins the evidence of a source of data; where there is some, it stays as it is.

        Args:
            folder: Made if it is missing.
            party: The organisation's name.
            source: The owner's name for the source.
            signer: Signs as this organisation.
            signing_key: Its public key, 32 bytes.

        Returns:
            Whether there was none.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)
        _, line = write_entry(
            after=None,
            time=_clock(),
            kind="began",
            body={"party": party, "source": source, "signing_key": signing_key.hex()},
            signer=signer,
        )
        with exclusive(folder / "lock"), suppress(FileExistsError):
            EvidenceFile.create(folder / EVIDENCE, signing_key=signing_key, lines=line)
            return True
        return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """See `Books.locked`.

        Raises:
            NodeConfigError: There is no evidence.
            EvidenceDamaged: A line of it is not what this organisation wrote there.
            LedgerMismatch: The evidence ends before what its ledger has read, as an older copy does; or it is
                of another organisation or source.
        """
        with exclusive(self._folder / "lock"):
            self._open = up_to_date(self._folder / LEDGER, self._evidence)
            try:
                self._require_own()
                yield
            finally:
                self._open.close()
                self._open = None

    def verify(self) -> None:
        """Reads all of the evidence again and compares what it adds up to with the ledger; for checks.

        Raises:
            EvidenceDamaged: A line of it is not what this organisation wrote there.
            LedgerMismatch: The ledger says something else.
        """
        if not self._agrees():
            raise LedgerMismatch(
                f"{LEDGER} does not say what {EVIDENCE} adds up to: move {LEDGER} away, and it is rebuilt"
            )

    def mark(self) -> Mark:
        """See `Books.mark`."""
        tip = tip_of(self._view)
        return Mark(sequence=tip.entry.sequence, hash=tip.entry.hash)

    def last_round(self, key: str) -> int:
        """The newest round under a key that was paid for, or may have been."""
        return self._view.last_round(key)

    def spending(self) -> Spending:
        """All runs with their charges."""
        return self._view.spending()

    def refusals(self) -> Mapping[str, int]:
        """How often the node refused, by code."""
        return self._view.refusals()

    def assume(self, *, key: str, through_round: int, events: tuple[Event, ...]) -> None:
        """Takes as spent what a restored backup does not know of.

        Its last run may have gone on to its end: what that reserved is taken as spent too.

        Args:
            key: The key's id.
            through_round: The newest round under it of which a record may be lost; none up to it is answered.
            events: What other runs may have released.
        """
        current = self._view.spending().open_run
        # Once is enough: another node.toml of the same source may be restored right after this one.
        again = tip_of(self._view).entry.kind == "restored"
        lost = Composed(events=(*events, *([current.reserved] if current is not None and not again else [])))
        self._append("restored", {"key": key, "through_round": through_round, "events": event_fields(lost)})

    def require_current(self, state: NodeState, head: Head) -> None:
        """See `Books.require_current`."""
        key, view, mark, known = head.key_id, self._view, state.books, state.collected
        if mark is not None and view.hash_at(mark.sequence) != mark.hash:
            raise self._older(f"the node's own memory knows of line {mark.sequence + 1}")
        if known is not None and known.round > view.last_round(key):
            raise self._older(f"the node's own memory knows of round {known.round}")
        if known is not None and known.round < view.last_sent(key):
            raise LedgerMismatch(
                f"this node sent its part of round {view.last_sent(key)} and its memory does not know: an "
                "older copy of the memory was put back; move it away and begin another with fedscore node "
                "begin"
            )
        released = state.released.round if state.released is not None else 0
        if not state.abstains and view.last_opening(key) > max(released, state.head.round):
            raise LedgerMismatch(
                f"this member helped to open round {view.last_opening(key)} and its memory does not know: an "
                "older copy of the memory was put back, or a share was accepted twice; move the memory away "
                "and begin another with fedscore node begin"
            )
        mine = head.submissions.get(self._party)
        if mine is None or head.round <= view.assumed_through(key):
            return
        charged = view.charged(key, head.round)
        if charged is None or charged.submission != mine:
            raise self._older(
                f"the transcript holds a submission of {self._party} of round {head.round} that they do not"
            )

    def require_affordable(self, price: Price) -> None:
        """See `Books.require_affordable`."""
        spending = self._view.spending()
        begun = self._view.begun(price.run)
        if begun is not None:
            _require_open(spending, price.run)
            self._require_same(begun, price)
            return
        self._require_clock()
        spending.begin(self._run(price, self._now()), self._within(price))

    def charge(self, expense: Expense) -> dt.date:
        """See `Books.charge`."""
        view, run, key = self._view, expense.price.run, expense.key
        begun, paid = view.begun(run), view.charged(key, expense.round)
        if begun is not None:
            self._require_same(begun, expense.price, key=key)
        last = view.last_round(key)
        newest = expense.round == last and expense.round > view.assumed_through(key)
        unsent = paid is not None and (paid.run, paid.request, paid.submission) == (
            run,
            expense.request,
            None,
        )
        if begun is not None and newest and unsent:
            # A crash came between the charge and the answer: nothing has left, and the charge stands.
            return _day(begun.time)
        if expense.round <= last:
            raise RoundRefused(
                f"round {expense.round} is refused: this node paid for round {last} already, and answers "
                "none up to it again; ask a new round"
            )
        if begun is None and not self._agrees():
            # What a run may cost is decided by what is signed, whatever became of the view.
            self._rebuild()
            view = self._view
        spending, limits = view.spending(), self._within(expense.price)
        if begun is None:
            self._require_clock()
            spending = spending.begin(self._run(expense.price, self._now()), limits)
        _require_open(spending, run)
        spending.charge(run, Charge(round=expense.round, name=expense.name, event=expense.event), limits)
        if begun is None:
            begun = self._begin(expense)
        self._append(
            "charge",
            {
                "key": key,
                "round": expense.round,
                "run": run,
                "sum": expense.name,
                "request": expense.request,
                "event": event_fields(expense.event),
            },
        )
        return _day(begun.time)

    def sent(self, key: str, number: int, submission: str) -> None:
        """See `Books.sent`."""
        charged = self._view.charged(key, number)
        if charged is None or charged.submission not in (None, submission):
            raise self._older(f"the node is about to send for round {number} what they do not know")
        if charged.submission is None:
            self._append("release", {"key": key, "round": number, "submission": submission})

    def opened(self, key: str, release: Release) -> None:
        """See `Books.opened`."""
        noted = self._view.opening(key, release.round)
        now = Opened(
            run=release.run,
            request=release.request,
            submissions=dict(release.submissions),
            product=release.product,
        )
        if noted == now:
            return
        if noted is not None:
            raise LedgerMismatch(
                f"this member helped to open round {release.round} for another cohort, and its memory does "
                "not know: an older copy of the memory was put back; move it away and begin another with "
                "fedscore node begin"
            )
        self._append("opening", {"key": key, "round": release.round, **asdict(now)})

    def refused(self, ask: Ask, code: RefusalCode) -> None:
        """See `Books.refused`."""
        self._append(
            "refusal", {"phase": str(ask.phase), "run": ask.run, "round": ask.round, "code": str(code)}
        )

    @property
    def _view(self) -> LedgerView:
        if self._open is None:
            raise NodeConfigError("the books are used without their lock: this is a defect")
        return self._open

    def _append(self, kind: str, body: Mapping[str, object]) -> Entry:
        tip = tip_of(self._view)
        if self._evidence.size != tip.size:
            # A line after half a line, or after one that the ledger has not read, would break the chain.
            raise LedgerMismatch(
                f"a write to {EVIDENCE} or {LEDGER} failed: nothing more is written until both are read "
                "again; see that the disk has room and is sound, and ask again"
            )
        entry, line = write_entry(
            after=tip.entry, time=self._now(), kind=kind, body=body, signer=self._signer
        )
        # A line that the ledger cannot read would never go away again.
        self._view.rehearse(entry)
        self._evidence.append(line)
        self._view.apply([(entry, tip.size + entry.length)])
        return entry

    def _begin(self, expense: Expense) -> Begun:
        price = expense.price
        entry = self._append(
            "run",
            {
                "run": price.run,
                "contract": price.contract,
                "key": expense.key,
                "policy": self._policy,
                "reserved": event_fields(price.program),
            },
        )
        return Begun(contract=price.contract, key=expense.key, time=entry.time)

    def _now(self) -> str:
        """The time; a clock that was set back does not make anything younger."""
        return max(_clock(), tip_of(self._view).entry.time)

    def _require_clock(self) -> None:
        """Consents are judged by the day on which a run begins, so that day must be a true one."""
        now, newest = dt.datetime.now(dt.UTC), tip_of(self._view).entry.time
        if dt.datetime.fromisoformat(newest) - now > WRONG_CLOCK:
            raise LedgerMismatch(
                f"the newest line of {EVIDENCE} was written on {newest[:10]}, and this machine's clock says "
                f"{now:%Y-%m-%d}: set it right; if it is right and was ahead before, go on with a new ledger "
                "folder: fedscore node begin, then fedscore node restore with all runs that there ever were"
            )

    def _agrees(self) -> bool:
        """Whether the ledger says what the evidence adds up to."""
        fresh = LedgerView.empty(None)
        try:
            read_on(fresh, self._evidence)
            return fresh.dump() == self._view.dump()
        finally:
            fresh.close()

    def _rebuild(self) -> None:
        self._view.close()
        self._open = LedgerView.empty(self._folder / LEDGER)
        read_on(self._open, self._evidence)

    def _require_own(self) -> None:
        origin = self._view.origin()
        if origin != self._origin:
            raise LedgerMismatch(
                f"the books in {self._folder.name} are those of {origin[0]} about {origin[1]}, not of "
                f"{self._origin[0]} about {self._origin[1]}, or under another identity: name the right "
                "folder; after a change of identity or source take a new one with fedscore node begin, and "
                "charge all earlier runs to it with fedscore node restore"
            )

    def _require_same(self, begun: Begun, price: Price, *, key: str | None = None) -> None:
        """A run has one contract and one key, and an age."""
        if begun.contract != price.contract or key not in (None, begun.key):
            raise RoundRefused(f"run {price.run} began here under another contract or key: begin a new run")
        age = dt.datetime.fromisoformat(self._now()) - dt.datetime.fromisoformat(begun.time)
        if age > LONGEST_RUN:
            raise RoundRefused(
                f"run {price.run} began here more than {LONGEST_RUN.days} days ago, with the consents of "
                "that day: it is over, begin a new run"
            )

    def _run(self, price: Price, began: str) -> RunSpending:
        return RunSpending(run=price.run, contract=price.contract, began=began, reserved=price.program)

    def _within(self, price: Price) -> Limits:
        limits = self._limits
        if limits is None:
            raise BudgetExhausted("policy.toml has no budget, so nothing may be spent: add [budget]")
        if not price.epsilon <= limits.run_epsilon:
            raise BudgetExhausted(
                f"run {price.run} may cost epsilon {price.epsilon:.4f} at its contract's delta; its owner "
                f"allows {limits.run_epsilon:g} for one run: nothing was computed; ask for a cheaper "
                "program, or let the owner raise run_epsilon in policy.toml"
            )
        return limits

    def _older(self, why: str) -> LedgerMismatch:
        return LedgerMismatch(
            f"the books in {self._folder.name} are older than they should be: {why}. An older copy was put "
            "back: put the newest one back, or take this one with fedscore node restore, which charges what "
            "it does not know"
        )


def _require_open(spending: Spending, run: str) -> None:
    current = spending.open_run
    if current is None or current.run != run:
        raise RoundRefused(f"another run has followed run {run} here, so it is over: begin a new run")


def _clock() -> str:
    return f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _day(time: str) -> dt.date:
    return dt.date.fromisoformat(time[:10])
