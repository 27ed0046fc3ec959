"""The experiment in a sentence and in a few large figures."""

from __future__ import annotations

from collections.abc import Sequence

from simulations import wording
from simulations.audit.row import AuditRow
from simulations.report import numbers
from simulations.report.costs import Cost
from simulations.report.frontier import FrontierPoint, variation_in_words
from simulations.report.gains import nearest_to_one
from simulations.report.worth import Worth

__all__ = ["finding", "tiles"]


def finding(points: Sequence[FrontierPoint]) -> str:
    """The first variation in a sentence, at the epsilon nearest to 1.

    Args:
        points: Of all variations.
    """
    chosen = _chosen(points)
    here = [point for point in points if point.variation == chosen.variation]
    runs = f"mean of {chosen.seeds} seeds" if chosen.seeds > 1 else "one seed"
    at = "Without noise" if chosen.epsilon is None else f"At ε = {chosen.epsilon:g}"
    where = f" ({variation_in_words(chosen.variation)})" if chosen.variation else ""
    what = wording.product_in_words(chosen)
    below = chosen.below_ceiling
    distance = "" if below is None else f", {_distance(below.mean)} pooled LightGBM"
    margin = "" if below is None or below.margin is None else f" (± {below.margin:.4f}, paired by seed)"
    sentence = (
        f"{at}{where} the federated {what} reaches an AUC of {chosen.auc.mean:.4f} on test rows ({runs})"
        f"{distance}{margin}"
    )
    others = [
        f"{point.method}: {point.auc.mean:.4f}{_true_price(point)}"
        for point in here
        if point.baseline is not None and point.epsilon in {None, chosen.epsilon}
    ]
    return sentence + (f". For comparison: {'; '.join(others)}." if others else ".")


def _distance(below: float) -> str:
    return f"{abs(below):.4f} {'below' if below >= 0 else 'above'}"


def _true_price(point: FrontierPoint) -> str:
    if point.epsilon_reported is None:
        return ""
    return f" (at a true ε of {wording.epsilon_in_words(point.epsilon_spent)})"


def _chosen(points: Sequence[FrontierPoint]) -> FrontierPoint:
    own = [point for point in points if point.baseline is None and point.variation == points[0].variation]
    epsilon = nearest_to_one(point.epsilon for point in own)
    return next(point for point in own if point.epsilon == epsilon)


def tiles(
    points: Sequence[FrontierPoint],
    *,
    audits: Sequence[AuditRow],
    worth: Worth | None,
    costs: Sequence[Cost],
) -> list[tuple[str, str]]:
    """The figures that a hurried reader takes away, each with what it is; of the first variation.

    Args:
        points: Of all variations.
        audits: Likewise.
        worth: To each party.
        costs: Of all methods.
    """
    chosen = _chosen(points)
    at = "without noise" if chosen.epsilon is None else f"at ε = {chosen.epsilon:g}"
    found = [
        (numbers.decimal(chosen.auc.mean), f"AUC of the federated {wording.product_in_words(chosen)}, {at}")
    ]
    if chosen.below_ceiling is not None:
        below = chosen.below_ceiling
        margin = "" if below.margin is None else f"± {below.margin:.4f} "
        side = "below" if below.mean >= 0 else "above"
        found.append((numbers.decimal(abs(below.mean)), f"{margin}{side} the AUC of pooled LightGBM, {at}"))
    if worth is not None:
        whole = worth.summary
        found.append((f"{whole.gain} of {whole.measured}", "parties rank their own customers better with it"))
    rows = [row for row in audits if tuple(row.variation.items()) == chosen.variation]
    audited = next((row for row in rows if row.epsilon == chosen.epsilon), None)
    found.append(("not tried", "attack") if not rows else _attack(audited or rows[0]))
    estimate = next((cost.estimate for cost in costs if cost.estimate is not None), None)
    if estimate is not None:
        told = "estimate of a deployment's wall time for one training"
        if not costs[0].encrypted:
            told += ", without encryption"
        found.append((numbers.duration(estimate.total), told))
    return found


def _attack(row: AuditRow) -> tuple[str, str]:
    if row.lower is None:
        return row.verdict.value, f"audit at ε = {row.epsilon:g}"
    gaussian = f"{row.lower.gaussian_epsilon:.2f} if the noise is Gaussian"
    told = (
        f"ε that the attack proves where {row.epsilon:g} is promised ({gaussian}); audit: {row.verdict.value}"
    )
    return f"{row.lower.epsilon:.2f}", told
