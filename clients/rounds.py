"""What a node remembers of its rounds, so that nobody gets two different answers to one question.

A party that sent a second vector for the same round would let the server average its noise away. A
committee member that opened a second cohort would show the difference of the two. So an answer is
remembered, durably, before it is sent: asked again, the node resends the same bytes or refuses.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Protocol

from fedscore.errors import ProtocolError
from fedscore.files import sync_folder

__all__ = ["FileRounds", "MemoryRounds", "Rounds"]


class Rounds(Protocol):
    """Answers by key; an answer is kept for good once it was given."""

    def recall(self, key: str, question: str) -> bytes | None:
        """Returns the answer given before to this question, or none.

        Raises:
            ProtocolError: The key was answered before, for another question.
        """
        ...

    def keep(self, key: str, question: str, answer: bytes) -> None:
        """Remembers an answer; when this returns, it survives a crash as far as the store can.

        Raises:
            ProtocolError: The key was answered before.
        """
        ...


class MemoryRounds:
    """Remembers as long as the process lives: for simulations."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[str, bytes]] = {}

    def recall(self, key: str, question: str) -> bytes | None:
        """See `Rounds.recall`."""
        if key not in self._answers:
            return None
        asked, answer = self._answers[key]
        if asked != question:
            raise _asked_differently(key)
        return answer

    def keep(self, key: str, question: str, answer: bytes) -> None:
        """See `Rounds.keep`."""
        if key in self._answers:
            raise _asked_differently(key)
        self._answers[key] = (question, answer)


class FileRounds:
    """One write-once file per answer, synced before `keep` returns.

    A file holds the question's SHA-256 digest, the answer's, and the answer. It appears under its name
    complete or not at all; a second one under the same name is refused by the file system.
    """

    def __init__(self, folder: Path) -> None:
        """Creates the folder where it is missing, readable by its owner alone."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)
        self._folder = folder

    def recall(self, key: str, question: str) -> bytes | None:
        """See `Rounds.recall`."""
        try:
            stored = (self._folder / key).read_bytes()
        except FileNotFoundError:
            return None
        asked, checksum, answer = stored[:32], stored[32:64], stored[64:]
        if hashlib.sha256(answer).digest() != checksum:
            raise ProtocolError(
                f"the stored answer of {key} is damaged: nothing was sent; "
                "abandon this run and restore the node"
            )
        if asked != hashlib.sha256(question.encode()).digest():
            raise _asked_differently(key)
        # A crash may have come between the file's name and its sync.
        sync_folder(self._folder)
        return answer

    def keep(self, key: str, question: str, answer: bytes) -> None:
        """See `Rounds.keep`."""
        content = hashlib.sha256(question.encode()).digest() + hashlib.sha256(answer).digest() + answer
        # Two processes that answer at once must not write into each other's draft.
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=f".{key}.")
        draft = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, self._folder / key)  # unlike a rename, never replaces
        except FileExistsError:
            raise _asked_differently(key) from None
        finally:
            draft.unlink()
        sync_folder(self._folder)


def _asked_differently(key: str) -> ProtocolError:
    return ProtocolError(
        f"{key} was answered before, for another question: answering again would spend the noise twice; "
        "nothing was sent; a new attempt needs a new run"
    )
