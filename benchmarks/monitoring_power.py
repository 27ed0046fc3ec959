"""What can the bad-rate alarm see? The chance of an alarm at +20 %, by budget, rows and base rate.

Nothing is drawn: noise is that of the contract's own programs, priced for the shipped consortium of five
parties; the card was trained on as many rows as are watched, with the same epsilon, and its own error counts.

    python benchmarks/monitoring_power.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from fedscore.contract import Contract, MonitoringTerms, load_contract
from fedscore.estimates import Baseline, OutcomeSums, bad_rate_alarm
from fedscore.estimates.strategy import Measured
from fedscore.learners.agenda import Agenda
from fedscore.learners.scorecard.scores import GRID_CELLS, score_strategy
from fedscore.sums import SumRequest

CONTRACT = Path(__file__).parents[1] / "simulations" / "contracts" / "consortium.toml"
EPSILONS = (1.0, 0.5, 0.25)
ROWS = (10_000, 50_000, 200_000)
RATES = (0.01, 0.03, 0.08)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One setting.

    Attributes:
        epsilon: Of a run, at delta 1e-6, and of the training.
        rows: Present rows, and training rows.
        bad_rate: Of both.
        power: The chance of an alarm if the bad rate has risen by a fifth.
        detectable: The smallest rise that is told from none with a chance of 99 %; none if there is none.
    """

    epsilon: float
    rows: int
    bad_rate: float
    power: float
    detectable: float | None


def seen(epsilons: Sequence[float], rows: Sequence[int], rates: Sequence[float]) -> Iterator[Seen]:
    """Goes over all settings."""
    contract = load_contract(CONTRACT)
    for epsilon in epsilons:
        agreed = contract.with_privacy(epsilon=epsilon)
        watching = agreed.with_monitoring(MonitoringTerms(card="0" * 64))
        noise, of_training = _noise(watching, "outcomes"), _noise(agreed, "scores")
        strategy = score_strategy()
        measured = Measured(strategy=strategy, values=np.zeros(strategy.dimension), deviation=of_training)
        of_bad = np.concatenate([np.ones(GRID_CELLS), np.zeros(GRID_CELLS)])
        unsure = float(measured.deviations(of_bad))
        for count in rows:
            for rate in rates:
                bad = count * rate
                sums = OutcomeSums(values=np.array([0.0, bad / 2, 0.0, count / 4]), deviation=noise)
                error = float(np.hypot(bad**0.5, unsure)) / bad
                alarm = bad_rate_alarm(sums, baseline=Baseline(ratio=1.0, error=error))
                yield Seen(
                    epsilon=epsilon,
                    rows=count,
                    bad_rate=rate,
                    power=alarm.power,
                    detectable=alarm.detectable,
                )


def _noise(contract: Contract, name: str) -> float:
    """Standard deviation of the noise in each number of a sum, if every share of it arrives."""
    requests = Agenda(contract, run="0" * 32).requests
    request: SumRequest = next(one for one in requests if one.name == name)
    return float(np.sqrt(request.share_variance * request.parties)) / request.scale


def main(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False
) -> None:
    """Print the table."""
    found = list(seen(EPSILONS, ROWS, RATES))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    typer.echo("epsilon     rows  bad rate  alarm at +20 %  surely seen from")
    for one in found:
        least = f"+{one.detectable:.0%}" if one.detectable is not None else "never"
        typer.echo(f"{one.epsilon:>7g}{one.rows:>9,}{one.bad_rate:>10.0%}{one.power:>16.0%}{least:>18}")


if __name__ == "__main__":
    typer.run(main)
