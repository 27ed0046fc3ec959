"""Which rows each party of a scenario holds: skew by a characteristic, roles, persons, overlap."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from fedscore.contract import Recipe, Role
from fedscore.errors import ScenarioError
from fedscore.learners.agenda import Agenda
from simulations.dealing import Dealt, Ground, deal_rows, read_ground
from simulations.federation import train_alone, train_federation
from simulations.holdings import holdings
from simulations.lookup import find_contract, find_data
from simulations.scenario import load_scenario, parse_scenario
from tests.unit.simulations.conftest import SCENARIO

KINDS = (
    "{count=7}",
    "{kind='dirichlet', alpha=0.3, count=7}",
    "{kind='dirichlet', alpha=0.3, by='utilisation', count=7}",
    "{kind='sizes', alpha=0.5, count=7}",
    "{kind='sizes', exponent=1.0, count=7}",
    "{kind='column', column='shop', count=5}",
)


def ground_of(scenario: Path, *overrides: str) -> Ground:
    loaded = load_scenario(scenario, overrides)
    return read_ground(loaded.terms, find_contract(loaded), find_data(loaded))


@pytest.fixture
def with_contract(small_experiment: Path, tmp_path: Path) -> Path:
    """A copy of the experiment whose contract may be changed."""
    for file in small_experiment.parent.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    return tmp_path / small_experiment.name


def change(scenario: Path, old: str, new: str) -> Path:
    contract = scenario.parent / "small.toml"
    assert old in contract.read_text()
    contract.write_text(contract.read_text().replace(old, new))
    return scenario


def name_persons(scenario: Path, *, rules: str = "") -> Path:
    """Makes the column `shop` of 300 people's rows, three each, the contract's persons."""
    lines = (scenario.parent / "people.csv").read_text().splitlines()
    rows = [f"{line},person {number // 3}" for number, line in enumerate(lines[1:])]
    (scenario.parent / "people.csv").write_text("\n".join([f"{lines[0]},who", *rows]) + "\n")
    return change(scenario, "row_cap = 1000", f'row_cap = 1000\nperson = "who"\nrows_per_person = 3\n{rules}')


def holders_of(dealt: Dealt) -> dict[str, set[tuple[str, str]]]:
    """Who holds each row, on which side."""
    holders = defaultdict(set)
    for side in ("training", "test"):
        for party, rows in getattr(dealt, side).items():
            for one in rows.ids:
                holders[str(one)].add((party, side))
    return holders


@pytest.mark.parametrize("parties", KINDS)
def test_every_row_is_dealt_to_one_party(small_experiment: Path, parties: str) -> None:
    ground = ground_of(small_experiment, f"parties={parties}")
    places = holdings(ground, seed=3)
    assert len(places) == len(ground.contract.parties)
    assert Counter(np.concatenate(places).tolist()) == Counter(range(900))
    assert all((np.diff(mine) > 0).all() for mine in places)


@pytest.mark.parametrize("parties", KINDS[:-1])
def test_the_seed_decides_and_nothing_else(small_experiment: Path, parties: str) -> None:
    ground = ground_of(small_experiment, f"parties={parties}")
    once, again, other = (holdings(ground, seed=seed) for seed in (3, 3, 4))
    assert [mine.tolist() for mine in once] == [mine.tolist() for mine in again]
    assert [mine.tolist() for mine in once] != [mine.tolist() for mine in other]


def test_skew_by_a_characteristic_is_in_that_characteristic(small_experiment: Path) -> None:
    def spread(by: str) -> float:
        ground = ground_of(small_experiment, f"parties={{kind='dirichlet', alpha=0.1, by='{by}', count=5}}")
        place = [table.name for table in ground.contract.tables].index("utilisation")
        cells = ground.rows[Role.PLATFORM].cells[:, place]
        rates = [
            np.bincount(cells[mine], minlength=8) / len(mine)
            for mine in holdings(ground, seed=1)
            if len(mine)
        ]
        return float(np.mean(np.std(rates, axis=0)))

    assert spread("utilisation") > 4 * spread("late")
    # Skew by outcome reaches what the outcome depends on, but less than its own skew does.
    assert spread("utilisation") > spread("outcome")


def test_a_characteristic_is_read_by_who_holds_it(small_experiment: Path) -> None:
    """To a collector everybody is in the cell "not held": from there nothing could be skewed."""
    parties = "parties={kind='dirichlet', alpha=0.1, by='visits', roles={collector=4, platform=1}}"
    ground = ground_of(small_experiment, parties)
    place = [table.name for table in ground.contract.tables].index("visits")
    cells = ground.rows[Role.PLATFORM].cells[:, place]
    shares = [np.bincount(cells[mine], minlength=3).max() / len(mine) for mine in holdings(ground, seed=1)]
    assert max(shares) > 0.6


@pytest.mark.parametrize(
    ("parties", "expected"),
    [
        ("by='visit', count=2", r"no characteristic of contract 'small': did you mean 'visits'\?"),
        ("by='visits', roles={collector=2}", "'visits', which none of the parties holds"),
    ],
)
def test_skew_by_what_nobody_knows_is_refused(small_experiment: Path, parties: str, expected: str) -> None:
    with pytest.raises(ScenarioError, match=expected):
        ground_of(small_experiment, f"parties={{kind='dirichlet', alpha=1.0, {parties}}}")


@pytest.mark.parametrize(
    ("parties", "platforms", "collectors"),
    [
        ("count = 8\nroles = { platform = 0.75, collector = 0.25 }", 6, 2),
        ("count = 3\nroles = { platform = 0.6, collector = 0.4 }", 2, 1),
        ("count = 5\nroles = { collector = 1.0 }", 0, 5),
        ("roles = { platform = 1 }", 1, 0),
    ],
)
def test_roles_may_be_shares(parties: str, platforms: int, collectors: int) -> None:
    text = SCENARIO.replace("roles = { platform = 2, collector = 1 }", parties)
    terms = parse_scenario(text).parties
    assert terms.members == (Role.PLATFORM,) * platforms + (Role.COLLECTOR,) * collectors
    # What is reported can be run again, with 1.0 still a share.
    assert type(terms).model_validate(terms.model_dump(mode="json")) == terms


@pytest.mark.parametrize(
    ("parties", "expected"),
    [
        ("count = 9\nroles = { platform = 0.5, collector = 4 }", "numbers of parties beside shares"),
        ("count = 9\nroles = { platform = 0.5, collector = 0.4 }", "add up to 0.9, and not to 1"),
        ("roles = { platform = 0.5, collector = 0.5 }", "say with count how many there are"),
        ("count = 3\nroles = { platform = 0.9, collector = 0.1 }", "none would be a collector"),
        ("roles = { platform = -1 }", "as 20, or a share of them, as 0.25"),
        ("roles = { platform = 1.5 }", "as 20, or a share of them, as 0.25"),
        ("roles = { platform = true }", "as 20, or a share of them, as 0.25"),
        ("roles = { platform = 1001 }", "1000 are the most"),
        ("count = 3\nkind = 'sizes'", "needs one of the two"),
        ("count = 3\nkind = 'sizes'\nalpha = 1.0\nexponent = 1.0", "needs one of the two"),
        ("count = 3\nexponent = 1.0", 'exponent belongs to kind = "sizes"; the kind here is "iid"'),
        ("count = 3\nalpha = 1.0", 'alpha belongs to kind = "dirichlet" or kind = "sizes"'),
        ("count = 3\nkind = 'sizes'\nalpha = 1.0\nby = 'outcome'", "by belongs to kind"),
        ("count = 3\noverlap = { share = 0.1, organisations = 4 }", "nobody can be at more"),
        ("count = 3\noverlap = { share = 0.0 }", "greater than 0"),
        ("count = 3\noverlap = { share = 0.1, organisations = 1 }", "greater than or equal to 2"),
        ("count = 3\noverlap = { shares = 0.1 }", "did you mean 'share'?"),
    ],
)
def test_parties_that_contradict_themselves_are_refused(parties: str, expected: str) -> None:
    text = SCENARIO.replace("roles = { platform = 2, collector = 1 }", parties)
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text)
    assert expected in str(caught.value)


@pytest.mark.parametrize("kind", ["", "kind='dirichlet', alpha=0.5, ", "kind='sizes', exponent=1.0, "])
@pytest.mark.parametrize("split", ["{kind='random', seeds=[1]}", "{kind='hash', seeds=[1]}"])
def test_overlap_is_as_asked_and_nobody_is_on_both_sides(
    small_experiment: Path, kind: str, split: str
) -> None:
    overlap = f"parties={{{kind}count=5, overlap={{share=0.2, organisations=3}}}}"
    dealt = deal_rows(ground_of(small_experiment, overlap, f"split={split}"), seed=2)
    holders = holders_of(dealt)
    assert Counter(len(of_one) for of_one in holders.values()) == {1: 720, 3: 180}
    assert all(len({party for party, _ in of_one}) == len(of_one) for of_one in holders.values())
    assert all(len({side for _, side in of_one}) == 1 for of_one in holders.values())


def test_whoever_is_at_two_roles_is_read_by_both(small_experiment: Path) -> None:
    overlap = "parties={roles={platform=1, collector=1}, overlap={share=1.0}}"
    ground = ground_of(small_experiment, overlap)
    dealt = deal_rows(ground, seed=1)
    platform, collector = dealt.training.values()
    assert platform.ids.tolist() == collector.ids.tolist()
    visits = [table.name for table in ground.contract.tables].index("visits")
    assert len(np.unique(platform.cells[:, visits])) > 1
    assert len(np.unique(collector.cells[:, visits])) == 1


def test_a_person_pays_for_as_many_organisations_as_people_are_at(small_experiment: Path) -> None:
    alone = ground_of(small_experiment, "parties={count=5}").contract
    three = ground_of(small_experiment, "parties={count=5, overlap={share=0.1, organisations=3}}").contract
    assert three.rows.organisations_per_person == 3
    one, many = (Agenda(contract, run="0" * 32) for contract in (alone, three))
    assert one.record.epsilon == many.record.epsilon
    assert one.person.epsilon == one.record.epsilon
    assert many.person.mu == pytest.approx(3 * one.person.mu)
    assert many.person.epsilon > 3 * one.person.epsilon


def test_what_the_contract_says_of_persons_is_not_contradicted(with_contract: Path) -> None:
    change(with_contract, "row_cap = 1000", "row_cap = 1000\norganisations_per_person = 2")
    two, three = (f"parties={{count=5, overlap={{share=0.1, organisations={many}}}}}" for many in (2, 3))
    assert ground_of(with_contract, two).contract.rows.organisations_per_person == 2
    with pytest.raises(ScenarioError, match=r"at 3 organisations, and contract 'small' .* at most 2: lower"):
        ground_of(with_contract, three)
    change(with_contract, "organisations_per_person = 2", "organisations_per_person = 1")
    with pytest.raises(ScenarioError, match="at most 1"):
        ground_of(with_contract, two)
    # A contract that allows more promises for more.
    change(with_contract, "organisations_per_person = 1", "organisations_per_person = 4")
    assert ground_of(with_contract, two).contract.rows.organisations_per_person == 4


@pytest.mark.parametrize("parties", KINDS[:-1])
def test_persons_are_dealt_whole(with_contract: Path, parties: str) -> None:
    ground = ground_of(name_persons(with_contract), f"parties={parties}", "split={kind='hash', seeds=[1]}")
    dealt = deal_rows(ground, seed=1)
    of_persons = defaultdict(set)
    for side in (dealt.training, dealt.test):
        for party, rows in side.items():
            for person in rows.persons:
                of_persons[person].add(party)
    assert len(of_persons) == 300
    assert all(len(parties) == 1 for parties in of_persons.values())
    assert len(dealt.pooled_training) + len(dealt.pooled_test) == 900


def test_persons_who_overlap_go_with_all_rows_and_stay_on_one_side(with_contract: Path) -> None:
    ground = ground_of(
        name_persons(with_contract),
        "parties={count=4, overlap={share=0.5, organisations=2}}",
        "split={kind='hash', seeds=[1]}",
    )
    dealt = deal_rows(ground, seed=1)
    homes: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for side in ("training", "test"):
        for party, rows in getattr(dealt, side).items():
            for person in rows.persons:
                homes[person][party, side] += 1
    assert Counter(len(of_one) for of_one in homes.values()) == {1: 150, 2: 150}
    assert all(set(of_one.values()) == {3} for of_one in homes.values())
    assert all(len({side for _, side in of_one}) == 1 for of_one in homes.values())


def test_a_column_may_not_put_persons_at_more_organisations_than_agreed(with_contract: Path) -> None:
    by_shop = ("parties={kind='column', column='shop', count=5}", "split={kind='hash', seeds=[1]}")
    scenario = name_persons(with_contract)
    with pytest.raises(ScenarioError, match=r"by 'shop', somebody is at 3 organisations, .* at most 1"):
        deal_rows(ground_of(scenario, *by_shop), seed=1)
    change(scenario, "rows_per_person = 3", "rows_per_person = 3\norganisations_per_person = 3")
    dealt = deal_rows(ground_of(scenario, *by_shop), seed=1)
    assert len(dealt.pooled_training) + len(dealt.pooled_test) == 900
    overlap = "parties={kind='column', column='shop', count=5, overlap={share=0.1}}"
    with pytest.raises(ScenarioError, match="knows persons, and the column of the partition says who"):
        ground_of(scenario, overlap, by_shop[1])


def test_a_column_may_overlap_where_rows_are_persons(small_experiment: Path) -> None:
    overlap = "parties={kind='column', column='shop', count=3, overlap={share=0.25, organisations=2}}"
    ground = ground_of(small_experiment, overlap)
    counts = Counter(np.concatenate(holdings(ground, seed=1)).tolist())
    assert Counter(counts.values())[2] == round(0.25 * len(counts))
    assert len(counts) < 900


@pytest.mark.parametrize("recipe", list(Recipe))
def test_the_result_does_not_depend_on_how_rows_are_spread(small_experiment: Path, recipe: Recipe) -> None:
    """The same rows and, here, no noise: the same integers, and so the same card, whoever holds what."""
    told = set()
    for parties in KINDS:
        ground = ground_of(
            small_experiment,
            f"parties={parties}",
            f"learner.recipe='{recipe}'",
            "privacy.noise='none'",
            "split={kind='hash', seeds=[1]}",
            "baselines=[]",
        )
        dealt = deal_rows(ground, seed=1)
        spread = train_federation(ground.contract, dealt.training, seed=1, test_rows=dealt.test)
        pooled = train_alone(ground.contract, dealt.pooled_training)
        assert all(map(np.array_equal, spread.openings, pooled.openings))
        told.add(b"".join(opening.tobytes() for opening in spread.openings))
    assert len(told) == 1
