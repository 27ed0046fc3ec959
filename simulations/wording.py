"""How methods, numbers and promises are put into words, the same in the terminal and in the report."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from fedscore.contract import Contract, Learner, NoiseMode
from simulations.results import Run, Summary
from simulations.scenario import Baseline

__all__ = [
    "Method",
    "Statement",
    "bytes_in_words",
    "epsilon_in_words",
    "gap_in_words",
    "method_in_words",
    "points_in_words",
    "product_in_words",
    "promises",
    "true_epsilon",
    "warnings_in_words",
]

_BASELINES = {
    Baseline.POOLED_LIGHTGBM: "pooled LightGBM",
    Baseline.POOLED_NO_NOISE: "pooled card, no privacy",
    Baseline.LOCAL_ONLY: "local cards, not shared",
    Baseline.LOCAL_NOISE: "federated, local noise",
}
_OWN = {
    NoiseMode.SHARED: "federated, shared noise",
    NoiseMode.LOCAL: "federated, local noise",
    NoiseMode.NONE: "federated, no noise",
}
_NEURAL_BASELINES = {
    Baseline.POOLED_LIGHTGBM: _BASELINES[Baseline.POOLED_LIGHTGBM],
    Baseline.POOLED_NO_NOISE: "pooled, no privacy",
    Baseline.LOCAL_ONLY: "local, not shared",
    Baseline.LOCAL_NOISE: "same sums, local noise",
    Baseline.NAIVE_FLOWER_OPACUS: "naive Flower + Opacus",
    Baseline.NAIVE_TUNED: "naive, tuned",
    Baseline.NAIVE_TUNED_TRUE: "naive, tuned, true ε",
}
_NEURAL_WAYS = frozenset({Baseline.NEURAL_SHARED, Baseline.NEURAL_LOCAL})
_NEURAL = {
    NoiseMode.SHARED: "neural (shared noise)",
    NoiseMode.LOCAL: "neural (local noise)",
    NoiseMode.NONE: "neural (no noise)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A paragraph with its heading."""

    heading: str
    text: str


class Method(Protocol):
    """Whatever is of one method at one epsilon: a run, or what is said of several."""

    @property
    def learner(self) -> str:
        """What was trained."""
        ...

    @property
    def baseline(self) -> Baseline | None:
        """What it is compared as."""
        ...

    @property
    def noise(self) -> NoiseMode:
        """Who added noise."""
        ...

    @property
    def epsilon(self) -> float | None:
        """The record-level epsilon asked for."""
        ...

    @property
    def epsilon_spent(self) -> float | None:
        """The true one."""
        ...

    @property
    def epsilon_reported(self) -> float | None:
        """What was reported instead, if something was."""
        ...


def method_in_words(method: Method) -> str:
    """What was done, for a reader who does not know the names in the files."""
    if method.learner == Learner.NEURAL:
        if method.baseline is None or method.baseline in _NEURAL_WAYS:
            return _NEURAL[method.noise]
        return _NEURAL_BASELINES[method.baseline]
    if method.baseline is Baseline.SCORECARD:
        return "scorecard"
    return _OWN[method.noise] if method.baseline is None else _BASELINES[method.baseline]


def product_in_words(method: Method) -> str:
    """What training ends with."""
    return "model" if method.learner == Learner.NEURAL else "card"


def true_epsilon(method: Method) -> float | None:
    """The epsilon to show: what was asked for, unless more than that was spent; None where it is infinite."""
    return method.epsilon if method.epsilon_reported is None else method.epsilon_spent


def gap_in_words(summary: Summary) -> str:
    """The own run's AUC minus a baseline's, with half the width of its 95 % interval; a dash for none."""
    if summary.auc_gap is None:
        return "\N{EN DASH}"
    margin = "" if summary.auc_gap_margin is None else f" ± {summary.auc_gap_margin:.4f}"
    return f"{summary.auc_gap:+.4f}{margin}"


def warnings_in_words(methods: Iterable[Method]) -> tuple[str, ...]:
    """What a reader of a table must know of methods that report another epsilon than the true one.

    Args:
        methods: At one or more epsilons each; one warning for each method.
    """
    pairs: dict[str, dict[tuple[str, str], None]] = {}
    for entry in methods:
        if entry.epsilon_reported is not None:
            pair = (f"{entry.epsilon_reported:.2f}", _finite(entry.epsilon_spent))
            pairs.setdefault(method_in_words(entry), {})[pair] = None
    return tuple(
        f"{method}: the recipe reports ε = {', '.join(reported for reported, _ in told)}, and its true ε is "
        f"at most {', '.join(true for _, true in told)}. It makes a new privacy engine in every round, which "
        "knows of one round alone; the true ε counts them all."
        for method, told in pairs.items()
    )


def _finite(epsilon: float | None) -> str:
    return "infinite" if epsilon is None else f"{epsilon:.2f}"


def epsilon_in_words(epsilon: float | None) -> str:
    """An epsilon as people write it; infinity where nothing is promised."""
    return "\N{INFINITY}" if epsilon is None else f"{epsilon:.4g}"


def bytes_in_words(size: int) -> str:
    """A size in units of 1,000; a dash for nothing."""
    if size == 0:
        return "\N{EN DASH}"
    for unit, name in ((1_000_000, "MB"), (1_000, "kB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size} B"


def points_in_words(points: float) -> str:
    """Points with their sign; zero has none of its own."""
    return f"{round(points, 1) + 0.0:+.1f}"


def promises(run: Run, contract: Contract) -> tuple[Statement, ...]:
    """What a run promises about privacy, on which assumptions, and what it does not promise.

    Args:
        run: A federated run.
        contract: The contract that it ran under.
    """
    if run.epsilon_spent is None:
        return (
            Statement(
                heading="No privacy",
                text="This run added no noise. Its sums, and so its "
                f"{product_in_words(run)}, promise nothing about anybody.",
            ),
        )
    return (
        _to_a_record(run, run.epsilon_spent),
        _to_a_person(run, contract),
        _assumptions(run, contract),
        _not_promised(run),
    )


def _to_a_record(run: Run, epsilon: float) -> Statement:
    text = (
        f"ε = {epsilon:.4g} at δ = {run.delta:g}. Whether any one record of any one organisation was in the "
        "training or not changes the probability of whatever anybody may conclude from all the opened sums "
        f"by a factor of at most {_factor(epsilon)}, but for a probability of {run.delta:g}. The noise is in "
        f"the sums themselves, so this holds for the {product_in_words(run)} and for everything else "
        "computed from them."
    )
    if run.epsilon_prv is not None:
        text += (
            " This ε is proven, by Rényi accounting. Opacus' PRV accountant estimates "
            f"{run.epsilon_prv:.4g} for the same steps; nothing relies on that."
        )
    return Statement(heading="Promised to one record", text=text)


def _factor(epsilon: float) -> str:
    # Beyond this the factor says nothing that "e to the epsilon" would not.
    return f"{math.exp(epsilon):.3g}" if epsilon < 20 else f"e^{epsilon:.0f}"


def _to_a_person(run: Run, contract: Contract) -> Statement:
    rules = contract.rows
    held = rules.organisations_per_person * rules.rows_per_person
    if held == 1:
        text = "The contract gives one person one record at one organisation, so the promise is the same."
    elif run.epsilon_person is None:
        text = f"A person may have {held} records, and no finite promise to a person was computed."
    else:
        rows = "one training row" if rules.rows_per_person == 1 else f"{rules.rows_per_person} training rows"
        text = (
            f"A person may be at up to {rules.organisations_per_person} organisations with {rows} each. For "
            f"all rows of one person together ε = {run.epsilon_person:.4g} at the same δ. Whoever has fewer "
            "rows is promised more."
        )
    return Statement(heading="Promised to one person", text=text)


def _assumptions(run: Run, contract: Contract) -> Statement:
    terms = contract.privacy
    noise = (
        "Every party adds the whole noise to its own numbers and relies on nobody else's."
        if run.noise is NoiseMode.LOCAL
        else f"The {run.parties} parties add shares of the noise, of which up to {terms.absent} may be "
        f"absent and up to {terms.colluding_parties} known to an adversary (a party always knows its own); "
        "the other parties draw their shares honestly."
    )
    committee = contract.encryption.committee
    encryption = (
        f"Nothing less than a whole sum is opened, whatever the operator does: of the {committee.members} "
        f"members of the committee, {committee.threshold} of whom open a sum together, at most "
        f"{committee.colluding_members} collude with it; whoever dealt the key has erased it; and Paillier "
        f"encryption with {contract.encryption.key_bits} bits holds."
        if run.encrypted and committee is not None
        else "Numbers of single parties stay hidden: this simulation added them in clear, on one machine, "
        "which stands for a deployment that encrypts them and opens the same integers."
    )
    sampling = ""
    if contract.neural is not None and contract.neural.one_in > 1:
        sampling = (
            f"A record takes part in a step with a chance of 1 in {contract.neural.one_in}, and nobody but "
            "its own organisation knows when it did. "
        )
    rest = (
        "Grids and settings were fixed without looking at the data; the split into training and test rows is "
        "taken as given. This simulation draws its noise from a seed, so that it can be repeated; whoever "
        "knows the seed can take the noise away. A deployment draws it from the operating system."
    )
    return Statement(heading="On these assumptions", text=f"{noise} {sampling}{encryption} {rest}")


def _not_promised(run: Run) -> Statement:
    text = (
        "Nothing is promised to an organisation as a whole: two trainings, one with it and one without it, "
        "show its own table with no more noise than hides one record. The figures on test rows are exact: "
        "they are the researcher's view, outside the budget, and a deployment would not release them so. "
        f"Differential privacy does not keep a {product_in_words(run)} from telling what is true of people "
        "in general."
    )
    return Statement(heading="Not promised", text=text)
