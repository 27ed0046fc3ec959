"""Is there as much noise as promised, in every sum, from every party, and never the same twice?

The design's form of this check takes one number of each sum: the noise along a canary's direction, over the
canary's length and the promised deviation. It is standard normal and independent from sum to sum, and over 20
runs of 9 sums a χ² test of these 180 numbers finds noise ÷ √5 surely, and noise ÷ 1.2 with a chance of .85 at
a level of .01, of .48 at .001.

All coordinates of all shares are at least as strong. Under the promise they are independent standard normal
numbers as well, so the test is the same; a deviation that is too small shows in each of them; and a sum of D
numbers from N parties gives N·D of them where the direction gives one. What they cannot see, each by itself,
are shares that are right alone and wrong together. Three more tests look at that:

- What is left of an opening for those who may collude, once they have taken their own shares from it, has to
  have the promised variance in every coordinate. Shares that cancel between parties show here. Absent
  parties' shares are taken away as well: what is left is what the guarantee counts on, and nothing more.
- The same along the worst records (the design's form itself). Coordinates that depend on each other in a way
  that helps whoever looks for a record show here.
- Pairs of shares. Noise that is used twice shows here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from fedscore.sums import noised_total
from privacy.dp.audit import detectable_ratio, variance_p_value
from simulations.audit.findings import Finding, Verdict
from simulations.audit.sensitivity import Worst, part_of
from simulations.audit.shares import DrawnRun, DrawnSum

__all__ = ["LONG_ENOUGH", "NEEDED_RATIO", "noise_findings"]

LONG_ENOUGH = 50
"""A share of so many numbers is as long as seven standard deviations, which no chance makes of two shares."""

NEEDED_RATIO = 0.2
"""A test must find noise with a fifth of its variance (noise ÷ √5), or it has no power."""

_FEWEST = 30

_Floats = npt.NDArray[np.float64]


def noise_findings(
    runs: Sequence[DrawnRun], *, level: float, worst: Sequence[Worst] = ()
) -> tuple[Finding, ...]:
    """Tests all shares of all runs.

    Args:
        runs: Of the same program.
        level: The chance at which any of the findings may be wrong: every test gets its part of it.
        worst: The worst record of each sum; noise is not looked at along them if left out.
    """
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
                    [_left(run.sums[place], number) for number, run in enumerate(runs)]
                )
                for place, drawn in enumerate(runs[0].sums)
            },
            "noise left to colluders in short sums",
            least,
        ),
    ]
    if worst:
        families.append({"noise left to colluders along the worst records": _along(runs, worst)})
    each = level / (sum(map(len, families)) + 1)
    return (
        *(_variance(name, values, each) for family in families for name, values in family.items()),
        _independence(runs, each),
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


def _left(drawn: DrawnSum, run: int) -> _Floats:
    """What hides a record from the parties that may collude, over the deviation that is promised.

    Others collude, or are absent, in every run.
    """
    parties, honest = len(drawn.shares), drawn.request.honest_shares
    counted = (np.arange(honest) + run) % parties
    return np.asarray(drawn.shares[counted].sum(axis=0) / np.sqrt(honest))


def _along(runs: Sequence[DrawnRun], worst: Sequence[Worst]) -> _Floats:
    """One number a sum: the noise that is left, along what the worst record adds."""
    values = []
    for number, run in enumerate(runs):
        for drawn, found in zip(run.sums, worst, strict=True):
            # The direction follows from what was opened before: it knows nothing of this sum's noise.
            direction = part_of(drawn.query, found.record, drawn.request, noised_total).astype(np.float64)
            if (length := float(np.linalg.norm(direction))) > 0.0:
                values.append(float(_left(drawn, number) @ direction) / length)
    return np.array(values)


def _independence(runs: Sequence[DrawnRun], level: float) -> Finding:
    """Whoever draws the same noise twice gives it away: the difference of two sums is free of it."""
    groups = {
        "the whole run": [
            np.concatenate(shares)
            for run in runs
            for shares in zip(*(one.shares for one in run.sums), strict=True)
        ],
        **{
            drawn.request.name: [share for run in runs for share in run.sums[place].shares]
            for place, drawn in enumerate(runs[0].sums)
            if drawn.request.dimension >= LONG_ENOUGH
        },
    }
    parties = len(runs[0].sums[0].shares)
    tests, strongest, where, longest = 0, 0.0, "", 0
    for name, shares in groups.items():
        # Runs may ask for sums of different lengths, as bins are merged differently.
        shortest = min(map(len, shares))
        longest = max(longest, shortest)
        stacked = np.stack([share[:shortest] for share in shares])
        tests += len(shares) * (len(shares) - 1) // 2
        # For independent shares, the second one's part along the first is standard normal.
        along = np.abs(stacked @ stacked.T) / np.linalg.norm(stacked, axis=1, keepdims=True).clip(1e-300)
        np.fill_diagonal(along, 0.0)
        # Either of two may be taken as the first; the test is the same.
        one, other = np.unravel_index(int(np.argmax(along)), along.shape)
        if along[one, other] > strongest:
            strongest = float(along[one, other])
            told = sorted((divmod(int(one), parties), divmod(int(other), parties)))
            where = f"in {name}, " + " and ".join(
                f"party {party + 1} of run {run + 1}" for run, party in told
            )
    # Two-sided, and either of two may be the first.
    p_value = min(1.0, 2.0 * 2.0 * NormalDist().cdf(-strongest) * tests)
    # A share used twice lies along itself with its whole length, which is hardly ever two units too short.
    has_power = longest**0.5 - 2.0 > -NormalDist().inv_cdf(level / (4.0 * max(tests, 1)))
    return Finding(
        name="independence of shares",
        verdict=_verdict(p_value, level, has_power=has_power),
        told=f"the most alike of {tests:,} pairs: {where}",
        p_value=p_value,
        power=f"would have found a share used twice in a whole run of {longest:,} numbers, and in each of "
        f"its sums of {LONG_ENOUGH} or more"
        if has_power
        else f"the whole run has {longest} numbers: too few to know a share again",
    )
