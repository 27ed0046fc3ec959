"""What a contract says about the columns that are modelled, and how they are cut into cells."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from fedscore.contract.values import ColumnName, Edges, Identifier, Level, Number, Reasons, Term, Text

__all__ = [
    "ALL_ROLES",
    "Characteristic",
    "Derived",
    "Direction",
    "Formula",
    "Interaction",
    "InteractionSide",
    "Role",
    "Special",
    "ValueType",
]


class Role(StrEnum):
    """What an organisation is to the consortium."""

    PLATFORM = "platform"
    COLLECTOR = "collector"


ALL_ROLES: tuple[Role, ...] = tuple(Role)


class ValueType(StrEnum):
    """How a column's values are read."""

    NUMBER = "number"
    CATEGORY = "category"


class Direction(StrEnum):
    """Where the bad rate goes as the value grows."""

    INCREASING = "increasing"
    DECREASING = "decreasing"


class Formula(StrEnum):
    """The closed set of formulas for derived characteristics; see `Derived` for their meaning."""

    RATIO = "ratio"
    MAX = "max"
    MIN = "min"
    SUM = "sum"
    MEAN = "mean"
    TREND = "trend"
    COUNT_ABOVE = "count_above"
    MONTHS_SINCE = "months_since"


def _code(value: object) -> object:
    """One plain refusal instead of one for each member of the union."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be a number or text")  # noqa: TRY004 - pydantic collects ValueError only
    return value + 0.0 if isinstance(value, int | float) else value


class Special(Term):
    """A code that stands for a meaning instead of a value: it gets a cell of its own."""

    code: Annotated[Number | str, BeforeValidator(_code)]
    """The code as it stands in the column: a number in a number, text or a number in a category."""

    meaning: Text
    """What the code means; it labels the cell."""


def _sorted_roles(value: object) -> object:
    """The order of roles says nothing, so it must not change the hash."""
    if isinstance(value, list | tuple) and all(isinstance(role, str) for role in value):
        return tuple(sorted(value, key=lambda role: (str(role) not in ALL_ROLES, str(role))))
    return value


class Characteristic(Term):
    """A column, who holds it, and its public grid or levels.

    Cells of a number: one per interval of `edges`, one per special code, *missing*, and *not held* where
    a role does not hold it. Cells of a category: one per level, *other*, one per special code, *missing*,
    *not held*. The grid is public: it comes from a data dictionary or from product knowledge, never from
    anybody's data.
    """

    name: Identifier
    """The name of the characteristic: letters, digits, - _ . (at most 64)."""

    column: ColumnName
    """The column of the file that holds it; the characteristic's name by default."""

    type: ValueType
    """How its values are read: "number" or "category"."""

    unit: str = ""
    """The unit of its values, as "NT dollars"."""

    description: str = ""
    """What it says about a customer, in one sentence."""

    roles: Annotated[tuple[Role, ...], BeforeValidator(_sorted_roles)] = ALL_ROLES
    """The roles that hold it: "platform", "collector", or both."""

    edges: Edges = ()
    """The public grid of a number: strictly increasing; cell i is [edge i-1, edge i)."""

    whole: bool = Field(default=False, strict=True)
    """true if its values are whole numbers: cells are then called by the numbers in them."""

    levels: tuple[Level, ...] = ()
    """The public levels of a category."""

    special: tuple[Special, ...] = ()
    """Codes with a meaning of their own, as [{code = 98, meaning = "refused to say"}]."""

    monotone: Direction | None = None
    """Where the bad rate must go as the value grows: "increasing" or "decreasing"."""

    input_only: bool = Field(default=False, strict=True)
    """true if it only feeds derived characteristics and interactions, and has no cells of its own."""

    reasons: Reasons = Field(default_factory=dict)
    """What a customer is told when it cost points, by language, as {en = "High use of the credit limit"}."""

    @model_validator(mode="before")
    @classmethod
    def _column_is_the_name(cls, data: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        if isinstance(data, dict) and "column" not in data:
            # A name that is absent or no text is refused as such: once is enough.
            name = data.get("name")
            return {**data, "column": name if isinstance(name, str) and name else "?"}
        return data


class Derived(Term):
    """A characteristic computed from others at each organisation, by one formula of a closed set.

    A series is listed **most recent first**. With x the inputs after `floor` and `cap`:

    - ``ratio``: x[0] / max(x[1], denominator_floor). Without a floor, a denominator of 0 gives *missing*.
    - ``max``, ``min``, ``mean``: over the inputs.
    - ``sum``: of weights[i] * x[i]; every weight is 1 by default.
    - ``trend``: the least-squares slope per step; positive if the series rises toward the most recent.
    - ``count_above``: how many inputs are above `threshold`.
    - ``months_since``: the place (from 0, most recent first) of the first input above `threshold`, or the
      length of the series if there is none.

    A missing input makes the result *missing*. A special code counts as missing, unless
    `specials_as_values` is true: then the raw number is used, after `floor` and `cap`. A role that does
    not hold every input does not hold the result.
    """

    name: Identifier
    """The name of the derived characteristic: letters, digits, - _ . (at most 64)."""

    formula: Formula
    """How it is computed."""

    of: Annotated[tuple[Identifier, ...], Field(min_length=1)]
    """What it is computed from: characteristics, or derived ones further up; a series most recent first."""

    unit: str = ""
    """The unit of its values."""

    description: str = ""
    """What it says about a customer, in one sentence."""

    edges: Edges = ()
    """The public grid: strictly increasing; cell i is [edge i-1, edge i)."""

    whole: bool = Field(default=False, strict=True)
    """true if its values are whole numbers: cells are then called by the numbers in them."""

    monotone: Direction | None = None
    """Where the bad rate must go as the value grows: "increasing" or "decreasing"."""

    input_only: bool = Field(default=False, strict=True)
    """true if it only feeds other derived characteristics and interactions."""

    reasons: Reasons = Field(default_factory=dict)
    """What a customer is told when it cost points, by language, as {en = "High use of the credit limit"}."""

    floor: Number | None = None
    """Every input below this counts as this."""

    cap: Number | None = None
    """Every input above this counts as this."""

    weights: tuple[Number, ...] = ()
    """One weight per input of a sum."""

    threshold: Number | None = None
    """What an input must be above, for count_above and months_since."""

    denominator_floor: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] | None = None
    """The smallest denominator of a ratio; a positive number."""

    specials_as_values: bool = Field(default=False, strict=True)
    """true if special codes of the inputs count as the numbers they are, instead of as missing."""


class InteractionSide(Term):
    """One side of an interaction: a characteristic on a coarser grid."""

    of: Identifier
    """The characteristic or derived characteristic."""

    edges: Edges = ()
    """The coarse public grid, for a number: strictly increasing."""

    levels: tuple[Level, ...] = ()
    """The levels that matter, for a category; all others share one cell."""

    @property
    def value_cells(self) -> int:
        """Number of cells apart from the one for everything else."""
        return len(self.levels) if self.levels else len(self.edges) + 1


class Interaction(Term):
    """Two characteristics crossed: one cell for every pair of their coarse cells."""

    first: InteractionSide
    """The side that runs slowest over the cells, as {of = "age", edges = [30, 50]}."""

    second: InteractionSide
    """The side that runs fastest over the cells, as {of = "income", edges = [2000, 5000]}."""

    @property
    def name(self) -> str:
        """The two names with a multiplication sign between them."""
        return f"{self.first.of} \N{MULTIPLICATION SIGN} {self.second.of}"
