"""Does a finished model tell who was trained on? Membership inference, as an average over records.

The attack is LiRA (Carlini et al. 2022, "Membership inference attacks from first principles"). Shadow models
are trained on random halves of a pool of records. Of each record it is
then known how sure the models are of its outcome that had it, and how sure those that had not: the log-odds
that a model gives to the outcome are close to normal. One half of the models are the adversary's own; the
others are victims, and for each of them and each record it is asked which of the two normal laws its log-odds
fit better.

This is an average over records, halves and noise, so it is no bound on anything: it is what somebody can do
who has the finished model and many records like those. It is measured, and seldom answers a question: it
fails where it is above what the promise allows on any record, and it passes only where it would have been
above if the noise had been left out. Beside it stand two other trainings: the contract's program with its
noise left out, which still shrinks what it takes for noise; and the same learner made for no noise, which
shows what the attack can see. Where not even that tells anything, the attack is blind, and nothing follows
from it.

Every record is in a model by a coin of its own, so that one record more is one change, and not another one
less: else the promise, which is of one change, would bound nothing here. Models come in pairs with opposite
coins.

The pool is small, and models see no other records: each counts a hundredfold of what it counts among tens of
thousands. Noise is that of all parties' shares together, drawn as one (see `simulations.audit.bounds`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from fedscore.contract import Contract, NoiseMode
from fedscore.data import Rows
from fedscore.errors import ScenarioError
from fedscore.learners.agenda import Agenda
from fedscore.learners.program import Trained
from fedscore.metrics import auc
from fedscore.sums import noised_total
from privacy.dp.audit import least_rate
from simulations.audit.findings import Finding, Verdict
from simulations.audit.promise import Promise
from simulations.audit.row import Membership
from simulations.audit.shares import Contribute, auditable_agenda
from simulations.audit.sources import Source
from simulations.audit.workers import spread
from simulations.paired import student_quantile

__all__ = [
    "CHANCE",
    "FPR",
    "Attacked",
    "Pool",
    "Protection",
    "attacked",
    "lira_scores",
    "membership",
    "membership_finding",
    "pool_of",
]

FPR = 0.001
"""False alarms at which hits are counted, as Carlini et al. do; more where records are too few for it."""

CHANCE = 0.5
"""The area of a guess."""

_STREAM = 2
_CHOICE = 102
_SURE = 1e-9

_Floats = npt.NDArray[np.float64]
_Flags = npt.NDArray[np.bool_]


class Protection(Enum):
    """What noise models are trained with."""

    PROMISED = "promised"
    """The contract's."""

    NOISE_LEFT_OUT = "noise left out"
    """None, in a program that counts on the contract's."""

    NONE = "none"
    """None, in a program that is made for it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """The records that are trained on and attacked.

    Attributes:
        rows: The records.
        is_outlier: [records], which of them stand far from the others.
    """

    rows: Rows
    is_outlier: _Flags


def pool_of(training: Rows, *, records: int, outliers: int, seed: int) -> Pool:
    """The rarest records of the training rows, and others at random.

    A record is rare if its cells are rare among records of its outcome.

    Args:
        training: All training rows.
        records: Ordinary ones in the pool.
        outliers: Rarest ones in the pool.
        seed: Of the choice.

    Raises:
        ScenarioError: There are too few training rows.
    """
    if len(training) < records + outliers:
        raise ScenarioError(
            f"the audit's pool asks for {records + outliers} records, and there are {len(training)} training "
            "rows: lower audit.records or audit.outliers, or leave membership inference out with "
            "audit.shadows = 0"
        )
    rarity = np.zeros(len(training))
    for table in range(training.cells.shape[1]):
        keys = training.cells[:, table].astype(np.int64) * 2 + training.outcome
        rarity -= np.log(np.bincount(keys)[keys])
    order = np.argsort(-rarity, kind="stable")
    others = np.random.default_rng([seed, _CHOICE]).permutation(order[outliers:])[:records]
    chosen = np.concatenate([order[:outliers], others])
    return Pool(rows=training.select(chosen), is_outlier=np.arange(len(chosen)) < outliers)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attacked:
    """Models of random halves of a pool, and how sure they are.

    Attributes:
        members: [models, records], who was trained on. Models come in pairs that divide the pool.
        sureness: [models, records], log-odds that a model gives to a record's own outcome.
    """

    members: _Flags
    sureness: _Floats

    def part(self, models: slice) -> Attacked:
        """Some of the models."""
        return Attacked(members=self.members[models], sureness=self.sureness[models])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shadows:
    agenda: Agenda
    shares: int
    pool: Pool
    seed: int
    contribute: Contribute
    source: Source

    def members(self, number: int) -> _Flags:
        """Each record by a coin of its own; the other one of a pair has the others."""
        coins = np.random.default_rng([self.seed, _CHOICE + 1, number // 2]).random(len(self.pool.rows))
        return coins < 0.5 if number % 2 == 0 else coins >= 0.5

    def sureness(self, number: int) -> _Floats:
        rows = self.pool.rows.select(self.members(number))
        openings: list[npt.NDArray[np.int64]] = []
        while not self.agenda.is_finished(openings):
            query, request = self.agenda.next_sum(openings)
            openings.append(
                self.contribute(
                    query,
                    rows,
                    replace(request, share_variance=request.share_variance * self.shares),
                    row_cap=len(self.pool.rows),
                    randomness=self.source(_STREAM, number, len(openings)),
                )
            )
        model = self.agenda.finish(openings)
        if not isinstance(model, Trained):
            raise ScenarioError("a program that trains nothing has no members to be told")
        of_bad = np.clip(model.probability(self.pool.rows.cells), _SURE, 1.0 - _SURE)
        log_odds = np.log(of_bad / (1.0 - of_bad))
        return np.where(self.pool.rows.outcome == 1, log_odds, -log_odds)


def attacked(  # noqa: PLR0913 - what is trained, how, and where
    contract: Contract,
    pool: Pool,
    shadows: int,
    *,
    protection: Protection,
    seed: int,
    source: Source,
    contribute: Contribute = noised_total,
    processes: int = 1,
    progress: Callable[[int], None] = lambda _done: None,
) -> Attacked:
    """Trains the shadow models.

    Args:
        contract: With its roster, and noise.
        pool: What halves are drawn from.
        shadows: How many; an odd number is rounded up.
        protection: What noise is added.
        seed: Of the halves.
        source: Where noise comes from.
        contribute: What nodes do for a sum.
        processes: At most so many.
        progress: Is told how many are trained.
    """
    alone = contract.with_evaluation(None)
    if protection is Protection.NONE:
        agenda = Agenda(alone.with_privacy(noise=NoiseMode.NONE), run="0" * 32)
    else:
        agenda = auditable_agenda(alone, run="0" * 32)
    shadow = _Shadows(
        agenda=agenda,
        shares=len(contract.parties) if protection is Protection.PROMISED else 0,
        pool=pool,
        seed=seed,
        contribute=contribute,
        source=source,
    )
    numbers = range(shadows + shadows % 2)
    sureness = spread(shadow.sureness, numbers, processes=processes, progress=progress)
    return Attacked(
        members=np.stack([shadow.members(number) for number in numbers]), sureness=np.stack(sureness)
    )


def lira_scores(shadows: Attacked, victims: Attacked) -> _Floats:
    """[victims, records]: how much better a victim's log-odds fit the shadows that had the record.

    Both laws of a record have one deviation: there are too few shadows for two.

    Args:
        shadows: The adversary's own models: in pairs, so that as many had a record as had not.
        victims: Other ones.
    """
    means, squares = [], np.zeros(shadows.sureness.shape[1])
    for had in (shadows.members, ~shadows.members):
        count = np.maximum(had.sum(axis=0), 1)
        mean = np.where(had, shadows.sureness, 0.0).sum(axis=0) / count
        squares += np.square(np.where(had, shadows.sureness - mean, 0.0)).sum(axis=0)
        means.append(mean)
    with_record, without = means
    variance = np.maximum(squares / max(1, len(shadows.members) - 2), 1e-12)
    middle = (with_record + without) / 2.0
    return np.asarray((with_record - without) * (victims.sureness - middle) / variance)


def membership(
    private: Attacked,
    noiseless: Attacked,
    unprotected: Attacked,
    pool: Pool,
    promise: Promise,
) -> tuple[Membership, ...]:
    """What the attack reaches, for ordinary records and for outliers.

    Args:
        private: Models with the promised noise.
        noiseless: Models of the same program, its noise left out.
        unprotected: Models of a program that is made for no noise.
        pool: The records.
        promise: The contract's.
    """
    found = []
    for of, chosen in (("ordinary", ~pool.is_outlier), ("outliers", pool.is_outlier)):
        one, silent, open_ = (_measured(models, chosen) for models in (private, noiseless, unprotected))
        found.append(
            Membership(
                of=of,
                records=int(chosen.sum()),
                shadows=len(private.members),
                auc=one.auc,
                auc_low=one.auc_range[0],
                auc_high=one.auc_range[1],
                auc_deviation=one.auc_deviation,
                auc_allowed=NormalDist().cdf(promise.mu / math.sqrt(2.0)),
                fpr=one.fpr,
                tpr=one.tpr,
                tpr_low=one.tpr_range[0],
                tpr_high=one.tpr_range[1],
                tpr_allowed=min(1.0, math.exp(min(promise.epsilon, 700.0)) * one.fpr + promise.delta),
                noiseless_auc=silent.auc,
                noiseless_auc_low=silent.auc_range[0],
                noiseless_auc_high=silent.auc_range[1],
                unprotected_auc=open_.auc,
                unprotected_auc_low=open_.auc_range[0],
                unprotected_auc_high=open_.auc_range[1],
                unprotected_tpr=open_.tpr,
            )
        )
    return tuple(found)


def membership_finding(found: Membership, *, level: float) -> Finding:
    """What the attack says of the promise.

    Args:
        found: What it reached.
        level: The chance at which the finding may be wrong.
    """
    victims = found.shadows // 2 - _shadow_pairs(found.shadows)
    surely = found.auc - student_quantile(1.0 - level, victims - 1) * found.auc_deviation
    if surely > found.auc_allowed:
        verdict = Verdict.FAILED
    elif found.unprotected_auc_low <= CHANCE:
        verdict = Verdict.NO_POWER
    else:
        # If missing noise would not have been above what is allowed, this is a figure and no test.
        verdict = Verdict.PASSED if found.noiseless_auc_low > found.auc_allowed else Verdict.MEASURED
    power = {
        Verdict.NO_POWER: "the attack is blind: even a learner made for no noise tells nothing",
        Verdict.MEASURED: "a figure to be read, and no test: without its noise this program would have "
        "stayed within what is promised",
    }.get(verdict, "without its noise this program would have been found")
    return Finding(
        name=f"membership of {found.of} records",
        verdict=verdict,
        told=f"on average over {found.records} records and {found.shadows} trainings, AUC {found.auc:.3f} "
        f"({found.auc_low:.3f} to {found.auc_high:.3f}; chance .5, at most {found.auc_allowed:.3f} by the "
        f"promise); {found.tpr:.2%} of members found at {found.fpr:.2%} false alarms ({found.tpr_low:.2%} to "
        f"{found.tpr_high:.2%}; chance {found.fpr:.2%}, at most {found.tpr_allowed:.2%} by the promise)",
        power=f"{power} (AUC {found.noiseless_auc:.3f}, {found.noiseless_auc_low:.3f} to "
        f"{found.noiseless_auc_high:.3f}; a learner made for no noise: {found.unprotected_auc:.3f}, "
        f"{found.unprotected_auc_low:.3f} to {found.unprotected_auc_high:.3f}, "
        f"{found.unprotected_tpr:.2%} found)",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    auc: float
    auc_range: tuple[float, float]
    auc_deviation: float
    fpr: float
    tpr: float
    tpr_range: tuple[float, float]


def _measured(found: Attacked, chosen: _Flags) -> _Measured:
    """Rates over all victims; pairs of them, which are independent, show what the area varies by."""
    own = _shadow_pairs(len(found.members))
    victims = found.part(slice(2 * own, None))
    scores = lira_scores(found.part(slice(0, 2 * own)), victims)[:, chosen]
    members = victims.members[:, chosen]
    pairs = len(scores) // 2
    area = _area(scores, members)
    without = [_area(np.delete(scores, at, axis=0), np.delete(members, at, axis=0)) for at in _pairs(pairs)]
    deviation = math.sqrt(
        (pairs - 1) / pairs * float(np.square(np.subtract(without, np.mean(without))).sum())
    )
    reach = student_quantile(0.975, pairs - 1) * deviation
    fpr, tpr, tpr_range = _hits(scores[members], scores[~members])
    return _Measured(
        auc=area,
        auc_range=(max(0.0, area - reach), min(1.0, area + reach)),
        auc_deviation=deviation,
        fpr=fpr,
        tpr=tpr,
        tpr_range=tpr_range,
    )


def _pairs(count: int) -> list[slice]:
    return [slice(2 * pair, 2 * pair + 2) for pair in range(count)]


def _shadow_pairs(models: int) -> int:
    """Half of all pairs are the adversary's."""
    return models // 4


def _area(scores: _Floats, members: _Flags) -> float:
    return auc(members.ravel().astype(np.int8), scores.ravel())


def _hits(members: _Floats, others: _Floats) -> tuple[float, float, tuple[float, float]]:
    """The rate of false alarms, the share of members that is found at it, and that one's interval.

    Above the k-th largest of n others, another one is found with a chance of k / (n + 1), on average: the
    rate is the largest of these up to .001, or the least of them. For the interval the threshold moves over
    all others that may have the rate, and the share over its limits (Clopper and Pearson); each may be wrong
    once in eighty times at either end. Scores are taken to be independent.
    """
    ordered, count = np.sort(others), len(others)
    typical = max(1, int(FPR * (count + 1)))
    rate = typical / (count + 1)

    def found(above: int) -> int:
        """Members above so many of the largest others."""
        return int((members > (ordered[count - above] if above else np.inf)).sum())

    least, most = _binomial_range(count, rate)
    low = least_rate(found(max(1, least)) if least else 0, len(members), side=0.0125)
    high = 1.0 - least_rate(len(members) - found(min(count, most + 1)), len(members), side=0.0125)
    return rate, found(typical) / len(members), (low, high)


def _binomial_range(count: int, rate: float) -> tuple[int, int]:
    """Between these, so many events of a rate are with a chance of 97.5 %."""
    mean, reach = count * rate, 12.0 * math.sqrt(count * rate) + 12.0
    events = np.arange(max(0, math.floor(mean - reach)), min(count, math.ceil(mean + reach)) + 1)
    logs = [
        math.lgamma(count + 1) - math.lgamma(one + 1) - math.lgamma(count - one + 1)
        for one in events.tolist()
    ]
    chances = np.exp(logs + events * math.log(rate) + (count - events) * math.log1p(-rate))
    below = np.cumsum(chances)
    return int(events[np.argmax(below > 0.0125)]), int(events[np.argmax(below >= 0.9875)])
