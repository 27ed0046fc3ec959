"""What a contract says of how a scorecard is trained."""

from __future__ import annotations

from enum import StrEnum

from fedscore.contract.values import Term

__all__ = ["Recipe", "ScorecardTerms"]


class Recipe(StrEnum):
    """Which program of private sums makes the card; its form is the same."""

    PLAIN = "plain"
    """Bins and weights of evidence, a regression, refinements: few bins, steps that explain themselves."""

    FILTERED = "filtered"
    """Every sum is a measurement, joined with all others by what its noise is: makes the most of a budget."""


class ScorecardTerms(Term):
    """The training of a scorecard; belongs to learner = "scorecard"."""

    recipe: Recipe = Recipe.FILTERED
    """Which program makes the card: "filtered" or "plain"."""
