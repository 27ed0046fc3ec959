"""What tests with real processes need: a command that answers as the app of these tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def seeded_client() -> Iterator[tuple[str, ...]]:
    """What a node answers a message with: the launcher, but with `seeded_app`, which tests can import too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        yield (sys.executable, "-I", str(HERE / "seeded_client.py"))
