"""Counting own rows: the same as scoring them and counting, whatever the file and however it is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from fedscore.card import Card
from fedscore.contract import Role
from fedscore.data import Values, cells_of
from fedscore.errors import CardError, DataError
from fedscore.estimates import AlarmReading, Shift
from fedscore.monitoring import Layout, MonitoringReport, Past, Watch, monitoring_report
from fedscore.monitoring.layout import NOWHERE
from fedscore.monitoring.own_rows import OwnRows, count_file
from tests.watching import card_and_contract, customers, everybody


@pytest.fixture(scope="module")
def card() -> Card:
    return card_and_contract()[0]


@pytest.fixture(scope="module")
def layout(card: Card) -> Layout:
    return Layout(card)


def table(seed: int, *, count: int = 5000, rise: float = 0.0, skew: float = 0.0) -> pa.Table:
    generator = np.random.default_rng(seed)
    used = generator.beta(1.2 + skew, 2.2, count)
    late = generator.poisson(1.0, count)
    risk = 1.0 / (1.0 + np.exp(3.5 - rise - 2.0 * used - 0.4 * late))
    return pa.table(
        {
            "id": np.arange(count),
            "utilisation": used,
            "late_payments": late.astype(np.float64),
            "segment": generator.choice(["card", "loan", "boat"], count),
            "y": (generator.random(count) < risk).astype(np.int64),
        }
    )


def counted(layout: Layout, file: Path, *, outcome: str | None = "y", role: Role = Role.PLATFORM) -> OwnRows:
    return count_file(layout, file, role=role, id_column="id", outcome=outcome)


def written(folder: Path, rows: pa.Table, name: str = "rows.parquet") -> Path:
    file = folder / name
    if file.suffix == ".csv":
        arrow_csv.write_csv(rows, file)
    else:
        pq.write_table(rows, file, row_group_size=700)
    return file


def test_counts_are_those_of_numpy_over_the_whole_table(card: Card, layout: Layout, tmp_path: Path) -> None:
    rows = table(1)
    found = counted(layout, written(tmp_path, rows)).counts
    values = Values(
        size=len(rows),
        numbers={name: rows[name].to_numpy() for name in ("utilisation", "late_payments")},
        categories={"segment": rows["segment"].combine_chunks()},
    )
    cells = cells_of(values, card.grid, role=Role.PLATFORM)
    outcome, probability = rows["y"].to_numpy(), card.probability(cells)
    for column, watched in enumerate(layout.tables):
        for place, number in enumerate(watched.bins):
            inside = np.isin(cells[:, column], watched.card.bins[number].cells)
            assert found.bins[watched.start + place] == inside.sum()
    grade = card.grade_places(card.hundredths(cells))
    assert found.outcomes is not None
    for place in range(len(card.grades)):
        inside = grade == place
        assert layout.by_grade(found.scores)[place] == inside.sum()
        assert found.outcomes.expected[place] == pytest.approx(probability[inside].sum())
        assert found.outcomes.surplus[place] == pytest.approx((outcome - probability)[inside].sum())
    assert found.outcomes.sums.surplus.value == pytest.approx((outcome - probability).sum())
    assert found.outcomes.sums.rows.value == pytest.approx(5000)
    scores = card.score(cells)
    assert card.bands is not None
    bands = np.bincount(
        np.searchsorted(card.bands.edges, scores, side="right"), minlength=len(card.bands.bad)
    )
    assert layout.by_band(found.scores).tolist() == bands.tolist()


def test_batches_and_formats_make_no_difference(layout: Layout, tmp_path: Path) -> None:
    rows = table(2, count=150_000)
    one = counted(layout, written(tmp_path, rows)).counts
    other = counted(layout, written(tmp_path, rows, "rows.csv")).counts
    assert one.bins.tolist() == other.bins.tolist()
    assert one.scores.tolist() == other.scores.tolist()
    assert one.outcomes is not None
    assert other.outcomes is not None
    np.testing.assert_allclose(one.outcomes.sums.values, other.outcomes.sums.values, rtol=1e-9)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_rows_without_an_outcome_count_in_distributions_alone(
    layout: Layout, tmp_path: Path, name: str
) -> None:
    rows = table(3)
    unknown = pa.array(np.arange(len(rows)) % 4 == 0)
    rows = rows.set_column(4, "y", pc.if_else(unknown, pa.scalar(None, pa.int64()), rows["y"]))
    found = counted(layout, written(tmp_path, rows, name))
    assert (found.rows, found.known) == (5000, 3750)
    report = monitoring_report(layout, found.counts, Past.of_card(layout), role=Role.PLATFORM)
    assert (report.records, report.known) == (5000.0, 3750.0)
    assert any("1,250 rows is not known yet" in note for note in report.notes)
    assert report.alarm is not None


def test_without_a_column_of_outcomes_there_is_no_alarm(layout: Layout, tmp_path: Path) -> None:
    found = counted(layout, written(tmp_path, table(3).drop_columns("y")), outcome=None)
    report = monitoring_report(layout, found.counts, Past.of_card(layout), role=Role.PLATFORM)
    assert report.alarm is None
    assert report.calibration is None
    assert report.watch is Watch.OWN
    assert MonitoringReport.model_validate_json(report.to_json()) == report


def test_an_outcome_that_is_none_refuses_the_file(layout: Layout, tmp_path: Path) -> None:
    rows = table(3).set_column(4, "y", pa.array(np.arange(5000) % 3))
    with pytest.raises(DataError, match=r"1666 rows with an outcome outside \{0, 1\}"):
        counted(layout, written(tmp_path, rows))


def test_rows_that_cannot_be_scored_are_left_out(layout: Layout, tmp_path: Path) -> None:
    rows = table(3)
    used = rows["utilisation"].to_numpy().copy()
    used[:5] = np.inf
    found = counted(layout, written(tmp_path, rows.set_column(1, "utilisation", pa.array(used))))
    assert (found.rows, found.left_out) == (4995, 5)
    used[:] = np.inf
    with pytest.raises(DataError, match="none of its 5,000 rows can be scored"):
        counted(layout, written(tmp_path, rows.set_column(1, "utilisation", pa.array(used))))


def test_a_role_is_told_of_what_it_holds_alone(layout: Layout, tmp_path: Path) -> None:
    file = written(tmp_path, table(4).drop_columns("segment"))
    found = counted(layout, file, role=Role.COLLECTOR)
    report = monitoring_report(layout, found.counts, Past.of_card(layout), role=Role.COLLECTOR)
    assert "segment" not in [one.name for one in report.tables]
    with pytest.raises(DataError, match="'segment' is missing"):
        counted(layout, file)


def test_own_earlier_rows_are_a_fairer_comparison(layout: Layout, tmp_path: Path) -> None:
    """An organisation whose customers have always been others has not moved."""
    earlier = counted(layout, written(tmp_path, table(5, count=60_000), "then.parquet")).counts
    present = counted(layout, written(tmp_path, table(6, count=60_000))).counts
    of_all = monitoring_report(layout, present, Past.of_card(layout), role=Role.PLATFORM)
    of_own = monitoring_report(layout, present, Past.of_counts(layout, earlier), role=Role.PLATFORM)
    assert of_all.score.reading is Shift.SHIFTED
    assert any("always been others" in note for note in of_all.notes)
    assert {one.reading for one in (of_own.score, *of_own.tables)} == {Shift.STABLE}
    assert of_own.own_past
    assert of_own.alarm is not None
    assert of_all.alarm is not None
    assert of_own.alarm.reading is AlarmReading.QUIET
    assert of_all.alarm.reading is AlarmReading.ALARM


def test_a_real_rise_is_seen_against_own_earlier_rows(layout: Layout, tmp_path: Path) -> None:
    earlier = counted(layout, written(tmp_path, table(5, count=60_000), "then.parquet")).counts
    worse = counted(layout, written(tmp_path, table(6, count=60_000, rise=0.3, skew=0.8))).counts
    report = monitoring_report(layout, worse, Past.of_counts(layout, earlier), role=Role.PLATFORM)
    assert report.alarm is not None
    assert report.alarm.reading is AlarmReading.ALARM
    assert report.moved
    assert report.moved[0].name.startswith("utilisation")


def test_the_population_stability_index_is_the_formula(layout: Layout, tmp_path: Path) -> None:
    then = counted(layout, written(tmp_path, table(5), "then.parquet")).counts
    now = counted(layout, written(tmp_path, table(6, skew=0.5))).counts
    report = monitoring_report(layout, now, Past.of_counts(layout, then), role=Role.PLATFORM)
    for watched, found in zip(layout.tables, report.tables, strict=True):
        p, q = (
            np.clip(counts.bins[watched.place] / counts.bins[watched.place].sum(), 1e-4, 1.0)
            for counts in (now, then)
        )
        assert found.index.value == pytest.approx(float(np.sum((p - q) * np.log(p / q))), abs=1e-6)


def test_every_cell_that_a_role_holds_has_a_bin(layout: Layout) -> None:
    for role in Role:
        rows = customers(1, role, count=500)
        bins = layout.bins_of(rows.cells)
        held = [role in watched.holders for watched in layout.tables]
        assert ((bins == NOWHERE).all(axis=0) == ~np.array(held)).all()
        for column, watched in enumerate(layout.tables):
            if held[column]:
                assert (bins[:, column] >= watched.place.start).all()
                assert (bins[:, column] < watched.place.stop).all()


def test_score_cells_make_up_bands_and_grades_exactly(card: Card, layout: Layout) -> None:
    rows = np.concatenate([own.cells for own in everybody(9, count=500).values()])
    total = card.hundredths(rows)
    cells = layout.score_cells_of(total)
    assert (layout.grade_of_cell[cells] == card.grade_places(total)).all()
    assert card.bands is not None
    bands = np.searchsorted(card.bands.edges, total / 100.0, side="right")
    assert (layout.band_of_cell[cells] == bands).all()
    exact = card.probability(rows)
    np.testing.assert_allclose(layout.probabilities[cells], exact, rtol=0.25)
    # What wider cells would get wrong shows in the sum.
    assert layout.probabilities[cells].sum() == pytest.approx(exact.sum(), rel=0.02)


def test_a_card_with_other_counts_than_bands_is_refused(card: Card) -> None:
    assert card.bands is not None
    bands = card.bands.model_copy(update={"bad": card.bands.bad[1:]})
    with pytest.raises(CardError, match="other numbers of bands"):
        Layout(card.model_copy(update={"bands": bands}))


def test_a_card_that_does_not_tell_how_many_it_counted_is_said_to_be_silent(
    card: Card, tmp_path: Path
) -> None:
    silent = card.model_copy(
        update={
            "characteristics": tuple(one.model_copy(update={"records": None}) for one in card.characteristics)
        }
    )
    layout = Layout(silent)
    found = counted(layout, written(tmp_path, table(1)))
    report = monitoring_report(layout, found.counts, Past.of_card(layout), role=Role.PLATFORM)
    by_name = {one.name: one for one in report.tables}
    assert by_name["utilisation"].reading is Shift.UNKNOWN
    assert not by_name["utilisation"].certain
    assert by_name["utilisation"].bins[0].then is None
    assert any("utilisation" in note for note in report.notes)
