"""What would somebody who follows the public recipe build? A neural model's form, in plain single precision.

Importing this module imports torch: import it only where the recipe is to be run.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from fedscore.contract import NeuralTerms
from fedscore.learners.neural.architecture import Architecture

__all__ = ["plain_network"]


def plain_network(terms: NeuralTerms, width: int) -> nn.Module:
    """Layers as wide as the neural learner's, with rectified units and torch's own first weights.

    Args:
        terms: Say which layers there are.
        width: Number of features.

    Returns:
        A model of [records, width] in single precision, with one logit for each record: [records, 1].
    """
    widths = (width, *Architecture.of(terms, width).hidden, 1)
    layers: list[nn.Module] = []
    for inputs, units in pairwise(widths):
        layers += [nn.Linear(inputs, units, dtype=torch.float32), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
