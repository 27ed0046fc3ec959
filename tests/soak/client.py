"""The launcher and the app of a deployment, but for the program; and a note of everything that leaves.

Noise, encryption, memory and books are the product's own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    # Python is isolated, so that nothing but this is added to what it imports.
    sys.path.insert(0, str(Path(__file__).parents[2]))

from flwr.app import Context

from clients.app import build_app
from clients.config import load_node_config
from clients.deployment import node_of
from clients.launcher import App, launch
from clients.node import Node
from clients.policy import load_policy
from clients.porter import Answering, Porter
from fedscore.messages import Ask, Phase, Refusal, Reply
from fedscore.messages.transcript import submission_digest, submission_digests
from tests.soak.three_sums import three_sums

LEFT = "left.jsonl"
"""What left a node, in its folder."""


class Doorstep:
    """Notes what an answer holds, when nothing but Flower is left to go through."""

    def __init__(self, inside: Answering, folder: Path) -> None:
        self._inside = inside
        self._file = folder / LEFT

    def answer(self, ask: Ask) -> Reply | Refusal:
        answer = self._inside.answer(ask)
        if isinstance(answer, Reply) and answer.payload and ask.phase in (Phase.COLLECT, Phase.OPEN):
            left = {
                "round": answer.round,
                "run": answer.run,
                "digest": submission_digest(answer.payload),
                "submissions": submission_digests(ask.submissions) if ask.phase is Phase.OPEN else {},
            }
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(left) + "\n")
        return answer


def load_node(context: Context) -> Answering:
    path = Path(str(context.node_config["config"]))
    config = load_node_config(path)

    def open_node() -> Node:
        node = node_of(config)
        node._agenda_of = three_sums
        return node

    operator = bytes.fromhex(load_policy(config.policy).operator)
    return Doorstep(Porter(open_node, party=config.party, operator=operator), path.parent)


def load_app() -> App:
    return build_app(load_node)


if __name__ == "__main__":
    launch(load_app)
