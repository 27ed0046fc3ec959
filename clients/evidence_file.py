"""The file of a node's evidence: one line after another, each on the disk before anything is done for it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from fedscore.errors import EvidenceDamaged, NodeConfigError
from fedscore.files import sync_folder, write_new
from privacy.evidence import Entry, read_entry, read_evidence

__all__ = ["EvidenceFile"]


class EvidenceFile:
    """Appends and reads. Whoever uses it keeps every other process out meanwhile."""

    def __init__(self, path: Path, *, signing_key: bytes) -> None:
        """Names the file, which must exist.

        Args:
            path: The file.
            signing_key: Public key of its signer, 32 bytes.
        """
        self._path = path
        self._signing_key = signing_key

    @classmethod
    def create(cls, path: Path, *, signing_key: bytes, lines: bytes) -> EvidenceFile:
        """Begins a file that only its owner may read.

        Raises:
            FileExistsError: There is one already; it is as it was.
        """
        if path.exists():
            raise FileExistsError(path)
        # Under its own name it is there whole or not at all: half a first line could never be mended.
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)
        write_new(draft, lines, mode=0o600)
        draft.replace(path)
        sync_folder(path.parent)
        return cls(path, signing_key=signing_key)

    @property
    def size(self) -> int:
        """Bytes of the file.

        Raises:
            NodeConfigError: There is no such file, or it cannot be read.
        """
        try:
            return self._path.stat().st_size
        except OSError as error:
            raise self._unreadable(error) from None

    def holds(self, entry: Entry, *, ends: int) -> bool:
        """Whether the line that ends at an offset is this entry's, whole and by this signer."""
        start = ends - entry.length
        if start < 0 or self.size < ends:
            return False
        line = self._from(start)[: entry.length]
        if not line.endswith(b"\n") or hashlib.sha256(line[:-1]).hexdigest() != entry.hash:
            return False
        # The entry before is known by its number and hash alone: nothing else of it is looked at.
        before = replace(entry, sequence=entry.sequence - 1, hash=entry.previous) if entry.sequence else None
        return read_entry(line[:-1], after=before, signing_key=self._signing_key) is not None

    def read(self, *, offset: int = 0, after: Entry | None = None) -> Iterator[Entry]:
        """Reads the entries from an offset on.

        Args:
            offset: Where the line after `after` begins.
            after: The entry before.

        Raises:
            EvidenceDamaged: A line is not what its signer wrote there; names the first such line.
            NodeConfigError: There is no such file, or it cannot be read.
        """
        return read_evidence(self._from(offset), signing_key=self._signing_key, after=after)

    def mend(self, *, offset: int, after: Entry | None) -> bool:
        """Deals with a last line that a crash left unfinished; nothing was done for it yet.

        If all of it but its line break is there, the break is added, also where another byte stands in its
        place: no crash leaves that, so the line may be one that something was done for. Else the rest is cut
        off.

        Args:
            offset: Where unread lines begin.
            after: The entry before them.

        Returns:
            Whether something was mended.
        """
        unread = self._from(offset)
        whole = unread[: unread.rfind(b"\n") + 1]
        torn = unread[len(whole) :]
        if not torn:
            return False
        for entry in read_evidence(whole, signing_key=self._signing_key, after=after):
            after = entry
        end = offset + len(whole)
        with self._path.open("r+b") as file:
            for line in (torn, torn[:-1]):
                if read_entry(line, after=after, signing_key=self._signing_key) is not None:
                    file.seek(end + len(line))
                    file.write(b"\n")
                    break
            else:
                file.truncate(end)
            file.flush()
            os.fsync(file.fileno())
        return True

    def sync(self) -> None:
        """Lets all that was written survive a crash of the machine."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
        except OSError as error:
            raise self._unreadable(error) from None
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def append(self, line: bytes) -> None:
        """Adds one line; when this returns, it survives a crash of the machine.

        Args:
            line: From `privacy.evidence.write_entry`.
        """
        with self._path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def _from(self, offset: int) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(offset)
                return file.read()
        except OSError as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: OSError) -> EvidenceDamaged | NodeConfigError:
        if isinstance(error, FileNotFoundError):
            return NodeConfigError(
                f"there is no evidence in {self._path.parent}: begin it once with fedscore node begin; if "
                "it was lost, fedscore node restore takes a backup and charges what that does not know"
            )
        return NodeConfigError(f"{self._path.name} cannot be read ({type(error).__name__}): check its rights")
