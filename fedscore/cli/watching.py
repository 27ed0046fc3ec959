"""Progress in the terminal: on standard error, so that standard output holds results alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["ProgressWatcher"]

_ALL_DAY = 86_400.0


class ProgressWatcher:
    """Shows stages, rounds and trainings as they go by; use it as a context.

    Stages that have ended stay on the screen with their duration. Without a terminal, they alone are written.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = Console(stderr=True)
        self._clock = clock
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            # Jobs take from a second to many minutes: the pace is that of all that were done.
            speed_estimate_period=_ALL_DAY,
        )
        self._task = self._progress.add_task("starting", total=None)
        self._stage: tuple[str, float] | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._end_stage()
        self._progress.stop()

    def stage(self, text: str) -> None:
        """Something that takes a while has begun."""
        self._end_stage()
        self._stage = (text, self._clock())
        self._progress.reset(self._task, description=text, total=None)

    def started(self, jobs: int, found: int = 0) -> None:
        """So many jobs belong to what is done, of which so many were found done."""
        kept = f", of which {found} were done before" if found else ""
        self.stage(f"{jobs} {'job' if jobs == 1 else 'jobs'}{kept}")
        self._progress.reset(self._task, description="jobs done", total=jobs, completed=found)

    def finished(self, job: object) -> None:  # noqa: ARG002 - which one it was is not shown
        """One more job is done."""
        self._progress.advance(self._task)

    def round_opened(self, name: str, number: int, rounds: int) -> None:
        """A sum was opened: its name, its number from 1, and how many there will be."""
        self._progress.update(self._task, description=f"opened {name}", completed=number, total=rounds)

    def noticed(self, what: str) -> None:
        """Something did not go as it should, and the run went on."""
        self._console.print(what, highlight=False)

    def _end_stage(self) -> None:
        if self._stage is not None:
            text, begun = self._stage
            self._console.print(f"{text}: {self._clock() - begun:.1f} s", highlight=False)
            self._stage = None
