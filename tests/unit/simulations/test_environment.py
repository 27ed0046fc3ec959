from __future__ import annotations

import os
from collections.abc import Mapping

import pytest

from simulations.environment import inherited


def fail_inside(settings: Mapping[str, str]) -> None:
    with inherited(settings):
        assert {name: os.environ[name] for name in settings} == settings
        raise RuntimeError("whatever happens")


def test_what_was_set_is_there_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDSCORE_TRIED", "before")
    monkeypatch.delenv("FEDSCORE_UNKNOWN", raising=False)
    with pytest.raises(RuntimeError, match="whatever"):
        fail_inside({"FEDSCORE_TRIED": "inside", "FEDSCORE_UNKNOWN": "inside"})
    assert os.environ["FEDSCORE_TRIED"] == "before"
    assert "FEDSCORE_UNKNOWN" not in os.environ
