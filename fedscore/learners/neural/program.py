"""The neural learner's programs: what they ask for, and what they do with the answers.

Both begin with one sum: the numbers of bad and good records, or the histogram of every table if the contract
asks for weights of evidence. Then, round by round,

    shared   one sum of all records' clipped gradients, with shared noise, is one step: central DP-SGD (Abadi
             et al. 2016), without anybody who sees a gradient;
    local    each party takes a few steps of its own, each with its whole noise, and a sum averages where they
             led (FedAvg: McMahan et al. 2017), every party counting the same.

What a step does with a released sum is public, and every party can follow it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from fedscore.contract import Contract, Encoding, NeuralTerms, Training
from fedscore.errors import ContractError
from fedscore.learners.neural.architecture import Architecture
from fedscore.learners.neural.extra import require_neural_extra
from fedscore.learners.neural.fixed_point import rounded_weights
from fedscore.learners.neural.gradients import GradientQuery, OutcomeCounts
from fedscore.learners.neural.inputs import Inputs, evidence_inputs, grid_inputs
from fedscore.learners.neural.model import NeuralModel, model_of
from fedscore.learners.neural.steps import Patience, average, stepper_of
from fedscore.learners.program import Steps
from fedscore.learners.scorecard.axes import Axes
from fedscore.learners.scorecard.evidence import weigh
from fedscore.learners.scorecard.queries import Histogram
from fedscore.learners.scorecard.regression import standardise
from fedscore.learners.scorecard.settings import Settings
from fedscore.sums import PlannedSum, Query, Released, StepSum, Update

__all__ = ["LocalUpdate", "Neural"]

_Parameters = npt.NDArray[np.float64]

COUNTS_SHARE = Fraction(2, 100)
"""Part of μ² for the numbers of bad and good records."""

HISTOGRAM_SHARE = Fraction(30, 100)
"""Part of μ² for the histogram, where weights of evidence are asked for."""

LARGEST_UPDATE = 8
"""A party moves a weight by at most so much in a round of local training; beyond, its update is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """What the first sum gave.

    Attributes:
        inputs: What the model sees of a row.
        records: Number of records, with noise.
        log_odds: Log-odds of the outcome over all records.
    """

    inputs: Inputs
    records: float
    log_odds: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalUpdate(Update):
    """How far a party's own steps lead from public parameters; the last value counts the party.

    Attributes:
        architecture: The model's.
        inputs: What it sees of a row.
        parameters: [parameters], where to start.
        terms: Of the contract.
        records: Records that take part in a step at a party, on average.
    """

    architecture: Architecture
    inputs: Inputs
    parameters: _Parameters
    terms: NeuralTerms
    records: float

    @property
    def dimension(self) -> int:  # type: ignore[override]  # fixed by the architecture
        """Number of parameters, and one."""
        return self.architecture.parameters + 1

    def compute(self, steps: int, noisy: StepSum) -> _Parameters:
        """See `Update.compute`.

        Raises:
            MissingExtra: torch or Opacus is not installed.
        """
        require_neural_extra()
        # torch and Opacus take seconds to import: only those who train wait for them.
        from fedscore.learners.neural.local_training import trained_at_home  # noqa: PLC0415

        moved, _ = trained_at_home(
            self.architecture,
            self.inputs,
            self.parameters,
            self.terms,
            steps=steps,
            records=self.records,
            noisy=noisy,
        )
        return np.append(moved - self.parameters, 1.0)


@dataclass(frozen=True, slots=True)
class Neural:
    """The program of a contract with `learner = "neural"`.

    Attributes:
        contract: With its neural terms.
    """

    contract: Contract

    @property
    def terms(self) -> NeuralTerms:
        """The contract's."""
        if self.contract.neural is None:
            raise ContractError('the contract has no neural terms: learner = "neural" needs them')
        return self.contract.neural

    @property
    def plan(self) -> tuple[PlannedSum, ...]:
        """The first sum, and one a round."""
        terms = self.terms
        first = self._first_sum()
        share = (1 - first.share) / terms.rounds
        bound = Fraction(terms.max_grad_norm)
        parameters = self._largest_architecture().parameters
        is_local = terms.training is Training.LOCAL
        return (
            first,
            *(
                PlannedSum(
                    name=f"{'update' if is_local else 'gradient'} {number}",
                    share=share,
                    sensitivity_squared=bound**2,
                    largest=Fraction(LARGEST_UPDATE) if is_local else bound,
                    integral=False,
                    dimension_limit=parameters + is_local,
                    one_in=terms.one_in,
                    local_steps=terms.local_steps if is_local else 0,
                )
                for number in range(1, terms.rounds + 1)
            ),
        )

    def steps(self) -> Steps:
        """Runs the program; see the module's docstring."""
        start = yield from self._start()
        architecture = Architecture.of(self.terms, len(start.inputs))
        parameters = architecture.initial(start.log_odds)
        if self.terms.training is Training.LOCAL:
            return (yield from self._averaged(start, architecture, parameters))
        return (yield from self._shared(start, architecture, parameters))

    def _shared(self, start: _Start, architecture: Architecture, parameters: _Parameters) -> Steps:
        terms = self.terms
        stepper = stepper_of(terms, records=start.records / terms.one_in)
        patience = Patience(terms.patience)
        iterates = []
        for _ in range(terms.rounds):
            gradient = yield GradientQuery(
                architecture=architecture,
                inputs=start.inputs,
                parameters=parameters,
                max_grad_norm=terms.max_grad_norm,
            )
            parameters = rounded_weights(parameters + stepper.step(gradient))
            iterates.append(parameters)
            if patience.is_over(gradient):
                break
        return self._model(start, average(iterates), rounds=len(iterates))

    def _averaged(self, start: _Start, architecture: Architecture, parameters: _Parameters) -> Steps:
        terms = self.terms
        records = start.records / terms.one_in / len(self.contract.parties)
        iterates = []
        for _ in range(terms.rounds):
            released = yield LocalUpdate(
                architecture=architecture,
                inputs=start.inputs,
                parameters=parameters,
                terms=terms,
                records=records,
            )
            parties = max(released.values[-1], 1.0)
            parameters = rounded_weights(parameters + released.values[:-1] / parties)
            iterates.append(parameters)
        return self._model(start, average(iterates), rounds=len(iterates))

    def _model(self, start: _Start, parameters: _Parameters, *, rounds: int) -> NeuralModel:
        return model_of(self.contract, self.terms, start.inputs, parameters, rounds=rounds)

    def _first_sum(self) -> PlannedSum:
        if self.terms.encoding is not Encoding.EVIDENCE:
            return PlannedSum(
                name="outcomes",
                share=COUNTS_SHARE,
                sensitivity_squared=Fraction(1),
                largest=Fraction(1),
                integral=True,
                dimension_limit=2,
            )
        axes = Axes.of(self.contract)
        return PlannedSum(
            name="histogram",
            share=HISTOGRAM_SHARE,
            sensitivity_squared=Fraction(axes.tables_of_a_record),
            largest=Fraction(1),
            integral=True,
            dimension_limit=2 * axes.cells,
        )

    def _largest_architecture(self) -> Architecture:
        """The architecture: inputs are as many whatever the histogram says."""
        tables, encoding = self.contract.tables, self.terms.encoding
        if encoding is Encoding.EVIDENCE:
            inputs = evidence_inputs(tables, np.zeros(Axes.of(self.contract).cells))
        else:
            inputs = grid_inputs(tables, encoding)
        return Architecture.of(self.terms, len(inputs))

    def _start(self) -> Generator[Query, Released, _Start]:
        if self.terms.encoding is not Encoding.EVIDENCE:
            released = yield OutcomeCounts()
            return _counted(released, grid_inputs(self.contract.tables, self.terms.encoding))
        axes, settings = Axes.of(self.contract), Settings()
        released = yield Histogram(axes)
        bad, good = released.values[: axes.cells], released.values[axes.cells :]
        evidence = weigh(axes, bad, good, released.deviation, settings)
        model, _ = standardise(axes, evidence, settings)
        return _Start(
            inputs=evidence_inputs(self.contract.tables, model.columns / model.constant),
            records=evidence.everyone.records,
            log_odds=evidence.everyone.log_odds,
        )


def _counted(released: Released, inputs: Inputs) -> _Start:
    """Noise may leave hardly anybody: ten records on each side are the least that is reckoned with."""
    bad, good = np.maximum(released.values, 10.0).tolist()
    return _Start(inputs=inputs, records=bad + good, log_odds=float(np.log(bad / good)))
