"""The grid behaves as Flower's own, and what it leans on inside Flower is still there."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.grid import HttpGrid

from simulations.in_process_grid import Fault, InProcessGrid

app = ClientApp()


@app.query("who")
def who(message: Message, context: Context) -> Message:
    history = context.state.config_records.get("history", ConfigRecord({"asked": []}))
    context.state["history"] = ConfigRecord({"asked": [*history["asked"], 1]})  # type: ignore[misc]  # a list
    answer = ConfigRecord({"role": str(context.node_config["role"]), "node": context.node_id})
    answer["seen"] = len(context.state.config_records["history"]["asked"])  # type: ignore[arg-type]  # a list
    return Message(RecordDict({"who": answer}), reply_to=message)


@app.query("echo")
def echo(message: Message, _: Context) -> Message:
    return Message(message.content, reply_to=message)


@app.query("fail")
def fail(message: Message, _: Context) -> Message:
    raise ZeroDivisionError(message.metadata.message_type)


CONFIGS = [{"role": "platform"}, {"role": "collector"}]
FIRST, SECOND = 2**63 + 1, 2**63 + 2


def ask(grid: Grid, kind: str, node: int = FIRST, content: RecordDict | None = None) -> list[Message]:
    message = Message(content or RecordDict(), node, f"query.{kind}", ttl=60)
    return list(grid.pull_messages(list(grid.push_messages([message]))))


@pytest.mark.parametrize("serialise", [False, True])
def test_each_node_answers_with_its_own_configuration(*, serialise: bool) -> None:
    grid = InProcessGrid(app, CONFIGS, serialise=serialise)

    replies = [ask(grid, "who", node)[0] for node in grid.get_node_ids()]

    assert [reply.content["who"]["role"] for reply in replies] == ["platform", "collector"]
    assert [reply.content["who"]["node"] for reply in replies] == [FIRST, SECOND]
    assert [reply.metadata.src_node_id for reply in replies] == [FIRST, SECOND]


@pytest.mark.parametrize("serialise", [False, True])
def test_a_reply_names_the_message_that_it_answers(*, serialise: bool) -> None:
    grid = InProcessGrid(app, CONFIGS, serialise=serialise)
    messages = [Message(RecordDict(), node, "query.who", ttl=60) for node in (FIRST, FIRST, SECOND)]

    identifiers = grid.push_messages(messages)
    replies = grid.pull_messages(identifiers)

    assert len(set(identifiers)) == 3
    assert [reply.metadata.reply_to_message_id for reply in replies] == identifiers


def test_a_reply_is_pulled_once() -> None:
    grid = InProcessGrid(app, CONFIGS)
    identifiers = grid.push_messages([Message(RecordDict(), FIRST, "query.who")])

    assert len(grid.pull_messages(identifiers)) == 1
    assert grid.pull_messages(identifiers) == []
    assert grid.pull_messages(["unknown"]) == []


def test_a_node_keeps_its_context_from_message_to_message() -> None:
    grid = InProcessGrid(app, CONFIGS)

    assert [ask(grid, "who")[0].content["who"]["seen"] for _ in range(3)] == [1, 2, 3]


def test_an_exception_comes_back_as_flowers_client_process_reports_it() -> None:
    (reply,) = ask(InProcessGrid(app, CONFIGS), "fail")

    assert reply.has_error()
    assert reply.error.code == ErrorCode.CLIENT_APP_RAISED_EXCEPTION
    assert reply.error.reason == "<class 'ZeroDivisionError'>:<'query.fail'>"


def test_a_message_without_a_handler_is_an_error_reply() -> None:
    (reply,) = ask(InProcessGrid(app, CONFIGS), "unknown")

    assert reply.has_error()


@pytest.mark.parametrize(
    ("fault", "seen", "replies"), [(Fault.DROP, 0, 0), (Fault.LOSE_REPLY, 1, 0), (Fault.ERROR, 0, 1)]
)
def test_faults_hit_what_they_say(fault: Fault, seen: int, replies: int) -> None:
    faults = iter([fault, None])
    grid = InProcessGrid(app, CONFIGS, fault=lambda _: next(faults))

    assert len(ask(grid, "who")) == replies
    assert ask(grid, "who")[0].content["who"]["seen"] == seen + 1


def test_serialising_shares_nothing_between_server_and_node() -> None:
    content = RecordDict({"a": ConfigRecord({"numbers": [1, 2]}), "b": ArrayRecord([np.arange(3)])})

    (shared,) = ask(InProcessGrid(app, CONFIGS), "echo", content=content)
    (copied,) = ask(InProcessGrid(app, CONFIGS, serialise=True), "echo", content=content)

    assert shared.content is content
    assert copied.content is not content
    assert copied.content["a"] == content["a"]
    assert np.array_equal(copied.content["b"]["0"].numpy(), np.arange(3))  # type: ignore[union-attr]  # an array


def test_serialising_refuses_what_could_not_travel() -> None:
    content = RecordDict({"a": ConfigRecord({"number": 2**64})})

    assert len(ask(InProcessGrid(app, CONFIGS), "echo", content=content)) == 1
    with pytest.raises(ValueError, match="Value out of range"):
        InProcessGrid(app, CONFIGS, serialise=True).push_messages([Message(content, FIRST, "query.echo")])


def test_the_rest_of_flowers_interface_is_there() -> None:
    grid = InProcessGrid(app, CONFIGS)
    grid.set_run(Run.create_empty(9))
    message = grid.create_message(RecordDict(), "query.who", FIRST, "3")

    assert grid.run.run_id == 9
    assert message.metadata.group_id == "3"
    assert [node.node_id for node in grid.get_nodes()] == [FIRST, SECOND]
    assert len(grid.send_and_receive([message], timeout=1)) == 1


# What follows are promises that Flower does not make; a new version of it may break them.


def test_flowers_grid_has_the_methods_that_are_implemented() -> None:
    assert Grid.__abstractmethods__ == {
        "create_message",
        "get_node_ids",
        "pull_messages",
        "push_messages",
        "run",
        "send_and_receive",
        "set_run",
    }


def test_flowers_grid_over_http_sets_the_identifier_in_the_same_way() -> None:
    assert '__dict__["_message_id"] = ' in inspect.getsource(HttpGrid.push_messages)
    assert '__dict__["_message_id"] = ' in inspect.getsource(HttpGrid.pull_messages)


def test_an_empty_run_can_be_made() -> None:
    run = Run.create_empty(4)

    assert dataclasses.is_dataclass(run)
    assert run.run_id == 4


def test_a_message_takes_its_origin_from_the_identity_of_the_task() -> None:
    InProcessGrid(app, CONFIGS)
    message = Message(RecordDict(), FIRST, "query.who")

    assert (TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id) == (1, 1, 1)
    assert (message.metadata.run_id, message.metadata.src_node_id) == (1, 1)


def test_a_message_inflates_from_its_deflated_parts_without_its_identifier() -> None:
    InProcessGrid(app, CONFIGS)
    message = Message(RecordDict({"a": ConfigRecord({"b": b"c"})}), FIRST, "query.who", ttl=5, group_id="2")
    message.metadata.__dict__["_message_id"] = "set"
    parts = get_all_nested_objects(message)

    copy = inflate_object_from_contents(
        message.object_id, {name: part.deflate() for name, part in parts.items()}
    )

    assert isinstance(copy, Message)
    assert [type(part).__name__ for part in parts.values()] == ["ConfigRecord", "RecordDict", "Message"]
    assert copy.metadata.message_id == ""
    assert copy.content["a"]["b"] == b"c"
    assert (copy.metadata.ttl, copy.metadata.group_id) == (5, "2")


def test_an_error_reply_inflates_too() -> None:
    grid = InProcessGrid(app, CONFIGS, serialise=True)

    assert ask(grid, "fail")[0].error == Error(2, "<class 'ZeroDivisionError'>:<'query.fail'>")
