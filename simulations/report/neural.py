"""What a neural model is, in words: there are no points to draw."""

from __future__ import annotations

from fedscore.contract import Encoding, NeuralModelKind, NeuralTerms, Optimiser, Training
from fedscore.learners.neural.model import NeuralModel

__all__ = ["described"]

_ENCODINGS = {
    Encoding.STANDARDISED: "the place of a value along its public grid, and an indicator for every other "
    "cell: missing, not held, levels",
    Encoding.ONE_HOT: "an indicator for every cell of the public grids",
    Encoding.EVIDENCE: "weights of evidence from a private histogram, which was paid for, and indicators for "
    "missing and not held",
}
_OPTIMISERS = {Optimiser.ADAM: "Adam", Optimiser.MOMENTUM: "momentum"}


def described(model: NeuralModel) -> tuple[tuple[str, str], ...]:
    """The model's form, inputs and training, as pairs of a name and what there is to say.

    Args:
        model: As it was trained.
    """
    terms = model.terms
    return (
        ("form", _form(terms)),
        ("inputs", f"{len(model.inputs)} numbers of {_characteristics(model)} characteristics"),
        ("encoding", f"{terms.encoding}: {_ENCODINGS[terms.encoding]}"),
        ("parameters", f"{len(model.parameters):,} weights and biases"),
        ("training", _training(terms)),
        ("rounds", _rounds(model)),
        ("clipping", f"every record's gradient to a norm of {terms.max_grad_norm:g}"),
        ("optimiser", f"{_OPTIMISERS[terms.optimiser]} with learning rate {terms.learning_rate:g}"),
    )


def _form(terms: NeuralTerms) -> str:
    if terms.model is NeuralModelKind.LOGISTIC:
        return "logistic: one weight per input"
    layers = " and ".join(str(units) for units in terms.hidden)
    return f"mlp: hidden {'layer' if len(terms.hidden) == 1 else 'layers'} of {layers} rectified units"


def _characteristics(model: NeuralModel) -> int:
    return len({column.table for column in model.inputs})


def _training(terms: NeuralTerms) -> str:
    if terms.training is Training.SHARED:
        how = "shared: every round is one step, a sum of all organisations' clipped gradients with noise"
    else:
        steps = "step" if terms.local_steps == 1 else "steps"
        how = (
            f"local: in every round each organisation takes {terms.local_steps} {steps} of its own, each "
            "with the whole noise, and a sum averages where they led"
        )
    if terms.one_in == 1:
        return f"{how}; all records take part in every step"
    return f"{how}; a record takes part in a step with a chance of 1 in {terms.one_in}"


def _rounds(model: NeuralModel) -> str:
    planned = model.terms.rounds
    told = f"{model.rounds}"
    if model.rounds < planned:
        told += (
            f" of {planned}: the sums had shown nothing but noise for {model.terms.patience} rounds on end"
        )
    return f"{told}; the model is the mean of the weights after each of the later half"
