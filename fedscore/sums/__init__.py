"""Private sums: the only way in which a number leaves an organisation."""

from fedscore.messages.transcript import chain_openings
from fedscore.sums.contributions import NOT_COUNTED, CellContributions, Contributions, DenseContributions
from fedscore.sums.query import PlannedSum, Query, Released, StepSum, Update
from fedscore.sums.request import LocalSteps, SumRequest, derive_request
from fedscore.sums.sealing import Combiner, Envelope, Member, OpenedSum, Sealer, SumShape
from fedscore.sums.share import noised_total

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
    "PlannedSum",
    "Query",
    "Released",
    "Sealer",
    "StepSum",
    "SumRequest",
    "SumShape",
    "Update",
    "chain_openings",
    "derive_request",
    "noised_total",
]
