"""The Flower client app of a node: one message in, one reply or refusal out.

Flower starts a new process for every message, so nothing is kept here and every phase pays for the imports.
An exception that left a handler would travel to the server word for word; none does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from clients.config import load_node_config
from clients.deployment import porter_of
from clients.porter import Answering
from fedscore.errors import NodeConfigError, ProtocolError
from fedscore.messages import SOFTWARE, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.codec import MESSAGE_TYPES, decode_ask, encode_answer, software_of

__all__ = ["app", "build_app", "node_from_files"]

logger = logging.getLogger(__name__)


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


def node_from_files(context: Context) -> Answering:
    """Make the node that a deployment's `node.toml` describes, and its porter.

    Its path is in the context's configuration: `clients.launcher` puts it there.

    Raises:
        NodeConfigError: The path is not given, or the file or what it names is missing or wrong.
    """
    path = context.node_config.get("config")
    if not isinstance(path, str):
        raise NodeConfigError(
            "the node's configuration is not known: start flower-supernode with "
            """--node-config 'config="/path/of/node.toml"'"""
        )
    return porter_of(load_node_config(path))


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
        content = encode_answer(_refusal(phase, RefusalCode.INTERNAL))
    return Message(content, reply_to=message)


def _answered(
    message: Message, context: Context, phase: Phase, load_node: Callable[[Context], Answering]
) -> Reply | Refusal:
    try:
        ask = decode_ask(message.content)
    except ProtocolError as refused:
        theirs = software_of(message.content) or "another version"
        logger.warning(
            "refused a message to the %s handler: %s (the operator runs fedscore %s, this node %s)",
            phase,
            refused,
            theirs,
            SOFTWARE,
        )
        return _refusal(phase, RefusalCode.VERSION)
    if ask.phase is not phase:
        logger.warning("refused an ask of the %s phase that was sent to the %s handler", ask.phase, phase)
        return _refusal(phase, RefusalCode.REQUEST, round_number=ask.round)
    return load_node(context).answer(ask)


def _refusal(phase: Phase, code: RefusalCode, *, round_number: int = 0) -> Refusal:
    """What is said by whoever does not even know its own name yet."""
    return Refusal(party="", version=SOFTWARE, phase=phase, round=round_number, code=code)


app = build_app(node_from_files)
"""The app of a deployment; the bundle without code points here."""
