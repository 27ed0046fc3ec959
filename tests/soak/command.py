"""`python -m tests.soak.command …` is `fedscore …`, but for the bundle that a run ships."""

from __future__ import annotations

import server
from fedscore.cli.main import main
from tests.soak.federation import BUNDLE

if __name__ == "__main__":
    vars(server)["BUNDLE"] = BUNDLE
    main()
