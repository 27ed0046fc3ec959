from __future__ import annotations

import datetime as dt
import hmac
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from fedscore.contract import Contract, Split
from fedscore.data import Rows, is_test, on_test_side, split, training_rows
from fedscore.errors import DataError

IDS = [str(number) for number in range(2000)]


def rows_of(
    persons: Sequence[str], ids: Sequence[str] | None = None, late: Sequence[bool] | None = None
) -> Rows:
    return Rows(
        cells=np.arange(len(persons), dtype=np.int32)[:, None],
        outcome=np.zeros(len(persons), dtype=np.int8),
        ids=np.array([f"row {n}" for n in range(len(persons))] if ids is None else ids, dtype=object),
        persons=np.array(persons, dtype=object),
        late=np.zeros(len(persons), dtype=np.bool_) if late is None else np.array(late, dtype=np.bool_),
    )


# Keys of more than one block of SHA-256, 64 bytes, are hashed first.
@pytest.mark.parametrize("key", ["k", "k" * 63, "k" * 64, "k" * 65, "ключ" * 30])
def test_the_side_is_that_of_the_standard_librarys_hmac(key: str) -> None:
    share = 0.3
    expected = [
        Fraction(int.from_bytes(hmac.digest(key.encode(), one.encode(), "sha256")[:8], "big"), 2**64) < share
        for one in [*IDS, "", "Ωmega", "x" * 1000]
    ]
    found = is_test([*IDS, "", "Ωmega", "x" * 1000], Split(test_share=share, key=key))
    assert found.dtype == np.bool_
    assert found.tolist() == expected


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_about_the_share_is_set_aside(share: float) -> None:
    found = is_test(IDS, Split(test_share=share, key="k")).mean()
    assert abs(found - share) <= 4 * np.sqrt(share * (1 - share) / len(IDS))


def test_another_key_is_another_split() -> None:
    one, other = (is_test(IDS, Split(test_share=0.5, key=key)) for key in "ab")
    assert 0.4 < np.mean(one == other) < 0.6


@pytest.mark.parametrize(
    "ids",
    [
        range(2000),
        np.arange(2000),
        np.arange(2000, dtype=np.uint16),
        np.array(IDS),
        np.array(IDS, dtype=object),
        [np.str_(one) for one in IDS],
    ],
)
def test_an_id_means_the_same_as_text_and_as_an_integer(ids: Sequence[object]) -> None:
    terms = Split(test_share=0.3, key="k")
    np.testing.assert_array_equal(is_test(ids, terms), is_test(IDS, terms))


def test_ids_that_could_be_written_in_two_ways_are_refused() -> None:
    with pytest.raises(DataError, match="3 ids are neither text nor integers: convert them") as caught:
        is_test(["ok", 1.0, None, True], Split(test_share=0.3, key="k"))
    assert "1.0" not in str(caught.value)


def test_no_ids_no_sides() -> None:
    assert is_test([], Split(test_share=0.3, key="k")).shape == (0,)


def test_sides_share_no_person_and_lose_none(contract: Contract) -> None:
    persons = [f"person {number % 600}" for number in range(1000)]
    rows = rows_of(persons)
    training, testing = training_rows(rows, contract), split.test_rows(rows, contract)
    assert not set(training.persons) & set(testing.persons)
    assert set(training.persons) | set(testing.persons) == set(persons)
    assert 0.15 < len(testing) / len(rows) < 0.35


def test_each_person_keeps_as_many_rows_as_the_contract_allows(contract: Contract) -> None:
    persons = [f"person {number % 97}" for number in range(400)] + ["one row", "two rows", "two rows"]
    kept = Counter(
        [
            *training_rows(rows_of(persons), contract).persons,
            *split.test_rows(rows_of(persons), contract).persons,
        ]
    )
    assert kept == {person: min(count, 2) for person, count in Counter(persons).items()}


def test_which_rows_are_kept_depends_on_their_ids_alone(contract: Contract) -> None:
    persons = [f"person {number % 50}" for number in range(300)]
    rows = rows_of(persons)
    shuffled = rows.select(np.random.default_rng(1).permutation(300))
    assert set(training_rows(rows, contract).ids) == set(training_rows(shuffled, contract).ids)
    first_two = {f"row {number}" for number in range(100)}
    assert set(training_rows(rows, contract).ids) != first_two & set(training_rows(rows, contract).ids)


def test_kept_rows_stay_in_their_order(contract: Contract) -> None:
    kept = training_rows(rows_of([f"person {number % 50}" for number in range(300)]), contract)
    assert (np.diff(kept.cells[:, 0]) > 0).all()


def test_a_person_more_moves_nobody_else(contract: Contract) -> None:
    persons = [f"person {number % 50}" for number in range(300)]
    before = set(training_rows(rows_of(persons), contract).ids)
    for newcomer in ("a", "b", "c", "d", "e"):
        after = set(training_rows(rows_of([*persons, *[newcomer] * 4]), contract).ids)
        assert before <= after
        assert len(after - before) in (0, 2)


def test_more_rows_than_the_cap_are_refused_and_not_truncated(contract: Contract) -> None:
    terms = contract.model_copy(update={"split": Split(test_share=0.0, key="k")})
    assert len(training_rows(rows_of(IDS[:1000]), terms)) == 1000
    with pytest.raises(
        DataError, match="1001 rows are on the training side, and the contract's row_cap is 1000"
    ):
        training_rows(rows_of(IDS[:1001]), terms)
    # The cap is on rows that would be summed: those beyond a person's own cap do not count.
    assert len(training_rows(rows_of(["same"] * 1500), terms)) == 2


def test_the_test_side_has_the_same_cap(contract: Contract) -> None:
    terms = contract.model_copy(update={"split": Split(test_share=0.9, key="k")})
    with pytest.raises(DataError, match="rows are on the test side"):
        split.test_rows(rows_of(IDS), terms)


def by_date(contract: Contract) -> Contract:
    terms = Split(test_share=0.0, key="k", column="as_of", test_from=dt.date(2017, 5, 1))
    return contract.model_copy(update={"split": terms})


def test_late_rows_test_and_all_others_train(contract: Contract) -> None:
    late = [number % 3 == 0 for number in range(300)]
    rows = rows_of([f"person {number}" for number in range(300)], late=late)
    terms = by_date(contract)
    assert on_test_side(rows, terms.split).tolist() == late
    assert training_rows(rows, terms).cells[:, 0].tolist() == np.flatnonzero(~np.array(late)).tolist()
    assert split.test_rows(rows, terms).cells[:, 0].tolist() == np.flatnonzero(late).tolist()


def test_a_person_is_on_both_sides_under_the_caps_of_each(contract: Contract) -> None:
    persons = ["early and late"] * 9 + ["early"] * 3 + ["late"]
    rows = rows_of(persons, late=[False] * 4 + [True] * 5 + [False] * 3 + [True])
    terms = by_date(contract)
    assert Counter(training_rows(rows, terms).persons) == {"early and late": 2, "early": 2}
    assert Counter(split.test_rows(rows, terms).persons) == {"early and late": 2, "late": 1}


def test_a_date_moves_its_own_persons_rows_alone(contract: Contract) -> None:
    persons = [f"person {number % 40}" for number in range(200)]
    before = rows_of(persons, late=[number % 4 == 0 for number in range(200)])
    after = rows_of(persons, late=[number % 4 == 0 or number == 1 for number in range(200)])
    terms = by_date(contract)
    for side in (training_rows, split.test_rows):
        moved = set(side(before, terms).ids) ^ set(side(after, terms).ids)
        assert all(int(one.split()[1]) % 40 == 1 for one in moved)


def test_each_side_has_the_row_cap(contract: Contract) -> None:
    terms = by_date(contract)
    assert len(split.test_rows(rows_of(IDS[:1500], late=[True] * 1000 + [False] * 500), terms)) == 1000
    with pytest.raises(DataError, match="1001 rows are on the test side, and the contract's row_cap is 1000"):
        split.test_rows(rows_of(IDS[:1001], late=[True] * 1001), terms)


def test_without_a_date_the_flag_decides_nothing(contract: Contract) -> None:
    rows = rows_of(IDS, late=[True] * len(IDS))
    assert on_test_side(rows, contract.split).tolist() == is_test(IDS, contract.split).tolist()


def old_choice(persons: Sequence[str], ids: Sequence[str], key: str, limit: int) -> list[int]:
    """Row by row, with the standard library's HMAC."""
    kept: dict[str, list[tuple[bytes, int]]] = {}
    for place, (person, one) in enumerate(zip(persons, ids, strict=True)):
        digest = hmac.digest(key.encode(), f"row order\0{one}".encode(), "sha256")[:8]
        kept.setdefault(person, []).append((digest, place))
    return sorted(place for rows in kept.values() for _, place in sorted(rows)[:limit])


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("share", [0.0, 0.4])
def test_which_rows_stay_is_what_a_plain_loop_says(contract: Contract, limit: int, share: float) -> None:
    generator = np.random.default_rng(limit)
    persons = [f"person {number}" for number in generator.integers(0, 150, 400)]
    rows = rows_of(persons)
    terms = contract.model_copy(
        update={
            "split": Split(test_share=share, key="k"),
            "rows": contract.rows.model_copy(update={"rows_per_person": limit}),
        }
    )
    for test, side in ((False, training_rows), (True, split.test_rows)):
        places = np.flatnonzero(is_test(persons, terms.split) == test)
        chosen = old_choice(rows.persons[places].tolist(), rows.ids[places].tolist(), "k", limit)
        assert side(rows, terms).cells[:, 0].tolist() == places[chosen].tolist()
