"""`fedscore server bundle`: the hash that organisations allow."""

from __future__ import annotations

import typer

__all__ = ["bundle"]


def bundle() -> None:
    """Print the hash of the bundle that this installation ships: what a policy's bundles lists.

    An organisation computes it from its own installation and compares it with what the operator says.
    """
    from server.bundling import bundle_hash  # noqa: PLC0415 - other commands do not pay for it

    typer.echo(bundle_hash())
