from __future__ import annotations

import itertools
import math
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.errors import ScenarioError
from simulations.scenario import load_scenario, parse_scenario, parse_variations
from simulations.sweep import MOST_VARIATIONS, Mistake, grid_of, in_words, listed, toml_text, varied

TEXT = """
[data]
path = "rows.parquet"
contract = "taiwan"
[parties]
count = 20
"""

SWEPT = """
[sweep]
"parties.count" = [5, 20]
"learner.recipe" = ["plain", "filtered"]
"""


def refused(text: str, *overrides: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        parse_variations(text, overrides=overrides)
    return str(caught.value)


def test_a_grid_is_every_combination_and_the_last_key_varies_fastest() -> None:
    variations = parse_variations(TEXT + SWEPT)
    assert [dict(one.coordinates) for one in variations] == [
        {"parties.count": "5", "learner.recipe": '"plain"'},
        {"parties.count": "5", "learner.recipe": '"filtered"'},
        {"parties.count": "20", "learner.recipe": '"plain"'},
        {"parties.count": "20", "learner.recipe": '"filtered"'},
    ]
    assert [(one.terms.parties.count, one.terms.learner.recipe) for one in variations] == [
        *((5, "plain"), (5, "filtered"), (20, "plain"), (20, "filtered"))
    ]
    assert all(one.terms.sweep["parties.count"] == (5, 20) for one in variations)


def test_without_a_sweep_there_is_one_variation_without_coordinates() -> None:
    (only,) = parse_variations(TEXT)
    assert (only.coordinates, only.terms.sweep) == ({}, {})
    assert only.terms == parse_scenario(TEXT)
    (only,) = parse_variations(TEXT + SWEPT, overrides=["sweep={}"])
    assert only.coordinates == {}


def test_keys_may_be_quoted_or_tables_and_a_setting_replaces_a_swept_key() -> None:
    tables = "[sweep]\nparties.count = [5, 20]\nlearner.recipe = ['plain', 'filtered']\n"
    assert parse_variations(TEXT + tables) == parse_variations(TEXT + SWEPT)
    shorter = parse_variations(TEXT + SWEPT, overrides=["sweep.parties.count=[7]"])
    assert [one.terms.parties.count for one in shorter] == [7, 7]


def test_what_is_swept_need_not_stand_in_the_scenario() -> None:
    text = TEXT.replace("count = 20", "") + '[sweep]\n"parties.count" = [3, 4]\n'
    assert [one.terms.parties.count for one in parse_variations(text)] == [3, 4]


def test_whole_tables_and_lists_can_be_swept() -> None:
    text = TEXT + (
        "[sweep]\n"
        "learner = [{ name = 'scorecard' }, { name = 'neural', hidden = [3] }]\n"
        "'split.seeds' = [[1, 2], 3]\n"
        "'privacy.noise' = ['none']\n"
    )
    variations = parse_variations(text)
    assert [(one.terms.learner.name, one.terms.split.seeds) for one in variations] == [
        *(("scorecard", (1, 2)), ("scorecard", (3,)), ("neural", (1, 2)), ("neural", (3,)))
    ]
    assert variations[2].coordinates["learner"] == '{ name = "neural", hidden = [3] }'


def test_all_mistakes_are_told_at_once_with_the_variations_that_they_belong_to() -> None:
    told = refused(
        TEXT.replace("count = 20", "count = 20\nalpah = 1")
        + "[sweep]\n'parties.count' = [5, 0]\n'privacy.delta' = [1e-5, 0.5]\n'split.test' = [0.3, 7]\n"
    )
    assert "  - parties.alpah is not a key of a scenario: did you mean 'alpha'?" in told
    assert "  - with parties.count = 0: parties.count: " in told
    assert "  - with privacy.delta = 0.5: privacy.delta: " in told
    assert "  - with split.test = 7: split.test: " in told
    assert told.count("  - ") == 4


def test_a_mistake_of_a_combination_names_the_combination() -> None:
    told = refused(
        TEXT + "[sweep]\n'learner.name' = ['scorecard', 'neural']\n'learner.recipe' = ['plain', 'filtered']\n"
    )
    assert 'with learner.name = "neural": learner: recipe belongs to the scorecard' in told
    told = refused(TEXT + "[sweep]\n'split.kind' = ['random', 'hash']\n'split' = [{ test = 0.2 }]\n")
    assert "split.kind belongs to split, which is swept too" in told
    mistakes = [Mistake(coordinates={"a": "1", "b": "1"}, text="no")]
    everywhere = [{"a": a, "b": b} for a in "12" for b in "12"]
    assert listed(mistakes, everywhere) == ["with a = 1, b = 1: no"]
    both = [Mistake(coordinates=place, text="no") for place in (everywhere[0], everywhere[3])]
    assert listed(both, everywhere) == ["with a = 1, b = 1; a = 2, b = 2: no"]


@pytest.mark.parametrize(
    ("sweep", "told"),
    [
        ("sweep = 3", "sweep is a table of lists"),
        ("[sweep]\n'parties.count' = 5", "parties.count: write a list of the values to try, as [5]"),
        ("[sweep]\n'parties.count' = []", "the list is empty"),
        ("[sweep]\n'parties.count' = [5, 6, 5]", "5 stands there twice"),
        ("[sweep]\n'sweep.parties' = [5]", "a sweep cannot be swept"),
        ("[sweep]\n'data.path.name' = ['x']", "'path' is a value of the scenario, not a table"),
        ("[sweep]\n'parties.cuont' = [5, 6]", "parties.cuont is not a key of a scenario"),
    ],
)
def test_what_is_no_sweep_is_refused(sweep: str, told: str) -> None:
    # A plain key must stand before the first table.
    assert told in refused(f"{sweep}\n{TEXT}" if sweep.startswith("sweep") else TEXT + sweep)


def test_a_grid_that_is_too_large_says_how_large_it_is() -> None:
    told = refused(
        TEXT,
        "sweep.parties.count=[5, 6, 7]",
        f"sweep.split.seeds={list(range(MOST_VARIATIONS))}",
    )
    assert f"a grid of 3 times 200, 600, variations; the most is {MOST_VARIATIONS}" in told
    assert len(parse_variations(TEXT, overrides=[f"sweep.split.seeds={list(range(MOST_VARIATIONS))}"])) == 200


def test_a_setting_that_a_sweep_would_overrule_is_refused() -> None:
    told = refused(TEXT + SWEPT, "parties.count=7")
    assert "parties.count is swept, and --set parties.count would do nothing" in told


def test_a_loaded_scenario_can_be_looked_at_variation_by_variation() -> None:
    loaded = load_scenario("taiwan", ["sweep.parties.roles.platform=[5, 20]"])
    assert len(loaded.terms.parties.members) == 5
    second = loaded.at(loaded.variations[1])
    assert len(second.terms.parties.members) == 20
    assert (second.name, second.folder) == (loaded.name, loaded.folder)


VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f")),
)
KEYS = st.text("abcdefgh_-", min_size=1, max_size=5)


@given(st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=8))
def test_a_value_as_toml_is_read_as_the_value(value: object) -> None:
    assert tomllib.loads(f"value = {toml_text(value)}") == {"value": value}


@given(
    st.dictionaries(
        st.sampled_from(["a", "b.c", "b.d", "e.f.g"]),
        st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
        max_size=4,
    )
)
def test_every_variation_differs_from_the_scenario_in_the_swept_keys_alone(
    grid: dict[str, list[int]],
) -> None:
    document: dict[str, Any] = {"a": "old", "b": {"c": "old", "kept": [1]}, "kept": True}
    before = repr(document)
    found = varied(document, grid_of({"sweep": grid}))
    assert repr(document) == before
    assert len(found) == math.prod(map(len, grid.values()))
    for values, (coordinates, changed) in zip(itertools.product(*grid.values()), found, strict=True):
        assert coordinates == dict(zip(grid, map(str, values), strict=True))
        assert (changed["kept"], changed["b"]["kept"]) == (True, [1])
        for key, value in zip(grid, values, strict=True):
            place: Any = changed
            for part in key.split("."):
                place = place[part]
            assert place == value
        if "a" not in grid:
            assert changed["a"] == "old"


def test_coordinates_are_told_as_one_would_say_them() -> None:
    assert in_words({"parties.count": "5", "privacy.noise": '"none"'}) == (
        'parties.count = 5, privacy.noise = "none"'
    )
