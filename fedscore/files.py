"""How files reach the disk: whole, or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["checked_document", "exclusive", "sync_folder", "with_checksum", "write_new", "write_whole"]


def write_whole(path: Path, text: str) -> None:
    """Replace a file in one step.

    A reader sees the old text or the new one and never a part, also after a crash of the machine. The file
    gets the rights that the process's umask leaves.

    Args:
        path: The file; its folder must exist.
        text: Its new content, written as UTF-8 with its line breaks as they are.

    Raises:
        OSError: The file cannot be written; the old one, if any, is as it was.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    # The new name is an entry of the folder, which is synced on its own.
    sync_folder(path.parent)


def write_new(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that must not exist yet, synced, with its rights from the first byte on.

    Args:
        path: The file; its folder must exist.
        content: What it will hold.
        mode: Its rights, such as 0o600 for what only its owner may read.

    Raises:
        FileExistsError: There is such a file; it is as it was.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Let the names in a folder survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def with_checksum(document: Mapping[str, Any]) -> str:
    """Write a document as one line of JSON, under a line with the SHA-256 of it."""
    body = json.dumps(document, sort_keys=True)
    return f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}\n"


def checked_document(text: str) -> dict[str, Any]:
    """Read what `with_checksum` wrote.

    Raises:
        ValueError: It was changed.
    """
    checksum, body, rest = text.split("\n")
    if rest or hashlib.sha256(body.encode()).hexdigest() != checksum:
        raise ValueError
    document: dict[str, Any] = json.loads(body)
    return document


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Keep every other process out that asks for the same lock, until the block ends.

    A process that dies lets go.

    Args:
        lock: An empty file that stands for what is locked; made if it is missing, in a folder that exists.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
