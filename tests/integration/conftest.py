"""What tests with real processes need: a bundle that points to the app of these tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from server import BUNDLE

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def seeded_bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The shipped bundle, but for its client app, `seeded_app`, which new processes and imports find."""
    shipped = (BUNDLE / "pyproject.toml").read_text(encoding="utf-8")
    assert "clients.app:app" in shipped
    bundle = tmp_path_factory.mktemp("bundle")
    (bundle / "pyproject.toml").write_text(
        shipped.replace("clients.app:app", "seeded_app:app"), encoding="utf-8"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
        patch.syspath_prepend(str(HERE))
        yield bundle
