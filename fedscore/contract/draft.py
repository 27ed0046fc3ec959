"""The readable parts of a contract, so that rules can speak although other parts are unreadable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fedscore.contract.characteristics import Characteristic, Derived, Interaction, InteractionSide, Role
from fedscore.contract.neural_terms import Learner, NeuralTerms
from fedscore.contract.product_terms import EvaluationTerms, GradeTerms, MonitoringTerms
from fedscore.contract.scorecard_terms import ScorecardTerms
from fedscore.contract.terms import (
    ConsentTerms,
    EncryptionTerms,
    Outcome,
    Party,
    PrivacyTerms,
    RowRules,
    Split,
)

__all__ = ["Draft"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What could be read of a contract.

    Attributes:
        characteristics: By their place in the file, as all the following.
        derived: Derived characteristics.
        interactions: Interactions.
        parties: The roster.
        complete_roster: Whether every party could be read: otherwise nobody is counted.
        outcome: None if unreadable, as the following.
        rows: Rules for rows.
        consent: The columns of consent; None also if there are none.
        privacy: Privacy terms.
        encryption: Encryption terms.
        learner: What is trained.
        scorecard: How a scorecard is trained; None also if it is not said.
        names_neural: Whether there are neural terms, readable or not.
        neural: Those terms.
        split: The split into training and test rows.
        grades: Grades and calibration; None also if there are none, as the following.
        evaluation: Private metrics.
        groups: Groups whose bad rates and scores are compared, by their place.
        names_monitoring: Whether there are terms of monitoring, readable or not.
        monitoring: Those terms.
        unreadable: Names of characteristics that exist but could not be read: a reference to one of them
            is no second mistake.
    """

    characteristics: Mapping[int, Characteristic]
    derived: Mapping[int, Derived]
    interactions: Mapping[int, Interaction]
    parties: Mapping[int, Party]
    complete_roster: bool
    outcome: Outcome | None
    rows: RowRules | None
    consent: ConsentTerms | None
    privacy: PrivacyTerms | None
    encryption: EncryptionTerms | None
    learner: Learner | None
    scorecard: ScorecardTerms | None
    names_neural: bool
    neural: NeuralTerms | None
    split: Split | None
    grades: GradeTerms | None
    evaluation: EvaluationTerms | None
    groups: Mapping[int, InteractionSide]
    names_monitoring: bool
    monitoring: MonitoringTerms | None
    unreadable: frozenset[str]

    def by_name(self) -> Mapping[str, Characteristic | Derived]:
        """Characteristics and derived ones by name; of two with the same name, the upper."""
        items: tuple[Characteristic | Derived, ...] = (*self.characteristics.values(), *self.derived.values())
        return {item.name: item for item in reversed(items)}

    def holders(self) -> Mapping[str, frozenset[Role]]:
        """The roles that hold each name; of a derived one those that hold every input further up."""
        held = {item.name: frozenset(item.roles) for item in self.characteristics.values()}
        for item in self.derived.values():
            inputs = [held[name] for name in item.of if name in held]
            held[item.name] = frozenset(Role).intersection(*inputs)
        return held

    def used_names(self) -> frozenset[str]:
        """Names that some formula, interaction or group refers to."""
        in_formulas = (name for item in self.derived.values() for name in item.of)
        in_pairs = (side.of for item in self.interactions.values() for side in (item.first, item.second))
        in_groups = (side.of for side in self.groups.values())
        return frozenset((*in_formulas, *in_pairs, *in_groups))
