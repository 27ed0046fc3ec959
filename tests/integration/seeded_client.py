"""The launcher of a deployment, but with the app of these tests."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from clients.launcher import App, launch


def seeded_app() -> App:
    sys.path.insert(0, str(Path(__file__).parent))
    app: App = importlib.import_module("seeded_app").app
    return app


if __name__ == "__main__":
    launch(seeded_app)
