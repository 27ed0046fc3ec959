"""Early warning: how well does a card say, as of a day, who will be in arrears 7, 15 or 30 days on?"""

from __future__ import annotations

from simulations.early_warning.results import EarlyWarning
from simulations.early_warning.run import EarlyWarningTerms, Source, run_early_warning

__all__ = ["EarlyWarning", "EarlyWarningTerms", "Source", "run_early_warning"]
