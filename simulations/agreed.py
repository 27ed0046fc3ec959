"""What the parties of a scenario agree on: the contract of its file, on the scenario's terms."""

from __future__ import annotations

from fedscore.contract import Contract, Party, Role
from simulations.keys import keyed
from simulations.scenario import PartyTerms, Scenario

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
    """
    # The file's own roster, committee and learner must not be measured against the scenario's terms: they go
    # first.
    agreed = keyed(
        contract.with_parties(())
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
