"""What must hold between the entries of a contract: each rule names the place, the limit and the remedy."""

from __future__ import annotations

from collections.abc import Iterator

from fedscore.contract.characteristic_rules import characteristic_problems
from fedscore.contract.characteristics import ALL_ROLES
from fedscore.contract.consent_rules import consent_problems
from fedscore.contract.derived_rules import derived_problems
from fedscore.contract.draft import Draft
from fedscore.contract.encryption_rules import encryption_problems, signing_key_problems
from fedscore.contract.findings import Problem, error, warning
from fedscore.contract.interaction_rules import interaction_problems
from fedscore.contract.learner_rules import learner_problems
from fedscore.contract.product_rules import product_problems
from fedscore.contract.split_rules import split_problems
from fedscore.contract.terms import NoiseMode, PrivacyTerms

__all__ = ["problems_of"]


def problems_of(draft: Draft) -> tuple[Problem, ...]:
    """Apply every rule to what could be read of a contract.

    Args:
        draft: The readable parts.

    Returns:
        Errors and warnings, in no particular order.
    """
    return (
        *characteristic_problems(draft),
        *derived_problems(draft),
        *interaction_problems(draft),
        *_column_problems(draft),
        *consent_problems(draft),
        *split_problems(draft),
        *_person_problems(draft),
        *_roster_problems(draft),
        *_privacy_problems(draft),
        *encryption_problems(draft),
        *signing_key_problems(draft),
        *learner_problems(draft),
        *product_problems(draft),
    )


def _column_problems(draft: Draft) -> Iterator[Problem]:
    """The outcome and the identifiers are no characteristics: the one leaks, the others name people."""
    reserved: dict[str, str] = {}
    if draft.rows is not None:
        reserved[draft.rows.id] = "identifies rows"
        if draft.rows.person is not None:
            reserved[draft.rows.person] = "identifies persons"
    if draft.outcome is not None:
        if draft.outcome.column in reserved:
            yield error(
                ("outcome", "column"),
                f"column {draft.outcome.column} already {reserved[draft.outcome.column]}: "
                "name the label's own column",
            )
        reserved[draft.outcome.column] = "holds the outcome"
    for index, item in draft.characteristics.items():
        if item.column in reserved:
            yield error(
                ("characteristics", index, "column"),
                f"column {item.column} {reserved[item.column]} and is no characteristic: take it out",
            )


def _person_problems(draft: Draft) -> Iterator[Problem]:
    if draft.rows is not None and draft.rows.person is None and draft.rows.rows_per_person > 1:
        yield error(
            ("rows", "rows_per_person"),
            "several rows per person need a column that says whose they are: name it as person, or allow 1",
        )


def _roster_problems(draft: Draft) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, party in draft.parties.items():
        if party.name in seen:
            yield error(
                ("parties", index, "name"), f"party {party.name} is in the roster twice: keep one of them"
            )
        seen.add(party.name)
    if not draft.parties or not draft.complete_roster:
        return
    for role in ALL_ROLES:
        places = [index for index, party in draft.parties.items() if party.role is role]
        holds = any(role in item.roles for item in draft.characteristics.values())
        if len(places) == 1:
            yield warning(
                ("parties", places[0], "role"),
                f"the only {role}: two sums with and without it show its own table, blurred by one record's "
                "noise alone; add another, or tell it so",
            )
        if places and not holds and not draft.unreadable:
            yield error(
                ("parties", places[0], "role"),
                f"no characteristic is held by the role {role}: give it one, or take its parties out",
            )
    present = {party.role for party in draft.parties.values()}
    for index, item in draft.characteristics.items():
        if not present.intersection(item.roles):
            yield warning(
                ("characteristics", index, "roles"),
                f"no party of the roster holds {item.name}, so every row will be in its cell 'not held': "
                "add such a party, or take it out",
            )


def _privacy_problems(draft: Draft) -> Iterator[Problem]:
    terms = draft.privacy
    if terms is None:
        return
    if terms.epsilon > 10:
        yield warning(
            ("privacy", "epsilon"),
            f"epsilon {terms.epsilon:g} promises next to nothing about a record: 10 or less is asked for",
        )
    if terms.noise is NoiseMode.NONE:
        yield warning(
            ("privacy", "noise"),
            'without noise nothing is promised, and only a simulation runs it: use "shared" or "local"',
        )
    if draft.parties and draft.complete_roster:
        yield from _cohort_problems(terms, len(draft.parties))
        if draft.rows is not None and terms.delta > (bound := 1 / (draft.rows.row_cap * len(draft.parties))):
            yield warning(
                ("privacy", "delta"),
                f"delta {terms.delta:g} is above 1 / (row_cap x parties) = {bound:.2g}: it would let "
                "a whole record out now and then; lower it",
            )


def _cohort_problems(terms: PrivacyTerms, parties: int) -> Iterator[Problem]:
    honest = parties - terms.absent - terms.colluding_parties
    if terms.noise is NoiseMode.SHARED and honest < 1:
        key = "absent" if terms.absent else "colluding_parties"
        yield error(
            ("privacy", key),
            f"{parties} parties less {terms.absent} absent and {terms.colluding_parties} colluding leave no "
            'honest share of noise, and 1 is needed: add parties, lower absent, or use noise = "local"',
        )
    if terms.minimum_cohort > parties:
        yield error(
            ("privacy", "minimum_cohort"),
            f"no sum could ever be opened: the smallest cohort is {terms.minimum_cohort} and the roster has "
            f"{parties}; lower it, or add parties",
        )
    elif terms.minimum_cohort > parties - terms.absent:
        yield warning(
            ("privacy", "absent"),
            f"with {terms.absent} absent, {parties - terms.absent} of {parties} parties are left, below the "
            f"smallest cohort {terms.minimum_cohort}: such a sum is never opened; lower either",
        )
