"""What Flower's own simulation engine costs beside nodes that are asked in one process.

    python -m benchmarks.flower_engine --parties 3 --parties 20

The same job of a scenario (its first seed and budget, in plain) is trained twice, each time from a process of
its own: once with everything in that process, once on Flower's engine. Both must open the same sums, or the
benchmark fails. Memory of the engine is what all its processes hold together, where what they share counts
once (`Pss` of Linux), looked at a few times a second; of the other, the same of its one process.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from fedscore.contract import Role
from simulations.engines import Engine

__all__ = ["Cost", "Found", "main", "measure"]

_GLANCE_SECONDS = 0.2
_ACTOR = "ray::ClientAppA"
"""How Linux shortens the name of a process that answers for nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one training cost.

    Attributes:
        seconds: Wall time.
        processor_seconds: Time on processors, of all processes together, as far as it was seen.
        actor_seconds: Of it, until a process was there that could answer for a node; 0 in one process.
        phases: How often the server asked and waited for answers.
        rounds: Private sums.
        megabytes: Largest memory of all processes together, as it was seen.
        openings: SHA-256 over all opened sums.
    """

    seconds: float
    processor_seconds: float
    actor_seconds: float
    phases: int
    rounds: int
    megabytes: float
    openings: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The same training on both engines.

    Attributes:
        scenario: Which one.
        parties: How many there were.
        in_process: In one process.
        flower: On Flower's engine.
        phase_milliseconds: The latter's per phase, once its processes were there.
    """

    scenario: str
    parties: int
    in_process: Cost
    flower: Cost
    phase_milliseconds: float


def measure(scenario: str, parties: int, data: Path | None, engine: Engine) -> Cost:
    """Trains once, and watches what it takes; run it in a process of its own.

    Args:
        scenario: A file, or the name of a shipped scenario.
        parties: How many platforms there are.
        data: The data file, or the folder that holds it; looked up if left out.
        engine: What carries the messages.
    """
    from simulations.dealing import deal_rows, read_ground  # noqa: PLC0415 - what is imported counts as well
    from simulations.federation import EncryptionMode  # noqa: PLC0415
    from simulations.lookup import find_contract, find_data  # noqa: PLC0415
    from simulations.methods import federated  # noqa: PLC0415
    from simulations.runner import available_processors  # noqa: PLC0415
    from simulations.scenario import load_scenario  # noqa: PLC0415
    from simulations.variants import contract_of  # noqa: PLC0415

    loaded = load_scenario(scenario, [f"parties.roles={{{Role.PLATFORM}={parties}}}", "baselines=[]"])
    terms = loaded.terms
    ground = read_ground(terms, find_contract(loaded), find_data(loaded, data))
    seed = terms.split.seeds[0]
    dealt = deal_rows(ground, seed=seed)
    contract = contract_of(None, terms, ground.contract, epsilon=terms.privacy.epsilon[0])
    with threadpool_limits(limits=1), _watched() as glances:
        outcome = federated(
            contract,
            dealt,
            seed=seed,
            encryption=EncryptionMode.PLAIN,
            engine=engine,
            processes=available_processors(),
        )
    openings = outcome.run.openings_sha256
    if openings is None:
        raise AssertionError("a federated run says what it opened")
    return Cost(
        seconds=outcome.timing.seconds,
        processor_seconds=glances.processor_seconds,
        actor_seconds=glances.actor_seconds,
        phases=outcome.timing.phases,
        rounds=outcome.run.rounds,
        megabytes=glances.megabytes,
        openings=openings,
    )


class _Glances:
    """What was seen of this process and the engine's."""

    def __init__(self) -> None:
        self.megabytes = 0.0
        self.actor_seconds = 0.0
        self._began = time.perf_counter()
        self._ticks: dict[int, int] = {}
        self._before = sum(os.times()[:2])

    @property
    def processor_seconds(self) -> float:
        """Time on processors since this began."""
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK") - self._before

    def look(self) -> None:
        """Look once."""
        processes = list(_processes())
        mine = os.getpid()
        engines = {one.number for one in processes if one.parent == mine and one.group == one.number}
        seen = [one for one in processes if one.group in engines or one.number == mine]
        self._ticks |= {one.number: one.ticks for one in seen}
        self.megabytes = max(self.megabytes, sum(_held(one.number) for one in seen))
        if self.actor_seconds == 0 and any(one.name == _ACTOR for one in seen):
            self.actor_seconds = time.perf_counter() - self._began


@contextlib.contextmanager
def _watched() -> Iterator[_Glances]:
    glances, over = _Glances(), threading.Event()

    def look() -> None:
        while not over.is_set():
            glances.look()
            over.wait(_GLANCE_SECONDS)
        glances.look()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield glances
    finally:
        over.set()
        thread.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    """A process, as Linux tells of it; `ticks` are its time on processors."""

    number: int
    name: str
    parent: int
    group: int
    ticks: int


def _processes() -> Iterator[_Process]:
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            before, _, after = entry.read_text().rpartition(")")
        except OSError:
            continue  # it has ended meanwhile
        number, _, name = before.partition(" (")
        fields = after.split()
        yield _Process(
            number=int(number),
            name=name,
            parent=int(fields[1]),
            group=int(fields[2]),
            ticks=int(fields[11]) + int(fields[12]),
        )


def _held(number: int) -> float:
    """Megabytes that a process holds, with its part of what it shares."""
    try:
        lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0  # it has ended meanwhile
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def main(
    scenario: Annotated[str, typer.Argument(help="A scenario.")] = "taiwan",
    *,
    parties: Annotated[list[int] | None, typer.Option(help="Number of parties; as often as wanted.")] = None,
    data: Annotated[Path | None, typer.Option(help="The data file, or the folder that holds it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Measure what Flower's own engine costs beside one process."""
    found = [_compare(scenario, count, data) for count in parties or [3, 20]]
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
    else:
        _tell(found)


def _compare(scenario: str, parties: int, data: Path | None) -> Found:
    costs = {}
    for engine in Engine:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            costs[engine] = pool.submit(measure, scenario, parties, data, engine).result()
    one, other = costs[Engine.IN_PROCESS], costs[Engine.FLOWER]
    if one.openings != other.openings:
        raise AssertionError("the two engines opened different sums")
    return Found(
        scenario=scenario,
        parties=parties,
        in_process=one,
        flower=other,
        phase_milliseconds=1000 * (other.seconds - other.actor_seconds) / other.phases,
    )


def _tell(found: Sequence[Found]) -> None:
    for one in found:
        own, flower = one.in_process, one.flower
        table = Table(
            box=box.SIMPLE,
            title=f"{one.scenario}, {one.parties} parties: {flower.rounds} sums in {flower.phases} phases",
        )
        for name in ("", "one process", "Flower's engine", "ratio"):
            table.add_column(name, justify="right" if name else "left")
        for name, mine, theirs in (
            ("wall s", own.seconds, flower.seconds),
            ("processor s", own.processor_seconds, flower.processor_seconds),
            ("memory MB", own.megabytes, flower.megabytes),
        ):
            table.add_row(name, f"{mine:,.1f}", f"{theirs:,.1f}", f"{theirs / mine:.1f}")
        table.add_row("until actors s", "", f"{flower.actor_seconds:.1f}", "")
        table.add_row("then ms per phase", "", f"{one.phase_milliseconds:.0f}", "")
        Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
