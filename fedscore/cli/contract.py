"""`fedscore contract`: a contract to start from, and whether it is one that can be kept."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from fedscore.cli import contract_draft
from fedscore.contract import Contract, FindingLevel, check, parse_contract
from fedscore.errors import ContractError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Contracts: what the organisations of a consortium sign.")
    contract_draft.register(group)
    group.command("check")(_check)
    app.add_typer(group, name="contract")


def _check(
    file: Annotated[Path, typer.Argument(help="The contract, a TOML file.", metavar="FILE")],
    *,
    runs: Annotated[
        int, typer.Option(help="Also say what so many runs over the same records cost together.", min=1)
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Explain every mistake of a contract with its line. Fails if there is an error."""
    findings = check(text := _text(file))
    errors = sum(finding.level is FindingLevel.ERROR for finding in findings)
    contract = None if errors else parse_contract(text, source=str(file))
    price = _price(contract, runs) if contract is not None and contract.parties else None
    if as_json:
        told = [
            {"line": one.line, "level": one.level, "where": one.where, "message": one.message}
            for one in findings
        ]
        document = {
            "file": str(file),
            "valid": not errors,
            "hash": contract.hash() if contract is not None else None,
            "run": price,
            "committee": _committee(contract),
            "findings": told,
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        for finding in findings:
            place = f"{file}:{finding.line}" if finding.line is not None else str(file)
            typer.echo(f"{place}: {finding.level}: {finding.where}: {finding.message}")
        typer.echo(_verdict(file, errors, contract))
        for line in (*_price_in_words(price), *_committee_in_words(_committee(contract))):
            typer.echo(line)
    if errors:
        raise typer.Exit(1)


def _price(contract: Contract, runs: int) -> dict[str, Any]:
    """What a run under the contract costs, and several of them.

    Without a roster it is not known how the noise is shared.

    Raises:
        FedscoreError: No run is possible under the contract: its values would not fit, or it has no price.
    """
    # Other commands do not pay for these.
    from fedscore.cli.program_sums import training_of  # noqa: PLC0415
    from fedscore.learners.agenda import Agenda  # noqa: PLC0415
    from privacy.dp.accounting import guarantee  # noqa: PLC0415
    from privacy.dp.events import Composed  # noqa: PLC0415

    agenda = Agenda(contract, run="0" * 32)
    together = Composed(events=(agenda.event,) * runs)
    bounded = [
        round(promised.epsilon, 4) if math.isfinite(promised.epsilon) else None
        for promised in (
            agenda.record,
            agenda.person,
            guarantee(together, delta=contract.privacy.delta) if runs > 1 else agenda.record,
        )
    ]
    return {
        "sums": agenda.rounds,
        "spare_rounds": contract.privacy.spare_rounds,
        "spare_factors": {side.value: float(factor) for side, factor in agenda.spare_factors.items()},
        "epsilon": bounded[0],
        "epsilon_person": bounded[1],
        "delta": contract.privacy.delta,
        "runs": runs,
        "epsilon_runs": bounded[2],
        "training": training_of(agenda),
    }


def _price_in_words(price: dict[str, Any] | None) -> Iterator[str]:
    from fedscore.cli.program_sums import training_in_words  # noqa: PLC0415 - see above

    if price is None:
        return
    yield (
        f"a run: {price['sums']} private sums, epsilon {price['epsilon']} for a record and "
        f"{price['epsilon_person']} for a person, at delta {price['delta']}"
    )
    if price["runs"] > 1:
        yield f"{price['runs']} such runs over the same records: epsilon {price['epsilon_runs']} for a record"
    if price["training"] is not None:
        yield f"training: {training_in_words(price['training'])}"
    if price["spare_rounds"]:
        factors = price["spare_factors"]
        of_tests = f", over test rows {factors['test']:.4g} times" if "test" in factors else ""
        yield (
            f"spare rounds: {price['spare_rounds']} sums may be abandoned and asked again, within that "
            f"epsilon; for this the variance of every sum's noise is {factors['training']:.4g} times as "
            f"large{of_tests}"
        )


def _committee(contract: Contract | None) -> dict[str, int] | None:
    if contract is None or contract.encryption.committee is None:
        return None
    return contract.encryption.committee.model_dump()


def _committee_in_words(committee: dict[str, int] | None) -> Iterator[str]:
    if committee is not None:
        yield (
            f"the committee: any {committee['threshold']} of {committee['members']} members open a sum, "
            f"{committee['colluding_members']} of them may collude with the server, and "
            f"{committee['members'] - committee['threshold']} may be away or lie"
        )


def _verdict(file: Path, errors: int, contract: Contract | None) -> str:
    if contract is None:
        return f"{file}: {errors} {'error' if errors == 1 else 'errors'}"
    return f"{file}: no errors; hash {contract.hash()}"


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ContractError(f"{file} is not UTF-8 text: a contract is a TOML file") from None
    except OSError as error:
        raise ContractError(f"{file} cannot be read ({error.strerror}): name the contract's file") from None
