"""How a node's processes are started, so that nothing but what is installed here ever runs.

Flower's SuperNode starts its helpers by their bare names from PATH, and the operator's side decides which:
a run that calls itself an agent's makes it start `flwr-agentapp`, which loads whatever code it was sent. So
PATH is a private folder that holds all of these names: the client app's leads to `clients.launcher`, the
executor's to Flower's own program, and the others refuse.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clients.config import Connection, NodeConfig
from fedscore.errors import NodeConfigError
from fedscore.messages.programs import environment, program, supernode_command

__all__ = ["CONFIG_VARIABLE", "LAUNCHER", "NodeStart", "connection_of", "node_start", "write_programs"]

CONFIG_VARIABLE = "FEDSCORE_NODE_CONFIG"
"""The variable that tells the node's own processes the path of its node.toml; no message can change it."""

LAUNCHER = (sys.executable, "-I", "-m", "clients.launcher")
"""Answers one message. `-I`: neither the working folder nor PYTHONPATH adds anything to import."""

_CLIENT = "flwr-clientapp"
_EXECUTOR = "flower-superexec"
_REFUSED = ("flwr-agentapp", "flwr-connector", "flwr-model", "flwr-serverapp", "flwr-simulation")

_LOOPBACK = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStart:
    """What starts a node.

    Attributes:
        command: The program, by its full path, and its arguments.
        environment: All of its variables.
    """

    command: list[str]
    environment: Mapping[str, str]


def connection_of(file: Path, config: NodeConfig) -> Connection:
    """How the node reaches the operator.

    Raises:
        NodeConfigError: Its node.toml does not say.
    """
    if config.connection is None:
        raise NodeConfigError(
            f"{file} has no [connection]: add the operator's superlink and authority, and this node's key"
        )
    return config.connection


def node_start(
    file: Path,
    config: NodeConfig,
    *,
    client: Sequence[str] = LAUNCHER,
    base: Mapping[str, str] = os.environ,
) -> NodeStart:
    """Prepares everything for a node and says how it is started.

    Args:
        file: Its node.toml.
        config: What stands there.
        client: The command that answers a message; tests have another.
        base: The variables that it inherits, but for those that tell Python what to import.

    Raises:
        NodeConfigError: It does not say how to reach the operator.
    """
    connection = connection_of(file, config)
    programs = config.state / "programs"
    write_programs(programs, client=client)
    command = supernode_command(
        superlink=connection.superlink,
        authority=connection.authority.absolute(),
        key=connection.key.absolute(),
        listen=connection.listen,
        trusted=connection.trusted_entities and connection.trusted_entities.absolute(),
    )
    inherited = {name: value for name, value in base.items() if not name.startswith("PYTHON")}
    # A proxy of the organisation's must not see what the node's own processes tell each other.
    meeting = [connection.listen.rpartition(":")[0]] if connection.listen is not None else []
    own = dict.fromkeys([*_LOOPBACK, *meeting, *(host.strip("[]") for host in meeting)])
    direct = ",".join(filter(None, [base.get("NO_PROXY") or base.get("no_proxy"), *own]))
    return NodeStart(
        command=command,
        environment={
            **environment(home=config.state.absolute() / "flower", base=inherited),
            "PATH": str(programs.absolute()),
            "NO_PROXY": direct,
            "no_proxy": direct,
            CONFIG_VARIABLE: str(file.absolute()),
        },
    )


def write_programs(folder: Path, *, client: Sequence[str]) -> None:
    """Writes every program that Flower may start on a node, and nothing else, into a private folder.

    Args:
        folder: Made when it is missing; whatever else is in it is removed.
        client: The command that answers a message.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    texts = {
        _CLIENT: _becomes(client),
        _EXECUTOR: _becomes([sys.executable, "-I", program(_EXECUTOR)]),
        **{name: _refuses(name) for name in _REFUSED},
    }
    for file in folder.iterdir():
        if file.name not in texts:
            file.unlink()
    for name, text in texts.items():
        fresh = folder / f"{name}.new"
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o700)
        # A node that still runs sees the old program or the new one, never half of one.
        fresh.replace(folder / name)


def _becomes(command: Sequence[str]) -> str:
    return f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n'


def _refuses(name: str) -> str:
    said = f"refused to start {name}: a node answers as a client app alone; ask the operator what this run is"
    return f"#!/bin/sh\necho {shlex.quote(said)} >&2\nexit 1\n"
