"""Flower's `Grid` inside this process: the same apps as in a deployment, no sockets and no waiting.

It leans on parts of Flower that are no public interface, all of them imported here and nowhere else: `Run`,
`TaskIdentity` (without which no `Message` can be made), the error codes, the writable message identifier, and
the inflatable objects that a message is made of on the wire. A test guards each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar
from uuid import uuid4

from flwr.app import Context, Error, Message, RecordDict
from flwr.app.user_config import UserConfigValue
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_object import InflatableObject, get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

__all__ = ["Fault", "FaultHook", "InProcessGrid", "fault_hook", "place_of"]

_RUN_ID = 1
_SERVER_ID = 1
_FIRST_NODE = 2**63 + 1  # Flower's identifiers are unsigned: these would not fit into a signed integer

_Object = TypeVar("_Object", bound=InflatableObject)


class Fault(StrEnum):
    """What can go wrong with one message."""

    DROP = "drop"
    """It never reaches the node."""

    LOSE_REPLY = "lose-reply"
    """The node answers, and the answer never reaches the server."""

    ERROR = "error"
    """The node's process fails before its handler runs, and Flower reports that."""


FaultHook = Callable[[Message], Fault | None]
"""Decides the fate of each message to a node, by its metadata or content."""


def place_of(node: int) -> int:
    """The place of a node among those that a grid was made with, from 0.

    Args:
        node: Flower's identifier of it, as in a message's metadata.
    """
    return node - _FIRST_NODE


def fault_hook(decide: Callable[[int, str, str], Fault | None]) -> FaultHook:
    """Makes a hook of what need not know what Flower's messages look like.

    Args:
        decide: Is told a message's node, by its place in the grid, the message's type and its group.
    """

    def fate(message: Message) -> Fault | None:
        told = message.metadata
        return decide(place_of(told.dst_node_id), told.message_type, told.group_id)

    return fate


class InProcessGrid(Grid):
    """Runs every node's client app at the moment when a message is pushed.

    Args:
        client_app: The app that every node runs, as in a deployment.
        node_configs: What each node is configured with; this is how nodes have roles.
        serialise: Send every message and reply through the objects that Flower puts on the wire, so that
            content which could not travel fails here too, and nothing is shared between server and node.
        fault: Injects faults; called once for each message.
    """

    def __init__(
        self,
        client_app: ClientApp,
        node_configs: Sequence[Mapping[str, UserConfigValue]],
        *,
        serialise: bool = False,
        fault: FaultHook | None = None,
    ) -> None:
        self._client_app = client_app
        self._serialise = serialise
        self._fault = fault
        self._run = Run.create_empty(_RUN_ID)
        self._contexts = {
            node: Context(
                run_id=_RUN_ID, node_id=node, node_config=dict(config), state=RecordDict(), run_config={}
            )
            for node, config in enumerate(node_configs, start=_FIRST_NODE)
        }
        self._replies: dict[str, Message] = {}
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = _RUN_ID, _SERVER_ID, 1

    @property
    def run(self) -> Run:
        """An empty run: what Flower would know of a real one has no meaning here."""
        return self._run

    def set_run(self, run: Run) -> None:
        """Replace the run; part of Flower's interface."""
        self._run = run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Make a message; part of Flower's interface, which prefers the constructor of `Message`."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> list[int]:
        """Return the identifiers of all nodes, in the order of their configurations; all are connected."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Deliver each message, run its node, and keep the reply until it is pulled."""
        identifiers = []
        for message in messages:
            identifier = _identify(message)
            identifiers.append(identifier)
            fault = self._fault(message) if self._fault is not None else None
            if fault is Fault.DROP:
                continue
            reply = self._reply(message, fault)
            _identify(reply)
            if fault is not Fault.LOSE_REPLY:
                self._replies[identifier] = self._carried(reply)
        return identifiers

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies to these messages that have not been pulled yet."""
        return [self._replies.pop(identifier) for identifier in message_ids if identifier in self._replies]

    def send_and_receive(
        self,
        messages: Iterable[Message],
        *,
        timeout: float | None = None,  # noqa: ARG002 - Flower's interface; replies are there at once or never
    ) -> list[Message]:
        """Push and pull at once; part of Flower's interface."""
        return self.pull_messages(self.push_messages(messages))

    def _reply(self, message: Message, fault: Fault | None) -> Message:
        if fault is Fault.ERROR:
            return Message(
                Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, "injected by the simulation"), reply_to=message
            )
        arrived = self._carried(message)
        try:
            return self._client_app(arrived, self._contexts[message.metadata.dst_node_id])
        except Exception as exception:  # noqa: BLE001 - Flower's client process reports whatever an app raises
            reason = f"{type(exception)}:<'{exception}'>"
            return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=message)

    def _carried(self, message: Message) -> Message:
        """The message as the other side would see it."""
        if not self._serialise:
            return message
        contents = {name: item.deflate() for name, item in get_all_nested_objects(message).items()}
        copy = _inflated(message, contents)
        # As on the wire, the message does not hold its own identifier.
        copy.metadata.__dict__["_message_id"] = message.metadata.message_id
        return copy


def _inflated(original: _Object, contents: dict[str, bytes]) -> _Object:
    copy = inflate_object_from_contents(original.object_id, contents)
    if not isinstance(copy, type(original)):
        raise TypeError(f"Flower inflated a {type(copy).__name__} from a {type(original).__name__}")
    return copy


def _identify(message: Message) -> str:
    """Give a message an identifier, as Flower's own grids do."""
    identifier = uuid4().hex
    message.metadata.__dict__["_message_id"] = identifier
    return identifier
