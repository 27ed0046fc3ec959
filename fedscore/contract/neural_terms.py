"""What a contract says of a neural model: its form, what it sees, and how it is trained."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from fedscore.contract.values import Term

__all__ = ["Encoding", "Learner", "NeuralModelKind", "NeuralTerms", "Optimiser", "Training"]


class Learner(StrEnum):
    """What a run does."""

    SCORECARD = "scorecard"
    """A card of points per bin."""

    NEURAL = "neural"
    """A neural model."""

    MONITORING = "monitoring"
    """Nothing is trained: a finished card is watched on present rows."""


class NeuralModelKind(StrEnum):
    """The form of a neural model."""

    LOGISTIC = "logistic"
    """One weight per input."""

    MLP = "mlp"
    """Fully connected layers of rectified units, one or two."""


class Encoding(StrEnum):
    """What a neural model sees of a row's cells."""

    STANDARDISED = "standardised"
    """The cell's place along its grid, and an indicator for every other cell: missing, not held, levels."""

    ONE_HOT = "one-hot"
    """An indicator for every cell."""

    EVIDENCE = "evidence"
    """The cell's weight of evidence from a private histogram, which is paid for, and indicators for missing
    and not held."""


class Training(StrEnum):
    """Where the noise of training is added."""

    SHARED = "shared"
    """Every step is a private sum of all parties' clipped gradients."""

    LOCAL = "local"
    """Every party takes steps of its own, each with its whole noise; sums average the models."""


class Optimiser(StrEnum):
    """What makes a step of noisy gradients; it sees released sums alone."""

    ADAM = "adam"
    """Adam (Kingma and Ba 2015)."""

    MOMENTUM = "momentum"
    """Heavy-ball momentum on gradients that are scaled by the number of records."""


class NeuralTerms(Term):
    """A neural model and its training, fixed before the first round."""

    model: NeuralModelKind = NeuralModelKind.MLP
    """The form of the model: "mlp" or "logistic"."""

    hidden: Annotated[
        tuple[Annotated[int, Field(strict=True, ge=1, le=512)], ...], Field(min_length=1, max_length=2)
    ] = (16,)
    """Units of each hidden layer of an mlp: one or two numbers, 1 to 512."""

    encoding: Encoding = Encoding.STANDARDISED
    """What the model sees of a row: "standardised", "one-hot" or "evidence"."""

    training: Training = Training.SHARED
    """Where noise is added: "shared", in sums over all parties, or "local", by each party in every step."""

    rounds: Annotated[int, Field(strict=True, ge=1, le=1000)] = 60
    """How many sums train the model: 1 to 1000."""

    one_in: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 1
    """A record takes part in a step with chance 1 / one_in: 1, the default, for all records in all steps."""

    local_steps: Annotated[int, Field(strict=True, ge=1, le=1000)] = 4
    """How many steps a party takes by itself in each round of local training: 1 to 1000."""

    max_grad_norm: Annotated[float, Field(strict=True, ge=0.01, le=100.0)] = 2.0
    """The norm that a record's gradient is clipped to: 0.01 to 100."""

    optimiser: Optimiser = Optimiser.ADAM
    """What makes a step of a noisy gradient: "adam" or "momentum"."""

    learning_rate: Annotated[float, Field(strict=True, gt=0.0, le=10.0)] = 0.1
    """The size of a step: above 0, at most 10."""

    patience: Annotated[int, Field(strict=True, ge=0, le=1000)] = 0
    """Training stops after so many rounds on end whose released sums look like mere noise; 0 for never."""
