"""`python -m server.submission run …` is `flwr run …`, but for the bytes of the bundle that it ships.

All that is assumed about the inside of Flower's command line stands here.
"""

from __future__ import annotations

import importlib

from server.bundling import pack

__all__ = ["main"]

_PACKER = "build_fab_from_disk"


def main() -> None:
    """Is Flower's command line, with another way to pack what `run` ships.

    Raises:
        SystemExit: Flower is not as it was when this was written, or the command has ended.
    """
    # What Flower's command line imports is not for those who only look at this module.
    run = importlib.import_module("flwr.cli.run.run")
    if _PACKER not in run._run_with_control_api.__code__.co_names:  # noqa: SLF001 - Flower offers no other way
        raise SystemExit(
            "refused to run: this Flower packs bundles in another way; install the version that fedscore was "
            "tested with"
        )
    vars(run)[_PACKER] = pack
    importlib.import_module("flwr.cli.app").app()


if __name__ == "__main__":
    main()
