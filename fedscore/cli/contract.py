"""`fedscore contract`: is a contract one that can be kept?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fedscore.contract import FindingLevel, check, parse_contract
from fedscore.errors import ContractError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Contracts: what the organisations of a consortium sign.")
    group.command("check")(_check)
    # With a single command typer would leave out its name.
    group.callback()(_contract)
    app.add_typer(group, name="contract")


def _contract() -> None:
    """Contracts: what the organisations of a consortium sign."""


def _check(
    file: Annotated[Path, typer.Argument(help="The contract, a TOML file.", metavar="FILE")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Explain every mistake of a contract with its line. Fails if there is an error."""
    findings = check(text := _text(file))
    errors = sum(finding.level is FindingLevel.ERROR for finding in findings)
    digest = None if errors else parse_contract(text, source=str(file)).hash()
    if as_json:
        told = [
            {"line": one.line, "level": one.level, "where": one.where, "message": one.message}
            for one in findings
        ]
        typer.echo(
            json.dumps({"file": str(file), "valid": not errors, "hash": digest, "findings": told}, indent=2)
        )
    else:
        for finding in findings:
            place = f"{file}:{finding.line}" if finding.line is not None else str(file)
            typer.echo(f"{place}: {finding.level}: {finding.where}: {finding.message}")
        typer.echo(_verdict(file, errors, digest))
    if errors:
        raise typer.Exit(1)


def _verdict(file: Path, errors: int, digest: str | None) -> str:
    if errors:
        return f"{file}: {errors} {'error' if errors == 1 else 'errors'}"
    return f"{file}: no errors; hash {digest}"


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ContractError(f"{file} is not UTF-8 text: a contract is a TOML file") from None
    except OSError as error:
        raise ContractError(f"{file} cannot be read ({error.strerror}): name the contract's file") from None
