"""The public recipe (Flower with Opacus) on a scenario's rows: what goes in, and what comes out."""

from __future__ import annotations

import functools

import numpy as np

from fedscore.contract import Contract, Encoding, Learner, NeuralTerms, NoiseMode
from fedscore.data import Rows
from fedscore.learners.neural.architecture import Architecture
from fedscore.learners.neural.inputs import Inputs, grid_inputs
from simulations.dealing import Dealt
from simulations.methods import measure
from simulations.outcomes import Outcome
from simulations.results import Run
from simulations.scenario import Baseline
from simulations.timings import Timing

__all__ = ["naive_flower_opacus"]


def naive_flower_opacus(
    contract: Contract, dealt: Dealt, *, baseline: Baseline, terms: NeuralTerms, seed: int
) -> Outcome:
    """Follow the recipe with the contract's epsilon, and price what it really did.

    The model has the layers of the neural learner, and sees the same inputs: those of public grids. Evidence
    from a histogram would have to be paid for, and the recipe has no private histogram, so there the usual
    encoding takes its place.

    Args:
        contract: Names tables, epsilon and delta.
        dealt: Who holds which rows.
        baseline: Which of its three forms.
        terms: Of the neural model.
        seed: Of first weights, batches and noise.

    Raises:
        ScenarioError: No party holds a row, or a client failed.
    """
    # torch, Opacus and Flower's strategies take seconds to import: only who runs the recipe waits for them.
    from simulations import naive_flower_opacus as recipe  # noqa: PLC0415
    from simulations.naive_flower_client import AS_PUBLISHED, Meant, Recipe  # noqa: PLC0415
    from simulations.plain_network import plain_network  # noqa: PLC0415

    recipes = {
        Baseline.NAIVE_FLOWER_OPACUS: AS_PUBLISHED,
        Baseline.NAIVE_TUNED: Recipe(),
        Baseline.NAIVE_TUNED_TRUE: Recipe(meant=Meant.RUN),
    }
    encoding = Encoding.STANDARDISED if terms.encoding is Encoding.EVIDENCE else terms.encoding
    inputs = grid_inputs(contract.tables, encoding)

    def examples(rows: Rows) -> recipe.Examples:
        return recipe.Examples(features=_features(inputs, rows), outcome=rows.outcome)

    test = dealt.pooled_test
    result = recipe.naive_flower_opacus(
        {party: examples(rows) for party, rows in dealt.training.items()},
        examples(test),
        model=functools.partial(plain_network, terms),
        epsilon=contract.privacy.epsilon,
        delta=contract.privacy.delta,
        seed=seed,
        recipe=recipes[baseline],
    )
    rules = contract.rows
    one_record = rules.organisations_per_person * rules.rows_per_person == 1
    run = Run(
        learner=Learner.NEURAL,
        baseline=baseline,
        private=True,
        epsilon=contract.privacy.epsilon,
        epsilon_spent=result.epsilon_true,
        epsilon_person=result.epsilon_true if one_record else None,
        epsilon_reported=result.epsilon_reported,
        delta=contract.privacy.delta,
        noise=NoiseMode.LOCAL,
        encrypted=False,
        parties=len(dealt.training),
        seed=seed,
        rounds=result.rounds,
        values_per_party=result.rounds * Architecture.of(terms, len(inputs)).parameters,
        bytes_per_party=result.bytes_per_party,
        **measure(test.outcome, result.probability).fields,
    )
    # Every round of averaging is one exchange.
    timing = Timing(
        learner=run.learner,
        baseline=baseline,
        noise=run.noise,
        epsilon=run.epsilon,
        seed=seed,
        seconds=result.seconds,
        phases=result.rounds,
    )
    return Outcome(run=run, timing=timing)


def _features(inputs: Inputs, rows: Rows) -> np.typing.NDArray[np.float32]:
    return inputs.of(rows.cells).astype(np.float32)
