"""A synthetic consortium: invented people, and the events that organisations would record of them.

Nobody in it exists. No figure, name or row comes from anybody's data: people are drawn from the distributions
that `people`, `platforms` and `collectors` write down, and a result on them says that the machinery works,
never how well a score would do among real customers.
"""

from __future__ import annotations

from simulations.synthetic.consortium import (
    AS_OF,
    HORIZON_DAYS,
    SyntheticConsortium,
    SyntheticParty,
    make_consortium,
    write,
)

__all__ = ["AS_OF", "HORIZON_DAYS", "SyntheticConsortium", "SyntheticParty", "make_consortium", "write"]
