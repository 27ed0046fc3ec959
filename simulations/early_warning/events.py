"""On which day did it happen? The first event of every account or person of the synthetic consortium."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from clients.platform.rows import GRACE_DAYS
from fedscore.contract import Role

__all__ = ["first_events"]

_HALF_A_CENT = 0.005


def first_events(
    tables: Mapping[str, pa.Table], role: Role, *, as_of: dt.date, horizon_days: int
) -> dict[str, int]:
    """Who has an event within the horizon, and how many days after the as-of date the first one is.

    At a platform the event is an instalment that falls due within the horizon and is not settled seven days
    later; its day is the due date, the last day on which a warning could have helped. At an agency it is a
    new case of the person; its day is the day on which the case was opened. Whoever has an event here has y =
    1 in `rows_as_of`, with the horizon that the role's rows need to see it.

    Args:
        tables: The operational tables of the role.
        role: The organisation's role.
        as_of: Day 0.
        horizon_days: Events are looked for on the days from 0 to one less than this.

    Returns:
        Days by the row's id.
    """
    if role is Role.COLLECTOR:
        cases = tables["cases"]
        return _earliest(cases, "person_id", "opened_on", pa.scalar(True), as_of, horizon_days)
    repayments = tables["repayments"]
    settled = pc.and_(
        pc.greater_equal(
            pc.fill_null(repayments["amount_paid"], 0.0), pc.subtract(repayments["amount_due"], _HALF_A_CENT)
        ),
        pc.fill_null(
            pc.less_equal(
                pc.days_between(repayments["due_on"], repayments["paid_on"]),
                pa.scalar(GRACE_DAYS, pa.int64()),
            ),
            False,
        ),
    )
    return _earliest(repayments, "account_id", "due_on", pc.invert(settled), as_of, horizon_days)


def _earliest(
    table: pa.Table,
    owner: str,
    day: str,
    counts: pa.ChunkedArray | pa.Scalar,
    as_of: dt.date,
    horizon_days: int,
) -> dict[str, int]:
    after = pc.days_between(pa.scalar(as_of, pa.date32()), table[day])
    within = pc.and_(pc.greater_equal(after, 0), pc.less(after, horizon_days))
    kept = pa.table({"owner": table[owner].cast(pa.string()), "after": after}).filter(pc.and_(within, counts))
    first = kept.group_by("owner").aggregate([("after", "min")])
    return dict(zip(first["owner"].to_pylist(), first["after_min"].to_pylist(), strict=True))
