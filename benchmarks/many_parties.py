"""What a simulated federation costs as it has more parties: seconds and memory of one process.

    python -m benchmarks.many_parties gmsc gmsc-wide --parties 20 --parties 1000

Each run is one job of a scenario (its first seed and budget, in plain) in a process of its own with one
numerical thread: the file is read, rows are dealt, every round is run with the nodes and the coordinator of
a deployment, and the card is measured. Its peak is what the kernel counts as the largest resident set.
Beside it stand the sums alone: every party's contributions, lattice totals and noise of the same rounds, one
after another and without any message. What the run takes over that is the protocol's, and should not grow
with the roster per party and round. Both are processor time, which other work on the machine lengthens less
than wall time.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from fedscore.contract import Contract, Role

if TYPE_CHECKING:
    from simulations.dealing import Dealt

__all__ = ["Found", "main", "measure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a run cost.

    Attributes:
        scenario: Which one.
        parties: How many there were.
        rounds: Private sums of the run.
        rows: Training rows of all parties.
        before_megabytes: Peak of the process before it read: Python and what it imports.
        peak_megabytes: Peak until the card was measured.
        seconds: Wall time of everything: reading, dealing, the run, and its measurement on test rows.
        processor_seconds: Processor time of it.
        run_seconds: Processor time of the run.
        sums_seconds: Processor time of the same parties' sums and noise alone.
        run_vs_sums: The one divided by the other.
        milliseconds: The run's processor time, per party and round.
        openings: SHA-256 over all opened sums, by which two versions of the code are compared.
    """

    scenario: str
    parties: int
    rounds: int
    rows: int
    before_megabytes: float
    peak_megabytes: float
    seconds: float
    processor_seconds: float
    run_seconds: float
    sums_seconds: float
    run_vs_sums: float
    milliseconds: float
    openings: str


def measure(scenario: str, parties: int, data: Path | None) -> Found:
    """Runs a scenario once, and looks at what this process needed; run it in a process of its own.

    Args:
        scenario: A file, or the name of a shipped scenario.
        parties: How many platforms there are.
        data: The data file, or the folder that holds it; looked up if left out.
    """
    from simulations.dealing import deal_rows, read_ground  # noqa: PLC0415 - what is imported counts as well
    from simulations.federation import train_federation  # noqa: PLC0415
    from simulations.lookup import find_contract, find_data  # noqa: PLC0415
    from simulations.methods import measure as measured  # noqa: PLC0415
    from simulations.methods import openings_sha256  # noqa: PLC0415
    from simulations.scenario import load_scenario  # noqa: PLC0415
    from simulations.variants import contract_of  # noqa: PLC0415

    before = _peak_megabytes()
    started, processor_started = time.perf_counter(), time.process_time()
    roles = f"parties.roles={{{Role.PLATFORM}={parties}}}"
    loaded = load_scenario(scenario, [roles, 'encryption.mode="plain"', "baselines=[]"])
    terms = loaded.terms
    ground = read_ground(terms, find_contract(loaded), find_data(loaded, data))
    seed = terms.split.seeds[0]
    with threadpool_limits(limits=1):
        dealt = deal_rows(ground, seed=seed)
        contract = contract_of(None, terms, ground.contract, epsilon=terms.privacy.epsilon[0])
        run_started = time.process_time()
        result = train_federation(contract, dealt.training, seed=seed, test_rows=dealt.test)
        run_seconds = time.process_time() - run_started
        test = dealt.pooled_test
        measured(test.outcome, result.trained.probability(test.cells))
        seconds, processor_seconds = time.perf_counter() - started, time.process_time() - processor_started
        peak = _peak_megabytes()
        sums_seconds = _sums_alone(contract, dealt, result.openings, seed=seed)
    return Found(
        scenario=loaded.name,
        parties=parties,
        rounds=result.rounds,
        rows=sum(map(len, dealt.training.values())),
        before_megabytes=before,
        peak_megabytes=peak,
        seconds=seconds,
        processor_seconds=processor_seconds,
        run_seconds=run_seconds,
        sums_seconds=sums_seconds,
        run_vs_sums=run_seconds / sums_seconds,
        milliseconds=1000 * run_seconds / parties / result.rounds,
        openings=openings_sha256(result.openings),
    )


def _sums_alone(
    contract: Contract, dealt: Dealt, openings: Sequence[npt.NDArray[np.int64]], *, seed: int
) -> float:
    """Computes every party's vectors once more, and checks that they add up to what was opened."""
    from fedscore.learners.agenda import Agenda  # noqa: PLC0415
    from fedscore.sums import Side, noised_total  # noqa: PLC0415
    from simulations.randomness import SeededRandomness  # noqa: PLC0415

    agenda = Agenda(contract, run="0" * 32)
    randomness = {name: SeededRandomness([seed, number]) for number, name in enumerate(dealt.training)}
    seconds = 0.0
    for step, opened in enumerate(openings):
        query, request = agenda.next_sum(openings[:step])
        rows = dealt.training if request.side is Side.TRAINING else dealt.test
        total = np.zeros(request.dimension, dtype=np.int64)
        began = time.process_time()
        for name, source in randomness.items():
            total += noised_total(
                query, rows[name], request, row_cap=contract.rows.row_cap, randomness=source
            )
        seconds += time.process_time() - began
        if not np.array_equal(total, opened):
            raise AssertionError(f"{request.name}: the run opened another sum than its parties' vectors make")
    return seconds


def _peak_megabytes() -> float:
    """The largest resident set of this process so far, without that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6


def main(
    scenarios: Annotated[list[str] | None, typer.Argument(help="Scenarios; gmsc if left out.")] = None,
    *,
    parties: Annotated[list[int] | None, typer.Option(help="Number of parties; as often as wanted.")] = None,
    data: Annotated[Path | None, typer.Option(help="The data file, or the folder that holds it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Measure what a simulated federation costs as it has more parties."""
    found = []
    for scenario in scenarios or ["gmsc"]:
        for count in parties or [20, 1000]:
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                found.append(pool.submit(measure, scenario, count, data).result())
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
    else:
        _tell(found)


def _tell(found: Sequence[Found]) -> None:
    table = Table(box=box.SIMPLE)
    names = (
        "scenario",
        "parties",
        "rounds",
        "wall s",
        "processor s",
        "run s",
        "sums s",
        "run / sums",
        "ms/party/round",
    )
    for name in (*names, "peak MB"):
        table.add_column(name, justify="left" if name == "scenario" else "right")
    for one in found:
        table.add_row(
            one.scenario,
            f"{one.parties:,}",
            str(one.rounds),
            f"{one.seconds:.1f}",
            f"{one.processor_seconds:.1f}",
            f"{one.run_seconds:.1f}",
            f"{one.sums_seconds:.1f}",
            f"{one.run_vs_sums:.2f}",
            f"{one.milliseconds:.2f}",
            f"{one.peak_megabytes:,.0f}",
        )
    Console(width=130).print(table)


if __name__ == "__main__":
    typer.run(main)
