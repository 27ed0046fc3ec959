"""Which rows train, and which test? Decided per person by a keyed hash, or per row by its date.

A shuffled split would change with every row that is added, and so would the sums over it. Here the side of a
person depends on the person's id and the contract's key alone, or that of a row on the row's own date. So
adding or removing a person moves nobody else, and every organisation decides alike.

What the two do to the unit of privacy differs. A hash puts a person on one side with all rows, so a training
and an evaluation compose in parallel for records and for persons. By date a record is on one side still, but
a person with early and late rows is on both, under the caps of each: for persons the two add up
(`Split.separates_persons`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from fedscore.contract import Contract, Split
from fedscore.data.identity import Digests, digests_of, grouped
from fedscore.data.rows import Rows
from fedscore.errors import DataError

__all__ = [
    "is_test",
    "on_test_side",
    "require_room",
    "row_order",
    "test_rows",
    "training_rows",
    "within_person_cap",
]

_BLOCK = 64
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_INNER = bytes(byte ^ 0x36 for byte in range(256))


def is_test(ids: Iterable[object], split: Split) -> npt.NDArray[np.bool_]:
    """Which persons are set aside for testing by a split that separates persons.

    A person tests if the first 8 bytes of HMAC-SHA256(key, id), read as a big-endian integer and divided by
    2⁶⁴, are below `split.test_share`. Key and id enter as UTF-8; an integer id as its decimal text, so 123
    and "123" agree.

    Args:
        ids: Persons' ids [n], texts or integers.
        split: The contract's split.

    Returns:
        [n], true for the test side. A pure function of each id: the same at all organisations, in any order.

    Raises:
        DataError: Some ids are neither text nor integers.
    """
    # A float times a power of two is exact, and an integer is below x exactly if it is below ⌈x⌉.
    threshold = np.uint64(math.ceil(split.test_share * 2.0**64))
    return _keyed_hashes(ids, split.key) < threshold


def on_test_side(rows: Rows, split: Split) -> npt.NDArray[np.bool_]:
    """Which rows are set aside for testing, by person or by date.

    Args:
        rows: Rows, binned by the contract whose split it is.
        split: The contract's split.

    Returns:
        [n], true for the test side.

    Raises:
        DataError: The rows have no texts of ids any more, by which persons are divided.
    """
    if not split.separates_persons:
        return rows.late
    return is_test(rows.persons, split) if split.has_test_rows else np.zeros(len(rows), dtype=np.bool_)


def training_rows(rows: Rows, contract: Contract) -> Rows:
    """The rows that a training run may sum: the training side of the split, under the contract's caps.

    Of each person at most `rows_per_person` rows are kept, in the order of a keyed hash of the row's id. So
    adding or removing one person, with all rows, changes at most `rows_per_person` rows of the result and
    nothing else. A *single* row added for a person at the cap may displace another of the same person: that
    is a change of two kept rows. The record that the record-level guarantee speaks of is a kept row.

    Args:
        rows: All rows of an organisation.
        contract: Names the split and the caps.

    Returns:
        The kept rows, in their order in `rows`.

    Raises:
        DataError: More than `row_cap` rows would be kept. They are refused, not truncated: a truncation would
            displace another person's row whenever one is added, which doubles the sensitivity.
    """
    return _side(rows, contract, test=False)


def test_rows(rows: Rows, contract: Contract) -> Rows:
    """The rows that a private evaluation may sum: the test side of the split, under the same caps.

    No record is on both sides, so for records a training and an evaluation compose in parallel; for persons
    they do if the split separates them.

    Args:
        rows: All rows of an organisation.
        contract: Names the split and the caps.

    Returns:
        The kept rows, in their order in `rows`.

    Raises:
        DataError: As for `training_rows`.
    """
    return _side(rows, contract, test=True)


def _side(rows: Rows, contract: Contract, *, test: bool) -> Rows:
    side = np.flatnonzero(on_test_side(rows, contract.split) == test)
    ids = rows.ids[side]
    kept = within_person_cap(
        digests_of(rows.persons[side]),
        lambda crowded: row_order(ids[crowded], contract.split),
        limit=contract.rows.rows_per_person,
    )
    require_room(len(kept), contract, test=test)
    return rows.select(side[kept])


def require_room(kept: int, contract: Contract, *, test: bool) -> None:
    """Refuses more rows on one side than the contract allows.

    Args:
        kept: How many there are under the caps of persons.
        contract: Names the cap.
        test: Which side it is.

    Raises:
        DataError: There are too many.
    """
    cap = contract.rows.row_cap
    if kept > cap:
        side_name = "test" if test else "training"
        raise DataError(
            f"{kept} rows are on the {side_name} side, and the contract's row_cap is {cap}: "
            "hand in fewer rows, chosen before looking at them, or agree on a contract with a higher row_cap"
        )


def within_person_cap(
    persons: Digests,
    order_of: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.uint64]],
    *,
    limit: int,
) -> npt.NDArray[np.int64]:
    """The first rows of each person, in an order that has nothing to do with that of the file.

    Args:
        persons: [n] digests of the persons' ids.
        order_of: What `row_order` gives for the rows at some positions; it is asked for persons with too many
            rows alone.
        limit: The most rows of one person.

    Returns:
        Positions of the rows that stay, ascending.
    """
    order, starts = grouped(persons)
    sizes = np.diff(starts, append=len(order))
    crowded = order[np.repeat(sizes > limit, sizes)]
    sizes = sizes[sizes > limit]
    person = np.repeat(np.arange(len(sizes)), sizes)
    rank = np.arange(len(crowded)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    stays = np.ones(len(persons), dtype=np.bool_)
    stays[crowded[np.lexsort((order_of(crowded), person))[rank >= limit]]] = False
    return np.flatnonzero(stays)


def row_order(ids: Iterable[object], split: Split) -> npt.NDArray[np.uint64]:
    """Keyed hashes of rows' ids, by which a person's rows are chosen.

    Args:
        ids: Rows' ids [n], texts or integers.
        split: Has the key.

    Returns:
        [n]; lower ones stay first.
    """
    # The prefix keeps this order apart from the hashes that chose the side, should row and person ids
    # coincide.
    return _keyed_hashes((f"row order\0{row_id}" for row_id in ids), split.key)


def _keyed_hashes(ids: Iterable[object], key: str) -> npt.NDArray[np.uint64]:
    """First 8 bytes of HMAC-SHA256(key, id) of each id.

    The two key blocks are hashed once and copied (RFC 2104, section 4): four times as fast over a million
    ids as `hmac.digest`, which prepares the key for each of them.
    """
    secret = key.encode()
    block = (sha256(secret).digest() if len(secret) > _BLOCK else secret).ljust(_BLOCK, b"\0")
    copy_inner, copy_outer = sha256(block.translate(_INNER)).copy, sha256(block.translate(_OUTER)).copy
    heads = bytearray()
    strange = 0
    for one in ids:
        if isinstance(one, str):
            text = one
        elif isinstance(one, (int, np.integer)) and not isinstance(one, bool):
            text = str(int(one))
        else:
            strange += 1
            continue
        inner = copy_inner()
        inner.update(text.encode())
        outer = copy_outer()
        outer.update(inner.digest())
        heads += outer.digest()[:8]
    if strange:
        raise DataError(
            f"{strange} ids are neither text nor integers: convert them to text, alike at all organisations"
        )
    return np.frombuffer(heads, dtype=">u8").astype(np.uint64)
