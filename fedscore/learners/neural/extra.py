"""Says which extra is missing where torch or Opacus cannot be imported."""

from __future__ import annotations

import importlib.util

from fedscore.errors import MissingExtra

__all__ = ["require_neural_extra"]


def require_neural_extra() -> None:
    """Refuses to train a neural model without torch and Opacus.

    Raises:
        MissingExtra: One of them is not installed.
    """
    missing = [name for name in ("torch", "opacus") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"a neural model is trained with torch and opacus, and {' and '.join(missing)} cannot be found: "
            "install fedscore[neural]; a scorecard needs neither"
        )
