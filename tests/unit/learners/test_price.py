"""The ε that is printed, recomputed by other people's mathematics from nothing but the card's events."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from fedscore.contract import NoiseMode, Party, Role, load_contract
from fedscore.learners.agenda import Agenda
from privacy.dp.events import Disjoint, DistributedGaussian, leaves

CONTRACTS = Path(__file__).resolve().parents[3] / "simulations" / "contracts"


def agenda_of(name: str, epsilon: float, noise: NoiseMode) -> Agenda:
    contract = load_contract(CONTRACTS / f"{name}.toml").with_parties([])
    parties = [Party(name=f"party-{number}", role=Role.PLATFORM) for number in range(20)]
    contract = contract.with_parties(parties).with_privacy(epsilon=epsilon, noise=noise)
    return Agenda(contract, run="0" * 32)


def sides_of(agenda: Agenda) -> list[list[DistributedGaussian]]:
    """The sums over training rows, and those over test rows if there are any."""
    event = agenda.event
    sides = [
        [one for one in leaves(part) if isinstance(one, DistributedGaussian)]
        for part in (event.parts if isinstance(event, Disjoint) else (event,))
    ]
    assert sum(map(len, sides)) == agenda.rounds
    return sides


def closed_form(events: list[DistributedGaussian], delta: float, group: int = 1) -> float:
    """Balle and Wang 2018, theorem 8, for the composition; the lattice takes 4 steps² of each variance."""
    mu = group * math.sqrt(
        sum(e.sensitivity_squared / (e.honest_shares * e.share_variance - 4) for e in events)
    )

    def excess(epsilon: float) -> float:
        spent = norm.cdf(mu / 2 - epsilon / mu) - np.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
        return float(spent - delta)

    return float(brentq(excess, 0.0, 200.0, xtol=1e-12))


@pytest.mark.parametrize("name", ["taiwan", "gmsc", "pakdd", "consortium"])
@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
@pytest.mark.parametrize("noise", [NoiseMode.SHARED, NoiseMode.LOCAL])
def test_the_printed_epsilon_is_that_of_the_events(name: str, epsilon: float, noise: NoiseMode) -> None:
    agenda = agenda_of(name, epsilon, noise)
    delta = agenda.contract.privacy.delta
    sides = sides_of(agenda)
    assert len(sides) == (2 if name == "consortium" else 1)
    by_side = [closed_form(events, delta) for events in sides]
    assert agenda.record.epsilon == pytest.approx(max(by_side), rel=1e-5)
    rules = agenda.contract.rows
    group = rules.organisations_per_person * rules.rows_per_person
    of_person = max(closed_form(events, delta, group) for events in sides)
    assert agenda.person.epsilon == pytest.approx(of_person, rel=1e-5)
    assert agenda.record.epsilon <= epsilon
    # Each side has all of the budget.
    assert min(by_side) > 0.97 * epsilon


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 8.0])
def test_the_printed_epsilon_is_below_opacus_for_the_same_events(epsilon: float) -> None:
    accountants = pytest.importorskip("opacus.accountants")
    agenda = agenda_of("taiwan", epsilon, NoiseMode.SHARED)
    accountant = accountants.RDPAccountant()
    (events,) = sides_of(agenda)
    for event in events:
        noise_multiplier = math.sqrt(event.honest_shares * event.share_variance / event.sensitivity_squared)
        accountant.step(noise_multiplier=noise_multiplier, sample_rate=1.0)
    bound = accountant.get_epsilon(delta=agenda.contract.privacy.delta)
    assert 0.8 * bound < agenda.record.epsilon < bound
