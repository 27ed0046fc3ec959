"""`fedscore node budget`, `restore` and `evidence`: what a node spent, and the proof of it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from fedscore.errors import EvidenceDamaged, NodeConfigError

__all__ = ["register"]

_BAR = 40
_MOST_RUNS = 4096
_HASH = re.compile(r"[0-9a-f]{64}")

_Config = Annotated[Path, typer.Argument(help="The node's configuration, node.toml.", metavar="FILE")]


def register(group: typer.Typer) -> None:
    """Add the commands to the group of the node's."""
    group.command("budget")(_budget)
    group.command("restore")(_restore)
    evidence = typer.Typer(no_args_is_help=True, help="Evidence: what a node did, signed line by line.")
    evidence.callback()(_evidence)
    evidence.command("verify")(_verify)
    group.add_typer(evidence, name="evidence")


def _budget(
    file: _Config, *, as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False
) -> None:
    """Show what was spent of the data's privacy, what is reserved and what is left, run by run."""
    from clients.config import load_node_config  # noqa: PLC0415 - other commands do not pay for it
    from clients.deployment import books_of, identity_of  # noqa: PLC0415
    from clients.policy import load_policy  # noqa: PLC0415

    config = load_node_config(file)
    policy = load_policy(config.policy)
    if policy.budget is None:
        raise NodeConfigError(f"{config.policy.name} has no [budget]: an auditor has nothing to spend")
    books = books_of(config, policy, identity_of(config))
    with books.locked():
        books.verify()
        spending, refusals = books.spending(), dict(books.refusals())
    found = _found(policy.source, policy.budget.limits, spending) | {"refusals": refusals}
    if as_json:
        typer.echo(json.dumps(found, indent=2, allow_nan=False))
        return
    for line in _lines(found):
        typer.echo(line)


def _found(source: str, limits: Any, spending: Any) -> dict[str, Any]:  # noqa: ANN401 - imported late, see above
    from privacy.dp.accounting import guarantee  # noqa: PLC0415
    from privacy.dp.events import Composed  # noqa: PLC0415

    def epsilon(event: Any) -> float:  # noqa: ANN401
        return guarantee(event, delta=limits.delta).epsilon

    spent, committed = epsilon(spending.spent), epsilon(spending.committed)
    current = spending.open_run
    return {
        "source": source,
        "epsilon": limits.epsilon,
        "delta": limits.delta,
        "spent": spent,
        "reserved": committed - spent,
        "left": max(0.0, limits.epsilon - committed),
        "further_runs": _further_runs(spending, limits) if current is not None else None,
        "assumed": epsilon(Composed(events=spending.assumed)) if spending.assumed else 0.0,
        "runs": [
            {
                "run": run.run,
                "contract": run.contract,
                "began": run.began,
                "open": run is current,
                "reserved": epsilon(run.reserved),
                "charged": epsilon(run.charged) if run.charges else 0.0,
                "sums": [
                    {
                        "round": charge.round,
                        "sum": charge.name,
                        "mechanism": _mechanism(charge.event),
                        "epsilon": epsilon(charge.event),
                    }
                    for charge in run.charges
                ],
            }
            for run in spending.runs
        ],
    }


def _further_runs(spending: Any, limits: Any) -> int:  # noqa: ANN401 - see above
    """How many runs like the last one the rest of the budget covers, as the ledger will reckon it."""
    from privacy.dp.accounting import guarantee  # noqa: PLC0415
    from privacy.dp.events import Composed  # noqa: PLC0415

    def fit(runs: int) -> bool:
        history = Composed(events=(spending.committed, *(spending.open_run.reserved,) * runs))
        return bool(guarantee(history, delta=limits.delta).epsilon <= limits.epsilon)

    low, high = 0, 1
    while high < _MOST_RUNS and fit(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fit(middle) else (low, middle)
    return low


def _mechanism(event: Any) -> str:  # noqa: ANN401 - see above
    """What a release did: shared noise or an organisation's own, how often, and to which rows."""
    from privacy.dp.events import DistributedGaussian, PoissonSampledGaussian, leaves  # noqa: PLC0415

    steps, rows, shares = 0, "", 1
    # The parts of one release are all alike, and none of them is unprotected: the ledger takes no other.
    for part in leaves(event):
        if isinstance(part, PoissonSampledGaussian):
            steps, rows = steps + part.repetitions, f", 1 row in {part.one_in:,}"
            shares = part.sum.total_shares
        elif isinstance(part, DistributedGaussian):
            steps, shares = steps + 1, part.total_shares
    name = "distributed discrete Gaussian" if shares > 1 else "discrete Gaussian"
    return name + (f", {steps} steps" if steps > 1 else "") + rows


def _lines(found: dict[str, Any]) -> list[str]:
    scale = _BAR / found["epsilon"]
    spent = min(_BAR, round(found["spent"] * scale))
    reserved = min(_BAR - spent, round(found["reserved"] * scale))
    bar = "#" * spent + "+" * reserved + "." * (_BAR - spent - reserved)
    lines = [
        f"source           {found['source']}",
        f"budget           epsilon {found['epsilon']:g} at delta {found['delta']:g}, for all runs",
        f"                 [{bar}]  # spent, + reserved",
        f"spent            {found['spent']:.4f}",
        f"reserved         {found['reserved']:.4f}  by the run that began last",
        f"left             {found['left']:.4f}",
    ]
    if found["further_runs"] is not None:
        lines.append(f"further runs     {found['further_runs']} like the last one")
    if found["assumed"]:
        lines.append(f"assumed          {found['assumed']:.4f}  for what a restored backup did not know")
    for run in found["runs"]:
        state = "open" if run["open"] else "over"
        lines.append(
            f"run {run['run'][:12]} ({state})  {run['began']}  contract {run['contract'][:12]}  reserved "
            f"{run['reserved']:.4f}  charged {run['charged']:.4f}"
        )
        lines += [
            f"  round {one['round']:<5} {one['sum']:<24} {one['mechanism']}, epsilon {one['epsilon']:.4f}"
            for one in run["sums"]
        ]
    if found["refusals"]:
        told = ", ".join(f"{count} {code}" for code, count in found["refusals"].items())
        lines.append(f"refused          {told}")
    lines.append("The parts do not add up to the whole: mechanisms cost less together than one by one.")
    return lines


def _restore(
    file: _Config,
    *,
    through_round: Annotated[
        int,
        typer.Option(
            help="The newest round of the key, as the operator's `fedscore server status` shows it; this "
            "node will answer none up to it.",
            min=0,
            max=2**32 - 1,
        ),
    ],
    runs: Annotated[
        int,
        typer.Option(
            help="How many runs may have begun since the copy was made; each is charged in full, as the "
            "dearest one that is known. What the copy's last run reserved is charged anyway.",
            min=0,
        ),
    ],
    backup: Annotated[
        Path | None,
        typer.Option(
            help="The evidence to go on with, if there is none in its place.", metavar="FILE", exists=True
        ),
    ] = None,
) -> None:
    """Go on with an older copy of the evidence: what it does not know is charged, and never answered again.

    Ask the operator for the newest round, and count every run that may have begun since the copy was made.
    Wait until the run that is going on has ended.
    """
    from clients.config import load_node_config  # noqa: PLC0415 - other commands do not pay for it
    from clients.restoring import restore  # noqa: PLC0415

    config = load_node_config(file)
    restore(config, through_round=through_round, runs=runs, backup=backup)
    typer.echo(f"evidence         {config.ledger}: goes on from this copy")
    typer.echo(f"charged          {runs} more runs in full, and what the last run in the copy had reserved")
    typer.echo(f"rounds           none up to {through_round} is answered")
    typer.echo("next             fedscore node begin if the memory was lost too; then fedscore node budget")


def _evidence() -> None:
    """Evidence: what a node did, signed line by line."""


def _verify(
    file: Annotated[Path, typer.Argument(help="The record, evidence.jsonl.", metavar="FILE", exists=True)],
    *,
    key: Annotated[
        str, typer.Option(help="The organisation's public identity: a file, or its signing key in hex.")
    ],
    holds: Annotated[
        str | None,
        typer.Option(help="A hash that was kept elsewhere: the record must hold its line.", metavar="HASH"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check a record of evidence: every line, their order, and what they add up to; needs nothing else.

    Lines that were cut off at the end leave a record that holds: compare its last hash with one that was
    kept elsewhere, or pass that with --holds.
    """
    from clients.ledger_view import LedgerView  # noqa: PLC0415 - other commands do not pay for it
    from fedscore.cli.key_files import read_public_identity  # noqa: PLC0415
    from privacy.evidence import read_evidence  # noqa: PLC0415

    signing_key = bytes.fromhex(key) if _HASH.fullmatch(key) else read_public_identity(Path(key)).signing_key
    view = LedgerView.empty(None)
    kinds: Counter[str] = Counter()
    entries = []
    for entry in read_evidence(file.read_bytes(), signing_key=signing_key):
        view.apply([(entry, 0)])
        kinds[entry.kind] += 1
        entries.append((entry.time, entry.hash))
    if not kinds:
        raise EvidenceDamaged(f"{file.name} is empty: there is no evidence in it")
    if view.origin()[2] != signing_key.hex():
        raise EvidenceDamaged(f"{file.name} says that another key has signed it: this is no node's record")
    if holds is not None and holds not in {digest for _, digest in entries}:
        raise EvidenceDamaged(
            f"{file.name} holds no line with the hash {holds}: it was cut off before it, or is another "
            "history"
        )
    first, last, ends_with = entries[0][0], *entries[-1]
    found = {
        "entries": len(entries),
        "party": view.origin()[0],
        "source": view.origin()[1],
        "first": first,
        "last": last,
        "ends_with": ends_with,
        "kinds": dict(sorted(kinds.items())),
        "runs": len(view.spending().runs),
    }
    view.close()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    typer.echo(f"{file.name} holds: {len(entries)} lines from {first} to {last}, {found['runs']} runs")
    typer.echo(f"party            {found['party']}, about {found['source']}")
    for kind, count in sorted(kinds.items()):
        typer.echo(f"  {kind:<12} {count}")
    typer.echo(f"ends with        {ends_with}")
