"""The scorecard's program: nine private sums, from a histogram to points per bin, and what follows them.

1. Histogram of every table: bins and weights of evidence.
2. Covariance of the standardised weights of evidence: preconditioner.
3. Gradients of a logistic regression on them; the mean of the later iterates is kept.
4. Residual histograms: each bin is moved by a damped Jacobi-Newton step, so the card keeps its form.
5. If the contract has grades: the scores of bad and good records, for calibration and cut-offs.
6. If it has an evaluation: sums over the test rows, which no sum before has seen.

Because the program sees sums alone, its card does not depend on how rows are spread over parties.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from fedscore.card import Card, build_card
from fedscore.contract import Contract
from fedscore.learners.program import Steps, settled
from fedscore.learners.scorecard.axes import Axes
from fedscore.learners.scorecard.evidence import Evidence, weigh
from fedscore.learners.scorecard.finishing import finished, finishing_plan
from fedscore.learners.scorecard.monotone import make_monotone
from fedscore.learners.scorecard.queries import Covariance, Gradient, Histogram, LinearModel, Residuals
from fedscore.learners.scorecard.refinement import Refinement
from fedscore.learners.scorecard.regression import first_slopes, precondition, standardise, step
from fedscore.learners.scorecard.roles import RoleOffsets
from fedscore.learners.scorecard.settings import Settings
from fedscore.learners.scorecard.standard_errors import log_odds_errors, slope_variances
from fedscore.sums import PlannedSum

__all__ = ["Scorecard"]


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The program for one contract.

    Attributes:
        contract: Gives the tables; the program reads nothing else of it.
        settings: Public constants.
    """

    contract: Contract
    settings: Settings = field(default_factory=Settings)

    @property
    def plan(self) -> tuple[PlannedSum, ...]:
        """Histogram, covariance, gradients, residual histograms; then scores, and the test side's sums."""
        return finishing_plan(self.contract, self._training_plan)

    @property
    def _training_plan(self) -> tuple[PlannedSum, ...]:
        settings, axes = self.settings, Axes.of(self.contract)
        columns = len(axes) + 1
        radius_squared = settings.covariance_radius**2
        refinements = 1 - settings.histogram_share - settings.covariance_share - settings.gradients_share
        return (
            PlannedSum(
                name="histogram",
                share=settings.histogram_share,
                sensitivity_squared=Fraction(axes.tables_of_a_record),
                largest=Fraction(1),
                integral=True,
                dimension_limit=2 * axes.cells,
            ),
            PlannedSum(
                name="covariance",
                share=settings.covariance_share,
                sensitivity_squared=radius_squared**2,
                largest=radius_squared,
                integral=False,
                dimension_limit=columns * (columns + 1) // 2,
            ),
            *(
                PlannedSum(
                    name=f"gradient {number}",
                    share=settings.gradients_share / settings.gradient_rounds,
                    sensitivity_squared=Fraction(1),
                    largest=Fraction(1),
                    integral=False,
                    dimension_limit=columns,
                )
                for number in range(1, settings.gradient_rounds + 1)
            ),
            *(
                PlannedSum(
                    name=f"residuals {number}",
                    share=refinements / settings.refinement_rounds,
                    sensitivity_squared=Fraction(axes.tables_of_a_record),
                    largest=Fraction(1),
                    integral=False,
                    dimension_limit=axes.cells,
                )
                for number in range(1, settings.refinement_rounds + 1)
            ),
        )

    def steps(self) -> Steps:
        """Runs the program; see the module's docstring."""
        settings, axes = self.settings, Axes.of(self.contract)

        released = yield Histogram(axes)
        deviations = np.full(axes.cells, released.deviation)
        evidence = weigh(
            axes,
            released.values[: axes.cells],
            released.values[axes.cells :],
            released.deviation,
            settings,
        )
        model, spreads = standardise(axes, evidence, settings)
        model = LinearModel(axes=axes, columns=settled(model.columns), constant=model.constant)

        covariance = Covariance(model, float(settings.covariance_radius))
        released = yield covariance
        preconditioner = precondition(
            covariance.matrix(released.values), released.deviation, evidence, settings
        )

        roles = RoleOffsets(axes, evidence)
        offsets = settled(roles.cells())
        start = slopes = settled(first_slopes(model, spreads, preconditioner, roles.intercept, settings))
        iterates = []
        gradient_deviation = 0.0
        for _ in range(settings.gradient_rounds):
            released = yield Gradient(model, slopes, offsets)
            gradient, gradient_deviation = released.values / evidence.everyone.records, released.deviation
            slopes = settled(step(slopes, gradient, start, preconditioner, settings))
            iterates.append(slopes)
        slopes = np.mean(iterates[len(iterates) // 2 :], axis=0)

        intercept = float(settled(slopes[:1] * model.constant)[0])
        log_odds = settled(model.cell_log_odds(slopes) + offsets)
        refinement = Refinement(axes, evidence, preconditioner, settings)
        for _ in range(settings.refinement_rounds):
            released = yield Residuals(axes, evidence.bin_of_cell, log_odds, intercept)
            shift, moves = refinement.step(released.values, released.deviation)
            intercept = float(settled(np.array([intercept + shift]))[0])
            limit = settings.largest_log_odds
            log_odds = settled(np.clip(log_odds + moves, -limit, limit))
        errors = log_odds_errors(
            axes,
            evidence,
            refinement,
            model=model,
            tilts=slopes[1:] * model.constant / spreads,
            variances=slope_variances(preconditioner, evidence, gradient_deviation, settings),
            residual_deviation=released.deviation,
            rounds=settings.refinement_rounds,
        )
        log_odds = settled(make_monotone(axes, log_odds, evidence))
        card = self._card(log_odds, intercept, evidence, errors, deviations)
        return (yield from finished(card, self.contract))

    def _card(
        self,
        log_odds: npt.NDArray[np.float64],
        intercept: float,
        evidence: Evidence,
        errors: npt.NDArray[np.float64],
        deviations: npt.NDArray[np.float64],
    ) -> Card:
        return build_card(
            self.contract,
            cell_log_odds=log_odds,
            bin_of_cell=evidence.bin_of_cell,
            intercept=intercept,
            bad=evidence.bad,
            good=evidence.good,
            errors=errors,
            deviations=deviations,
        )
