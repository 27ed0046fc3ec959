"""What the parties of a scenario agree on: the contract of its file, on the scenario's terms."""

from __future__ import annotations

from fedscore.contract import Contract, Party, Role
from fedscore.errors import ScenarioError
from simulations.keys import keyed
from simulations.party_terms import OUTCOME, PartitionKind
from simulations.scenario import PartyTerms, Scenario
from simulations.scenario_mistakes import closest

__all__ = ["agreed_contract", "roster"]


def roster(terms: PartyTerms) -> tuple[Party, ...]:
    """Parties of a scenario, named by role and number, platforms first."""
    members = terms.members
    width = max(2, len(str(len(members))))
    numbers = {role: iter(range(1, len(members) + 1)) for role in Role}
    return tuple(Party(name=f"{role}-{next(numbers[role]):0{width}}", role=role) for role in members)


def agreed_contract(terms: Scenario, contract: Contract) -> Contract:
    """The contract with the scenario's roster, terms and learner; runs have their own epsilon.

    Args:
        terms: The scenario.
        contract: As its file has it.

    Raises:
        ContractError: The scenario asks for terms that no contract may have.
        ScenarioError: The scenario's parties contradict the contract.
    """
    _require_skewed_by_something(terms.parties, contract)
    # The file's own roster, committee and learner must not be measured against the scenario's terms: they go
    # first.
    agreed = keyed(
        _with_overlap(contract.with_parties(()), terms.parties, stated=contract.rows.model_fields_set)
        .with_neural(None)
        .with_encryption(key_bits=terms.encryption.key_bits, committee=None, ceremony=None)
        .with_privacy(
            delta=terms.privacy.delta,
            noise=terms.noise,
            absent=terms.privacy.absent,
            colluding_parties=terms.privacy.colluding_parties,
            spare_rounds=terms.privacy.spare_rounds,
        )
        .with_encryption(committee=terms.encryption.committee)
        .with_parties(roster(terms.parties))
        .with_neural(terms.learner.neural)
    )
    return agreed if terms.learner.recipe is None else agreed.with_recipe(terms.learner.recipe)


def _require_skewed_by_something(terms: PartyTerms, contract: Contract) -> None:
    """What parties are to differ in must be known, and held by somebody."""
    if terms.by is None or terms.by == OUTCOME:
        return
    if terms.by not in contract.by_name:
        raise ScenarioError(
            f"parties.by names {terms.by!r}, which is no characteristic of contract {contract.name!r}"
            f"{closest(terms.by, [OUTCOME, *contract.by_name])}"
        )
    if contract.holders[terms.by].isdisjoint(terms.members):
        raise ScenarioError(
            f"parties.by names {terms.by!r}, which none of the parties holds: add parties of a role that "
            "does, or name another"
        )


def _with_overlap(contract: Contract, terms: PartyTerms, *, stated: set[str]) -> Contract:
    """The contract promises a person what a person costs who is at as many organisations as people are here.

    A file that does not say how many a person may be at leaves that to the scenario.
    """
    if terms.overlap is None:
        return contract
    if terms.kind is PartitionKind.COLUMN and contract.rows.person is not None:
        raise ScenarioError(
            f"contract {contract.name!r} knows persons, and the column of the partition says who holds them: "
            "leave parties.overlap out"
        )
    many = terms.overlap.organisations
    if "organisations_per_person" not in stated:
        return contract.with_rows(organisations_per_person=many)
    if contract.rows.organisations_per_person < many:
        raise ScenarioError(
            f"parties.overlap has people at {many} organisations, and contract {contract.name!r} promises "
            f"persons something for at most {contract.rows.organisations_per_person}: lower "
            "overlap.organisations, or raise organisations_per_person under [rows] of the contract"
        )
    return contract
