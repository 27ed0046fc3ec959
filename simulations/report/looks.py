"""What each method looks like in every picture: its colour and its mark, in the light and in the dark."""

from __future__ import annotations

from dataclasses import dataclass

from simulations.scenario import Baseline

__all__ = ["INK", "LINE", "PAPER", "SOFT", "THEMED", "Look", "look_of"]

INK, SOFT, LINE, PAPER = "#1b1f24", "#57606a", "#d8dee4", "#ffffff"
"""The light colours of `fedscore.pages`, in which pictures are drawn; a page puts its own in their place."""

# Okabe and Ito's, which people tell apart whatever their colour vision.
_BLUE, _SKY, _GREEN, _ORANGE, _VERMILLION, _PURPLE = (
    "#0072b2",
    "#56b4e9",
    "#009e73",
    "#e69f00",
    "#d55e00",
    "#cc79a7",
)

THEMED = {
    INK: "--ink",
    SOFT: "--soft",
    LINE: "--line",
    PAPER: "--paper",
    _BLUE: "--blue",
    _SKY: "--sky",
    _GREEN: "--green",
    _ORANGE: "--orange",
    _VERMILLION: "--vermillion",
    _PURPLE: "--purple",
}
"""The page's name for each colour of a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a method is drawn.

    Attributes:
        colour: Hexadecimal, in small letters.
        marker: Matplotlib's name of the mark.
        dashes: Matplotlib's name of the line; methods without an epsilon are levels, and never whole lines.
    """

    colour: str
    marker: str
    dashes: str = "-"


_LOOKS = {
    None: Look(colour=_BLUE, marker="o"),
    Baseline.LOCAL_NOISE: Look(colour=_VERMILLION, marker="s"),
    Baseline.POOLED_LIGHTGBM: Look(colour=INK, marker="D", dashes="--"),
    Baseline.POOLED_NO_NOISE: Look(colour=_GREEN, marker="^", dashes="-."),
    Baseline.LOCAL_ONLY: Look(colour=_PURPLE, marker="v", dashes=":"),
    Baseline.SCORECARD: Look(colour=_SKY, marker="h"),
    Baseline.NEURAL_SHARED: Look(colour=_SKY, marker="p"),
    Baseline.NEURAL_LOCAL: Look(colour=_VERMILLION, marker="d"),
    Baseline.NAIVE_FLOWER_OPACUS: Look(colour=_ORANGE, marker="X"),
    Baseline.NAIVE_TUNED: Look(colour=_ORANGE, marker="P"),
    Baseline.NAIVE_TUNED_TRUE: Look(colour=_ORANGE, marker="*"),
}


def look_of(baseline: Baseline | None) -> Look:
    """How a method is drawn; its own look in every picture.

    Args:
        baseline: The method; None for the scenario's own runs.
    """
    return _LOOKS[baseline]
