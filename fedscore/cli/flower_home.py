"""How Flower's own commands find the SuperLink that `fedscore server start` started."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fedscore.errors import NodeConfigError

if TYPE_CHECKING:
    from server.config import ServerConfig

__all__ = ["CONNECTION", "flower_home", "write_connection"]

CONNECTION = "consortium"
"""What Flower's configuration calls the SuperLink."""

_CONFIG = "config.toml"


def flower_home(file: Path, config: ServerConfig) -> Path:
    """The folder of Flower's configuration.

    Raises:
        NodeConfigError: No server was started with this configuration.
    """
    home = config.state / "flower"
    if not (home / _CONFIG).is_file():
        raise NodeConfigError(f"no server was started with {file} yet: run `fedscore server start` first")
    return home


def write_connection(config: ServerConfig, *, address: str, authority: Path) -> Path:
    """Tells Flower's commands where the SuperLink is, and returns the folder of their configuration."""
    home = config.state / "flower"
    home.mkdir(parents=True, exist_ok=True)
    (home / _CONFIG).write_text(
        f"""[superlink]
default = "{CONNECTION}"

[superlink.{CONNECTION}]
address = "{address}"
root-certificates = '{authority}'
""",
        encoding="utf-8",
    )
    return home
