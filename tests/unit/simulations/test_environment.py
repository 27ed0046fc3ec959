from __future__ import annotations

import os

import pytest

from simulations.environment import inherited


def test_what_was_set_is_there_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDSCORE_TRIED", "before")
    monkeypatch.delenv("FEDSCORE_UNKNOWN", raising=False)
    settings = {"FEDSCORE_TRIED": "inside", "FEDSCORE_UNKNOWN": "inside"}
    with pytest.raises(RuntimeError, match="whatever"), inherited(settings):
        assert {name: os.environ[name] for name in settings} == settings
        raise RuntimeError("whatever happens")
    assert os.environ["FEDSCORE_TRIED"] == "before"
    assert "FEDSCORE_UNKNOWN" not in os.environ
