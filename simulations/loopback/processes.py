"""Processes that are started together and stopped together, each with its whole family."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from fedscore.errors import RunFailed
from fedscore.messages.programs import environment

__all__ = ["Processes", "free_ports", "run_briefly"]

_GRACE_SECONDS = 10.0
_POLL_SECONDS = 0.1


class Processes:
    """Starts processes in groups of their own, and stops every one of them when its block is left.

    A process of Flower starts others; they share its group, and are stopped with it.
    """

    def __init__(self) -> None:
        self._started: list[tuple[str, subprocess.Popen[bytes], Path]] = []

    def __enter__(self) -> Self:
        """Begin the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop what is still running."""
        self.stop()

    def start(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        home: Path,
        log: Path,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start one process.

        Args:
            command: What to run, the program's path first.
            folder: Its working folder.
            home: Where Flower keeps its own files for this process.
            log: Where its output goes.
            variables: Its whole environment; that of Flower's programs with this home if left out.
        """
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - a fixed program, and no shell
                command,
                cwd=folder,
                env=variables if variables is not None else _environment(home),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append((Path(command[0]).name, process, log))
        return process

    def require_running(self) -> None:
        """Make sure that nothing has ended that should run until the end.

        Raises:
            RunFailed: A process has ended; names it and its log.
        """
        for name, process, log in self._started:
            if process.poll() not in (None, 0):
                raise RunFailed(f"{name} ended with code {process.returncode}: its log is {log}")

    def await_port(self, port: int, *, seconds: float) -> None:
        """Wait until something listens on a port of the loopback interface.

        Raises:
            RunFailed: A process has ended, or the time is over.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.require_running()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
                return
            time.sleep(_POLL_SECONDS)
        raise RunFailed(f"nothing listened on port {port} within {seconds:g} seconds: try again")

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End one process and whatever it started, at once; from now on nobody needs it to run."""
        _signal_group(process, signal.SIGKILL)
        process.wait()
        self._started = [entry for entry in self._started if entry[1] is not process]

    def stop(self) -> None:
        """Stop all processes and whatever they started: politely first, and after some seconds for good."""
        for _, process, _ in reversed(self._started):
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        for _, process, _ in self._started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
        for _, process, _ in self._started:
            # The leader may be gone while one of its children lives on.
            _signal_group(process, signal.SIGKILL)
            process.wait()
        while time.monotonic() < deadline + _GRACE_SECONDS and any(
            _signal_group(process, 0) for _, process, _ in self._started
        ):
            time.sleep(_POLL_SECONDS)
        self._started.clear()


def run_briefly(command: Sequence[str], *, home: Path, folder: Path, seconds: float) -> str:
    """Run a command to its end and return its standard output.

    Raises:
        RunFailed: It failed, or took longer than `seconds`.
    """
    name = " ".join([Path(command[0]).name, *command[1:3]])
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, and no shell
            command,
            cwd=folder,
            env=_environment(home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RunFailed(f"{name} did not end within {seconds:g} seconds: try again") from None
    if done.returncode:
        raise RunFailed(f"{name} failed with code {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def free_ports(count: int) -> list[int]:
    """Find ports of the loopback interface that nothing listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _environment(home: Path) -> dict[str, str]:
    # A proxy of this machine's owner must not see what stays on it.
    local = "localhost,127.0.0.1"
    return {**environment(home=home), "NO_PROXY": local, "no_proxy": local}


def _signal_group(process: subprocess.Popen[bytes], number: int) -> bool:
    """Signal a process and all that it started; 0 only asks whether any of them is left."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
