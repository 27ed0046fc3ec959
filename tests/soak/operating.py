"""The operator of a soak: begins runs, resumes what was interrupted, now and then stops one."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from server.operations import RunReport, status_of
from server.record import RunRecord, RunStatus
from tests.soak.federation import Federation

__all__ = ["Operator"]

_ORPHAN_SECONDS = 3.0
"""How long nobody is at work before the operator no longer waits for Flower to notice."""

_FORSAKEN_SECONDS = 150.0
"""How long a command may run without a process at work."""

_STUCK_SECONDS = 150.0
"""How long a node has run that is still silent: Flower itself answers for a dead client after a minute."""

_PAUSE_SECONDS = 2.0
_STOPPED_OF_ALL = 0.2


@dataclass
class Operator:
    """Goes on with whatever there is to go on with, one step each time it is asked to.

    Attributes:
        federation: What it operates.
        chance: Decides which runs are stopped, and when.
        records: The newest record of every run, by id.
        commands: How often each command was given.
    """

    federation: Federation
    chance: random.Random
    tell: Callable[[str], None]
    records: dict[str, RunRecord] = field(default_factory=dict)
    commands: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._command: subprocess.Popen[bytes] | None = None
        self._since = self._idle_since = self._pause_until = 0.0
        self._was_at_work = False
        self._silent: set[str] = set()
        self._stop_at: float | None = None
        self._stopping: subprocess.Popen[bytes] | None = None

    def ended(self, status: RunStatus) -> int:
        """How many runs ended so."""
        return sum(record.status is status for record in self.records.values())

    @property
    def is_idle(self) -> bool:
        """Whether no run is open, and nobody is at work."""
        if self._command is not None or self._stopping is not None:
            return False
        report = status_of(self.federation.state)
        return not report.at_work and not self._interrupted(report)

    def attend(self, *, begin: bool) -> None:
        """Does what is to be done now.

        Args:
            begin: Whether another run is to begin when none is open.
        """
        now = time.monotonic()
        report = status_of(self.federation.state)
        self._remember(report)
        self._attend_stop(report, now)
        if self._command is not None:
            self._attend_command(report, now)
        elif not report.at_work and self._stopping is None and now >= self._pause_until:
            if self._interrupted(report):
                self._give("resume")
            elif begin:
                self._give("run")

    @staticmethod
    def _interrupted(report: RunReport) -> bool:
        return report.record is not None and report.record.status is RunStatus.INTERRUPTED

    def _remember(self, report: RunReport) -> None:
        record = report.record
        if record is None or not record.run or self.records.get(record.run) == record:
            return
        before = self.records.get(record.run)
        if before is not None and before.status.is_end:
            # A process that has just begun has not written its own record yet.
            return
        self.records[record.run] = record
        if before is None:
            self.tell(f"run {len(self.records)} ({record.run[:8]}) has begun")
            # The second run for certain, every other by chance.
            if len(self.records) == 2 or self.chance.random() < _STOPPED_OF_ALL:
                self._stop_at = time.monotonic() + self.chance.uniform(5, 100)
        if before is None or (before.status, before.rounds_opened) != (record.status, record.rounds_opened):
            self.tell(
                f"run {record.run[:8]}: {record.status}, {record.rounds_opened} opened. {record.reason}"
            )
        if record.status.is_end:
            self._stop_at = None

    def _give(self, command: str) -> None:
        self.commands[command] += 1
        self._command = self.federation.command("server", command, str(self.federation.config), log=self._log)
        self._since = self._idle_since = time.monotonic()
        self._was_at_work = False

    def _attend_command(self, report: RunReport, now: float) -> None:
        command = self._command
        if command is None:
            return
        if command.poll() is not None:
            self._leave(now)
            return
        if report.at_work:
            self._was_at_work, self._idle_since = True, now
            return
        idle = now - self._idle_since
        if (self._was_at_work and idle > _ORPHAN_SECONDS) or now - self._since > _FORSAKEN_SECONDS:
            # Flower notices after a minute that a server app has died; the state folder tells at once.
            self.commands["left"] += 1
            self._end(command)
            self._leave(now)

    def _leave(self, now: float) -> None:
        self._command = None
        self._pause_until = now + _PAUSE_SECONDS
        self._call_owners(now)

    def _call_owners(self, now: float) -> None:
        """A node that was silent twice, though it runs, is stuck: its owner starts it again."""
        report = status_of(self.federation.state)
        reason = report.record.reason if report.record is not None and self._interrupted(report) else ""
        said = re.search(r"without an answer: ([^;]*)", reason)
        silent = set(said[1].split(", ")) if said is not None else set()
        for name in silent & self._silent:
            unit = self.federation.nodes.get(name)
            if unit is not None and unit.runs and now - unit.since > _STUCK_SECONDS:
                self.commands["node restarted by its owner"] += 1
                self.tell(f"the node of {name} runs and is silent: its owner starts it again")
                unit.end()
        self._silent = silent

    @staticmethod
    def _end(command: subprocess.Popen[bytes]) -> None:
        """Ends a command and what it started, without the clean end of a run that Ctrl-C would bring."""
        children = _children(command.pid)
        for group in (command.pid, *children):
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        command.wait()

    def _attend_stop(self, report: RunReport, now: float) -> None:
        if self._stopping is not None:
            code = self._stopping.poll()
            if code is None:
                return
            self._stopping = None
            self.tell(f"`fedscore server stop` ended with code {code}")
        elif self._stop_at is not None and now >= self._stop_at:
            self._stop_at = None
            if report.at_work or self._interrupted(report):
                self.commands["stop"] += 1
                self._stopping = self.federation.command(
                    "server", "stop", str(self.federation.config), log=self._log
                )

    @property
    def _log(self) -> Path:
        return self.federation.operator / "commands.log"


def _children(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
                if int(stat[stat.rindex(")") + 2 :].split()[1]) == parent:
                    found.append(int(folder.name))
    return found
