"""Private sums: the only way in which a number leaves an organisation."""

from fedscore.sums.contributions import NOT_COUNTED, CellContributions, Contributions, DenseContributions
from fedscore.sums.query import PlannedSum, Query, Released
from fedscore.sums.request import SumRequest, derive_request
from fedscore.sums.sealing import Combiner, Envelope, Member, Sealer
from fedscore.sums.share import noised_total

__all__ = [
    "NOT_COUNTED",
    "CellContributions",
    "Combiner",
    "Contributions",
    "DenseContributions",
    "Envelope",
    "Member",
    "PlannedSum",
    "Query",
    "Released",
    "Sealer",
    "SumRequest",
    "derive_request",
    "noised_total",
]
