"""Stands in for Flower's `flwr-clientapp`: whatever the operator ships, only installed code answers.

The bundle of a run is hashed and looked up in the policy of the node's owner. It is never unpacked, never
written to the disk, and nothing of it is imported: the app is always the installed `clients.app`. Which node
this is comes from the environment that `fedscore node start` made, never from a run.

All that is assumed about the inside of Flower stands here.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from flwr.app import Context, Error, Message
from flwr.common.constant import ErrorCode
from flwr.supernode.cli import flwr_clientapp
from flwr.supernode.runtime import run_clientapp as flower

from clients.config import load_node_config
from clients.policy import load_policy
from clients.starting import CONFIG_VARIABLE
from fedscore.errors import FedscoreError
from fedscore.messages import SOFTWARE, Refusal, RefusalCode
from fedscore.messages.codec import MESSAGE_TYPES, encode_answer

__all__ = ["App", "Guard", "launch", "main"]

logger = logging.getLogger(__name__)

_PHASES = {message_type: phase for phase, message_type in MESSAGE_TYPES.items()}


class App(Protocol):
    """Answers one message."""

    def __call__(self, message: Message, context: Context) -> Message:
        """Answer."""
        ...


@dataclass(slots=True)
class Guard:
    """Takes the places in Flower at which a bundle would be unpacked, installed and loaded.

    Attributes:
        config: The node's node.toml.
        load_app: Imports the installed app.
        refused: Why nothing is answered; None once a bundle was found to be allowed.
    """

    config: Path
    load_app: Callable[[], App]
    refused: RefusalCode | None = RefusalCode.POLICY

    def check(self, content: bytes, *, skip_prompt: bool) -> None:  # noqa: ARG002 - Flower's signature
        """Instead of unpacking a bundle: decides whether it is one that the owner listed.

        Args:
            content: The bundle.
            skip_prompt: Nobody is asked anything here.
        """
        found = hashlib.sha256(content).hexdigest()
        try:
            allowed = load_policy(load_node_config(self.config).policy).bundles
        except FedscoreError as broken:
            logger.error("refused the operator's bundle %s: %s", found, broken)  # noqa: TRY400 - it says what to do
            return
        if found in allowed:
            self.refused = None
            return
        logger.error(
            "refused the operator's bundle %s: it is not among the %d that policy.toml allows; compare it "
            "with what `fedscore server bundle` prints here, and add it to bundles in policy.toml only if "
            "its owner knows what it is",
            found,
            len(allowed),
        )

    def refuse_installation(self, *_arguments: object, **_settings: object) -> NoReturn:
        """Instead of installing what a bundle asks for.

        Raises:
            PermissionError: Always.
        """
        logger.error("refused to install packages that the operator's bundle asks for")
        raise PermissionError(RefusalCode.POLICY.value)

    def loader(self, **_settings: object) -> Callable[[str, str, str], App]:
        """Instead of finding the app in a bundle: gives the installed one, whatever the bundle is called."""
        return lambda _identifier, _version, _hash: self.answer

    def answer(self, message: Message, context: Context) -> Message:
        """Answers with the installed app, or refuses; no exception leaves, for its text would."""
        if self.refused is not None:
            return _refusal(message, self.refused)
        try:
            context.node_config = {"config": str(self.config)}
            return self.load_app()(message, context)
        except Exception:
            # The text of an exception may hold data: it stays in the node's own log.
            logger.exception("the app failed outside its handlers")
            return _refusal(message, RefusalCode.INTERNAL)


def launch(load_app: Callable[[], App]) -> None:
    """Answers one message as Flower's program would, but with an installed app.

    Args:
        load_app: Imports the app.

    Raises:
        SystemExit: It is not known which node this is, or Flower is not as it was when this was written.
    """
    config = os.environ.get(CONFIG_VARIABLE)
    if not config:
        raise SystemExit(
            f"refused to answer: {CONFIG_VARIABLE} is not set; start the node with `fedscore node start`"
        )
    guard = Guard(Path(config), load_app)
    replaced = {
        "install_from_fab": guard.check,
        "install_app_dependencies": guard.refuse_installation,
        "get_load_client_app_fn": guard.loader,
    }
    unknown = sorted(replaced.keys() - set(flower.run_clientapp.__code__.co_names))
    if unknown:
        raise SystemExit(
            f"refused to answer: this Flower handles bundles in another way ({', '.join(unknown)}); install "
            "the version that fedscore was tested with"
        )
    vars(flower).update(replaced)
    flwr_clientapp()


def main() -> None:
    """Answers one message with `clients.app`."""
    if not sys.flags.isolated:
        raise SystemExit(
            "refused to answer: start the node with `fedscore node start`, which isolates Python"
        )
    launch(_installed)


def _installed() -> App:
    from clients.app import app  # noqa: PLC0415 - a refused bundle must not cost the node its imports

    return app


def _refusal(message: Message, code: RefusalCode) -> Message:
    phase = _PHASES.get(message.metadata.message_type)
    if phase is None:
        return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, code.value), reply_to=message)
    refusal = Refusal(party="", version=SOFTWARE, phase=phase, round=0, code=code)
    return Message(encode_answer(refusal), reply_to=message)


if __name__ == "__main__":
    main()
