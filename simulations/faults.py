"""Decides which messages of a simulated run never arrive: a function of the scenario's faults and the seed.

The nodes and the coordinator are those of a deployment, and know nothing of this: to them a party that is
absent, gone or unheard is one that does not answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedscore.errors import ScenarioError
from fedscore.messages import Phase
from fedscore.messages.codec import MESSAGE_TYPES
from simulations.engines import Engine
from simulations.fault_terms import FaultTerms
from simulations.federation import Wire
from simulations.in_process_grid import Fault, fault_hook

__all__ = ["silent_from", "wire_of"]

# Above the number of every party, each of which draws its noise from a stream of that number.
_WHO_STREAM, _CHANCE_STREAM, _LOST_STREAM = 1_000_003, 1_000_004, 1_000_005
_NEVER = np.iinfo(np.int64).max


def silent_from(terms: FaultTerms, parties: int, *, seed: int) -> Sequence[int]:
    """From which round on each party is silent.

    With one seed, more absent parties are the same ones and further ones, and so are those that a larger
    chance lets drop out.

    Args:
        terms: What goes wrong.
        parties: Size of the roster.
        seed: Decides whom it befalls.

    Returns:
        [parties], in the roster's order: 0 for who never comes, or the first round that is not answered; a
        very large number for who stays.
    """
    first = np.full(parties, _NEVER)
    order = np.random.default_rng([seed, _WHO_STREAM]).permutation(parties)
    first[order[: terms.absent]] = 0
    begin = terms.absent
    for one in sorted(terms.drop_outs, key=lambda drop: drop.round):
        first[order[begin : begin + one.parties]] = one.round
        begin += one.parties
    if terms.drop_out_chance:
        # The first round in which a coin that falls so with this chance does: by inversion, so that a larger
        # chance means an earlier round for everybody.
        uniform = np.random.default_rng([seed, _CHANCE_STREAM]).random(parties)
        rounds = np.floor(np.log1p(-uniform) / np.log1p(-terms.drop_out_chance)) + 1
        first = np.minimum(first, np.minimum(rounds, 2.0**62).astype(np.int64))
    return [int(one) for one in first]


def wire_of(terms: FaultTerms, parties: int, *, seed: int, engine: Engine = Engine.IN_PROCESS) -> Wire:
    """A wire on which the faults happen.

    Args:
        terms: What goes wrong.
        parties: Size of the roster; the grid's other nodes, members of the committee that are no parties, are
            spared.
        seed: Decides whom it befalls.
        engine: What is to carry the messages.

    Raises:
        ScenarioError: The engine loses no messages.
    """
    if not terms.happen:
        return Wire()
    if engine is not Engine.IN_PROCESS:
        raise ScenarioError(
            f"[faults] are of runs in one process, and --engine {engine} loses no messages: leave one of the "
            "two out"
        )
    silent = silent_from(terms, parties, seed=seed)

    def fate(party: int, kind: str, group: str) -> Fault | None:
        # A hello is of round 0.
        asked = int(group)
        if party >= parties:
            return None
        if asked >= silent[party]:
            return Fault.DROP
        if kind == MESSAGE_TYPES[Phase.COLLECT] and _unheard(terms, party, asked, seed=seed):
            return Fault.LOSE_REPLY
        return None

    # Whoever answers at all has answered by the first look: nobody needs to wait for the others.
    return Wire(fault=fault_hook(fate), answer_seconds=0.01)


def _unheard(terms: FaultTerms, party: int, asked: int, *, seed: int) -> bool:
    if not terms.lost_reply_chance:
        return False
    coin = np.random.default_rng([seed, _LOST_STREAM, party, asked])
    return bool(coin.random() < terms.lost_reply_chance)
