from __future__ import annotations

from typing import Any

import pytest

from simulations.fault_terms import FaultTerms
from simulations.party_terms import PartyTerms
from simulations.party_words import faults_in_words, parties_in_words


@pytest.mark.parametrize(
    ("parties", "expected"),
    [
        ({"count": 20}, "dealt to 20 platforms evenly and at random"),
        (
            {"roles": {"platform": 2, "collector": 1}, "kind": "dirichlet", "alpha": 0.3},
            "dealt to 2 platforms and 1 collector with a skew in their outcomes (Dirichlet, alpha = 0.3)",
        ),
        (
            {"count": 5, "kind": "dirichlet", "alpha": 1.0, "by": "age"},
            "dealt to 5 platforms with a skew in age (Dirichlet, alpha = 1)",
        ),
        (
            {"count": 5, "kind": "sizes", "exponent": 1.0},
            "dealt to 5 platforms at random, in sizes of a power law (exponent 1)",
        ),
        (
            {"count": 5, "kind": "sizes", "alpha": 0.5},
            "dealt to 5 platforms at random, in sizes of a Dirichlet distribution (alpha = 0.5)",
        ),
        (
            {"count": 5, "kind": "column", "column": "shop", "overlap": {"share": 0.2, "organisations": 3}},
            (
                "dealt to 5 platforms by the values of shop; 20 % of the people are at 3 organisations each, "
                "and a record at every one"
            ),
        ),
    ],
)
def test_parties_are_told(parties: dict[str, Any], expected: str) -> None:
    assert parties_in_words(PartyTerms.model_validate(parties)) == expected


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ({}, ""),
        ({"absent": 1}, "One party never comes."),
        (
            {"absent": 2, "drop_outs": [{"round": 5, "parties": 1}, {"round": 2, "parties": 3}]},
            "2 parties never come. 3 parties are gone from round 2 on. One party is gone from round 5 on.",
        ),
        (
            {"drop_out_chance": 0.02, "lost_reply_chance": 0.5},
            (
                "Each party is gone from each round on with a chance of 2 %. Each answer is lost on the way "
                "with a chance of 50 %."
            ),
        ),
    ],
)
def test_faults_are_told(faults: dict[str, Any], expected: str) -> None:
    spared = " Baselines that are no federation of these nodes have everybody's rows all the same."
    told = faults_in_words(FaultTerms.model_validate(faults))
    assert told == (expected + spared if expected else "")
