"""One run at a time per state folder: who is at work there, and whether it has been told to stop."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedscore.errors import NodeConfigError
from fedscore.files import write_whole

__all__ = ["Workplace"]

_PATIENCE_SECONDS = 1.0
_POLL_SECONDS = 0.05


class Workplace:
    """The lock and the stop sign in a server's state folder.

    Attributes:
        folder: The state folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = folder / "run.lock"
        self._sign = folder / "stop-requested"

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Keeps every other process from working here until the block ends; a process that dies lets go.

        Raises:
            NodeConfigError: Another process is at work here.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _take(self, descriptor: int) -> None:
        # Whoever only looks holds the lock too, for a moment.
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise self.refusal() from None
                time.sleep(_POLL_SECONDS)
            else:
                return

    def refusal(self) -> NodeConfigError:
        """What is said to whoever finds the place taken."""
        return NodeConfigError(
            f"another process is at work in {self.folder}: one run at a time; `fedscore server status` shows "
            "it, `fedscore server stop` ends it"
        )

    def is_taken(self) -> bool:
        """Whether a process is at work here now."""
        try:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def ask_to_stop(self) -> None:
        """Puts up the stop sign: the process at work here sees it between phases and while it waits."""
        write_whole(self._sign, "stop\n")

    def must_stop(self) -> bool:
        """Whether the stop sign is up."""
        return self._sign.exists()

    def clear_sign(self) -> None:
        """Takes the stop sign down."""
        self._sign.unlink(missing_ok=True)
