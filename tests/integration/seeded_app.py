"""The client app of a deployment, but for its noise, which is seeded: for tests that train a card twice.

A new process answers each message, so the noise of a round depends on the round and the party alone.
"""

from __future__ import annotations

import zlib

from flwr.app import Context

from clients.app import build_app
from clients.config import NodeConfig, load_node_config
from clients.deployment import node_of
from fedscore.messages import Ask, Refusal, Reply
from simulations.randomness import SeededRandomness

SEED = 20250601


class SeededNode:
    """Builds the node of a configuration anew for each ask."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config

    def answer(self, ask: Ask) -> Reply | Refusal:
        seed = [SEED, ask.round, zlib.crc32(self._config.party.encode())]
        return node_of(self._config, randomness=SeededRandomness(seed)).answer(ask)


def seeded_node(context: Context) -> SeededNode:
    return SeededNode(load_node_config(str(context.node_config["config"])))


app = build_app(seeded_node)
