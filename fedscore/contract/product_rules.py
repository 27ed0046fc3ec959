"""What must hold of grades, evaluation, groups and monitoring: each needs what it speaks of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from fedscore.contract.common_rules import repeated
from fedscore.contract.draft import Draft
from fedscore.contract.findings import Problem, error, plain
from fedscore.contract.interaction_rules import side_problems
from fedscore.contract.neural_terms import Learner
from fedscore.contract.product_terms import GradeTerms

__all__ = ["product_problems"]


def product_problems(draft: Draft) -> Iterator[Problem]:
    """Problems of what is said about the finished score."""
    if draft.grades is not None:
        yield from _grade_problems(draft.grades)
    yield from _belonging_problems(draft)
    yield from _monitoring_problems(draft)
    yield from _evaluation_problems(draft)
    yield from _group_problems(draft)


def _grade_problems(terms: GradeTerms) -> Iterator[Problem]:
    for name in repeated(terms.names):
        yield error(("grades", "names"), f"grade {name} is named twice: keep one of them")
    if bool(terms.largest_bad_rates) == bool(terms.shares):
        yield error(
            ("grades",),
            "grades end either where bad rates would be exceeded or by shares of the records: give "
            "largest_bad_rates or shares, one of the two",
        )
        return
    key, limits = (
        ("largest_bad_rates", terms.largest_bad_rates)
        if terms.largest_bad_rates
        else ("shares", terms.shares)
    )
    if len(limits) != len(terms.names) - 1:
        yield error(
            ("grades", key),
            f"{len(terms.names)} grades need {len(terms.names) - 1} entries, for the last one takes the "
            f"rest: there are {len(limits)}",
        )
    if terms.largest_bad_rates:
        yield from _order_problems(limits)
    elif sum(limits) >= 1.0:
        yield error(
            ("grades", "shares"),
            f"the shares add up to {plain(round(sum(limits), 6))} and leave nothing for the last grade: "
            "they must add up to less than 1",
        )


def _order_problems(rates: Sequence[float]) -> Iterator[Problem]:
    for place, (low, high) in enumerate(pairwise(rates), start=1):
        if low >= high:
            yield error(
                ("grades", "largest_bad_rates", place),
                f"grades are listed best first, but {plain(high)} follows {plain(low)}: bad rates must "
                "increase strictly",
            )


def _belonging_problems(draft: Draft) -> Iterator[Problem]:
    """Each section belongs to a learner."""
    monitored = draft.learner is Learner.MONITORING
    if monitored and not draft.names_monitoring:
        yield error(
            ("learner",), 'learner = "monitoring" needs the card that is watched: add a table [monitoring]'
        )
    if draft.names_monitoring and draft.learner is not None and not monitored:
        yield error(("monitoring",), 'this belongs to learner = "monitoring": say so, or remove it')
    if draft.learner is None or draft.learner is Learner.SCORECARD:
        return
    for key, given in (
        ("grades", draft.grades is not None),
        ("evaluation", draft.evaluation is not None),
        ("groups", bool(draft.groups)),
    ):
        if given:
            yield error((key,), 'these terms belong to learner = "scorecard": remove them')


def _monitoring_problems(draft: Draft) -> Iterator[Problem]:
    if draft.learner is Learner.MONITORING and draft.split is not None and draft.split.has_test_rows:
        yield error(
            ("split",),
            "monitoring watches all present rows, and none of them are kept for testing: set "
            "split.test_share to 0, and leave out column and test_from",
        )


def _evaluation_problems(draft: Draft) -> Iterator[Problem]:
    if draft.evaluation is None:
        return
    for rate in repeated(map(str, draft.evaluation.alert_rates)):
        yield error(("evaluation", "alert_rates"), f"alert rate {rate} is named twice: keep one of them")
    if draft.split is not None and not draft.split.has_test_rows:
        yield error(
            ("evaluation",),
            "nothing is kept for testing, so nothing can be evaluated: set split.test_share above 0, or "
            "split.test_from to a day",
        )


def _group_problems(draft: Draft) -> Iterator[Problem]:
    known = draft.by_name()
    for index, side in draft.groups.items():
        yield from side_problems(("groups", index), side, known, draft.unreadable)
    for name in repeated(side.of for side in draft.groups.values()):
        yield error(("groups",), f"groups of {name} are named twice: keep one of them")
    if draft.groups and draft.evaluation is None and draft.learner is Learner.SCORECARD:
        yield error(("groups",), "groups are compared by evaluation alone: add a table [evaluation]")
