"""What processes that are started now inherit, and what is there again afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["inherited"]


@contextmanager
def inherited(settings: Mapping[str, str]) -> Iterator[None]:
    """Have environment variables set inside, and restore them after.

    Args:
        settings: Values by name.
    """
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
