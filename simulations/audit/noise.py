"""Is there as much noise as promised, in every sum, from every party, and never the same twice?

The design's form of this check takes one number of each sum: the noise along a canary's direction, over the
canary's length and the promised deviation. It is standard normal and independent from sum to sum, and over 20
runs of 9 sums a χ² test of these 180 numbers finds noise ÷ √5 surely, and noise ÷ 1.2 with a chance of .85
(one-sided, at .01).

All coordinates of all shares are at least as strong. Under the promise they are independent standard normal
numbers as well, so the test is the same; a deviation that is too small shows in each of them; and a sum of D
numbers from N parties gives N·D of them where the direction gives one. What they cannot see, each by itself,
are shares that are right alone and wrong together. Three more tests look at that:

- What is left of an opening for those who may collude, once they have taken their own shares from it, has to
  have the promised variance in every coordinate. Shares that cancel between parties show here. Absent
  parties' shares are taken away as well: what is left is what the guarantee counts on, and nothing more.
- The same along the worst records (the design's form itself). Coordinates that depend on each other in a way
  that helps whoever looks for a record show here.
- Pairs of shares: of two parties, two runs, or two sums. Noise that is used twice shows here.

How many shares that is, and what all of them have to cost together, is computed from the contract, and not
taken from the requests that follow from it: they are what is audited.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from fedscore.contract import Contract
from fedscore.sums import Side, noised_total
from privacy.dp.audit import detectable_ratio, variance_p_value
from privacy.dp.discrete_lemma import ROUNDING_VARIANCE
from privacy.dp.gaussian import gaussian_epsilon
from simulations.audit.findings import Finding, Verdict
from simulations.audit.sensitivity import Worst, part_of
from simulations.audit.shares import DrawnRun, DrawnSum, honest_parties

__all__ = ["LONG_ENOUGH", "NEEDED_RATIO", "noise_findings"]

LONG_ENOUGH = 50
"""Shares of so many numbers are compared one by one: each lies along itself by seven standard deviations."""

NEEDED_RATIO = 0.2
"""A test must find noise with a fifth of its variance (noise ÷ √5), or it has no power."""

_FEWEST = 30

_Floats = npt.NDArray[np.float64]


def noise_findings(
    runs: Sequence[DrawnRun], contract: Contract, *, level: float, worst: Sequence[Worst] = ()
) -> tuple[Finding, ...]:
    """Tests all shares of all runs.

    Args:
        runs: Of the same program.
        contract: What is promised, to whom, and against how many.
        level: The chance at which any of the findings may be wrong: every test gets its part of it.
        worst: The worst record of each sum; noise is not looked at along them if left out.
    """
    honest = honest_parties(contract)
    # No more tests than these: some may be joined.
    least = level / (2 * len(runs[0].sums) + 1 + bool(worst))
    families = [
        _with_power(
            {
                f"noise of {drawn.request.name}": np.concatenate(
                    [run.sums[place].shares.ravel() for run in runs]
                )
                for place, drawn in enumerate(runs[0].sums)
            },
            "noise of short sums",
            least,
        ),
        _with_power(
            {
                f"noise left to colluders in {drawn.request.name}": np.concatenate(
                    [_left(run.sums[place], number, honest) for number, run in enumerate(runs)]
                )
                for place, drawn in enumerate(runs[0].sums)
            },
            "noise left to colluders in short sums",
            least,
        ),
    ]
    if worst:
        families.append({"noise left to colluders along the worst records": _along(runs, worst, honest)})
    each = level / (sum(map(len, families)) + 1)
    return (
        *(_variance(name, values, each) for family in families for name, values in family.items()),
        _independence(runs, each),
        _price(runs[0], contract, honest),
    )


def _with_power(values: Mapping[str, _Floats], rest: str, level: float) -> dict[str, _Floats]:
    """Numbers that are too few to be tested by themselves are tested together."""
    enough = {
        name: of.size >= _FEWEST and detectable_ratio(of.size, level=level) >= NEEDED_RATIO
        for name, of in values.items()
    }
    short = [of for name, of in values.items() if not enough[name]]
    kept = {name: of for name, of in values.items() if enough[name]}
    return kept | {rest: np.concatenate(short)} if short else kept


def _variance(name: str, values: _Floats, level: float) -> Finding:
    if values.size < _FEWEST:
        return Finding(
            name=name,
            verdict=Verdict.NO_POWER,
            told=f"there are only {values.size} numbers",
            power="nothing would have been found: more runs are needed",
        )
    ratio, p_value = float(np.mean(np.square(values))), variance_p_value(values)
    found = detectable_ratio(values.size, level=level)
    return Finding(
        name=name,
        verdict=_verdict(p_value, level, has_power=found >= NEEDED_RATIO),
        told=f"variance {ratio:.4f} times what is promised, over {values.size:,} numbers",
        p_value=p_value,
        power=f"would have found a variance below {found:.3f} times the promised one",
    )


def _verdict(p_value: float, level: float, *, has_power: bool) -> Verdict:
    if p_value < level:
        return Verdict.FAILED
    return Verdict.PASSED if has_power else Verdict.NO_POWER


def _price(run: DrawnRun, contract: Contract, honest: int) -> Finding:
    """What the noise that was asked for costs: full-batch Gaussian rounds, mu² adding up on each side."""
    squares: dict[Side, Fraction] = {}
    for drawn in run.sums:
        request = drawn.request
        counted = honest * request.share_variance - ROUNDING_VARIANCE
        cost = Fraction(request.sensitivity_squared, counted) if counted > 0 else Fraction(10**12)
        squares[request.side] = squares.get(request.side, Fraction()) + cost
    epsilon = gaussian_epsilon(float(max(squares.values())) ** 0.5, contract.privacy.delta)
    return Finding(
        name="price of the noise",
        verdict=Verdict.PASSED if epsilon <= contract.privacy.epsilon else Verdict.FAILED,
        told=f"the noise that was asked for, of {honest} honest parties of {len(contract.parties)}, costs "
        f"epsilon {epsilon:.4f}; {contract.privacy.epsilon:g} is promised",
        power="would have found any noise that is too dear",
    )


def _left(drawn: DrawnSum, run: int, honest: int) -> _Floats:
    """What hides a record from the parties that may collude, over the deviation of so many shares.

    Others collude, or are absent, in every run.
    """
    counted = (np.arange(honest) + run) % len(drawn.shares)
    return np.asarray(drawn.shares[counted].sum(axis=0) / np.sqrt(honest))


def _along(runs: Sequence[DrawnRun], worst: Sequence[Worst], honest: int) -> _Floats:
    """One number a sum: the noise that is left, along what the worst record adds."""
    values = []
    for number, run in enumerate(runs):
        for drawn, found in zip(run.sums, worst, strict=True):
            # The direction follows from what was opened before: it knows nothing of this sum's noise.
            direction = part_of(drawn.query, found.record, drawn.request, noised_total).astype(np.float64)
            if (length := float(np.linalg.norm(direction))) > 0.0:
                values.append(float(_left(drawn, number, honest) @ direction) / length)
    return np.array(values)


@dataclass(slots=True)
class _Alike:
    """The most alike of all pairs of shares that were looked at.

    For independent ones, the second one's part along the first is standard normal; divided by the longer of
    the two it is no larger.
    """

    tests: int = 0
    strongest: float = 0.0
    where: str = ""

    def look(self, one: _Floats, other: _Floats, where: str, *, same: bool = False) -> None:
        """Compares vectors, [vectors, length] each; the same ones among themselves."""
        lengths = [np.linalg.norm(vectors, axis=1) for vectors in (one, other)]
        longer = np.maximum(lengths[0][:, None], lengths[1][None, :]).clip(1e-300)
        along = np.abs(one @ other.T) / longer
        if same:
            along = np.triu(along, 1)
        self._note(along, len(one) * (len(one) - 1) // 2 if same else along.size, where)

    def look_in_pairs(self, one: _Floats, other: _Floats, where: str) -> None:
        """Compares each vector with the one in the same place."""
        longer = np.maximum(np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1)).clip(1e-300)
        self._note(np.abs(np.einsum("ij,ij->i", one, other)) / longer, len(one), where)

    def _note(self, along: _Floats, tests: int, where: str) -> None:
        self.tests += tests
        if along.size and float(along.max()) > self.strongest:
            self.strongest, self.where = float(along.max()), where


def _independence(runs: Sequence[DrawnRun], level: float) -> Finding:
    """Whoever draws the same noise twice gives it away: the difference of two sums is free of it."""
    names = [drawn.request.name for drawn in runs[0].sums]
    parties = len(runs[0].sums[0].shares)
    # Runs may ask for sums of different lengths, as bins are merged differently: [runs, parties, length].
    sums = []
    for place in range(len(names)):
        shortest = min(run.sums[place].shares.shape[1] for run in runs)
        sums.append(np.stack([run.sums[place].shares[:, :shortest] for run in runs]))
    alike = _Alike()
    whole = np.concatenate(sums, axis=2).reshape(len(runs) * parties, -1)
    alike.look(whole, whole, "whole runs", same=True)
    for first, second in combinations_with_replacement(range(len(names)), 2):
        length = min(sums[first].shape[2], sums[second].shape[2])
        one, other = sums[first][:, :, :length], sums[second][:, :, :length]
        where = " and ".join(dict.fromkeys((names[first], names[second])))
        if length >= LONG_ENOUGH:
            flat = one.reshape(-1, length), other.reshape(-1, length)
            alike.look(*flat, where, same=first == second)
        if first < second:
            by_party = [values.transpose(1, 0, 2).reshape(parties, -1) for values in (one, other)]
            alike.look_in_pairs(by_party[0], by_party[1], f"{where}, of one party in all runs")
            alike.look_in_pairs(
                by_party[0].reshape(1, -1), by_party[1].reshape(1, -1), f"{where}, of all parties and runs"
            )
    p_value = min(1.0, 2.0 * NormalDist().cdf(-alike.strongest) * alike.tests)
    # A share used twice lies along itself with its whole length, which is hardly ever two units too short.
    shortest = math.ceil((2.0 - NormalDist().inv_cdf(level / (2.0 * max(alike.tests, 1)))) ** 2)
    has_power = whole.shape[1] >= shortest
    return Finding(
        name="independence of shares",
        verdict=_verdict(p_value, level, has_power=has_power),
        told=f"the most alike of {alike.tests:,} pairs of shares, of parties, runs and sums, are in "
        f"{alike.where}",
        p_value=p_value,
        power=f"would have found noise used twice in a whole run, in sums of {max(shortest, LONG_ENOUGH)} "
        "numbers or more, and in shorter ones if in every run"
        if has_power
        else f"a whole run has {whole.shape[1]} numbers: too few to know noise again",
    )
