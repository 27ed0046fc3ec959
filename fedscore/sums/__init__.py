"""Private sums: the only way in which a number leaves an organisation."""

from fedscore.messages.transcript import chain_openings
from fedscore.sums.contributions import NOT_COUNTED, CellContributions, Contributions, DenseContributions
from fedscore.sums.query import PlannedSum, Query, Released, Side, StepSum, Update
from fedscore.sums.request import LocalSteps, SumRequest, derive_request
from fedscore.sums.sealing import Combiner, Envelope, Member, OpenedSum, Sealer, SumShape
from fedscore.sums.share import noised_total
from fedscore.sums.tabulated import Patterns, TabulatedContributions

__all__ = [
    "NOT_COUNTED",
    "CellContributions",
    "Combiner",
    "Contributions",
    "DenseContributions",
    "Envelope",
    "LocalSteps",
    "Member",
    "OpenedSum",
    "Patterns",
    "PlannedSum",
    "Query",
    "Released",
    "Sealer",
    "Side",
    "StepSum",
    "SumRequest",
    "SumShape",
    "TabulatedContributions",
    "Update",
    "chain_openings",
    "derive_request",
    "noised_total",
]
