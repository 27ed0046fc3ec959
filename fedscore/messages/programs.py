"""How Flower's programs are started: their environment and their command lines.

What they are told keeps an outsider out of a deployment: TLS everywhere, a key per node, apps in processes of
their own behind a secret, nothing installed on demand, and no telemetry.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = [
    "environment",
    "program",
    "register_command",
    "run_command",
    "superexec_command",
    "superlink_command",
    "supernode_command",
]

_SETTINGS = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    # Flower looks for work once a second otherwise, and there are two phases to a sum.
    "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.05",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def environment(*, home: Path, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of one of Flower's programs.

    Args:
        home: Where it keeps its own files.
        base: What it inherits.
    """
    # Flower starts its other programs by their bare names.
    programs = str(Path(sys.executable).parent)
    path = os.pathsep.join([programs, base.get("PATH", os.defpath)])
    return {**base, **_SETTINGS, "PATH": path, "FLWR_HOME": str(home)}


def program(name: str) -> str:
    """The program of this Python's environment, wherever the command was typed."""
    return str(Path(sys.executable).parent / name)


def superlink_command(
    *,
    port: int,
    authority: Path,
    certificate: Path,
    key: Path,
    secret: Path,
    database: Path,
    host: str = "127.0.0.1",
) -> list[str]:
    """Starts the SuperLink, which nodes connect to.

    Args:
        port: Where it listens.
        authority: Certificate of the authority that signed `certificate`.
        certificate: The server's.
        key: The server's private key.
        secret: What its executor must know.
        database: What survives a restart.
        host: The address that it listens on: loopback, with a proxy for the fleet's paths before it.
    """
    return [
        program("flower-superlink"),
        *("--host", host, "--port", str(port)),
        *("--ssl-ca-certfile", str(authority), "--ssl-certfile", str(certificate)),
        *("--ssl-keyfile", str(key), "--database", str(database)),
        *("--isolation", "process", "--superexec-auth-secret-file", str(secret)),
        *("--enable-supernode-auth", "--disable-runtime-dependency-installation"),
    ]


def superexec_command(*, superlink: str, authority: Path, secret: Path) -> list[str]:
    """Starts the executor of server apps.

    Args:
        superlink: HOST:PORT of the SuperLink.
        authority: Certificate of the authority that signed the SuperLink's.
        secret: What the SuperLink asks for.
    """
    return [
        program("flower-superexec"),
        *("--runtime-api-address", superlink, "--root-certificates", str(authority)),
        *("--superexec-auth-secret-file", str(secret)),
    ]


def supernode_command(
    *, superlink: str, authority: Path, key: Path, listen: str | None = None, trusted: Path | None = None
) -> list[str]:
    """Starts an organisation's node; which of its programs this finds is for `clients.starting` to say.

    Args:
        superlink: HOST:PORT of the SuperLink.
        authority: Certificate of the authority that signed the SuperLink's.
        key: The private key whose public part the operator has registered.
        listen: HOST:PORT that its own processes use; Flower's default if left out.
        trusted: Public keys in YAML; a bundle that none of them signed is refused by Flower itself.
    """
    command = [
        program("flower-supernode"),
        *("--superlink", superlink, "--root-certificates", str(authority)),
        *("--auth-supernode-private-key", str(key)),
    ]
    if listen is not None:
        host, _, port = listen.rpartition(":")
        command += ["--host", host, "--port", port]
    if trusted is not None:
        command += ["--trusted-entities", str(trusted)]
    return command


def register_command(public_key: Path, *, connection: str) -> list[str]:
    """Lets a node in.

    Args:
        public_key: The node's.
        connection: Name of the SuperLink in Flower's configuration.
    """
    return [program("flwr"), "supernode", "register", str(public_key), connection]


def run_command(bundle: Path, config: Path, *, connection: str, resume: bool = False) -> list[str]:
    """Starts a run, or goes on with an interrupted one, and streams what its server app says.

    Args:
        bundle: The folder without code; `server.submission` packs it to the same bytes on every machine.
        config: The server.toml.
        connection: Name of the SuperLink in Flower's configuration.
        resume: Whether the interrupted run goes on; else a new one begins.
    """
    setting = f"config={json.dumps(str(config.absolute()), ensure_ascii=False)}"
    if resume:
        setting += " resume=true"
    return [
        *(sys.executable, "-P", "-m", "server.submission"),
        *("run", str(bundle), connection, "--stream", "--run-config", setting),
    ]
