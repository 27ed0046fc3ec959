"""What a contract says apart from characteristics: outcome, rows, consent, split, privacy, roster."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from fedscore.contract.characteristics import Role
from fedscore.contract.values import ColumnName, Hex64, Identifier, Term, Text

__all__ = [
    "CommitteeTerms",
    "ConsentTerms",
    "EncryptionTerms",
    "NoiseMode",
    "Outcome",
    "Party",
    "PrivacyTerms",
    "RowRules",
    "Split",
]


class Outcome(Term):
    """What the score predicts."""

    definition: Text
    """When an account counts as bad, in one sentence."""

    column: ColumnName = "y"
    """The column with the label: 1 is bad, 0 is good."""

    bucket: Text
    """The bucket of delinquency that makes an account bad, as "30+"."""

    horizon_days: Annotated[int, Field(strict=True, ge=1, le=3660)]
    """How many days after the characteristics' date the outcome is looked for."""


class RowRules(Term):
    """What a row is, and how many of them one person and one organisation may have."""

    id: ColumnName = "id"
    """The column that is unique in an organisation's file."""

    person: ColumnName | None = None
    """The column with the person's key, if one person may have several rows."""

    organisations_per_person: Annotated[int, Field(strict=True, ge=1)] = 1
    """The largest number of organisations that one person may be at; scales the person's epsilon."""

    rows_per_person: Annotated[int, Field(strict=True, ge=1)] = 1
    """The largest number of training rows of one person at one organisation; scales the person's epsilon."""

    row_cap: Annotated[int, Field(strict=True, ge=1, le=10**9)]
    """The largest number of training rows of one organisation; a file with more is refused."""


class ConsentTerms(Term):
    """Which columns say that a row may be used; of a row that they do not allow, nothing is used.

    An empty or unreadable entry is no consent, in every column but `until`, where an empty one sets no end.
    """

    # The entry is called "from" in the file, which Python keeps for itself.
    model_config = ConfigDict(serialize_by_alias=True)

    given: ColumnName
    """The column that says whether consent was given: 1 or true."""

    scope: ColumnName | None = None
    """The column with what the consent was given for, if consents differ; belongs to scopes."""

    scopes: Annotated[tuple[Text, ...], AfterValidator(lambda scopes: tuple(sorted(scopes)))] = ()
    """The texts of the column scope under which a row may be used, as ["credit scoring"]."""

    since: ColumnName | None = Field(default=None, alias="from")
    """The column with the first day on which the consent holds."""

    until: ColumnName | None = None
    """The column with the last day on which the consent holds; an empty date there sets no end."""

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns that are named, by their entry in the file."""
        named = {"given": self.given, "scope": self.scope, "from": self.since, "until": self.until}
        return {entry: column for entry, column in named.items() if column is not None}


class Split(Term):
    """The split into training and test rows, the same at all organisations: by person, or by date.

    By person, a keyed hash sets a share of the persons aside with all their rows. By date, rows of
    `test_from` and later test, and earlier ones train: out of time. A person with early and late rows is then
    on both sides, so what is done to both costs a person both, and a record one of them.
    """

    test_share: Annotated[float, Field(strict=True, ge=0.0, le=0.9)]
    """The share of persons kept for testing: 0 to 0.9; 0 where test_from splits by date."""

    key: Text
    """The key of the hash; any text, the same for all: another key gives another split."""

    column: ColumnName | None = None
    """The column with the date that each row is as of, for a split by date; belongs to test_from."""

    test_from: Annotated[dt.date, Field(strict=True)] | None = None
    """The first day whose rows test, as 2017-05-01; rows of earlier days train. Belongs to column."""

    @property
    def has_test_rows(self) -> bool:
        """Whether any rows are kept for testing."""
        return self.test_share > 0.0 or self.test_from is not None

    @property
    def separates_persons(self) -> bool:
        """Whether no person has rows on both sides, so that what is done to both costs a person no more."""
        return self.test_from is None


class NoiseMode(StrEnum):
    """Who adds how much of a sum's noise."""

    SHARED = "shared"
    """The parties' shares together make the noise."""

    LOCAL = "local"
    """Every party adds the whole noise."""

    NONE = "none"
    """No noise and no promise: simulations only."""


class PrivacyTerms(Term):
    """What is promised about one record, and against whom."""

    epsilon: Annotated[float, Field(strict=True, gt=0.0, allow_inf_nan=False)]
    """The whole program's epsilon for one record: a positive number."""

    delta: Annotated[float, Field(strict=True, gt=0.0, le=1e-3)]
    """The whole program's delta: above 0, at most 1e-3."""

    noise: NoiseMode = NoiseMode.SHARED
    """Who adds the noise: "shared", "local", or, in simulations alone, "none"."""

    absent: Annotated[int, Field(strict=True, ge=0)] = 0
    """How many parties may be absent from a sum without the promise suffering."""

    colluding_parties: Annotated[int, Field(strict=True, ge=1)] = 1
    """How many parties may pool what they know; at least 1, because a party knows its own share of noise."""

    minimum_cohort: Annotated[int, Field(strict=True, ge=2)] = 2
    """The smallest number of parties whose sum is opened; at least 2."""

    spare_rounds: Annotated[int, Field(strict=True, ge=0, le=100)] = 0
    """How many sums of one run may be abandoned and asked again: 0 to 100; more noise pays for it."""

    answer_seconds: Annotated[int, Field(strict=True, ge=0, le=3600)] = 0
    """How long a node takes for every answer that it computes from rows, 0 to 3600: with more than the
    slowest one needs, the time that an answer takes says nothing of its rows. 0 answers at once."""


class CommitteeTerms(Term):
    """Who opens sums: its members hold shares of the private key, and `threshold` of them open together.

    Its members may be organisations or not (an auditor may sit on it), so its size has nothing to do with
    that of the roster. `encryption_rules.committee_problems` has the rules between the three numbers.
    """

    members: Annotated[int, Field(strict=True, ge=1, le=32)]
    """How many members hold a share of the private key: 1 to 32."""

    threshold: Annotated[int, Field(strict=True, ge=1)]
    """How many of them it takes to open a sum: more than may collude, no more than there are."""

    colluding_members: Annotated[int, Field(strict=True, ge=0)]
    """How many of them may collude with the server: 0 or more."""

    def least_threshold(self, *, absences: bool) -> int:
        """The smallest threshold under which colluding members open nothing that they should not.

        Colluding members must not open by themselves: t > c. With absences several cohorts of a round are
        admissible, an honest member helps to open one of them, and a colluding one all. So two could be
        opened if 2t <= (N - c) + 2c, and their difference may be one party's own vector: 2t > N + c.

        Args:
            absences: Whether sums may lack parties, so that more than one cohort is admissible.

        Returns:
            c + 1, or with absences floor((N + c) / 2) + 1; above N if no threshold would do.
        """
        if absences:
            return (self.members + self.colluding_members) // 2 + 1
        return self.colluding_members + 1


class EncryptionTerms(Term):
    """How sums are encrypted."""

    key_bits: Annotated[int, Field(strict=True, ge=2048, le=8192)] = 3072
    """Bits of the Paillier modulus: 2048 to 8192."""

    committee: CommitteeTerms | None = None
    """Who opens sums, as {members = 7, threshold = 5, colluding_members = 1}; a node needs it."""

    ceremony: Hex64 | None = None
    """The hash of the key ceremony's record, which names the committee's members; a node needs it."""


class Party(Term):
    """An organisation of the roster."""

    name: Identifier
    """The organisation's name: letters, digits, - _ . (at most 64)."""

    role: Role
    """What it is to the consortium: "platform" or "collector"."""

    key: Hex64 | None = None
    """The key that its signatures are checked with, from `fedscore keys identity`; a node needs it."""
