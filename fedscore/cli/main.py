"""The command line: which commands there are, and how a refusal is told."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated, Any

import click
import typer
from typer.core import TyperGroup

from fedscore.cli import audit, card, contract, demo, early_warning, keys, node, server, simulate
from fedscore.errors import FedscoreError

__all__ = ["app", "main"]

_COMMANDS = (demo, simulate, audit, early_warning, contract, keys, node, server, card)


class _Refusing(TyperGroup):
    """Tells an error that fedscore raises on purpose as one message; any other keeps its traceback."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click declares it
        try:
            return super().invoke(ctx)
        except FedscoreError as refusal:
            typer.echo(f"fedscore: {refusal}", err=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            typer.echo("fedscore: cancelled", err=True)
            # What shells report of a process that SIGINT ended.
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Refusing,
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables could show rows or keys.
    pretty_exceptions_enable=False,
    help="Federated, privacy-preserving credit scoring: one card from encrypted, private sums.",
)


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer passes an option's value by place
    if value:
        typer.echo(f"fedscore {version('fedscore')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Options of `fedscore` itself."""


for _command in _COMMANDS:
    _command.register(app)


def main() -> None:
    """Run the command that the process's arguments name."""
    sys.exit(app())
