from __future__ import annotations

import pytest

from simulations.paired import Gap, paired_gap, student_quantile


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [
        (1, 12.7062),
        (2, 4.3027),
        (3, 3.1824),
        (4, 2.7764),
        (5, 2.5706),
        (9, 2.2622),
        (30, 2.0423),
        (99, 1.9842),
    ],
)
def test_quantiles_are_those_of_the_printed_tables(freedom: int, quantile: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(quantile, abs=5e-5)


def test_other_levels_and_the_median() -> None:
    assert student_quantile(0.95, 4) == pytest.approx(2.1318, abs=5e-5)
    assert student_quantile(0.5, 7) == pytest.approx(0, abs=1e-9)


def test_a_gap_is_over_the_seeds_of_both() -> None:
    gap = paired_gap({1: 0.5, 2: 0.7, 3: 0.9, 4: 1.0}, {4: 0.9, 3: 0.7, 2: 0.4, 9: 0.0})
    # Differences of .3, .2 and .1: a standard error of .1 / sqrt(3), and 4.3027 of them.
    assert gap is not None
    assert gap.mean == pytest.approx(0.2)
    assert gap.margin == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)


def test_pairing_takes_out_what_seeds_have_in_common() -> None:
    splits = {seed: seed / 10 for seed in range(5)}
    gap = paired_gap({seed: auc + 0.01 for seed, auc in splits.items()}, splits)
    assert gap is not None
    assert gap.mean == pytest.approx(0.01)
    assert gap.margin == pytest.approx(0, abs=1e-12)


def test_one_seed_has_no_interval_and_none_no_gap() -> None:
    assert paired_gap({1: 0.5}, {1: 0.25}) == Gap(mean=0.25, margin=None)
    assert paired_gap({1: 0.5}, {2: 0.5}) is None
