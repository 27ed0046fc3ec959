"""`python -m simulations.loopback --out DIR`: a federation of real processes on this machine."""

from __future__ import annotations

import datetime as dt
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from fedscore.errors import FedscoreError
from simulations.loopback.run import LoopbackResult, run_loopback


def main(
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="An empty or new folder; runs/loopback-DATE-TIME if left out.", metavar="DIR"),
    ] = None,
    people: Annotated[int, typer.Option(help="How many people to invent.", min=1000, max=90_000)] = 20_000,
    seed: Annotated[int, typer.Option(help="What they are drawn from.", min=0, max=2**32 - 1)] = 1,
    key_bits: Annotated[int, typer.Option(help="Size of the key.", min=2048, max=8192)] = 3072,
) -> None:
    """Train one card over two platforms and a collection agency, each in real processes of its own."""
    # Without this a termination would leave the federation running.
    signal.signal(signal.SIGTERM, _leave)
    out = out or Path("runs", f"loopback-{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}")
    try:
        result = run_loopback(out, people=people, seed=seed, key_bits=key_bits, tell=_tell)
    except FedscoreError as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(1) from None
    for line in _lines(result, out):
        typer.echo(line)


def _tell(text: str) -> None:
    typer.echo(text, err=True)


def _leave(_number: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


def _lines(result: LoopbackResult, out: Path) -> list[str]:
    record, privacy = result.record, result.card.privacy
    epsilon = f"{privacy.epsilon:.3f}" if privacy is not None and privacy.epsilon is not None else "unknown"
    strongest = ", ".join(table.name for table in result.card.strongest(3))
    return [
        "The people are synthetic.",
        f"organisations      {', '.join(party.name for party in result.parties)}",
        f"run                {record['run']}",
        f"private sums       {record['rounds_opened']}",
        f"epsilon            {epsilon}",
        f"values per party   {record['values_per_party']:,}",
        f"bytes per party    {record['bytes_per_party']:,}",
        f"seconds            {result.seconds:.0f}",
        f"strongest          {strongest}",
        f"card               {out / 'card.json'}",
    ]


if __name__ == "__main__":
    typer.run(main)
