"""`fedscore node check`: everything that a run will need, tried out without sending anything."""

from __future__ import annotations

import datetime as dt
import json
import math
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedscore.errors import BudgetExhausted

if TYPE_CHECKING:
    from clients.config import NodeConfig
    from clients.policy import Policy
    from fedscore.contract import Contract
    from fedscore.data import Rows
    from fedscore.learners.agenda import Agenda
    from fedscore.sums import SumRequest
    from privacy.paillier.keys import PublicKey

__all__ = ["check"]


def check(
    file: Annotated[Path, typer.Argument(help="The node's configuration, node.toml.", metavar="FILE")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Try everything out without sending anything: configuration, policy, contract, keys, data, the price.

    Shows what the node would send in each round at most (values, bytes, sensitivity and noise), how many
    rows consent leaves out, and whether the budget lets another run begin.
    """
    # Other commands do not pay for these.
    from clients.config import load_node_config  # noqa: PLC0415
    from clients.deployment import node_of  # noqa: PLC0415
    from clients.loading import load_consenting, load_rows  # noqa: PLC0415
    from clients.node import AUDITOR  # noqa: PLC0415
    from clients.policy import load_policy  # noqa: PLC0415
    from fedscore.cli.program_sums import training_of  # noqa: PLC0415
    from fedscore.learners.agenda import Agenda  # noqa: PLC0415
    from fedscore.sums import Side  # noqa: PLC0415
    from fedscore.sums.ceremonies import ceremony_of  # noqa: PLC0415

    config = load_node_config(file)
    policy, node = load_policy(config.policy), node_of(config)
    contract, agenda = node.contract, Agenda(node.contract, run=secrets.token_hex(16))
    public_key = ceremony_of(contract, config.ceremony).public_key
    budget = _budget(config, policy, contract, agenda)
    rows, consent, test_rows = None, None, None
    if config.data is not None and config.role is not None:
        today = dt.datetime.now(dt.UTC).date()
        rows, consent = load_consenting(config.data, contract, role=config.role, day=today)
        if any(request.side is Side.TEST for request in agenda.requests):
            # Else what is wrong with them would show in the middle of a run.
            test_rows = load_rows(config.data, contract, role=config.role, day=today, side=Side.TEST)
    found: dict[str, Any] = {
        "party": config.party,
        "role": config.role.value if config.role is not None else AUDITOR,
        "committee_member": node.committee_member,
        "contract": contract.name,
        "contract_hash": contract.hash(),
        "training_rows": len(rows) if rows is not None else 0,
        "bad_rate": round(float(rows.outcome.mean()), 4)
        if rows is not None and len(rows) and contract.reads_outcomes
        else None,
        "test_rows": len(test_rows) if test_rows is not None else None,
        "consent": asdict(consent) if consent is not None else None,
        "epsilon": agenda.record.epsilon,
        "epsilon_person": agenda.person.epsilon if math.isfinite(agenda.person.epsilon) else None,
        "delta": contract.privacy.delta,
        "policy": {"source": policy.source, "smallest_cohort": policy.smallest_cohort},
        "budget": budget,
        "training": training_of(agenda),
        "rounds": [_round(request, public_key) for request in agenda.requests],
        "warnings": _warnings(config, policy, budget, rows, test_rows),
    }
    if as_json:
        typer.echo(json.dumps(found, indent=2, allow_nan=False))
        return
    told = str(consent) if consent is not None else "the contract asks for none"
    for line in (*_head(found, consent=told), *_sums(agenda, public_key), *_foot(found)):
        typer.echo(line)


def _round(request: SumRequest, public_key: PublicKey) -> dict[str, Any]:
    """What one round would take from the node; `fedscore.sums.submission` draws what the bytes are of."""
    from privacy.identities import SIGNATURE_BYTES  # noqa: PLC0415 - see above
    from privacy.paillier.codec import RUN_ID_BYTES, VectorHeader, vector_bytes  # noqa: PLC0415
    from privacy.paillier.proofs import proof_bytes  # noqa: PLC0415

    header = VectorHeader.of(
        public_key, request.layout, run=bytes(RUN_ID_BYTES), round_number=1, values=request.dimension
    )
    # An update carries the noise of its steps, and the sum over updates none.
    noise = request.local if request.local is not None else request
    return {
        "sum": request.name,
        "values": request.dimension,
        "bytes": vector_bytes(public_key, header) + proof_bytes(public_key) + SIGNATURE_BYTES,
        "sensitivity": math.sqrt(noise.sensitivity_squared) / noise.scale,
        "noise_share": math.sqrt(noise.share_variance) / noise.scale,
        "one_in": request.one_in,
        "local_steps": request.local.steps if request.local is not None else 0,
    }


def _budget(config: NodeConfig, policy: Policy, contract: Contract, agenda: Agenda) -> dict[str, Any] | None:
    """What was spent, and whether another run of this contract fits; none for an auditor."""
    from clients.books import Price  # noqa: PLC0415 - see above
    from clients.deployment import books_of, identity_of  # noqa: PLC0415

    books = books_of(config, policy, identity_of(config))
    with books.locked():
        if policy.budget is None or config.data is None:
            return None
        spent = books.spending().guarantee(delta=policy.budget.delta).epsilon
        price = Price(
            run=agenda.run, contract=contract.hash(), program=agenda.event, epsilon=agenda.record.epsilon
        )
        try:
            books.require_affordable(price)
            refusal = None
        except BudgetExhausted as refused:
            refusal = str(refused)
    return {
        "epsilon": policy.budget.epsilon,
        "delta": policy.budget.delta,
        "spent": spent,
        "next_run_fits": refusal is None,
        "refusal": refusal,
    }


def _warnings(
    config: NodeConfig,
    policy: Policy,
    budget: dict[str, Any] | None,
    rows: Rows | None,
    test_rows: Rows | None,
) -> list[str]:
    from fedscore.cli.precautions import node_warnings  # noqa: PLC0415 - see above
    from server.bundling import bundle_hash  # noqa: PLC0415

    warnings = node_warnings(config)
    if config.connection is None:
        warnings.append("there is no [connection], so this node cannot be started: add it")
    if (shipped := bundle_hash()) not in policy.bundles:
        warnings.append(
            "policy.toml does not list the bundle that the installed fedscore ships, so every run of an "
            f"operator with the same version is refused: add {shipped} to bundles"
        )
    if rows is not None and not len(rows):
        warnings.append(
            "no row is left to train on, so a run would spend budget and send nothing but noise, and nobody "
            "would notice: see what consent leaves out, what the table holds and the as_of of [data]"
        )
    if test_rows is not None and not len(test_rows):
        warnings.append(
            "no row is left to test on, so this organisation would add nothing but noise to the evaluation: "
            "see what consent leaves out, and the contract's [split]"
        )
    if budget is not None and budget["refusal"]:
        warnings.append(f"the next run would be refused: {budget['refusal']}")
    return warnings


def _head(found: dict[str, Any], *, consent: str) -> list[str]:
    from fedscore.cli.program_sums import training_in_words  # noqa: PLC0415 - see above

    seat, budget = found["committee_member"], found["budget"]
    person = f"{found['epsilon_person']:.4f}" if found["epsilon_person"] is not None else "not bounded"
    price = f"epsilon {found['epsilon']:.4f} for a record, {person} for a person, delta {found['delta']:g}"
    spent = (
        f"epsilon {budget['spent']:.4f} of {budget['epsilon']:g} is spent, at delta {budget['delta']:g}; "
        f"another run {'fits' if budget['next_run_fits'] else 'does not fit'}"
        if budget is not None
        else "none: there are no data"
    )
    training = found["training"]
    return [
        f"party            {found['party']} ({found['role']})",
        f"committee        {'not a member' if seat is None else f'member {seat}'}",
        f"contract         {found['contract']}, hash {found['contract_hash']}: accepted by policy.toml",
        f"training rows    {found['training_rows']:,} (bad rate {found['bad_rate']}): stays here",
        *([f"test rows        {found['test_rows']:,}: stays here"] if found["test_rows"] is not None else []),
        f"consent          {consent}: stays here",
        f"price of a run   {price}",
        f"budget           {spent}",
        *([f"training         {training_in_words(training)}"] if training is not None else []),
    ]


def _sums(agenda: Agenda, public_key: PublicKey) -> list[str]:
    from fedscore.cli.program_sums import alike_sums  # noqa: PLC0415 - see above

    lines = ["would be sent    (at most)      values      bytes    sensitivity    own noise"]
    for alike in alike_sums(agenda.requests):
        one = _round(alike.request, public_key)
        steps = f" in each of {one['local_steps']} steps" if one["local_steps"] else ""
        lines.append(
            f"  {alike.name:<24}{one['values']:>10,}{one['bytes']:>11,}"
            f"{one['sensitivity']:>15.3f}{one['noise_share']:>13.2f}{steps}"
        )
    return lines


def _foot(found: dict[str, Any]) -> list[str]:
    return [*(f"warning          {warning}" for warning in found["warnings"]), "nothing was sent"]
