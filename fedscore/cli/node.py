"""`fedscore node`: what an organisation's engineer does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from fedscore.cli import ledgers, node_check, node_folder

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Node: an organisation's part of a federation.")
    group.command("init")(node_folder.init)
    group.command("begin")(node_folder.begin)
    group.command("check")(node_check.check)
    group.command("start")(_start)
    ledgers.register(group)
    app.add_typer(group, name="node")


def _start(
    file: Annotated[Path, typer.Argument(help="The node's configuration, node.toml.", metavar="FILE")],
) -> None:
    """Take part: connect to the operator's SuperLink and answer until stopped.

    Configuration, contract and keys are checked first; `fedscore node check` also checks the data. Whatever
    the operator ships, nothing runs here but what is installed here.
    """
    from clients.certificates import require_trusted  # noqa: PLC0415 - other commands do not pay for it
    from clients.config import load_node_config  # noqa: PLC0415
    from clients.deployment import node_of  # noqa: PLC0415
    from clients.starting import connection_of, node_start  # noqa: PLC0415
    from fedscore.cli.precautions import node_warnings  # noqa: PLC0415

    config = load_node_config(file)
    node_of(config)
    for warning in node_warnings(config):
        typer.echo(f"warning: {warning}", err=True)
    connection = connection_of(file, config)
    require_trusted(connection.superlink, connection.authority)
    start = node_start(file, config)
    typer.echo(
        f"connecting to {connection.superlink}; should this end with code 2004, the operator has not "
        "registered this node's key, or still remembers its last start: ask, or wait a minute and try again",
        err=True,
    )
    os.execve(start.command[0], start.command, start.environment)  # noqa: S606 - a fixed program
