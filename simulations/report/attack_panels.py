"""The attack column drawn: lower bounds of epsilon and membership inference, beside what is promised."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from simulations.audit.row import AuditRow
from simulations.report.axis import EpsilonAxis
from simulations.report.beside import Named
from simulations.report.looks import INK, LINE, PAPER, SOFT, look_of
from simulations.scenario import Baseline

__all__ = ["draw_bounds", "draw_membership"]

_OWN = look_of(None).colour
_OUTLIERS = look_of(Baseline.LOCAL_NOISE).colour
_KINDS = (("ordinary", "ordinary records", _OWN, "o", 0.97), ("outliers", "outliers", _OUTLIERS, "s", 1.03))


def draw_bounds(axes: Axes, audits: Sequence[AuditRow], axis: EpsilonAxis) -> list[Named]:
    """Draw the measured lower bounds of each epsilon as shares of the promised one.

    Args:
        axes: Where to.
        audits: Of one variation.
        axis: The epsilons.

    Returns:
        The names of what is drawn.
    """
    told = [(row.epsilon, row.lower) for row in audits if row.lower is not None]
    told.sort(key=lambda pair: pair[0])
    highest = max(
        1.0, *(max(bound.gaussian_expected, bound.gaussian_epsilon, bound.epsilon) / at for at, bound in told)
    )
    _prepare(axes, "ε that the attack proves ÷ ε promised")
    axes.set_ylim(-0.08, 1.12 * highest)
    axes.set_yticks([0, 0.5, 1], ["0", "½", "1"])
    places = [at for at, _ in told]
    axes.axhline(1.0, color=INK, linewidth=1.0, linestyle="--", label="promised")
    named = [Named(name="promised", colour=INK, x=axis.high, y=1.0)]
    for name, colour, marker, size, shares in (
        (
            "if all were given away",
            SOFT,
            "_",
            9.0,
            [bound.gaussian_expected / at for at, bound in told],
        ),
        ("proven, noise Gaussian", _OWN, "o", 5.0, [bound.gaussian_epsilon / at for at, bound in told]),
        (
            "proven, any noise",
            look_of(Baseline.SCORECARD).colour,
            "v",
            5.0,
            [bound.epsilon / at for at, bound in told],
        ),
    ):
        axes.plot(
            places,
            shares,
            color=colour,
            marker=marker,
            markersize=size,
            markeredgecolor=colour if marker == "_" else PAPER,
            markeredgewidth=1.2 if marker == "_" else 0.5,
            linestyle="none",
            label=name,
        )
        named.append(Named(name=name, colour=colour, x=places[-1], y=shares[-1]))
    return named


def draw_membership(axes: Axes, audits: Sequence[AuditRow], axis: EpsilonAxis) -> list[Named]:
    """Draw the AUC of membership inference at each epsilon, with chance and what the promise allows.

    Args:
        axes: Where to.
        audits: Of one variation.
        axis: The epsilons.

    Returns:
        The names of what is drawn.
    """
    rows = sorted((row for row in audits if row.membership), key=lambda row: row.epsilon)
    allowed = [row.membership[0].auc_allowed for row in rows]
    _prepare(axes, "AUC of membership inference")
    axes.set_ylim(0.4, 1.04)
    axes.set_yticks([0.5, 0.75, 1], ["½", "¾", "1"])
    axes.axhline(0.5, color=SOFT, linewidth=0.8, linestyle=":")
    axes.plot(
        [row.epsilon for row in rows],
        allowed,
        color=INK,
        linewidth=1.0,
        linestyle="--",
        label="most that the promise allows",
    )
    named = [Named(name="allowed by the promise", colour=INK, x=rows[-1].epsilon, y=allowed[-1])]
    for kind, name, colour, marker, shift in _KINDS:
        found = [(row.epsilon * shift, one) for row in rows for one in row.membership if one.of == kind]
        if not found:
            continue
        axes.errorbar(
            [at for at, _ in found],
            [one.auc for _, one in found],
            yerr=[
                [max(one.auc - one.auc_low, 0.0) for _, one in found],
                [max(one.auc_high - one.auc, 0.0) for _, one in found],
            ],
            color=colour,
            marker=marker,
            markersize=4.5,
            markeredgecolor=PAPER,
            markeredgewidth=0.5,
            linestyle="none",
            elinewidth=1.0,
            capsize=2.0,
            label=f"attack on {name}",
        )
        named.append(Named(name=f"on {name}", colour=colour, x=found[-1][0], y=found[-1][1].auc))
    named.append(Named(name="chance", colour=SOFT, x=axis.high, y=0.5))
    return named


def _prepare(axes: Axes, title: str) -> None:
    axes.set_title(title)
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
