"""The contract as an object: what the organisations signed, its tables and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import ValidationError, model_validator

from fedscore.contract.characteristics import Characteristic, Derived, Interaction, InteractionSide, Role
from fedscore.contract.draft import Draft
from fedscore.contract.explaining import explain
from fedscore.contract.findings import FindingLevel
from fedscore.contract.grid import Grid
from fedscore.contract.neural_terms import Learner, NeuralTerms
from fedscore.contract.product_terms import EvaluationTerms, GradeTerms, MonitoringTerms
from fedscore.contract.rules import problems_of
from fedscore.contract.scorecard_terms import Recipe, ScorecardTerms
from fedscore.contract.tables import Table, build_group_tables
from fedscore.contract.terms import (
    ConsentTerms,
    EncryptionTerms,
    Outcome,
    Party,
    PrivacyTerms,
    RowRules,
    Split,
)
from fedscore.contract.values import Identifier, Term, Text
from fedscore.errors import ContractError

__all__ = ["Contract"]


class Contract(Term):
    """What the organisations of a consortium signed.

    Every run, message, ledger entry and model carries its hash, and a node refuses any contract other
    than the one that its owner accepted. An inconsistent contract cannot be constructed.
    """

    version: Literal[1]
    """The version of this format: 1."""

    name: Identifier
    """The contract's name: letters, digits, - _ . (at most 64)."""

    purpose: Text
    """What the score is for, in one sentence: data may be used for nothing else."""

    outcome: Outcome
    """What the score predicts."""

    rows: RowRules
    """What a row is, and how many of them there may be."""

    consent: ConsentTerms | None = None
    """Which columns say that a row may be used; without it every row may be."""

    split: Split
    """Which rows train and which test."""

    characteristics: tuple[Characteristic, ...]
    """The columns that are used, and their grids."""

    derived: tuple[Derived, ...] = ()
    """Characteristics computed from others."""

    interactions: tuple[Interaction, ...] = ()
    """Pairs of characteristics on coarser grids."""

    privacy: PrivacyTerms
    """What is promised about one record."""

    encryption: EncryptionTerms = EncryptionTerms()
    """How sums are encrypted."""

    parties: tuple[Party, ...] = ()
    """The roster; it may be left empty in simulations, which make up their parties."""

    learner: Learner = Learner.SCORECARD
    """What is done: "scorecard" and "neural" train, "monitoring" watches a finished card."""

    scorecard: ScorecardTerms | None = None
    """How a scorecard is trained; belongs to learner = "scorecard". Without it, by the filtered recipe."""

    neural: NeuralTerms | None = None
    """The neural model and its training; belongs to learner = "neural"."""

    grades: GradeTerms | None = None
    """Grades of the score and its calibration; without it a card has neither."""

    evaluation: EvaluationTerms | None = None
    """Metrics from private sums over the test rows; without it nothing is measured in a deployment."""

    groups: tuple[InteractionSide, ...] = ()
    """Groups whose scores and bad rates evaluation compares, as {of = "age", edges = [30, 60]}."""

    monitoring: MonitoringTerms | None = None
    """The finished card that is watched; belongs to learner = "monitoring"."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        errors = [problem for problem in problems_of(self._as_draft()) if problem.level is FindingLevel.ERROR]
        if errors:
            raise ValueError("; ".join(problem.message for problem in errors))
        return self

    def _as_draft(self) -> Draft:
        return Draft(
            characteristics=dict(enumerate(self.characteristics)),
            derived=dict(enumerate(self.derived)),
            interactions=dict(enumerate(self.interactions)),
            parties=dict(enumerate(self.parties)),
            complete_roster=True,
            outcome=self.outcome,
            rows=self.rows,
            consent=self.consent,
            privacy=self.privacy,
            encryption=self.encryption,
            learner=self.learner,
            scorecard=self.scorecard,
            names_neural=self.neural is not None,
            neural=self.neural,
            split=self.split,
            grades=self.grades,
            evaluation=self.evaluation,
            groups=dict(enumerate(self.groups)),
            names_monitoring=self.monitoring is not None,
            monitoring=self.monitoring,
            unreadable=frozenset(),
        )

    def __copy__(self) -> Self:
        """What is kept once it is known is not copied: `model_copy` may change what it followed from."""
        copied = super().__copy__()
        for kept in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[kept]
        return copied

    @property
    def recipe(self) -> Recipe:
        """Which program makes a scorecard."""
        return (self.scorecard or ScorecardTerms()).recipe

    def hash(self) -> str:
        """SHA-256 of the canonical form, in hex.

        The canonical form is JSON with sorted keys, no whitespace, defaults written out, numbers as
        `repr` has them. Comments and the order of keys in the file do not change it; any other change
        does, the order of characteristics and parties included.
        """
        return self._hash

    @cached_property
    def _hash(self) -> str:
        # Every node and every message of a run asks for it, and it takes as long as the roster is.
        canonical = json.dumps(
            self.model_dump(mode="json"),
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=True,
            allow_nan=False,
        )
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()

    @cached_property
    def grid(self) -> Grid:
        """What turns columns into cells."""
        return Grid(
            characteristics=self.characteristics, derived=self.derived, interactions=self.interactions
        )

    @property
    def by_name(self) -> Mapping[str, Characteristic | Derived]:
        """See `Grid.by_name`."""
        return self.grid.by_name

    @property
    def holders(self) -> Mapping[str, frozenset[Role]]:
        """See `Grid.holders`."""
        return self.grid.holders

    @property
    def tables(self) -> tuple[Table, ...]:
        """See `Grid.tables`."""
        return self.grid.tables

    @cached_property
    def group_tables(self) -> tuple[Table, ...]:
        """The groups that evaluation compares, each as the cells that records fall into."""
        return build_group_tables(self.groups, self.by_name)

    @cached_property
    def parties_by_name(self) -> Mapping[str, Party]:
        """The roster by name, in the contract's order."""
        return MappingProxyType({party.name: party for party in self.parties})

    @cached_property
    def signing_keys(self) -> Mapping[str, bytes]:
        """What signatures are checked with: 32 bytes by the party's name, of the parties that have a key."""
        return MappingProxyType(
            {party.name: bytes.fromhex(party.key) for party in self.parties if party.key is not None}
        )

    @property
    def reads_outcomes(self) -> bool:
        """Whether rows have an outcome; not if a card is watched before outcomes are known."""
        return self.monitoring is None or self.monitoring.outcomes

    @property
    def smallest_cohort(self) -> int:
        """The smallest number of parties whose sum may be opened, by both rules of the privacy terms."""
        return max(self.privacy.minimum_cohort, len(self.parties) - self.privacy.absent)

    def source_columns(self, role: Role) -> tuple[str, ...]:
        """See `Grid.source_columns`."""
        return self.grid.source_columns(role)

    def with_parties(self, parties: Iterable[Party]) -> Contract:
        """The same contract with another roster.

        Raises:
            ContractError: The result would be inconsistent.
        """
        return self._changed(parties=[party.model_dump() for party in parties])

    def with_rows(self, **changes: Any) -> Contract:  # noqa: ANN401 - fields of RowRules, checked there
        """The same contract with other rules of rows.

        Args:
            **changes: Fields of `RowRules`.

        Raises:
            ContractError: A field is unknown or out of range, or the result would be inconsistent.
        """
        return self._changed(rows={**self.rows.model_dump(), **changes})

    def with_privacy(self, **changes: Any) -> Contract:  # noqa: ANN401 - fields of PrivacyTerms, checked there
        """The same contract with other privacy terms.

        Args:
            **changes: Fields of `PrivacyTerms`.

        Raises:
            ContractError: A field is unknown or out of range, or the result would be inconsistent.
        """
        return self._changed(privacy={**self.privacy.model_dump(), **changes})

    def with_encryption(self, **changes: Any) -> Contract:  # noqa: ANN401 - fields of EncryptionTerms, checked there
        """The same contract with other encryption terms.

        Args:
            **changes: Fields of `EncryptionTerms`.

        Raises:
            ContractError: A field is unknown or out of range, or the result would be inconsistent.
        """
        return self._changed(encryption={**self.encryption.model_dump(), **changes})

    def with_neural(self, terms: NeuralTerms | None) -> Contract:
        """The same contract with a neural model to train; with the scorecard if there are no terms.

        What belongs to a scorecard alone (grades, evaluation, groups) goes with it.

        Raises:
            ContractError: The result would be inconsistent.
        """
        if terms is None:
            return self._changed(learner=Learner.SCORECARD, neural=None)
        return self._changed(
            learner=Learner.NEURAL,
            neural=terms.model_dump(),
            scorecard=None,
            grades=None,
            evaluation=None,
            groups=(),
        )

    def with_recipe(self, recipe: Recipe) -> Contract:
        """The same contract with a scorecard that is made by another program.

        Raises:
            ContractError: It trains no scorecard.
        """
        return self._changed(scorecard={"recipe": recipe})

    def with_grades(self, terms: GradeTerms | None) -> Contract:
        """The same contract with other grades; without any if there are no terms.

        Raises:
            ContractError: The result would be inconsistent.
        """
        return self._changed(grades=None if terms is None else terms.model_dump())

    def with_evaluation(self, terms: EvaluationTerms | None) -> Contract:
        """The same contract with other private metrics; without any, and groups, if there are no terms.

        Raises:
            ContractError: The result would be inconsistent.
        """
        if terms is None:
            return self._changed(evaluation=None, groups=())
        return self._changed(evaluation=terms.model_dump())

    def with_monitoring(self, terms: MonitoringTerms) -> Contract:
        """The same contract, to watch a finished card with.

        What belongs to training alone (recipe, neural model, grades, evaluation, groups, split) goes.

        Raises:
            ContractError: The result would be inconsistent.
        """
        return self._changed(
            learner=Learner.MONITORING,
            monitoring=terms.model_dump(),
            scorecard=None,
            neural=None,
            grades=None,
            evaluation=None,
            groups=(),
            split={"test_share": 0.0, "key": self.split.key},
        )

    def _changed(self, **sections: object) -> Contract:
        try:
            return Contract.model_validate({**self.model_dump(), **sections})
        except ValidationError as refused:
            told = "; ".join(
                ", ".join(map(str, detail["loc"])) + ": " * bool(detail["loc"]) + explain(detail, Contract)
                for detail in refused.errors(include_url=False)
            )
            raise ContractError(f"contract {self.name} cannot be changed so: {told}") from None
