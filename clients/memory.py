"""What a node remembers under a key, so that nobody gets two different answers to one question.

A party that sent a second vector for the same round would let the server average its noise away. A committee
member that opened a second cohort would show the difference of the two. So the answer, or the cohort, is
written down durably before anything leaves: asked again, the node does the same again or refuses.

A memory belongs to one key, and it is never restored from a backup: a node with an old memory would answer
twice. Without any, a committee member *abstains* until the transcript proves to it that everything that it
may have forgotten is closed (`clients.gate`).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

from fedscore.errors import LayoutError, NodeConfigError, ProtocolError
from fedscore.files import checked_document, exclusive, sync_folder, with_checksum, write_whole
from fedscore.messages.transcript import Head, read_head
from fedscore.sums import SumShape
from fedscore.sums.series import KeySeries
from privacy.paillier.packing import SlotLayout

__all__ = ["Collected", "FileMemory", "Mark", "Memory", "MemoryOnly", "NodeState", "Release"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The newest vector that the node sent.

    Attributes:
        round: Its round.
        run: Its run.
        step: The run's openings before it.
        openings: Their chain.
        request: Hash of the request that it answers.
        head_round: Round of the transcript's head that it was signed for.
        repeats: Rounds of this run that asked again for a sum which the node had answered in another round.
        submission: What it sent, byte for byte.
    """

    round: int
    run: str
    step: int
    openings: str
    request: str
    head_round: int
    repeats: int
    submission: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The newest cohort whose sum a committee member helped to open.

    Attributes:
        round: Its round.
        run: Its run.
        step: The run's openings before it.
        request: Hash of the request.
        head: Hash of the transcript's head that it was chained to.
        submissions: SHA-256 of every party's submission.
        product: SHA-256 of the encrypted sum that the member made.
        shape: How the opened sum is read.
    """

    round: int
    run: str
    step: int
    request: str
    head: str
    submissions: Mapping[str, str]
    product: str
    shape: SumShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A line of the node's evidence, by which an older copy of it is recognised.

    Attributes:
        sequence: Its number, from 0.
        hash: Its hash.
    """

    sequence: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """All that a node remembers under one key.

    Attributes:
        head: The newest link of the transcript that the node knows to be true.
        collected: The newest vector that it sent, if any.
        released: The newest cohort that it helped to open, if any.
        ended: Runs that another one has followed here; they never go on.
        abstains: Whether it may have forgotten something, and must not help to open.
        books: The newest line of the node's evidence when this was stored, if it keeps any.
        made_since: While it must prove that the transcript is new, SHA-256 of its newest submissions.
    """

    head: Head
    collected: Collected | None = None
    released: Release | None = None
    ended: tuple[str, ...] = ()
    abstains: bool = False
    books: Mark | None = None
    made_since: tuple[str, ...] = ()

    @property
    def unproven(self) -> bool:
        """Whether the node cannot tell from its own past that a later head is new.

        So it is while it abstains, and also at the transcript's beginning: a share that was accepted twice
        gives an empty memory too.
        """
        return self.abstains or self.head.round == 0

    @property
    def last_round(self) -> int:
        """The newest round that this state knows of."""
        return max(
            self.head.round,
            self.collected.round if self.collected is not None else 0,
            self.released.round if self.released is not None else 0,
        )


class Memory(Protocol):
    """Holds a node's state; one answer at a time."""

    def locked(self) -> AbstractContextManager[None]:
        """Keeps every other process of this node out until the block ends."""
        ...

    def load(self) -> NodeState:
        """Returns the newest state."""
        ...

    def store(self, state: NodeState) -> None:
        """Remembers a state; when this returns, it survives a crash as far as the store can."""
        ...


class MemoryOnly:
    """Remembers as long as the process lives: for simulations, whose nodes answer one after another."""

    def __init__(self, series: KeySeries) -> None:
        self._state = NodeState(head=series.genesis)

    def locked(self) -> AbstractContextManager[None]:
        """See `Memory.locked`."""
        return nullcontext()

    def load(self) -> NodeState:
        """See `Memory.load`."""
        return self._state

    def store(self, state: NodeState) -> None:
        """See `Memory.store`."""
        self._state = state


class FileMemory:
    """One file per key, replaced whole and synced before `store` returns."""

    def __init__(self, folder: Path, series: KeySeries) -> None:
        """Opens the memory of a key.

        Args:
            folder: The node's own.
            series: The key's.

        Raises:
            NodeConfigError: There is none, or it is damaged, or of another key.
        """
        self._series = series
        self._file = _file(folder, series)
        self._lock = folder / "lock"
        if not self._file.exists():
            raise NodeConfigError(
                f"{folder} holds no memory of this key: if the node never answered under it, begin one with "
                "fedscore node begin, or with the share, fedscore keys accept; if the memory was lost, wait "
                "until the run that is going on has ended, and then use fedscore node begin"
            )
        self.load()

    @classmethod
    def create(cls, folder: Path, series: KeySeries, *, abstains: bool) -> Self:
        """Begins the memory of a key; one that was not used yet begins anew.

        Args:
            folder: The node's own; made if it is missing.
            series: The key's.
            abstains: Whether something may have been forgotten: only whoever has just been given its first
                share of a fresh key knows that nothing was. It matters to committee members alone.

        Raises:
            NodeConfigError: There is one already that was used; it is kept as it is.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)
        fresh = NodeState(head=series.genesis, abstains=abstains)
        file = _file(folder, series)
        with exclusive(folder / "lock"):
            # Whoever abstains is not talked out of it by another call that says that nothing was forgotten.
            if file.exists() and _decode(file) not in (fresh, replace(fresh, abstains=False)):
                raise NodeConfigError(
                    f"{folder} holds a memory of this key already: keep it, and accept a share only once"
                )
            write_whole(file, _encode(fresh))
        return cls(folder, series)

    def locked(self) -> AbstractContextManager[None]:
        """See `Memory.locked`; a process that dies lets go."""
        return exclusive(self._lock)

    def load(self) -> NodeState:
        """See `Memory.load`.

        Raises:
            NodeConfigError: The file is damaged, or of another key.
        """
        state = _decode(self._file)
        if state.head.key_id != self._series.genesis.key_id:
            raise NodeConfigError(f"{self._file.name} is the memory of another key: give each key a folder")
        # A crash may have come between the file's name and its sync.
        sync_folder(self._file.parent)
        return state

    def store(self, state: NodeState) -> None:
        """See `Memory.store`."""
        write_whole(self._file, _encode(state))


def _file(folder: Path, series: KeySeries) -> Path:
    return folder / f"memory-{series.genesis.key_id[:16]}.json"


def _encode(state: NodeState) -> str:
    collected: dict[str, Any] | None = None
    if state.collected is not None:
        collected = asdict(state.collected)
        collected["submission"] = base64.b64encode(state.collected.submission).decode()
    return with_checksum(
        {
            "head": state.head.to_bytes().decode(),
            "collected": collected,
            "released": asdict(state.released) if state.released is not None else None,
            "ended": state.ended,
            "abstains": state.abstains,
            "books": asdict(state.books) if state.books is not None else None,
            "made_since": state.made_since,
        }
    )


def _decode(file: Path) -> NodeState:
    try:
        fields = checked_document(file.read_text(encoding="utf-8"))
        collected, released = fields["collected"], fields["released"]
        if collected is not None:
            collected["submission"] = base64.b64decode(collected["submission"], validate=True)
        if released is not None:
            shape = released.pop("shape")
            released["shape"] = SumShape(layout=SlotLayout(**shape["layout"]), dimension=shape["dimension"])
        return NodeState(
            head=read_head(fields["head"].encode()),
            collected=Collected(**collected) if collected is not None else None,
            released=Release(**released) if released is not None else None,
            ended=tuple(fields["ended"]),
            abstains=fields["abstains"],
            books=Mark(**fields["books"]) if fields["books"] is not None else None,
            made_since=tuple(fields["made_since"]),
        )
    except (OSError, LayoutError, ProtocolError, ValueError, KeyError, TypeError, AttributeError):
        raise NodeConfigError(
            f"{file.name} is damaged: the node does not know what it answered; wait until the run that is "
            "going on has ended, move the file away, and begin another memory with fedscore node begin (a "
            "committee member then abstains until the transcript proves that what it forgot is closed)"
        ) from None
