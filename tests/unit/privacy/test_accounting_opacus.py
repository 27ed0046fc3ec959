"""Opacus' Rényi accountant prices the same events higher."""

from __future__ import annotations

import math

import numpy as np
import pytest

from privacy.dp.accounting import guarantee
from privacy.dp.events import Composed, DistributedGaussian

rdp = pytest.importorskip("opacus.accountants.analysis.rdp", reason="needs the extra `neural`")


@pytest.mark.parametrize("share_variance", [100, 1_000, 20_000])
@pytest.mark.parametrize("delta", [1e-5, 1e-8])
def test_the_printed_epsilon_is_below_opacus_for_the_same_events(share_variance: int, delta: float) -> None:
    rounds = 9
    event = DistributedGaussian(
        sensitivity_squared=50,
        share_variance=share_variance,
        honest_shares=18,
        dimension=500,
        total_shares=20,
    )
    orders = np.concatenate([np.linspace(1.05, 12, 400), np.arange(12.5, 600, 0.5)]).tolist()
    curve = rdp.compute_rdp(
        q=1.0,
        noise_multiplier=math.sqrt(event.honest_variance / event.sensitivity_squared),
        steps=rounds,
        orders=orders,
    )
    theirs, _ = rdp.get_privacy_spent(orders=orders, rdp=curve, delta=delta)
    ours = guarantee(Composed(events=(event,) * rounds), delta=delta).epsilon
    assert 0.7 * theirs < ours < theirs
