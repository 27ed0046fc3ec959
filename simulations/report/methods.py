"""What the methods of an experiment are, a sentence for each that is there."""

from __future__ import annotations

from collections.abc import Sequence

from simulations.scenario import Baseline
from simulations.wording import Method, method_in_words, product_in_words

__all__ = ["explained"]


def explained(methods: Sequence[Method]) -> tuple[str, ...]:
    """Say what was done under each name, for a reader who does not know the names.

    Args:
        methods: Of one or more epsilons; the first is the experiment's own.
    """
    what = product_in_words(methods[0])
    sentences = {
        None: f"one {what} from sums over all organisations, to which each adds a share of the noise "
        "(shared) or all of it (local)",
        Baseline.POOLED_LIGHTGBM: "gradient boosting on all raw columns of everybody's rows in one place, "
        "without privacy: the ceiling",
        Baseline.POOLED_NO_NOISE: f"the {what} that everybody's rows in one place would give without privacy",
        Baseline.LOCAL_ONLY: f"each organisation's own {what} is measured on the test rows of all "
        "organisations, and the mean is shown",
        Baseline.LOCAL_NOISE: "the same sums, where every organisation adds the whole noise",
        Baseline.SCORECARD: "one card of points from sums over all organisations, at the same ε",
        Baseline.NEURAL_SHARED: "every step of training is one sum of all organisations' clipped gradients, "
        "to which each adds a share of the noise",
        Baseline.NEURAL_LOCAL: "each organisation takes steps of its own, each with the whole noise, and "
        "sums average where they led",
        Baseline.NAIVE_FLOWER_OPACUS: "the public example of Flower and Opacus with its own constants, on "
        "the same inputs and with layers as wide; models and numbers of rows travel in clear",
        Baseline.NAIVE_TUNED: "the public example of Flower and Opacus with rounds, batches and steps that "
        "suit tables; it reports ε of one round; models and numbers of rows travel in clear",
        Baseline.NAIVE_TUNED_TRUE: "the public example of Flower and Opacus with rounds, batches and steps "
        "that suit tables, and with so much noise that ε is what all rounds cost; models and numbers of rows "
        "travel in clear",
    }
    names = {entry.baseline: method_in_words(entry) for entry in methods}
    return tuple(f"{_capital(name)}: {sentences[baseline]}." for baseline, name in names.items())


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
