"""What is drawn are the figures of the results, and everything that is drawn can be read."""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from scipy import stats

from fedscore.contract import Contract
from simulations.report import write_report
from simulations.report.figures import Names, grid_figure, panel_figure
from simulations.report.frontier import FrontierPoint, frontier, frontier_csv
from simulations.report.inline import as_inline_svg, as_png, as_svg
from simulations.report.labels import apart, thinned
from simulations.report.looks import look_of
from simulations.report.panels import panels_of
from simulations.scenario import Baseline
from tests.reports import EPSILONS, SEEDS, audits, experiment, party_runs, runs

RUNS = runs()
POINTS = frontier(RUNS)


def point(baseline: Baseline | None, epsilon: float | None) -> FrontierPoint:
    (found,) = (one for one in POINTS if one.baseline is baseline and one.epsilon == epsilon)
    return found


def areas(baseline: Baseline | None, epsilon: float | None) -> list[float]:
    return [run.auc for run in RUNS if run.baseline is baseline and run.epsilon == epsilon]


@pytest.mark.parametrize("baseline", [None, Baseline.LOCAL_NOISE, Baseline.NAIVE_TUNED_TRUE])
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_means_and_intervals_are_those_of_scipy(baseline: Baseline | None, epsilon: float) -> None:
    found, values = point(baseline, epsilon), np.array(areas(baseline, epsilon))
    low, high = stats.t.interval(0.95, len(SEEDS) - 1, loc=values.mean(), scale=stats.sem(values))
    assert found.auc.mean == pytest.approx(values.mean(), abs=1e-12)
    assert found.auc.margin == pytest.approx((high - low) / 2, rel=1e-8)
    paired = stats.ttest_rel(areas(Baseline.POOLED_LIGHTGBM, None), values).confidence_interval(0.95)
    assert found.below_ceiling is not None
    assert found.below_ceiling.margin is not None
    assert found.below_ceiling.mean - found.below_ceiling.margin == pytest.approx(paired.low, rel=1e-7)
    assert found.below_ceiling.mean + found.below_ceiling.margin == pytest.approx(paired.high, rel=1e-7)


def test_the_whiskers_are_of_the_distance_where_there_is_a_ceiling_and_of_the_auc_where_there_is_none() -> (
    None
):
    with_ceiling = point(None, 1.0)
    assert with_ceiling.below_ceiling is not None
    assert with_ceiling.whisker == with_ceiling.below_ceiling.margin
    without = frontier([run for run in RUNS if run.baseline is not Baseline.POOLED_LIGHTGBM])
    assert all(one.whisker == one.auc.margin for one in without)
    # All methods share the splits, so that pairing tells more.
    assert with_ceiling.auc.margin is not None
    assert with_ceiling.whisker is not None
    assert with_ceiling.whisker < with_ceiling.auc.margin / 2


def figure(*, names: Names = Names.BESIDE, width: float = 7.6) -> Figure:
    (panel,) = panels_of(POINTS, audits(), deltas={(): 1e-5})
    return panel_figure(panel, width=width, names=names)


def drawn(of: Figure) -> dict[str, ErrorbarContainer]:
    return {str(one.get_label()): one for one in of.axes[0].containers if isinstance(one, ErrorbarContainer)}


def xs(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_xdata())]


def ys(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_ydata())]


def test_every_point_is_drawn_where_the_results_have_it_with_its_whisker() -> None:
    containers = drawn(figure())
    assert set(containers) == {one.method for one in POINTS}
    for method, container in containers.items():
        line, _, bars = container.lines
        here = [one for one in POINTS if one.method == method]
        assert ys(line) == [one.auc.mean for one in here]
        if here[0].epsilon is None:
            continue
        assert xs(line) == [one.epsilon_drawn for one in here]
        for (low, high), one in zip(np.array(bars[0].get_segments())[:, :, 1], here, strict=True):
            assert one.whisker is not None
            assert (high - low) / 2 == pytest.approx(one.whisker)


def test_the_recipe_is_drawn_at_its_true_epsilon() -> None:
    recipe = [replace(run, epsilon_spent=4.27) for run in RUNS if run.baseline is Baseline.NAIVE_TUNED_TRUE]
    mine = [run for run in RUNS if run.baseline is None]
    points = frontier([*mine, *(run for run in recipe if run.epsilon == 1.0)])
    (panel,) = panels_of(points, (), deltas={(): 1e-5})
    container = drawn(panel_figure(panel, width=7.6, names=Names.BESIDE))["naive, tuned, true ε"]
    assert xs(container.lines[0]) == [4.27]


def test_the_attack_is_drawn_beneath_on_the_same_axis() -> None:
    main, bounds, membership = figure().axes
    assert main.get_xlim() == bounds.get_xlim() == membership.get_xlim()
    assert main.get_position().x0 == pytest.approx(bounds.get_position().x0)
    marks = {line.get_label(): line for line in bounds.get_lines()}
    assert ys(marks["proven, any noise"]) == pytest.approx([0.0] + [0.31] * 5)
    assert ys(marks["proven, noise Gaussian"]) == pytest.approx([0.62] * 6)
    assert xs(marks["proven, any noise"]) == list(EPSILONS)
    lines = {line.get_label(): line for line in membership.get_lines()}
    assert ys(lines["most that the promise allows"])[2] == pytest.approx(1 - 1 / (1 + math.e))


@pytest.mark.parametrize(
    ("names", "width"), [(Names.BESIDE, 7.6), (Names.BELOW, 7.6), (Names.BELOW, 3.9), (Names.ELSEWHERE, 3.3)]
)
def test_no_two_labels_overlap_and_none_is_cut_off(names: Names, width: float) -> None:
    """Names at the right, ticks and titles; figures below the picture's edge may touch a line."""
    of = figure(names=names, width=width)
    FigureCanvasAgg(of).draw()  # type: ignore[no-untyped-call]  # matplotlib's
    texts = [text for axes in of.axes for text in axes.texts if "\N{DOWNWARDS ARROW}" not in text.get_text()]
    texts += [axes.title for axes in of.axes] + [axes._left_title for axes in of.axes]  # type: ignore[attr-defined]
    texts += [label for axes in of.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]
    texts += [axes.xaxis.label for axes in of.axes]
    texts += [text for legend in of.legends for text in legend.get_texts()]
    # Of the words alone, without the line that leads to what they name.
    boxes = [(text.get_text(), Text.get_window_extent(text)) for text in texts if text.get_text()]
    right, top = of.get_size_inches() * of.dpi
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.x1 <= right, text
        assert box.y0 >= 0, text
        assert box.y1 <= top, text
    for number, (one, box) in enumerate(boxes):
        for other, another in boxes[:number]:
            shared = (
                min(box.x1, another.x1) - max(box.x0, another.x0),
                min(box.y1, another.y1) - max(box.y0, another.y0),
            )
            assert shared[0] <= 0 or shared[1] <= 1.0, (one, other)


def test_many_variations_have_one_scale() -> None:
    many = [run for count in range(24) for run in runs({"parties.count": str(count)}, seeds=(1, 2))]
    points = frontier(many)
    panels = panels_of(points, (), deltas={one.variation: 1e-5 for one in points})
    assert [panel.title for panel in panels] == [f"parties.count = {count}" for count in range(24)]
    assert len({(panel.limits, panel.axis) for panel in panels}) == 1
    assert len(grid_figure(panels, width=9.6).axes) == 24


def test_a_swept_delta_is_told_where_it_holds() -> None:
    points = frontier(
        [run for delta in ("1e-5", "1e-6") for run in runs({"privacy.delta": delta}, seeds=(1, 2))]
    )
    deltas = {one.variation: float(dict(one.variation)["privacy.delta"]) for one in points}
    drawn_panels = [
        panel_figure(panel, width=3.9, names=Names.ELSEWHERE)
        for panel in panels_of(points, (), deltas=deltas)
    ]
    assert ["= 1e\N{MINUS SIGN}5" in of.axes[0].get_xlabel() for of in drawn_panels] == [True, False]
    assert "= 1e\N{MINUS SIGN}6" in drawn_panels[1].axes[0].get_xlabel()


def test_each_method_has_a_colour_and_mark_of_its_own() -> None:
    looks = [look_of(baseline) for baseline in (None, *Baseline)]
    assert len({(look.colour, look.marker) for look in looks}) == len(looks)


def test_the_same_figure_gives_the_same_bytes() -> None:
    assert as_svg(figure()) == as_svg(figure())
    assert as_png(figure()) == as_png(figure())


def test_a_drawing_in_a_page_has_the_pages_colours_alone() -> None:
    text = as_inline_svg(figure(), label="a <label>")
    assert re.findall(r"#[0-9a-f]{6}\b", text) == []
    assert "var(--blue)" in text
    assert 'aria-label="a &lt;label&gt;"' in text
    assert "<style" not in text
    assert "xmlns" not in text


def test_a_file_is_a_whole_svg_that_loads_nothing(tmp_path: Path, tiny_contract: Contract) -> None:
    write_report(experiment(tiny_contract, runs=RUNS, parties=party_runs(3), audits=audits()), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.html",
        "frontier.csv",
        "frontier.png",
        "frontier.svg",
    }
    root = ET.fromstring((tmp_path / "frontier.svg").read_text())  # noqa: S314 - drawn by the line above
    links = [value for node in root.iter() for key, value in node.attrib.items() if key.endswith("href")]
    assert links
    assert all(link.startswith("#") for link in links)
    assert (tmp_path / "frontier.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "frontier.csv").read_text() == frontier_csv(POINTS)


def test_the_csv_has_every_point() -> None:
    swept = frontier(runs({"learner.recipe": '"plain"'}, epsilons=(1.0,)))
    rows = list(csv.DictReader(io.StringIO(frontier_csv((*swept, *POINTS)))))
    assert len(rows) == len(swept) + len(POINTS)
    assert rows[0]["learner.recipe"] == '"plain"'
    assert rows[-1]["learner.recipe"] == ""
    for row, one in zip(rows, (*swept, *POINTS), strict=True):
        assert float(row["auc"]) == one.auc.mean
        assert row["method"] == one.method
        assert row["epsilon_true"] == ("" if one.epsilon_drawn is None else str(one.epsilon_drawn))


@given(st.lists(st.floats(-2, 3), max_size=12), st.floats(0.001, 0.3))
def test_labels_are_apart_in_order_and_inside(wanted: list[float], least: float) -> None:
    places = apart(wanted, least=least, low=0.0, high=1.0)
    least = min(least, 1.0 / (len(wanted) - 1)) if len(wanted) > 1 else least
    ordered = [place for _, place in sorted(zip(wanted, places, strict=True))]
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    assert all(after - before >= least - 1e-9 for before, after in itertools.pairwise(ordered))


@given(st.lists(st.floats(0.1, 0.9), min_size=1, max_size=4, unique=True))
def test_labels_that_are_apart_already_stay(wanted: list[float]) -> None:
    spaces = [abs(one - other) for one in wanted for other in wanted if one != other]
    least = min([*spaces, 1.0]) / 2
    assert apart(wanted, least=least, low=0.0, high=1.0) == pytest.approx(wanted)


@given(st.lists(st.floats(0, 10), max_size=20), st.floats(0.01, 3))
def test_ticks_that_stay_are_apart_and_the_ends_are_among_them(ticks: list[float], least: float) -> None:
    ticks = sorted(ticks)
    kept = thinned(ticks, least=least)
    assert set(kept) <= set(ticks)
    if ticks:
        assert kept[-1] == ticks[-1]
    assert all(after - before >= least for before, after in itertools.pairwise(kept)) or len(kept) == 2
