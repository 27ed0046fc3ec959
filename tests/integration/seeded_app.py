"""The client app of a deployment, but for its noise, which is seeded: for tests that train a card twice.

A new process answers each message, so the noise of a sum depends on its step and the party alone.

Files in a node's folder make it do wrong. `lie`: as a committee member it adds one to its partial openings.
`die-before-writing` and `die-after-writing` hold a step of a run: there its process ends, just before or
after the cohort that it is about to release is on its disk; once only, for the file goes with it.
"""

from __future__ import annotations

import os
import zlib
from contextlib import AbstractContextManager
from pathlib import Path

from flwr.app import Context

from clients.app import build_app
from clients.config import NodeConfig, load_node_config
from clients.deployment import node_of
from clients.memory import Memory, NodeState
from clients.policy import load_policy
from clients.porter import Porter
from fedscore.messages import Ask, Refusal, Reply
from fedscore.sums import Member
from simulations.randomness import SeededRandomness

SEED = 20250601


class Liar:
    """A seat on the committee, at which all is honest but the partial openings."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self.index = member.index

    def partial(self, product: bytes) -> bytes:
        honest = self._member.partial(product)
        # The openings stand one after another; the first byte is the lowest of the first one.
        return ((honest[0] + 1) % 256).to_bytes(1, "little") + honest[1:]

    def __getattr__(self, name: str) -> object:
        return getattr(self._member, name)


class Mortal:
    """A memory in whose `store` the process ends, if a file says so."""

    def __init__(self, memory: Memory, folder: Path) -> None:
        self._memory = memory
        self._folder = folder

    def locked(self) -> AbstractContextManager[None]:
        return self._memory.locked()

    def load(self) -> NodeState:
        return self._memory.load()

    def store(self, state: NodeState) -> None:
        releases = state.released is not None and state.released != self.load().released
        step = state.released.step if releases and state.released is not None else None
        self._perhaps_die(step, "die-before-writing")
        self._memory.store(state)
        self._perhaps_die(step, "die-after-writing")

    def _perhaps_die(self, step: int | None, name: str) -> None:
        file = self._folder / name
        if file.exists() and file.read_text() == str(step):
            file.unlink()
            os._exit(1)


class SeededNode:
    """Builds the node of a configuration anew for each ask."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config

    def answer(self, ask: Ask) -> Reply | Refusal:
        seed = [SEED, len(ask.openings), zlib.crc32(self._config.party.encode())]
        node = node_of(self._config, randomness=SeededRandomness(seed))
        folder = self._config.state.parent
        node._memory = Mortal(node._memory, folder)
        if node._member is not None and (folder / "lie").exists():
            node._member = Liar(node._member)  # type: ignore[assignment]  # as good as a member
        return node.answer(ask)


def seeded_node(context: Context) -> Porter:
    config = load_node_config(str(context.node_config["config"]))
    operator = bytes.fromhex(load_policy(config.policy).operator)
    return Porter(lambda: SeededNode(config), party=config.party, operator=operator)


app = build_app(seeded_node)
