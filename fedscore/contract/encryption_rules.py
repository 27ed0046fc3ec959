"""What must hold of the committee that opens sums, and of the keys that parties sign with."""

from __future__ import annotations

from collections.abc import Iterator

from fedscore.contract.draft import Draft
from fedscore.contract.findings import Path, Problem, error, warning
from fedscore.contract.terms import CommitteeTerms

__all__ = ["committee_problems", "encryption_problems", "signing_key_problems"]

_SIMULATIONS_ONLY = "simulations only; a node refuses"


def committee_problems(path: Path, committee: CommitteeTerms, *, absences: bool) -> Iterator[Problem]:
    """Numbers of members under which sums could not be opened, or more than sums could.

    Args:
        path: Where the committee stands.
        committee: Its numbers.
        absences: Whether sums may lack parties, so that more than one cohort is admissible.
    """
    members, threshold, colluding = committee.members, committee.threshold, committee.colluding_members
    least = committee.least_threshold(absences=absences)
    if colluding >= members:
        yield error(
            (*path, "colluding_members"),
            f"{colluding} of {members} members may collude, so no threshold protects anything: "
            f"{members - 1} at most, or add members",
        )
    elif threshold > members:
        yield error(
            (*path, "threshold"),
            f"no sum could ever be opened: it takes {threshold} members and there are {members}; "
            f"lower it (to no less than {least}), or add members",
        )
    elif threshold <= colluding:
        yield error(
            (*path, "threshold"),
            f"{threshold} members open, and {colluding} may collude with the server: they would read every "
            f"party's vector by themselves; a threshold of {least} would do",
        )
    elif threshold < least:
        yield error(
            (*path, "threshold"),
            "while parties may be absent, twice the threshold must be above members and colluding members "
            f"together, and 2 x {threshold} is not above {members} + {colluding}: two cohorts of one round "
            f"could be opened, whose difference is one party's vector; a threshold of {least} would do",
        )
    elif threshold == 1:
        yield warning(
            (*path, "threshold"),
            f"{'the one member' if members == 1 else 'any one member'} and the server together read every "
            "party's vector: let two or more open together",
        )


def encryption_problems(draft: Draft) -> Iterator[Problem]:
    """A committee whose numbers do not fit, a ceremony of nobody, and what a deployment lacks."""
    terms, path = draft.encryption, ("encryption",)
    if terms is None:
        return
    if terms.committee is not None:
        absences = draft.privacy is not None and draft.privacy.absent > 0
        yield from committee_problems((*path, "committee"), terms.committee, absences=absences)
    elif terms.ceremony is not None:
        yield error(
            (*path, "ceremony"),
            "a ceremony makes the keys of a committee, and none is named: say which committee the record is "
            "of, or remove ceremony",
        )
        return
    if not draft.parties or not draft.complete_roster:
        return
    if terms.committee is None:
        yield warning(
            (*path, "committee"),
            f"no committee is named that could open a sum ({_SIMULATIONS_ONLY}): agree on one, as "
            "{ members = 7, threshold = 5, colluding_members = 1 }",
        )
    elif terms.ceremony is None:
        yield warning(
            (*path, "ceremony"),
            f"no record says who the committee's members are ({_SIMULATIONS_ONLY}): hold the ceremony "
            "(fedscore keys ceremony) and put down the hash of its record",
        )


def signing_key_problems(draft: Draft) -> Iterator[Problem]:
    """Parties that could sign for one another, and parties that cannot sign."""
    owners: dict[str, str] = {}
    for index, party in draft.parties.items():
        if party.key is None:
            continue
        if party.key in owners:
            yield error(
                ("parties", index, "key"),
                f"{party.name} has the key of {owners[party.key]}, so either could sign for the other: every "
                "party makes its own (fedscore keys identity)",
            )
        owners.setdefault(party.key, party.name)
    without = [index for index, party in draft.parties.items() if party.key is None]
    if without and draft.complete_roster:
        yield warning(
            ("parties", without[0], "key"),
            f"{len(without)} of {len(draft.parties)} parties have no key to sign with ({_SIMULATIONS_ONLY}): "
            "put down the signing key of each (fedscore keys identity)",
        )
