"""The Flower client app of a node: one message in, one reply or refusal out.

Flower starts a new process for every message, so nothing is kept here and every phase pays for the imports.
An exception that left a handler would travel to the server word for word; none does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from clients.config import load_node_config
from clients.deployment import node_of
from clients.node import Node
from fedscore.errors import NodeConfigError, ProtocolError
from fedscore.messages import Ask, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.codec import MESSAGE_TYPES, decode_ask, encode_answer

__all__ = ["Answering", "app", "build_app", "node_from_files"]

logger = logging.getLogger(__name__)


class Answering(Protocol):
    """What a handler needs of a node."""

    def answer(self, ask: Ask) -> Reply | Refusal:
        """Answer one ask."""
        ...


def build_app(load_node: Callable[[Context], Answering]) -> ClientApp:
    """Make a client app.

    Args:
        load_node: Makes the node of the organisation that the context belongs to; called for every message.

    Returns:
        An app with one handler for each `Phase`, which never raises.
    """
    client_app = ClientApp()

    def register(phase: Phase) -> None:
        category, action = MESSAGE_TYPES[phase].split(".")
        decorate = {"query": client_app.query, "train": client_app.train}[category]

        @decorate(action)
        def handle(message: Message, context: Context) -> Message:
            return _handled(message, context, phase, load_node)

    for phase in Phase:
        register(phase)
    return client_app


def node_from_files(context: Context) -> Node:
    """Make the node that a deployment's `node.toml` describes.

    Flower hands over the path: `flower-supernode --node-config 'config="/path/of/node.toml"'`.

    Raises:
        NodeConfigError: The path is not given, or the file or what it names is missing or wrong.
    """
    path = context.node_config.get("config")
    if not isinstance(path, str):
        raise NodeConfigError(
            "the node's configuration is not known: start flower-supernode with "
            """--node-config 'config="/path/of/node.toml"'"""
        )
    return node_of(load_node_config(path))


def _handled(
    message: Message, context: Context, phase: Phase, load_node: Callable[[Context], Answering]
) -> Message:
    answer: Reply | Refusal
    try:
        answer = _answered(message, context, phase, load_node)
        content = encode_answer(answer)
    except Exception:
        # The text of an exception may hold data: it stays in the node's own log.
        logger.exception("the %s phase failed", phase)
        content = encode_answer(Refusal(party="", phase=phase, round=0, code=RefusalCode.INTERNAL))
    return Message(content, reply_to=message)


def _answered(
    message: Message, context: Context, phase: Phase, load_node: Callable[[Context], Answering]
) -> Reply | Refusal:
    try:
        ask = decode_ask(message.content)
    except ProtocolError as refused:
        logger.warning("refused a message to the %s handler: %s", phase, refused)
        return Refusal(party="", phase=phase, round=0, code=RefusalCode.VERSION)
    if ask.phase is not phase:
        logger.warning("refused an ask of the %s phase that was sent to the %s handler", ask.phase, phase)
        return Refusal(party="", phase=phase, round=ask.round, code=RefusalCode.REQUEST)
    return load_node(context).answer(ask)


app = build_app(node_from_files)
"""The app of a deployment; the bundle without code points here."""
