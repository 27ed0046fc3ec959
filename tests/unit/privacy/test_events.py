from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from fedscore.errors import AccountingError
from privacy.dp.events import Composed, DistributedGaussian, NonPrivate, PoissonSampledGaussian, leaves

SUM = DistributedGaussian(
    sensitivity_squared=3, share_variance=100, honest_shares=18, dimension=5, total_shares=20
)


@pytest.mark.parametrize("field", ["sensitivity_squared", "share_variance", "honest_shares", "dimension"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "1"])
def test_a_sum_refuses_what_is_no_positive_int(field: str, value: object) -> None:
    good: dict[str, Any] = {
        "sensitivity_squared": 3,
        "share_variance": 100,
        "honest_shares": 18,
        "dimension": 5,
        "total_shares": 20,
    }
    with pytest.raises(AccountingError, match=f"{field} of a sum is {value}; it must be a positive int"):
        DistributedGaussian(**{**good, field: value})


def test_a_sum_refuses_more_honest_shares_than_there_are() -> None:
    with pytest.raises(AccountingError, match="21 honest shares of 20 in all"):
        DistributedGaussian(
            sensitivity_squared=3, share_variance=100, honest_shares=21, dimension=5, total_shares=20
        )


@pytest.mark.parametrize("parts", [[SUM], (SUM, "sum"), None])
def test_a_composition_refuses_what_is_no_event(parts: Any) -> None:  # noqa: ANN401 - wrong types are the point
    with pytest.raises(AccountingError, match="tuple of events"):
        Composed(events=parts)


def test_events_are_facts_that_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        SUM.share_variance = 1  # type: ignore[misc]  # the attack
    assert Composed(events=(SUM,)) == Composed(events=(SUM,))
    assert SUM.honest_variance == 1800


def test_leaves_takes_compositions_apart_in_order() -> None:
    nested = Composed(events=(SUM, Composed(events=(NonPrivate(), Composed(events=()))), SUM))
    assert list(leaves(nested)) == [SUM, NonPrivate(), SUM]
    assert list(leaves(SUM)) == [SUM]


def test_a_sampled_sum_is_a_leaf_with_its_repetitions() -> None:
    sampled = PoissonSampledGaussian(sum=SUM, one_in=2)
    assert sampled.repetitions == 1
    assert list(leaves(Composed(events=(SUM, sampled)))) == [SUM, sampled]


@pytest.mark.parametrize("one_in", [1, 0, -5, 2.5, "10", None])
def test_a_sampled_sum_refuses_a_chance_that_is_none(one_in: Any) -> None:  # noqa: ANN401 - wrong types are the point
    with pytest.raises(
        AccountingError, match=f"one_in of a sampled sum is {one_in}; it must be an int from 2"
    ):
        PoissonSampledGaussian(sum=SUM, one_in=one_in)


@pytest.mark.parametrize("repetitions", [0, -1, 1.5, None])
def test_a_sampled_sum_refuses_less_than_one_repetition(repetitions: Any) -> None:  # noqa: ANN401 - as above
    with pytest.raises(AccountingError, match=f"repetitions of a sampled sum is {repetitions}"):
        PoissonSampledGaussian(sum=SUM, one_in=10, repetitions=repetitions)


@pytest.mark.parametrize("inner", [NonPrivate(), Composed(events=(SUM,)), None])
def test_only_a_sum_can_be_sampled(inner: Any) -> None:  # noqa: ANN401 - as above
    with pytest.raises(AccountingError, match="must be a DistributedGaussian"):
        PoissonSampledGaussian(sum=inner, one_in=10)
