"""Nothing here is for pytest: `make soak` runs it."""

from __future__ import annotations

collect_ignore_glob = ["*.py"]
