"""What a card file is made of: bins of points, grades, the distribution of scores, metrics, provenance."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from fedscore.contract import Direction, NoiseMode, Role

__all__ = [
    "Bin",
    "CardParty",
    "CardSignature",
    "CardTable",
    "Evaluation",
    "Grade",
    "GroupMeasures",
    "Measure",
    "Points",
    "PrivacyRecord",
    "Provenance",
    "Scale",
    "ScoreBands",
    "hundredths",
]

_Hex = Annotated[str, Field(pattern=r"^[0-9a-f]*$")]


def _two_decimals(points: float) -> float:
    if abs(points) > _LARGEST_POINTS or abs(points * 100 - round(points * 100)) > 1e-6:
        raise ValueError("points have at most two decimals and six digits before them")
    return points


_LARGEST_POINTS = 999_999.99
Points = Annotated[float, AfterValidator(_two_decimals)]
"""Points as they stand in a card."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def hundredths(points: float) -> int:
    """Points as a whole number of hundredths: what scores are added in, so that sums are exact."""
    return round(points * 100)


class Scale(_Frozen):
    """How points and odds belong together.

    Attributes:
        points_to_double_odds: So many points more, and the odds good : bad are twice as high.
        reference_points: A score of this many points ...
        reference_odds: ... stands for these odds good : bad.
    """

    points_to_double_odds: float = Field(default=20.0, gt=0)
    reference_points: float = 600.0
    reference_odds: float = Field(default=30.0, gt=0)

    @property
    def factor(self) -> float:
        """Points per unit of log-odds."""
        return self.points_to_double_odds / math.log(2.0)

    @property
    def offset(self) -> float:
        """Points at odds 1 : 1."""
        return self.reference_points - self.factor * math.log(self.reference_odds)


class Bin(_Frozen):
    """Cells of one table that get the same points.

    Attributes:
        label: In words.
        cells: Numbers of the cells within the table.
        points: What a record in this bin gets; at most two decimals.
        standard_error: Of the points, in points, from noise and from the choice of customers together; none
            where nothing was measured.
        share: Share of the training records, from the noisy histogram.
        bad_rate: Share of bad records in the bin, from the noisy histogram; none where noise hides it.
    """

    label: str
    cells: tuple[int, ...] = Field(min_length=1)
    points: Points
    standard_error: float | None = Field(default=None, ge=0)
    share: float = Field(ge=0, le=1)
    bad_rate: float | None = Field(ge=0, le=1)


class CardTable(_Frozen):
    """A characteristic or an interaction.

    Attributes:
        name: As in the contract.
        parents: The two characteristics of an interaction; empty for a characteristic.
        monotone: Direction of the bad rate that the contract asks for.
        bins: In the order of their first cells.
        records: How many training records the shares of the bins are of, from the noisy histogram: those of
            roles that hold the table; none where it is not told.
        deviation: Standard deviation of the noise in each cell's count of bad records, and of good ones; a
            bin's is larger by the root of how many counts it adds up. None where it is not told.
    """

    name: str
    parents: tuple[str, ...]
    monotone: Direction | None
    bins: tuple[Bin, ...]
    records: float | None = Field(default=None, ge=0)
    deviation: float | None = Field(default=None, ge=0)

    @property
    def mean_points(self) -> float:
        """Mean of the points over the training records that hold the table."""
        weight, points = self._weighted
        return float(weight @ points)

    @property
    def spread(self) -> float:
        """Standard deviation of the points over the training records: how strongly the table decides."""
        weight, points = self._weighted
        return float(np.sqrt(weight @ (points - weight @ points) ** 2))

    @property
    def _weighted(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        shares = np.array([bin_.share for bin_ in self.bins])
        points = np.array([bin_.points for bin_ in self.bins])
        return shares / max(float(shares.sum()), 1e-12), points

    @property
    def size(self) -> int:
        """Number of cells."""
        return sum(len(bin_.cells) for bin_ in self.bins)

    def hundredths_of_cells(self) -> npt.NDArray[np.int64]:
        """[cells], the points of each cell, in hundredths."""
        points = np.zeros(self.size, dtype=np.int64)
        for bin_ in self.bins:
            points[list(bin_.cells)] = hundredths(bin_.points)
        return points


class Grade(_Frozen):
    """A class of scores.

    Attributes:
        name: As in the contract.
        lowest_score: Scores from here on have this grade, unless a better one begins further down the list of
            grades; none for the last grade, which takes the rest.
        share: Share of the training records, from noisy sums.
        bad_rate: Share of bad records that is expected in it, after calibration.
        standard_error: Of that share, from noise and sampling together.
    """

    name: str
    lowest_score: Points | None
    share: float = Field(ge=0, le=1)
    bad_rate: float = Field(ge=0, le=1)
    standard_error: float = Field(ge=0)


class ScoreBands(_Frozen):
    """How the training records' scores are distributed, from one private sum.

    Attributes:
        edges: In points, strictly increasing; band k is [edge k-1, edge k), the outer two are open.
        bad: Noisy counts of bad records, one more than there are edges.
        good: Noisy counts of good records.
        deviation: Standard deviation of the noise in each count.
        total_deviation: Standard deviation of the noise in all bad counts together, or all good ones: noise
            in neighbouring bands mostly cancels.
    """

    edges: tuple[float, ...]
    bad: tuple[float, ...]
    good: tuple[float, ...]
    deviation: float = Field(ge=0)
    total_deviation: float = Field(ge=0)


class Measure(_Frozen):
    """A metric over test rows, from private sums.

    Attributes:
        name: As "auc", or "recall at 5 %".
        value: The estimate.
        low: With `high`, an interval that holds the exact value on these very rows at the evaluation's level.
        high: See `low`.
        total_low: With `total_high`, the same for other customers of the same kind: noise and sampling.
        total_high: See `total_low`.
    """

    name: str
    value: float
    low: float
    high: float
    total_low: float
    total_high: float


class GroupMeasures(_Frozen):
    """How one group of people fares, from private sums over test rows.

    Attributes:
        group: The characteristic that makes the groups.
        label: The group's cell.
        measures: Its share of the records, bad rate, mean predicted probability, and share of each grade.
    """

    group: str
    label: str
    measures: tuple[Measure, ...]


class Evaluation(_Frozen):
    """What the score is worth on the test rows of all parties, from private sums.

    Attributes:
        level: Of all intervals, as 0.99.
        records: Noisy number of test rows.
        measures: Metrics of the whole score.
        not_measured: Names of metrics that noise or too few rows hide.
        calibration: By band of scores, as "505 to 520": the observed bad rate; `predicted` beside it.
        predicted: Mean predicted probability, one for each entry of `calibration`.
        grades: The observed bad rate of each grade, in the order of the card's grades.
        groups: Groups that the contract names.
    """

    level: float = Field(gt=0, lt=1)
    records: float
    measures: tuple[Measure, ...]
    not_measured: tuple[str, ...] = ()
    calibration: tuple[Measure, ...] = ()
    predicted: tuple[float, ...] = ()
    grades: tuple[Measure, ...] = ()
    groups: tuple[GroupMeasures, ...] = ()

    def measure(self, name: str) -> Measure | None:
        """The metric of a name, if it was measured."""
        return next((one for one in self.measures if one.name == name), None)


class PrivacyRecord(_Frozen):
    """What the card's training cost.

    Attributes:
        noise: Shared, local or none.
        epsilon: For one record of one organisation; none where nothing bounds it.
        person_epsilon: For a person with all the records that the contract allows.
        delta: For both.
        mu: Gaussian-DP parameter at record level.
        absent: Parties whose noise may be missing.
        colluding_parties: Parties whose noise an adversary may know.
        events: One per private sum, in lattice steps, for whoever recomputes ε.
    """

    noise: NoiseMode
    epsilon: float | None
    person_epsilon: float | None
    delta: float
    mu: float | None
    absent: int
    colluding_parties: int
    events: tuple[dict[str, int | str], ...]


class CardParty(_Frozen):
    """An organisation of the roster.

    Attributes:
        name: Its name.
        role: What it is to the consortium.
    """

    name: str
    role: Role


class Provenance(_Frozen):
    """Where a card comes from, if it comes from a deployment.

    Attributes:
        run: The run's id.
        transcript: Hash of the transcript's head after the run's last sum.
        round: Number of that sum's round, counted per key.
        finished: When the server wrote the card, UTC, as 2026-01-31T23:59:59Z.
    """

    run: str
    transcript: str
    round: int
    finished: str


class CardSignature(_Frozen):
    """Who stands behind the file.

    Attributes:
        scheme: How it was made.
        signer: The name that the signer goes by.
        key: Ed25519 public key, 64 hexadecimal digits.
        signature: Over everything else in the file, 128 hexadecimal digits.
    """

    scheme: Literal["ed25519"] = "ed25519"
    signer: str
    key: _Hex = Field(min_length=64, max_length=64)
    signature: _Hex = Field(min_length=128, max_length=128)
