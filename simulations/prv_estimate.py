"""What does Opacus' numerical accountant say of a run whose records were sampled?

PRV accounting (Gopi, Lee and Wutschitz 2021) composes by Fourier transforms. It is usually below what Rényi
accounting proves, and it is an estimate here: it knows of continuous noise alone, and of floating-point
numbers. What a run promises is the Rényi price; this number is shown beside it.
"""

from __future__ import annotations

import math
from collections import Counter

from fedscore.card import PrivacyRecord
from privacy.dp.discrete_lemma import ROUNDING_VARIANCE

__all__ = ["prv_estimate"]

_Step = tuple[float, float]


def prv_estimate(privacy: PrivacyRecord | None) -> float | None:
    """Opacus' PRV estimate of a record-level epsilon, at the run's delta.

    Args:
        privacy: What the training cost, with its events; spare rounds count, as they do in the promise.

    Returns:
        None where no records were sampled, because the price is exact there, or where nothing is promised.
    """
    if privacy is None or not any("one_in" in event for event in privacy.events):
        return None
    if any(not event["share_variance"] for event in privacy.events):
        return None
    steps: Counter[_Step] = Counter()
    for event in privacy.events:
        steps[_noise_multiplier(event), 1 / int(event.get("one_in", 1))] += int(event.get("steps", 1))
    # torch and Opacus take seconds to import: only those who sampled wait for them.
    from opacus.accountants import PRVAccountant  # noqa: PLC0415

    from simulations.torch_surroundings import undisturbed  # noqa: PLC0415

    accountant = PRVAccountant()
    accountant.history = [(*step, times) for step, times in sorted(steps.items())]
    with undisturbed(0):
        return float(accountant.get_epsilon(privacy.delta))


def _noise_multiplier(event: dict[str, int | str]) -> float:
    """Deviation of the noise that the guarantee counts on, by the sensitivity, both in lattice steps."""
    variance = int(event["honest_shares"]) * int(event["share_variance"]) - ROUNDING_VARIANCE
    return math.sqrt(variance / int(event["sensitivity_squared"]))
