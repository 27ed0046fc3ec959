"""`fedscore node`: what an organisation's engineer does before taking part."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Node: an organisation's part of a federation.")
    group.command("init")(_init)
    group.command("check")(_check)
    group.command("start")(_start)
    app.add_typer(group, name="node")


def _init(
    file: Annotated[Path, typer.Argument(help="The node's configuration, node.toml.", metavar="FILE")],
) -> None:
    """Begin the memory of what this node answers under a key; once for each key, or after a loss.

    A committee member's memory is begun by fedscore keys accept, with its share. If it was lost, wait until
    the run that is going on has ended, and begin another one here: the member then abstains until the
    transcript proves that what it may have forgotten is over.
    """
    from clients.config import load_node_config  # noqa: PLC0415 - other commands do not pay for it
    from clients.deployment import accepted_contract  # noqa: PLC0415
    from clients.memory import FileMemory  # noqa: PLC0415
    from fedscore.sums.ceremonies import ceremony_of  # noqa: PLC0415
    from fedscore.sums.series import KeySeries  # noqa: PLC0415

    config = load_node_config(file)
    series = KeySeries.of(ceremony_of(accepted_contract(config), config.ceremony))
    FileMemory.create(config.state, series, abstains=True)
    typer.echo(f"memory           {config.state}: begun; never restore it from a backup")
    if config.key_share is not None:
        typer.echo("committee        this member abstains until a sum with its own new submission is opened")


def _check(
    file: Annotated[Path, typer.Argument(help="The node's configuration, node.toml.", metavar="FILE")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Try everything out without sending anything: configuration, contract, keys, data, and the price.

    Shows what the node would send in each round at most: values, bytes, sensitivity and noise.
    """
    from clients.config import load_node_config  # noqa: PLC0415 - other commands do not pay for it
    from clients.deployment import load_rows, node_of  # noqa: PLC0415
    from clients.node import AUDITOR  # noqa: PLC0415
    from fedscore.learners.agenda import Agenda  # noqa: PLC0415

    config = load_node_config(file)
    node = node_of(config)
    rows = (
        load_rows(config.data, node.contract, role=config.role)
        if config.data is not None and config.role is not None
        else None
    )
    agenda = Agenda(node.contract, run="0" * 32)
    found: dict[str, Any] = {
        "party": config.party,
        "role": config.role.value if config.role is not None else AUDITOR,
        "committee_member": node.committee_member,
        "contract": node.contract.name,
        "contract_hash": node.contract.hash(),
        "training_rows": len(rows) if rows is not None else 0,
        "bad_rate": round(float(rows.outcome.mean()), 4) if rows is not None and len(rows) else None,
        "epsilon": agenda.record.epsilon,
        "epsilon_person": agenda.person.epsilon,
        "delta": node.contract.privacy.delta,
        "rounds": [
            {
                "sum": request.name,
                "values": request.dimension,
                "bytes": request.layout.plaintexts_for(request.dimension)
                * node.contract.encryption.key_bits
                // 4,
                "sensitivity": math.sqrt(request.sensitivity_squared) / request.scale,
                "noise_share": math.sqrt(request.share_variance) / request.scale,
            }
            for request in agenda.requests
        ],
    }
    if as_json:
        typer.echo(json.dumps(found, indent=2, allow_nan=False))
        return
    for line in _lines(found):
        typer.echo(line)


def _start(
    file: Annotated[Path, typer.Argument(help="The node's configuration, node.toml.", metavar="FILE")],
    *,
    superlink: Annotated[str, typer.Option(help="Where the operator's SuperLink is.", metavar="HOST:PORT")],
    authority: Annotated[
        Path, typer.Option("--ca", help="The authority that signed its certificate.", exists=True)
    ],
    key: Annotated[
        Path, typer.Option(help="This node's private key, whose public part is registered.", exists=True)
    ],
    listen: Annotated[
        str | None,
        typer.Option(
            help="Where its own processes meet; for several nodes on one machine.", metavar="HOST:PORT"
        ),
    ] = None,
) -> None:
    """Take part: connect to the operator's SuperLink and answer until stopped.

    Configuration, contract and keys are checked first; `fedscore node check` also checks the data.
    """
    from clients.config import load_node_config  # noqa: PLC0415 - other commands do not pay for it
    from clients.deployment import node_of  # noqa: PLC0415
    from fedscore.messages.programs import environment, supernode_command  # noqa: PLC0415

    config = load_node_config(file)
    node_of(config)
    command = supernode_command(
        file, superlink=superlink, authority=authority.absolute(), key=key.absolute(), listen=listen
    )
    config.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.execve(command[0], command, environment(home=config.state / "flower"))  # noqa: S606 - a fixed program


def _lines(found: dict[str, Any]) -> list[str]:
    seat = found["committee_member"]
    price = (
        f"epsilon {found['epsilon']:.4f} for a record, {found['epsilon_person']:.4f} for a person, "
        f"delta {found['delta']:g}"
    )
    head = [
        f"party            {found['party']} ({found['role']})",
        f"committee        {'not a member' if seat is None else f'member {seat}'}",
        f"contract         {found['contract']}, hash {found['contract_hash']}",
        f"training rows    {found['training_rows']:,} (bad rate {found['bad_rate']}): stays here",
        f"price of a run   {price}",
        "would be sent    (at most)      values      bytes    sensitivity    own noise",
    ]
    rounds = [
        f"  {one['sum']:<24}{one['values']:>10,}{one['bytes']:>11,}"
        f"{one['sensitivity']:>15.3f}{one['noise_share']:>13.2f}"
        for one in found["rounds"]
    ]
    return [*head, *rounds, "nothing was sent"]
