"""The page of a card: what it is, what it is worth, and every point that it gives."""

from __future__ import annotations

from fedscore.card import Card
from fedscore.pages import words
from fedscore.pages.curves import calibration_picture, distribution_picture
from fedscore.pages.groups import group_tables
from fedscore.pages.promises import assumptions, promise
from fedscore.pages.rulers import bar_scales, ruler_of
from fedscore.pages.sheets import characteristic_sheets, interaction_sheets
from fedscore.pages.standing import Standing, standing_in_words
from fedscore.pages.writing import fill_in

__all__ = ["card_page"]

_SAFEST, _RISKIEST = (43, 131, 186), (199, 84, 32)


def card_page(card: Card, standing: Standing) -> str:
    """Writes the page: HTML without scripts or outside resources.

    Args:
        card: The card.
        standing: What is known of its signature.
    """
    sheets, interactions = characteristic_sheets(card), interaction_sheets(card)
    worst = max([grade.bad_rate for grade in card.grades], default=0.0) or 1.0
    return fill_in(
        "card.html.j2",
        {
            "card": card,
            "standing": standing,
            "standing_in_words": standing_in_words(card, standing),
            "tiles": _tiles(card),
            "range": card.score_range,
            "colours": _colours(len(card.grades)),
            "grade_part": lambda rate: round(100.0 * rate / worst, 1),
            "observed": {one.name: one for one in card.evaluation.grades} if card.evaluation else {},
            "calibration": calibration_picture(card),
            "distribution": distribution_picture(card),
            "groups": group_tables(card),
            "sheets": sheets,
            "interactions": interactions,
            "ruler": ruler_of((*sheets, *interactions)),
            "scales": bar_scales,
            "promise": promise(card),
            "assumptions": assumptions(card),
        },
    )


def _tiles(card: Card) -> list[tuple[str, str]]:
    tiles = []
    if card.evaluation is not None:
        for name in ("auc", "ks"):
            measure = card.evaluation.measure(name)
            if measure is not None:
                tiles.append(
                    (words.decimal(measure.value), f"{name.upper()} on test rows, {words.interval(measure)}")
                )
    if card.privacy is not None:
        delta = f" at δ = {words.delta(card.privacy.delta)}"
        tiles.append((f"ε {words.epsilon(card.privacy.epsilon)}", f"for one record{delta}"))
        tiles.append(
            (f"ε {words.epsilon(card.privacy.person_epsilon)}", f"for a person with all their records{delta}")
        )
    tiles.append((str(len(card.tables)), "characteristics and interactions"))
    return tiles


def _colours(count: int) -> list[str]:
    """From safest to riskiest."""
    steps = max(count - 1, 1)
    return [
        "#"
        + "".join(
            f"{round(a + (b - a) * place / steps):02x}" for a, b in zip(_SAFEST, _RISKIEST, strict=True)
        )
        for place in range(count)
    ]
