"""A Kalman filter over the rounds: every gradient is a linear measurement of where the best card lies.

Let θ be what the cells add, less the start, with the prior precision Q, and H the curvature. The gradient of
the penalised objective at θ is H' (θ̂ - θ), with H' = H + Q and θ̂ its optimum, as far as it is linear. A round
measures M times the unpenalised gradient with noise of the variance R. So it says of θ̂ - θ

    m - M Q θ = M H' (θ̂ - θ) + noise,

and the information about θ̂ grows by (M H')ᵀ R⁻¹ (M H'). Since H is not quite right and changes on the way,
what earlier rounds said is forgotten a little with each new one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedscore.learners.filtered.settings import Settings

__all__ = ["Filter"]

_Floats = npt.NDArray[np.float64]

_LEAST_SPREAD = 0.1
"""Scores are taken to deviate by this much at least, in log-odds."""

_LEAST_NOISE = 1e-3
"""Without noise, measurements are taken to be so exact, in parts of the root of the number of records."""


class Filter:
    """Joins the rounds' measurements."""

    def __init__(
        self, *, curvature: _Floats, prior: _Floats, mapping: _Floats, records: float, settings: Settings
    ) -> None:
        """Begins with the prior alone.

        Args:
            curvature: [parameters, parameters], of the objective; the first parameter is the intercept.
            prior: [parameters, parameters], covariance of the deviation from the start.
            mapping: [measurements, parameters]: what of the gradient a round measures.
            records: How many there are.
            settings: Public constants.
        """
        self._curvature, self._mapping = curvature, mapping
        self._prior = np.linalg.inv(prior)
        self._response = mapping @ (curvature + self._prior)
        self._information = self._prior.copy()
        self._floor = _LEAST_NOISE**2 * records
        self._forget, self._largest = settings.forget, settings.largest_move
        self._known: tuple[_Floats, _Floats, _Floats] | None = None

    def _gained(self, variances: _Floats) -> tuple[_Floats, _Floats]:
        """What a measurement is worth to each parameter, and what it adds to the information.

        Rounds with the same noise share one: this product is most of a round's work.
        """
        if self._known is None or not np.array_equal(self._known[0], variances):
            gain = (self._response / (variances + self._floor)[:, None]).T
            self._known = variances.copy(), gain, gain @ self._response
        return self._known[1:]

    def move(self, deviation: _Floats, measured: _Floats, variances: _Floats) -> _Floats:
        """Takes a round's measurement, and says how far the card moves for it.

        Args:
            deviation: [parameters], where the gradient was taken, less the start.
            measured: [measurements], the noisy gradient.
            variances: [measurements], of its noise.
        """
        gain, gained = self._gained(variances)
        kept = self._forget * (self._information - self._prior)
        self._information = kept + self._prior + gained
        innovation = measured - self._mapping @ (self._prior @ deviation)
        move = np.linalg.solve(self._information, gain @ innovation)
        # Relative to the intercept's curvature: by how much the scores of records move.
        length = float(np.sqrt(max(float(move @ self._curvature @ move), 1e-12) / self._curvature[0, 0]))
        return np.asarray(move * min(1.0, self._largest / length))

    def scores(self, parameters: _Floats) -> _Floats:
        """Where log-odds lie, and how far they deviate, over records weighted by their curvature.

        Args:
            parameters: [parameters], the intercept and what each cell adds.

        Returns:
            [2].
        """
        response = self._curvature @ parameters / self._curvature[0, 0]
        centre = float(response[0])
        squared = float(parameters @ response) - centre**2
        return np.array([centre, max(float(np.sqrt(max(squared, 0.0))), _LEAST_SPREAD)])

    def covariance(
        self,
        response: _Floats,
        *,
        sampling: _Floats,
        noise: _Floats,
        tables: npt.NDArray[np.int64],
    ) -> _Floats:
        """How far a card of other records of the same kind, with other noise, would lie from this one.

        The filter ends at start + K (θ̂ - start) + noise with K = 1 - info⁻¹ Q, and the penalised optimum θ̂
        is H'⁻¹(H θ* + Q start). So the start is left with the part 1 - K + K H'⁻¹ Q, and what the records say
        with K H'⁻¹ H. Both hang on the same records, so their errors add up before they are squared; what
        one table's records do to another table is left out. The rounds' noise gives
        info⁻¹ (info - Q) info⁻¹.

        Args:
            response: [parameters, parameters], how the start moves with each cell's own log-odds.
            sampling: [parameters], variance of those log-odds over other records.
            noise: [parameters], variance that the histogram's noise gives to them.
            tables: [parameters], whose they are.

        Returns:
            [parameters, parameters].
        """
        of_start, of_counts = self._responses(response)
        same_table = tables[:, None] == tables[None, :]
        of_records = same_table * of_counts
        posterior = np.linalg.inv(self._information)
        rounds = posterior @ (self._information - self._prior) @ posterior
        return np.asarray(rounds + (of_start * noise) @ of_start.T + (of_records * sampling) @ of_records.T)

    def freedom(self, response: _Floats) -> float:
        """How many parameters the card could as well have had, all of them free: its degrees of freedom.

        Over the records that the card was made from Σ(y - p) η is larger by so much than over fresh ones
        (Stein).

        Args:
            response: [parameters, parameters], how the start moves with each cell's own log-odds.
        """
        _, of_counts = self._responses(response)
        return float(np.trace(of_counts))

    def _responses(self, response: _Floats) -> tuple[_Floats, _Floats]:
        """How the card moves with the start's counts alone, and with all that is counted."""
        posterior = np.linalg.inv(self._information)
        optimum = np.linalg.inv(self._curvature + self._prior)
        kept = posterior @ self._prior
        taken = np.eye(len(kept)) - kept
        of_start = (kept + taken @ optimum @ self._prior) @ response
        return of_start, of_start + taken @ optimum @ self._curvature
