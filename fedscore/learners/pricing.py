"""How much noise each sum of a program gets, so that the whole program costs what the contract allows.

Without sampling, Gaussian rounds compose exactly, and the shares of the plan divide μ². With sampling there
is no such formula: the noise of sampled sums is lessened as far as the accountant finds the whole within ε.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from fedscore.contract import Contract, NoiseMode
from fedscore.sums import PlannedSum, Side, SumRequest, derive_request
from privacy.dp.accounting import gaussian_mu, guarantee
from privacy.dp.discrete_lemma import ROUNDING_VARIANCE
from privacy.dp.events import aligned

__all__ = ["DELTA_RESERVE", "PricedProgram", "price_program"]

DELTA_RESERVE = 1e-6
"""Relative part of δ kept for the discrete noise's slack and its redrawn tails."""

_GRAIN = 1024
"""μ is scaled in such parts of itself, so that no two machines differ in a last bit of it."""

_LARGEST_GAIN = 10_000 * _GRAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedProgram:
    """A plan with its noise.

    Attributes:
        mus: [sums], what each may cost: its Gaussian-DP parameter if every record took part.
        requests: [sums], at their largest dimension.
        spares: What the spare rounds are charged as.
        spare_factors: By how much the spare rounds multiply the variance of every sum's noise, on each side.
    """

    mus: tuple[float, ...]
    requests: tuple[SumRequest, ...]
    spares: tuple[SumRequest, ...]
    spare_factors: Mapping[Side, Fraction]


def price_program(plan: Sequence[PlannedSum], contract: Contract) -> PricedProgram:
    """Gives every sum its noise.

    Args:
        plan: Of the program; the shares of each side add up to one.
        contract: With its roster.

    Raises:
        NoiseError: No honest share of noise would be left.
        LayoutError: A sum's values would not fit into slots.
    """
    priced = {
        side: _price_side(own, contract)
        for side in Side
        if (own := [planned for planned in plan if planned.side is side])
    }
    # Each side has the whole budget: no record is on both.
    of_side = {side: iter(zip(one.mus, one.requests, strict=True)) for side, one in priced.items()}
    placed = [next(of_side[planned.side]) for planned in plan]
    return PricedProgram(
        mus=tuple(mu for mu, _ in placed),
        requests=tuple(request for _, request in placed),
        spares=tuple(spare for one in priced.values() for spare in one.spares),
        spare_factors={side: one.spare_factors[side] for side, one in priced.items()},
    )


def _price_side(plan: Sequence[PlannedSum], contract: Contract) -> PricedProgram:
    terms = contract.privacy
    kinds = _kinds(plan)
    spare_factor = 1 + terms.spare_rounds * sum(
        (max(plan[place].share for place in places) for places in kinds), Fraction(0)
    )
    if terms.noise is NoiseMode.NONE:
        return _priced(plan, contract, total=math.inf, spare_factor=spare_factor)
    total = gaussian_mu(terms.epsilon, terms.delta * (1 - DELTA_RESERVE))
    if all(planned.one_in == 1 for planned in plan):
        return _priced(plan, contract, total=total, spare_factor=spare_factor)
    return _sampled(plan, contract, total=total, spare_factor=spare_factor)


def _kinds(plan: Sequence[PlannedSum]) -> list[list[int]]:
    """Places of the sums whose prices can be compared: those that are sampled alike."""
    kinds: dict[tuple[int, int], list[int]] = {}
    for place, planned in enumerate(plan):
        kinds.setdefault((planned.one_in, planned.local_steps), []).append(place)
    return list(kinds.values())


def _priced(
    plan: Sequence[PlannedSum],
    contract: Contract,
    *,
    total: float,
    spare_factor: Fraction,
    gain: float = 1.0,
) -> PricedProgram:
    """Divides μ² by the shares; `gain` multiplies the μ of sampled sums, and lessens that of others."""
    mus = tuple(
        total * (gain if planned.one_in > 1 else min(gain, 1.0)) * math.sqrt(planned.share / spare_factor)
        for planned in plan
    )
    requests: list[SumRequest] = []
    derived: dict[PlannedSum, SumRequest] = {}
    for planned, mu in zip(plan, mus, strict=True):
        # Hundreds of rounds differ in their names alone.
        alike = replace(planned, name="")
        if alike not in derived:
            derived[alike] = derive_request(
                planned, dimension=planned.dimension_limit, mu=mu, contract=contract
            )
        requests.append(replace(derived[alike], name=planned.name))
    return PricedProgram(
        mus=mus,
        requests=tuple(requests),
        spares=_spares(plan, requests, contract.privacy.spare_rounds),
        spare_factors={planned.side: spare_factor for planned in plan},
    )


def _spares(plan: Sequence[PlannedSum], requests: Sequence[SumRequest], count: int) -> tuple[SumRequest, ...]:
    """What repeating any of the sums costs at most.

    Whoever makes a round fail chooses which sum is repeated, after all openings so far. So a spare round has
    the sensitivity and the noise of the sum with the largest share, on that sum's lattice, and the length of
    the longest. Sums that are sampled differently cannot be compared: each kind is reserved then.
    """
    dearest = []
    for places in _kinds(plan):
        place = max(places, key=lambda place: _cost(requests[place]))
        longest = max(requests[other].dimension for other in places)
        dearest.append(replace(requests[place], dimension=longest))
    return tuple(
        replace(request, name=f"spare {number}") for number in range(1, count + 1) for request in dearest
    )


def _cost(request: SumRequest) -> Fraction:
    """Squared sensitivity by variance: what sums of one kind are compared by."""
    noise = request.local if request.local is not None else request
    variance = noise.share_variance * request.honest_shares
    return Fraction(noise.sensitivity_squared, variance - ROUNDING_VARIANCE) if variance else Fraction(0)


def _sampled(
    plan: Sequence[PlannedSum], contract: Contract, *, total: float, spare_factor: Fraction
) -> PricedProgram:
    """The least noise, in steps of 1 / `_GRAIN` of μ, at which the program is within ε.

    Rényi accounting asks for a little more noise than exact composition, so a program that hardly gains from
    sampling gets more noise than it would have without, in all of its sums.
    """

    def at(parts: int) -> PricedProgram:
        return _priced(plan, contract, total=total, spare_factor=spare_factor, gain=parts / _GRAIN)

    def is_within(parts: int) -> bool:
        priced = at(parts)
        event = aligned(request.event for request in (*priced.requests, *priced.spares))
        return guarantee(event, delta=contract.privacy.delta).epsilon <= contract.privacy.epsilon

    low, high = 1, 2
    while high < _LARGEST_GAIN and is_within(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_within(middle) else (low, middle)
    return at(low)
