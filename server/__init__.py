"""The operator: the Flower ServerApp, and the coordinator of phases."""

from pathlib import Path

__all__ = ["BUNDLE"]

BUNDLE = Path(__file__).parent / "bundle"
"""The folder without code that `flwr run` is given."""
