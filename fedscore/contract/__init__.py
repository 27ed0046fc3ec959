"""The contract of a consortium: what its organisations signed, and what follows from it.

`load_contract` reads a `contract.toml`, `check` finds every mistake in one with its line, and a `Contract`
knows its tables, its hash and what each role must supply.
"""

from __future__ import annotations

from fedscore.contract.characteristics import (
    ALL_ROLES,
    Characteristic,
    Derived,
    Direction,
    Formula,
    Interaction,
    InteractionSide,
    Role,
    Special,
    ValueType,
)
from fedscore.contract.checking import check
from fedscore.contract.findings import Finding, FindingLevel
from fedscore.contract.grid import Grid, Gridded
from fedscore.contract.model import Contract
from fedscore.contract.neural_terms import (
    Encoding,
    Learner,
    NeuralModelKind,
    NeuralTerms,
    Optimiser,
    Training,
)
from fedscore.contract.parsing import load_contract, parse_contract
from fedscore.contract.product_terms import EvaluationTerms, GradeTerms, MonitoringTerms
from fedscore.contract.scorecard_terms import Recipe, ScorecardTerms
from fedscore.contract.tables import Cell, CellKind, Table
from fedscore.contract.terms import (
    CommitteeTerms,
    ConsentTerms,
    EncryptionTerms,
    NoiseMode,
    Outcome,
    Party,
    PrivacyTerms,
    RowRules,
    Split,
)

__all__ = [
    "ALL_ROLES",
    "Cell",
    "CellKind",
    "Characteristic",
    "CommitteeTerms",
    "ConsentTerms",
    "Contract",
    "Derived",
    "Direction",
    "Encoding",
    "EncryptionTerms",
    "EvaluationTerms",
    "Finding",
    "FindingLevel",
    "Formula",
    "GradeTerms",
    "Grid",
    "Gridded",
    "Interaction",
    "InteractionSide",
    "Learner",
    "MonitoringTerms",
    "NeuralModelKind",
    "NeuralTerms",
    "NoiseMode",
    "Optimiser",
    "Outcome",
    "Party",
    "PrivacyTerms",
    "Recipe",
    "Role",
    "RowRules",
    "ScorecardTerms",
    "Special",
    "Split",
    "Table",
    "Training",
    "ValueType",
    "check",
    "load_contract",
    "parse_contract",
]
