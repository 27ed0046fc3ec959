"""Does a finished model tell who was trained on? Membership inference, as an average over records.

The attack is LiRA (Carlini et al. 2022, "Membership inference attacks from first principles"). Shadow models
are trained on random halves of a pool of records, each beside one of the other half. Of each record it is
then known how sure the models are of its outcome that had it, and how sure those that had not: the log-odds
that a model gives to the outcome are close to normal. One half of the models are the adversary's own; the
others are victims, and for each of them and each record it is asked which of the two normal laws its log-odds
fit better.

This is an average over records, halves and noise, so it is no bound on anything: it is what somebody can do
who has the finished model and many records like those. It is shown beside what the promise allows at most,
and beside the same attack on trainings without noise. Where even these tell nothing, the attack is blind, and
nothing follows from it.

The pool is small, and shadows see no other records: each counts a hundredfold of what it counts among tens of
thousands. Noise is that of all parties' shares together, drawn as one (see `simulations.audit.bounds`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from privacy.dp.accounting import Guarantee
from simulations.audit.findings import Finding, Verdict
from simulations.audit.row import Membership
from simulations.audit.shares import Contribute, auditable_agenda
from simulations.audit.sources import Source
from simulations.audit.workers import spread

__all__ = [
    "FPR",
    "Attacked",
    "Pool",
    "attacked",
    "lira_scores",
    "membership",
    "membership_finding",
    "pool_of",
]

FPR = 0.001
"""False alarms at which hits are counted, as Carlini et al. do."""

_STREAM = 2
_RESAMPLED = 400
_SURE = 1e-9

_Floats = npt.NDArray[np.float64]
_Flags = npt.NDArray[np.bool_]


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
    others = np.random.default_rng([seed, _STREAM]).permutation(order[outliers:])[:records]
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
    pool: Pool
    seed: int
    contribute: Contribute
    source: Source

    def members(self, number: int) -> _Flags:
        """Half of the pool, or the other half."""
        drawn = np.random.default_rng([self.seed, _STREAM, number // 2]).permutation(len(self.pool.rows))
        half = np.zeros(len(drawn), dtype=np.bool_)
        half[drawn[: len(drawn) // 2]] = True
        return half if number % 2 == 0 else ~half

    def sureness(self, number: int) -> _Floats:
        rows = self.pool.rows.select(self.members(number))
        openings: list[npt.NDArray[np.int64]] = []
        while not self.agenda.is_finished(openings):
            query, request = self.agenda.next_sum(openings)
            openings.append(
                self.contribute(
                    query,
                    rows,
                    replace(request, share_variance=request.share_variance * request.parties),
                    row_cap=len(rows),
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
    protected: bool,
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
        protected: Whether the contract's noise is added.
        seed: Of the halves.
        source: Where noise comes from.
        contribute: What nodes do for a sum.
        processes: At most so many.
        progress: Is told how many are trained.
    """
    alone = contract.with_evaluation(None)
    agenda = (
        auditable_agenda(alone, run="0" * 32)
        if protected
        else Agenda(alone.with_privacy(noise=NoiseMode.NONE), run="0" * 32)
    )
    shadow = _Shadows(agenda=agenda, pool=pool, seed=seed, contribute=contribute, source=source)
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
    private: Attacked, unprotected: Attacked, pool: Pool, guarantee: Guarantee, *, seed: int
) -> tuple[Membership, ...]:
    """What the attack reaches, for ordinary records and for outliers.

    Args:
        private: Shadow models with noise.
        unprotected: Shadow models without.
        pool: The records.
        guarantee: What is promised.
        seed: Of the resampling for intervals, which takes pairs of shadows as they are.
    """
    found = []
    for of, chosen in (("ordinary", ~pool.is_outlier), ("outliers", pool.is_outlier)):
        of_private = _measured(private, chosen, seed)
        of_unprotected = _measured(unprotected, chosen, seed)
        found.append(
            Membership(
                of=of,
                records=int(chosen.sum()),
                shadows=len(private.members),
                auc=of_private.auc,
                auc_low=of_private.auc_range[0],
                auc_high=of_private.auc_range[1],
                auc_deviation=of_private.auc_deviation,
                auc_allowed=NormalDist().cdf(guarantee.mu / math.sqrt(2.0)),
                fpr=FPR,
                tpr=of_private.tpr,
                tpr_low=of_private.tpr_range[0],
                tpr_high=of_private.tpr_range[1],
                tpr_allowed=min(1.0, math.exp(min(guarantee.epsilon, 700.0)) * FPR + guarantee.delta),
                unprotected_auc=of_unprotected.auc,
                unprotected_auc_low=of_unprotected.auc_range[0],
                unprotected_auc_high=of_unprotected.auc_range[1],
                unprotected_tpr=of_unprotected.tpr,
            )
        )
    return tuple(found)


def membership_finding(found: Membership, *, level: float) -> Finding:
    """What the attack says of the promise.

    Args:
        found: What it reached.
        level: The chance at which the finding may be wrong.
    """
    surely = found.auc + NormalDist().inv_cdf(level) * found.auc_deviation
    sees = found.unprotected_auc_low > 0.5
    unfound = Verdict.PASSED if sees else Verdict.NO_POWER
    return Finding(
        name=f"membership of {found.of} records",
        verdict=Verdict.FAILED if surely > found.auc_allowed else unfound,
        told=f"on average over {found.records} records and {found.shadows} trainings, AUC {found.auc:.3f} "
        f"({found.auc_low:.3f} to {found.auc_high:.3f}; chance .5, at most {found.auc_allowed:.3f} by the "
        f"promise); {found.tpr:.2%} of members found at {found.fpr:.1%} false alarms ({found.tpr_low:.2%} to "
        f"{found.tpr_high:.2%}; chance {found.fpr:.1%}, at most {found.tpr_allowed:.2%} by the promise)",
        power=(
            "without noise it reaches"
            if sees
            else "the attack is blind: not even without noise does it tell, with"
        )
        + f" AUC {found.unprotected_auc:.3f} ({found.unprotected_auc_low:.3f} to "
        f"{found.unprotected_auc_high:.3f}), and finds {found.unprotected_tpr:.2%}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    auc: float
    auc_range: tuple[float, float]
    auc_deviation: float
    tpr: float
    tpr_range: tuple[float, float]


def _measured(found: Attacked, chosen: _Flags, seed: int) -> _Measured:
    victims = found.part(slice(_half(len(found.members)), None))
    scores = lira_scores(found.part(slice(0, _half(len(found.members)))), victims)[:, chosen]
    members = victims.members[:, chosen]
    area, hits = _rates(scores, members)
    pairs = len(scores) // 2
    generator = np.random.default_rng([seed, _STREAM])
    areas, rates = [], []
    for _ in range(_RESAMPLED):
        drawn = generator.integers(0, pairs, pairs)
        both = np.concatenate([2 * drawn, 2 * drawn + 1])
        one, other = _rates(scores[both], members[both])
        areas.append(one)
        rates.append(other)
    low, high = np.quantile(areas, (0.025, 0.975)).tolist()
    least, most = np.quantile(rates, (0.025, 0.975)).tolist()
    return _Measured(
        auc=area,
        auc_range=(low, high),
        auc_deviation=float(np.std(areas)),
        tpr=hits,
        tpr_range=(least, most),
    )


def _half(models: int) -> int:
    """Half of them, in whole pairs."""
    return models // 4 * 2


def _rates(scores: _Floats, members: _Flags) -> tuple[float, float]:
    """AUC, and the share of members above all but a thousandth of the others."""
    flat, inside = scores.ravel(), members.ravel()
    others = np.sort(flat[~inside])
    threshold = others[len(others) - 1 - int(FPR * len(others))]
    return auc(inside.astype(np.int8), flat), float((flat[inside] > threshold).mean())
