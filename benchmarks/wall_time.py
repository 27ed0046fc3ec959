"""Is the estimate of a deployment's wall time any good? A loopback federation beside its simulation.

    python -m benchmarks.wall_time
    python -m benchmarks.wall_time --people 5000 --key-bits 2048 --json

Trains one encrypted card over two platforms and a collection agency twice: in one process, as simulations do,
from which the wall time is estimated (`simulations/wall_time.py`); and as real Flower processes over the
loopback interface, which is timed from `flwr run` to its end. On one machine the lines are as good as
infinite, and processes share its processors: organisations do not really work at the same time.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from fedscore.data import rows_from_table, test_rows, training_rows
from simulations import methods
from simulations.dealing import Dealt
from simulations.deployment import Bandwidth, DeploymentTerms
from simulations.federation import EncryptionMode
from simulations.keys import hold_ceremony, keyed
from simulations.loopback.federation import THREE_ORGANISATIONS, contract_of
from simulations.loopback.run import run_loopback
from simulations.outcomes import Outcome
from simulations.report.costs import work_of
from simulations.report.numbers import duration
from simulations.synthetic import make_consortium
from simulations.wall_time import WallTime, estimated_wall_time

__all__ = ["LOOPBACK", "compared", "main", "simulated"]

LOOPBACK = DeploymentTerms(
    latency_seconds=0.0,
    bandwidth_mbit=Bandwidth(up=10_000.0, down=10_000.0),
    operator_mbit=Bandwidth(up=10_000.0, down=10_000.0),
)
"""Phases as they were measured; lines that take no time."""


def simulated(*, people: int, seed: int, key_bits: int) -> Outcome:
    """The loopback federation's training, in this process.

    Args:
        people: How many people to invent.
        seed: What they are drawn from.
        key_bits: Size of the key.
    """
    terms = THREE_ORGANISATIONS
    consortium = make_consortium(
        people=people, platforms=terms.platforms, collectors=terms.collectors, seed=seed
    )
    contract = keyed(contract_of(consortium, key_bits, terms))
    training, test = {}, {}
    for party in consortium.parties:
        table = party.rows(horizon_days=contract.outcome.horizon_days)
        rows = rows_from_table(table, contract, role=party.role)
        training[party.name], test[party.name] = training_rows(rows, contract), test_rows(rows, contract)
    return methods.federated(
        contract,
        Dealt(training=training, test=test),
        seed=seed,
        encryption=EncryptionMode.PAILLIER,
        keys=hold_ceremony(contract, key_bits=key_bits),
    )


def compared(outcome: Outcome, *, seconds: float) -> tuple[WallTime, dict[str, Any]]:
    """The estimate, and how it stands to what was seen.

    Args:
        outcome: Of the simulation.
        seconds: That the loopback federation took.
    """
    members = THREE_ORGANISATIONS.committee.members
    estimate = estimated_wall_time(work_of(outcome.run, [outcome.timing], members=members), LOOPBACK)
    return estimate, {
        "sums": outcome.run.rounds,
        "phases": outcome.timing.phases,
        "bytes_per_party": outcome.run.bytes_per_party,
        "simulated_seconds": outcome.timing.seconds,
        "estimated_low": estimate.total.low,
        "estimated_high": estimate.total.high,
        "seen_seconds": seconds,
        "low_vs_seen": estimate.total.low / seconds,
        "high_vs_seen": estimate.total.high / seconds,
        "seen_per_phase": seconds / outcome.timing.phases,
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def main(
    *,
    people: Annotated[int, typer.Option(help="How many people to invent.", min=1000)] = 20_000,
    seed: Annotated[int, typer.Option(help="What they are drawn from.", min=0)] = 1,
    key_bits: Annotated[int, typer.Option(help="Size of the key.", min=2048)] = 3072,
    seen: Annotated[
        float | None, typer.Option(help="Seconds that a loopback federation took; it is run if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Estimate, run, compare."""
    outcome = simulated(people=people, seed=seed, key_bits=key_bits)
    if seen is None:
        with tempfile.TemporaryDirectory() as folder:
            result = run_loopback(
                Path(folder) / "loopback",
                people=people,
                seed=seed,
                key_bits=key_bits,
                tell=lambda text: typer.echo(text, err=True),
            )
        seen = result.seconds
    estimate, figures = compared(outcome, seconds=seen)
    if as_json:
        typer.echo(json.dumps(figures))
        return
    for name in ("phases", "transport", "encryption", "computing", "total"):
        typer.echo(f"{name:<12}{duration(getattr(estimate, name)):>18}")
    typer.echo(
        f"{'seen':<12}{seen:>16.0f} s   estimate / seen: {figures['low_vs_seen']:.2f} to "
        f"{figures['high_vs_seen']:.2f}   {figures['seen_per_phase']:.1f} s a phase"
    )


if __name__ == "__main__":
    typer.run(main)
