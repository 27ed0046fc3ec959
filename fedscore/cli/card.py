"""`fedscore card`: a finished scorecard, from the file to the people whom it concerns."""

from __future__ import annotations

import typer

from fedscore.cli import card_document, card_export, card_monitor, card_score, card_serve, card_show

__all__ = ["register"]

_COMMANDS = (card_show, card_score, card_monitor, card_serve, card_export, card_document)


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Cards: read, score with, and watch a finished scorecard.")
    # With a single command typer would leave out its name.
    group.callback()(_card)
    for command in _COMMANDS:
        command.register(group)
    app.add_typer(group, name="card")


def _card() -> None:
    """Cards: read, score with, and watch a finished scorecard."""
