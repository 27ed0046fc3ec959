"""The filtered card's program: nine private sums, each of which measures what the card should be.

1. Histogram of every table: log-odds per cell, and a standardised column for every table.
2. Covariance of the characteristics' columns: one slope to start with.
3. Curvature of the few columns at the start; with the histogram's masses, the curvature of all cells.
4. Rounds: gradients in the columns and in all cells at once, each a measurement for a Kalman filter, which
   knows its noise. The best card by all measurements and the prior is what the next round looks at.
5. Level: the mean probability is made the bad rate, for all and for each role, and scores as far apart as
   outcomes say.
6. and 7. as in the plain card, steps 5 and 6: grades, evaluation (`fedscore.learners.scorecard.finishing`).

Because the program sees sums alone, its card does not depend on how rows are spread over parties.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from fedscore.card import Card, build_card
from fedscore.contract import Contract
from fedscore.learners.filtered.curvature import columns_curvature, whole_curvature
from fedscore.learners.filtered.filtering import Filter
from fedscore.learners.filtered.layout import Layout
from fedscore.learners.filtered.level import SQUARED_BOUND, Level, corrected, correction_of
from fedscore.learners.filtered.marginals import Marginals, read_histogram
from fedscore.learners.filtered.points import points_of
from fedscore.learners.filtered.prior import prior_covariance
from fedscore.learners.filtered.queries import Columns, Curvature, Gradient, Histogram, Model, Moments
from fedscore.learners.filtered.settings import Settings
from fedscore.learners.filtered.start import correlations_of, start_of
from fedscore.learners.program import Steps, settled
from fedscore.learners.scorecard.finishing import finished, finishing_plan
from fedscore.sums import PlannedSum, Released

__all__ = ["Filtered"]

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Filtered:
    """The program for one contract.

    Attributes:
        contract: Gives the tables; the program reads nothing else of it.
        settings: Public constants.
    """

    contract: Contract
    settings: Settings = field(default_factory=Settings)

    @property
    def plan(self) -> tuple[PlannedSum, ...]:
        """Histogram, covariance, curvature, gradients; then scores, and the test side's sums."""
        settings, layout = self.settings, self._layout
        held = layout.singles.tables_of_a_record
        moments = settings.radius**2 * held
        columns = Columns(layout, np.zeros(layout.axes.cells)).count
        curvature = settings.curvature_bound * self._usual_norm
        rounds = 1 - settings.histogram_share - settings.covariance_share - settings.curvature_share
        rounds -= settings.level_share
        of_training = (
            PlannedSum(
                name="histogram",
                share=settings.histogram_share,
                sensitivity_squared=Fraction(layout.squared_weight),
                largest=Fraction(max(layout.weights)),
                integral=True,
                dimension_limit=2 * layout.axes.cells,
            ),
            PlannedSum(
                name="covariance",
                share=settings.covariance_share,
                sensitivity_squared=moments**2,
                largest=moments,
                integral=False,
                dimension_limit=len(layout.singles) * (len(layout.singles) + 1) // 2,
            ),
            PlannedSum(
                name="curvature",
                share=settings.curvature_share,
                sensitivity_squared=curvature**2,
                largest=curvature,
                integral=False,
                dimension_limit=columns * (columns + 1) // 2,
            ),
            *(
                PlannedSum(
                    name=f"gradient {number}",
                    share=rounds / self._rounds,
                    sensitivity_squared=Fraction(1),
                    largest=Fraction(1),
                    integral=False,
                    dimension_limit=columns + layout.axes.cells,
                )
                for number in range(1, self._rounds + 1)
            ),
            PlannedSum(
                name="level",
                share=settings.level_share,
                sensitivity_squared=Fraction(SQUARED_BOUND),
                largest=Fraction(1),
                integral=False,
                dimension_limit=2 * (1 + len(layout.carriers)) + 2,
            ),
        )
        return finishing_plan(self.contract, of_training)

    @property
    def _rounds(self) -> int:
        """How many gradients there are: by the contract's ε, which is public."""
        settings = self.settings
        is_small = self.contract.privacy.epsilon < settings.small_epsilon
        return min(settings.few_rounds, settings.rounds) if is_small else settings.rounds

    @property
    def _layout(self) -> Layout:
        return Layout.of(self.contract, characteristic_weight=self.settings.characteristic_weight)

    @property
    def _usual_norm(self) -> Fraction:
        """The mean squared norm of a record's columns, if they were standardised exactly."""
        layout = self._layout
        crossed = len(layout.axes) - len(layout.singles)
        return 1 + layout.singles.tables_of_a_record + self.settings.column_weight**2 * crossed

    def steps(self) -> Steps:
        """Runs the program; see the module's docstring."""
        settings, layout = self.settings, self._layout
        released = yield Histogram(layout)
        marginals = read_histogram(released.values, released.deviation, layout, settings)
        columns = Columns(layout, settled(marginals.columns))

        moments = Moments(columns, float(settings.radius) * layout.singles.tables_of_a_record**0.5)
        released = yield moments
        correlations = correlations_of(
            moments.matrix(released.values), released.deviation, layout, marginals, settings
        )
        start, response = start_of(layout, marginals, correlations, settings)
        start = settled(start)

        curvature = Curvature(self._model(columns, start), float(settings.curvature_bound * self._usual_norm))
        released = yield curvature
        of_columns = columns_curvature(
            curvature.matrix(released.values), released.deviation, layout, marginals, correlations, settings
        )
        whole = whole_curvature(of_columns, layout, marginals, correlations, settings)
        prior = prior_covariance(layout, marginals, settings)
        # Cells of rows that do not hold a table add nothing, but for those that carry a role's offset.
        free = np.flatnonzero(np.diag(prior) > 0.0)
        rounds = _Rounds(columns, free)
        filter_ = Filter(
            curvature=whole[np.ix_(free, free)],
            prior=prior[np.ix_(free, free)],
            mapping=rounds.mapping,
            records=marginals.everyone.records,
            settings=settings,
        )
        parameters = start
        for _ in range(self._rounds):
            gradient = Gradient(self._model(columns, parameters))
            released = yield gradient
            measured, variances = rounds.read(gradient, released)
            moved = parameters.copy()
            moved[free] += filter_.move(parameters[free] - start[free], measured, variances)
            limit = settings.largest_log_odds
            moved[1:] = np.clip(moved[1:], -limit, limit)
            parameters = settled(moved)
        centre, spread = settled(filter_.scores(parameters[free])).tolist()
        level = Level(self._model(columns, parameters), centre, spread)
        released = yield level
        freedom = filter_.freedom(response[np.ix_(free, free)])
        correction = correction_of(level, released, marginals, freedom=freedom)
        parameters = corrected(parameters, correction, layout.carriers)
        limit = settings.largest_log_odds
        parameters[1:] = np.clip(parameters[1:], -limit, limit)
        parameters = settled(parameters)
        covariance = np.zeros((len(parameters), len(parameters)))
        covariance[np.ix_(free, free)] = correction.slope**2 * filter_.covariance(
            response[np.ix_(free, free)],
            sampling=np.concatenate([[0.0], 1.0 / marginals.information])[free],
            noise=np.concatenate([[0.0], marginals.noise])[free],
            tables=np.concatenate([[-1], np.repeat(np.arange(len(layout.axes)), layout.axes.sizes)])[free],
        )
        covariance += (correction.deviation / correction.slope) ** 2 * np.outer(parameters, parameters)
        card = self._card(parameters, covariance[1:, 1:], layout, marginals)
        return (yield from finished(card, self.contract))

    def _model(self, columns: Columns, parameters: _Floats) -> Model:
        return Model(
            columns=columns,
            intercept=float(parameters[0]),
            cells=parameters[1:],
            column_share=float(self.settings.column_share),
            usual_norm=float(self._usual_norm),
        )

    def _card(self, parameters: _Floats, covariance: _Floats, layout: Layout, marginals: Marginals) -> Card:
        points = points_of(parameters[1:], covariance, layout, marginals)
        return build_card(
            self.contract,
            cell_log_odds=points.log_odds,
            bin_of_cell=points.bin_of_cell,
            intercept=float(parameters[0]),
            bad=marginals.bad,
            good=marginals.good,
            deviations=marginals.deviations,
            errors=points.errors,
        )


class _Rounds:
    """What of the gradient the rounds measure: the columns, then every cell that counts records."""

    def __init__(self, columns: Columns, free: npt.NDArray[np.int64]) -> None:
        layout = columns.layout
        self._counted = np.concatenate([layout.counted_cells(table) for table in range(len(layout.axes))])
        cells = np.eye(1 + layout.axes.cells)[1 + self._counted]
        self.mapping = np.concatenate([columns.mapping, cells])[:, free]

    def read(self, gradient: Gradient, released: Released) -> tuple[_Floats, _Floats]:
        """Brings a released sum into the gradient's units, with the variance of the noise in each value."""
        factors = gradient.factors
        count = gradient.model.columns.count
        chosen = np.concatenate([np.arange(count), count + self._counted])
        measured = released.values[chosen] / factors[chosen]
        return measured, (released.deviation / factors[chosen]) ** 2
