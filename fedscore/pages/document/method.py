"""How the card was made: from which sums, in which order, and how a score follows from it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fedscore.card import Card
from fedscore.pages import words
from fedscore.pages.document.blocks import Code, Items, Paragraph, Section

__all__ = ["method_section"]

_SUMS = {
    "histogram": "bad and good records in every cell of every table; neighbouring cells without clear "
    "differences become one bin, and each bin gets a weight of evidence",
    "covariance": "how the characteristics go together: the scale for what follows",
    "gradient": "in which direction the weights of a logistic regression on all records improve",
    "residuals": "for every cell, bad records less those that the card expects; each bin is moved a damped "
    "step, so that the card keeps its form",
    "scores": "scores of bad and good records: the calibration, which is folded into the points, and the "
    "cut-offs of the grades",
    "score distribution": "where the scores of test rows lie",
    "outcomes by score": "where bad and good test rows lie: the metrics",
    "groups": "bad and good test rows by group and grade, and what was predicted of them",
}
_FILTERED_SUMS = {
    **_SUMS,
    "histogram": "bad and good records in every cell of every table: log-odds to begin with",
    "covariance": "how the characteristics go together: one slope for each to begin with",
    "curvature": "how sharply the fit depends on the points",
    "gradient": "in which direction the points of all cells improve; each is a measurement, and a Kalman "
    "filter, which knows its noise, joins them all",
    "level": "how far the mean probability lies from the bad rate, and whether scores lie as far apart as "
    "outcomes do: the intercept moves, and all points are multiplied by one factor",
}
_NUMBERED = re.compile(r"^(.*?) \d+$")


def method_section(card: Card) -> Section:
    """The program, as the card's own list of sums tells it."""
    sums = tuple(_sums(card))
    return Section(
        heading="Method",
        blocks=(
            Paragraph(
                "A scorecard: every record falls into one bin of each characteristic and each interaction, "
                "and gets that bin's points. The grids that bins are made of are public, and were fixed "
                "before training. Training is a program of private sums: each organisation adds up what its "
                "records contribute, bounded so that no record can change the sum by more than was agreed, "
                "adds its noise, encrypts and signs the result. Only the sum over all organisations is "
                "opened, by a committee whose members check its parts first. Because the program sees sums "
                "alone, its result does not depend on how rows are spread over organisations."
            ),
            Paragraph(
                "The sums of this card, in their order:" if sums else "The card does not list its sums."
            ),
            *((Items(sums),) if sums else ()),
            *_features(card),
            Paragraph("A score follows from the card alone:"),
            Code(
                f"score = {card.intercept_points:.2f} + the points of the bins that the record falls into\n"
                f"odds good : bad = {card.scale.reference_odds:g} * 2 ^ ((score - "
                f"{card.scale.reference_points:g}) / "
                f"{card.scale.points_to_double_odds:g})\n"
                "probability of bad = 1 / (1 + odds)"
            ),
        ),
    )


def _sums(card: Card) -> Iterator[str]:
    """Each kind of sum once, with how often it was asked for."""
    names = [str(event.get("sum", "")) for event in (card.privacy.events if card.privacy is not None else ())]
    kinds = [match[1] if (match := _NUMBERED.match(name)) else name for name in names]
    meanings = _FILTERED_SUMS if "curvature" in kinds else _SUMS
    for kind in dict.fromkeys(kinds):
        times = kinds.count(kind)
        said = meanings.get(kind, "see the version of the software that trained the card")
        yield f"{kind}{f', {times} times' if times > 1 else ''}: {said}."


def _features(card: Card) -> Iterator[Paragraph]:
    directed = [table.name for table in card.tables if table.monotone is not None]
    if directed:
        yield Paragraph(
            f"The contract fixes the direction of {', '.join(directed)}: points that noise turned the other "
            "way were made level."
        )
    crossed = len(card.interactions)
    yield Paragraph(
        f"The card has {len(card.characteristics)} characteristics and {crossed} interactions with points. "
        "Points have two decimals and are added as whole hundredths, so that every reader of the card gets "
        "the same score. "
        + (
            "Probabilities are calibrated: the line between the card's log-odds and the counted ones is "
            "part of the points."
            if card.grades
            else "Probabilities were not calibrated, for the contract has no [grades]."
        )
    )
    low, high = card.score_range
    yield Paragraph(f"Scores lie between {words.precise(low)} and {words.precise(high)}; more is safer.")
