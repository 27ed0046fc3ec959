"""`kill -9` at random times, and the proof that each one hit."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from server.checkpoint import Stage
from server.workplace import Workplace
from tests.soak.federation import Federation, Unit

__all__ = ["Hit", "Killer", "Kind", "family", "kill"]

_GONE_SECONDS = 5.0
_LOOK_SECONDS = 0.01
_LONGEST_ANSWER = 8.0
_PAUSE_SECONDS = (4.0, 40.0)


class Kind(StrEnum):
    """What may be killed."""

    SUPERLINK = "SuperLink"
    SUPEREXEC = "SuperExec"
    SERVER_APP = "ServerApp"
    NODE = "SuperNode with all that it started"
    CLIENT = "client that answers with a vector"
    MEMBER = "committee member that opens"


PLAN = {
    Kind.SUPERLINK: 3,
    Kind.SUPEREXEC: 3,
    Kind.SERVER_APP: 5,
    Kind.NODE: 4,
    Kind.CLIENT: 5,
    Kind.MEMBER: 5,
}
"""How often each is killed."""

MOST_OF_A_RUN = 6
"""Kills during one run: so they hit several, and each comes to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A process that was there: two with the same number began at different times."""

    pid: int
    began: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A kill that hit.

    Attributes:
        kind: What was killed.
        who: Whose it was.
        seconds: When, from the start of the soak.
        pids: Which processes are gone.
        stage: How far the round was.
        run: Which run had asked for it.
    """

    kind: Kind
    who: str
    seconds: float
    pids: tuple[int, ...]
    stage: str
    run: str


def family(leader: int) -> list[Seen]:
    """All living processes of a session."""
    pids = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    return [seen for pid in pids if (seen := _look(pid, leader)) is not None]


def kill(victim: Seen) -> bool:
    """Kills one process; returns whether it was there before, and is gone now."""
    if not _lives(victim):
        return False
    os.kill(victim.pid, signal.SIGKILL)
    return _await_gone([victim])


def _look(pid: int, leader: int | None) -> Seen | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    # State, parent, group and session follow the name, which may hold anything.
    fields = stat[stat.rindex(")") + 2 :].split()
    if fields[0] in "ZX" or (leader is not None and int(fields[3]) != leader):
        return None
    return Seen(pid=pid, began=fields[19], command=command)


def _lives(victim: Seen) -> bool:
    now = _look(victim.pid, None)
    return now is not None and now.began == victim.began


def _await_gone(victims: list[Seen]) -> bool:
    deadline = time.monotonic() + _GONE_SECONDS
    while any(map(_lives, victims)):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


@dataclass
class Killer:
    """Works off the plan in a random order, with random pauses.

    Attributes:
        federation: What it works on.
        chance: Where the randomness comes from.
        began: When the soak began.
        hits: What it did.
        left: What is still to be done, in order.
    """

    federation: Federation
    chance: random.Random
    began: float
    tell: Callable[[str], None]
    hits: list[Hit] = field(default_factory=list)
    left: list[Kind] = field(init=False)

    def __post_init__(self) -> None:
        self.left = [kind for kind, times in PLAN.items() for _ in range(times)]
        self.chance.shuffle(self.left)
        self._looked = time.monotonic()
        self._pause()

    @property
    def counted(self) -> Counter[Kind]:
        return Counter(hit.kind for hit in self.hits)

    def perhaps_kill(self) -> None:
        """Kills if it is time to, and who is meant is there."""
        now = time.monotonic()
        passed, self._looked = now - self._looked, now
        if not self.left or not Workplace(self.federation.state).is_taken():
            return
        at = self._checkpoint()
        if not at and not self._early:
            return
        if at and sum(hit.run == at["run"] for hit in self.hits) >= MOST_OF_A_RUN:
            return
        # Else every kill would come just when a process has begun its work.
        self._rest -= passed
        if self._rest > 0:
            return
        # Whoever is not there at the moment does not hold up the others.
        for kind in dict.fromkeys(self.left):
            if self._strike(kind):
                self.left.remove(kind)
                self._pause()
                return

    def _pause(self) -> None:
        """Decides how much more work is to be done until the next kill."""
        self._rest = self.chance.uniform(*_PAUSE_SECONDS)
        # Before anything is asked for there is little to go wrong.
        self._early = self.chance.random() < 0.2

    def _strike(self, kind: Kind) -> bool:
        server, stage = self.federation.server, self._stage()
        match kind:
            case Kind.SUPERLINK:
                return self._strike_program(kind, server, "flower-superlink")
            case Kind.SUPEREXEC:
                return self._strike_program(kind, server, "flower-superexec")
            case Kind.SERVER_APP:
                return self._strike_program(kind, server, "flwr-serverapp")
            case Kind.NODE:
                running = [unit for unit in self.federation.nodes.values() if unit.runs]
                return bool(running) and self._strike_node(self.chance.choice(running))
            case Kind.CLIENT:
                return stage == Stage.COLLECT and self._strike_answer(kind)
            case Kind.MEMBER:
                return stage == Stage.OPEN and self._strike_answer(kind)

    def _strike_program(self, kind: Kind, unit: Unit, name: str) -> bool:
        if not unit.runs:
            return False
        victims = [one for one in family(unit.process.pid) if name in one.command]
        return bool(victims) and self._hit(kind, unit.name, self.chance.choice(victims))

    def _strike_node(self, unit: Unit) -> bool:
        victims = family(unit.process.pid)
        os.killpg(unit.process.pid, signal.SIGKILL)
        unit.process.wait()
        return bool(victims) and _await_gone(victims) and self._note(Kind.NODE, unit.name, victims)

    def _strike_answer(self, kind: Kind) -> bool:
        """Kills a process that answers: at any time, or just when it has written into its books."""
        answering = [
            (unit, one)
            for unit in self.federation.nodes.values()
            if unit.runs
            for one in family(unit.process.pid)
            if "client.py" in one.command
        ]
        if not answering:
            return False
        unit, victim = self.chance.choice(answering)
        if self.chance.random() < 0.5:
            self._await(self.chance.uniform(0, 4), lambda: not _lives(victim))
        else:
            evidence = self.federation.operator.parent / unit.name / "ledger" / "evidence.jsonl"
            size = evidence.stat().st_size
            self._await(_LONGEST_ANSWER, lambda: evidence.stat().st_size != size or not _lives(victim))
            time.sleep(self.chance.uniform(0, 0.3))
        return self._hit(kind, unit.name, victim)

    @staticmethod
    def _await(seconds: float, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not until():
            time.sleep(_LOOK_SECONDS)

    def _hit(self, kind: Kind, who: str, victim: Seen) -> bool:
        return kill(victim) and self._note(kind, who, [victim])

    def _note(self, kind: Kind, who: str, victims: list[Seen]) -> bool:
        at = self._checkpoint()
        hit = Hit(
            kind=kind,
            who=who,
            seconds=time.monotonic() - self.began,
            pids=tuple(one.pid for one in victims),
            stage=at.get("stage", ""),
            run=at.get("run", ""),
        )
        self.hits.append(hit)
        self.tell(
            f"kill {len(self.hits)}: {kind}, of {who} (pid {hit.pids[0]}), stage: {hit.stage or 'none'}"
        )
        return True

    def _stage(self) -> str:
        """How far the round under way is, as the checkpoint says; empty before anything is asked for."""
        return self._checkpoint().get("stage", "")

    def _checkpoint(self) -> dict[str, str]:
        try:
            _, body, _ = (self.federation.state / "checkpoint.json").read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError):
            return {}
        fields = json.loads(body)
        return {name: fields[name] for name in ("run", "stage")}
