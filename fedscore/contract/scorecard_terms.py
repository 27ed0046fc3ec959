"""What a contract says of how a scorecard is trained."""

from __future__ import annotations

from enum import StrEnum

from fedscore.contract.values import Term

__all__ = ["Recipe", "ScorecardTerms"]


class Recipe(StrEnum):
    """Which program of private sums makes the card; its form is the same."""

    PLAIN = "plain"
    """Bins and weights of evidence, a regression, refinements: few steps, each of which explains itself."""

    FILTERED = "filtered"
    """Every sum is a measurement, joined with all others by their noise: for many characteristics."""


class ScorecardTerms(Term):
    """The training of a scorecard; belongs to learner = "scorecard"."""

    recipe: Recipe = Recipe.PLAIN
    """Which program makes the card: "plain" or "filtered"."""
