"""Who is there, who holds what and what goes wrong, in sentences for whoever was not there."""

from __future__ import annotations

from collections import Counter

from fedscore.contract import Role
from simulations.fault_terms import FaultTerms
from simulations.party_terms import OUTCOME, PartitionKind, PartyTerms

__all__ = ["faults_in_words", "parties_in_words"]


def parties_in_words(terms: PartyTerms) -> str:
    """What follows "the rows were", and a sentence on overlap if there is any; without a full stop."""
    told = f"dealt to {_roster(terms.members)} {_law(terms)}"
    if terms.overlap is None:
        return told
    share = f"{100 * terms.overlap.share:.3g} % of the people"
    return (
        f"{told}; {share} are at {terms.overlap.organisations} organisations each, and a record at every one"
    )


def _roster(members: tuple[Role, ...]) -> str:
    numbers = Counter(members)
    return " and ".join(f"{number} {role}{'s' * (number > 1)}" for role, number in numbers.items() if number)


def _law(terms: PartyTerms) -> str:
    match terms.kind:
        case PartitionKind.IID:
            return "evenly and at random"
        case PartitionKind.DIRICHLET:
            by = "their outcomes" if terms.by in (None, OUTCOME) else terms.by
            return f"with a skew in {by} (Dirichlet, alpha = {terms.alpha:g})"
        case PartitionKind.SIZES:
            if terms.alpha is not None:
                return f"at random, in sizes of a Dirichlet distribution (alpha = {terms.alpha:g})"
            return f"at random, in sizes of a power law (exponent {terms.exponent:g})"
        case PartitionKind.COLUMN:
            return f"by the values of {terms.column}"


def faults_in_words(terms: FaultTerms) -> str:
    """A sentence for each thing that goes wrong, and whom it spares; empty if nothing does."""
    told = []
    if terms.absent:
        told.append(f"{_parties(terms.absent)} never {'comes' if terms.absent == 1 else 'come'}.")
    told += [
        f"{_parties(one.parties)} {'is' if one.parties == 1 else 'are'} gone from round {one.round} on."
        for one in sorted(terms.drop_outs, key=lambda drop: drop.round)
    ]
    if terms.drop_out_chance:
        told.append(
            f"Each party is gone from each round on with a chance of {100 * terms.drop_out_chance:.3g} %."
        )
    if terms.lost_reply_chance:
        told.append(f"Each answer is lost on the way with a chance of {100 * terms.lost_reply_chance:.3g} %.")
    if told:
        told.append("Baselines that are no federation of these nodes have everybody's rows all the same.")
    return " ".join(told)


def _parties(number: int) -> str:
    return "One party" if number == 1 else f"{number} parties"
