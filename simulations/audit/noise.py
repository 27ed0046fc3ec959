"""Is there as much noise as promised, in every sum, from every party, and never the same twice?"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from privacy.dp.audit import detectable_ratio, variance_p_value
from simulations.audit.findings import Finding, Verdict
from simulations.audit.shares import DrawnRun

__all__ = ["LONG_ENOUGH", "noise_findings"]

LONG_ENOUGH = 50
"""A share of so many numbers is as long as seven standard deviations, which no chance makes of two shares."""


def noise_findings(runs: Sequence[DrawnRun], *, level: float) -> tuple[Finding, ...]:
    """Tests all shares of all runs.

    Args:
        runs: Of the same program.
        level: The chance at which each finding may be wrong; where it holds many tests, each of them gets
            its part of it.
    """
    return (*_variances(runs, level), _independence(runs, level))


def _variances(runs: Sequence[DrawnRun], level: float) -> list[Finding]:
    """One finding for each sum of the program: all its coordinates, parties and runs together."""
    findings = []
    for place, drawn in enumerate(runs[0].sums):
        values = np.concatenate([run.sums[place].shares.ravel() for run in runs])
        ratio = float(np.mean(np.square(values)))
        p_value = variance_p_value(values)
        findings.append(
            Finding(
                name=f"noise of {drawn.request.name}",
                verdict=Verdict.PASSED if p_value >= level else Verdict.FAILED,
                told=f"variance {ratio:.4f} times what is promised, over {values.size:,} numbers",
                p_value=p_value,
                power="would have found a variance below "
                f"{detectable_ratio(values.size, level=level):.3f} times the promised one",
            )
        )
    return findings


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
    tests, strongest, where = 0, 0.0, ""
    for name, shares in groups.items():
        # Runs may ask for sums of different lengths, as bins are merged differently.
        shortest = min(map(len, shares))
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
    p_value = min(1.0, 2.0 * 2.0 * NormalDist().cdf(-strongest) * tests)
    return Finding(
        name="independence of shares",
        verdict=Verdict.PASSED if p_value >= level else Verdict.FAILED,
        told=f"the most alike of {tests:,} pairs: {where}",
        p_value=p_value,
        power=f"would have found a share used twice in a sum of {LONG_ENOUGH} numbers, or in a whole run",
    )
