"""`fedscore server`: what the operator starts."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from fedscore.errors import NodeConfigError
from fedscore.files import write_new

__all__ = ["register"]

_CONNECTION = "consortium"
_POLL_SECONDS = 0.5
_STARTING_SECONDS = 3.0
_GRACE_SECONDS = 10.0

_Config = Annotated[Path, typer.Argument(help="The server's configuration, server.toml.", metavar="FILE")]


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Server: the operator's part of a federation.")
    group.command("start")(_start)
    group.command("register")(_register)
    group.command("run")(_run)
    app.add_typer(group, name="server")


def _start(
    file: _Config,
    *,
    authority: Annotated[Path, typer.Option("--ca", help="The authority's certificate.", exists=True)],
    certificate: Annotated[Path, typer.Option(help="The server's certificate.", exists=True)],
    key: Annotated[Path, typer.Option(help="The certificate's private key.", exists=True)],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=1, max=65535)] = 18000,
) -> None:
    """Start the SuperLink and its executor, and keep them running until stopped.

    The control interface has no accounts: listen on the loopback interface and let a proxy pass nothing but
    the paths of the fleet to it.
    """
    from fedscore.messages.programs import (  # noqa: PLC0415 - other commands do not pay for it
        environment,
        superexec_command,
        superlink_command,
    )
    from server.config import load_server_config  # noqa: PLC0415

    state = load_server_config(file).state
    state.mkdir(parents=True, exist_ok=True)
    home = state / "flower"
    secret = _secret(state / "superexec.secret")
    _write_connection(home, port=port, authority=authority.absolute())
    commands = [
        superlink_command(
            port=port,
            host=host,
            authority=authority.absolute(),
            certificate=certificate.absolute(),
            key=key.absolute(),
            secret=secret,
            database=state / "superlink.db",
        ),
        superexec_command(superlink=f"localhost:{port}", authority=authority.absolute(), secret=secret),
    ]
    signal.signal(signal.SIGTERM, _leave)
    children: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            children.append(subprocess.Popen(command, env=environment(home=home)))  # noqa: S603 - fixed programs
            time.sleep(_STARTING_SECONDS)
        while all(child.poll() is None for child in children):
            time.sleep(_POLL_SECONDS)
        raise NodeConfigError("the SuperLink or its executor has ended: what it said above tells why")
    finally:
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


def _register(
    file: _Config,
    public_key: Annotated[Path, typer.Argument(help="The node's public key.", exists=True)],
) -> None:
    """Let a node in: its organisation hands over the public part of the node's key."""
    from fedscore.messages.programs import register_command  # noqa: PLC0415 - other commands do not pay for it

    _become(file, register_command(public_key.absolute(), connection=_CONNECTION))


def _run(file: _Config) -> None:
    """Train one card with the nodes that are connected; card.json and run.json go to the state folder."""
    from fedscore.messages.programs import run_command  # noqa: PLC0415 - other commands do not pay for it
    from server import BUNDLE  # noqa: PLC0415

    _become(file, run_command(BUNDLE, file, connection=_CONNECTION))


def _become(file: Path, command: list[str]) -> NoReturn:
    """Turns into one of Flower's commands, with the connection that `start` wrote."""
    from fedscore.messages.programs import environment  # noqa: PLC0415 - other commands do not pay for it
    from server.config import load_server_config  # noqa: PLC0415

    home = load_server_config(file).state / "flower"
    if not (home / "config.toml").is_file():
        raise NodeConfigError(f"no server was started with {file} yet: run `fedscore server start` first")
    os.execve(command[0], command, environment(home=home))  # noqa: S606 - a fixed program


def _secret(path: Path) -> Path:
    """What the executor shows to the SuperLink: made once, readable by its owner alone."""
    if not path.exists():
        write_new(path, secrets.token_hex(32).encode(), mode=0o600)
    return path


def _write_connection(home: Path, *, port: int, authority: Path) -> None:
    """Tells Flower's own commands where the SuperLink is."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(
        f"""[superlink]
default = "{_CONNECTION}"

[superlink.{_CONNECTION}]
address = "localhost:{port}"
root-certificates = '{authority}'
""",
        encoding="utf-8",
    )


def _leave(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)
