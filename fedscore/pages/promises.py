"""What a card promises about privacy, and on which assumptions, from the card alone."""

from __future__ import annotations

import math

from fedscore.card import Card
from fedscore.contract import NoiseMode
from fedscore.pages import words

__all__ = ["assumptions", "promise"]


def promise(card: Card) -> str:
    """What is promised to a record and to a person."""
    privacy = card.privacy
    if privacy is None:
        return "The card does not say what its training cost, so it promises nothing."
    if privacy.epsilon is None:
        return "Training added no noise that bounds anything: the card promises nothing about anybody."
    person = words.epsilon(privacy.person_epsilon)
    return (
        f"With ε = {words.epsilon(privacy.epsilon)}, whether any one record of any one organisation took "
        "part changes the probability of whatever anybody concludes from all opened sums by a factor of at "
        f"most e^ε = {_factor(privacy.epsilon)}, but for a probability of δ = {words.delta(privacy.delta)}. "
        f"For a person with all the records that the contract allows ε is {person}."
    )


def _factor(value: float) -> str:
    # Beyond this the factor says nothing that "e to the epsilon" would not.
    return f"{math.exp(value):.3g}" if value < 20 else f"e^{value:.0f}"


def assumptions(card: Card) -> tuple[str, ...]:
    """Who must have been honest for the promise to hold."""
    privacy = card.privacy
    if privacy is None or privacy.epsilon is None:
        return ()
    noise = (
        "Every organisation added the whole noise to its own numbers and relied on nobody else's."
        if privacy.noise is NoiseMode.LOCAL
        else f"The organisations added shares of the noise. Up to {privacy.absent} of them may have been "
        f"absent, and up to {privacy.colluding_parties} may tell others what they know; all others drew "
        "their shares honestly."
    )
    committee = (
        "No more members of the key's committee colluded with the operator than the contract allows, "
        "whoever dealt the key has erased it, and Paillier encryption holds."
    )
    return (
        noise,
        committee,
        "The public grids, and all settings, were chosen without looking at the data.",
        "Nothing is promised to an organisation as a whole: its size, its bad rate, its mix of customers.",
    )
