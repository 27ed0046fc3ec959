"""The sums of a program, as people are told of them: equal ones once, and training in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedscore.learners.agenda import Agenda
    from fedscore.sums import SumRequest

__all__ = ["AlikeSums", "alike_sums", "training_in_words", "training_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlikeSums:
    """Sums that follow one another and differ in their numbers alone.

    Attributes:
        name: Of the only one, or such as "gradient 1 to 60".
        request: Of the first one.
        count: How many there are.
    """

    name: str
    request: SumRequest
    count: int


def alike_sums(requests: Sequence[SumRequest]) -> list[AlikeSums]:
    """Puts equal sums that follow one another together, so that hundreds of rounds are one line."""
    found: list[AlikeSums] = []
    for request in requests:
        kind, _, number = request.name.rpartition(" ")
        last = found[-1].request if found else None
        if last is not None and kind and request == replace(last, name=request.name):
            first_kind, _, first_number = last.name.rpartition(" ")
            if first_kind == kind:
                name = f"{kind} {first_number} to {number}"
                found[-1] = AlikeSums(name=name, request=last, count=found[-1].count + 1)
                continue
        found.append(AlikeSums(name=request.name, request=request, count=1))
    return found


def training_of(agenda: Agenda) -> dict[str, Any] | None:
    """How a neural model is trained; none for a scorecard.

    Returns:
        The terms that a price depends on; `noise_multiplier` is that of one step, in units of what a record
        may add, and none without noise.
    """
    terms = agenda.contract.neural
    if terms is None:
        return None
    step = agenda.requests[-1]
    return {
        "training": terms.training.value,
        "rounds": terms.rounds,
        "local_steps": step.local.steps if step.local is not None else None,
        "one_in": step.one_in,
        "noise_multiplier": _noise_multiplier(step),
        "epsilon": agenda.record.epsilon if math.isfinite(agenda.record.epsilon) else None,
    }


def training_in_words(training: dict[str, Any]) -> str:
    """The same in a sentence."""
    noise, one_in = training["noise_multiplier"], training["one_in"]
    multiplier = f"noise multiplier {noise:.3f}" if noise is not None else "without noise"
    rows = (
        "every row takes part in every step"
        if one_in == 1
        else f"a row takes part in a step with chance 1 in {one_in:,}, by a secret coin"
    )
    if training["local_steps"] is None:
        return f"{training['rounds']} sums of everybody's clipped gradients, {multiplier} in each; {rows}"
    own = f", and epsilon {training['epsilon']:.4f} is each one's own" if noise is not None else ""
    return (
        f"{training['rounds']} rounds of {training['local_steps']} steps that an organisation takes by "
        f"itself, {multiplier} in each{own}; {rows}"
    )


def _noise_multiplier(request: SumRequest) -> float | None:
    from privacy.dp.discrete_lemma import gaussian_bound  # noqa: PLC0415 - other commands do not pay for it
    from privacy.dp.events import NonPrivate, PoissonSampledGaussian, leaves  # noqa: PLC0415

    step = next(leaves(request.event))
    if isinstance(step, NonPrivate):
        return None
    bound = gaussian_bound(step.sum if isinstance(step, PoissonSampledGaussian) else step)
    return 1 / math.sqrt(bound.mu_squared)
