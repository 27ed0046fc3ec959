"""A loopback federation whose members lie, die and are killed: its runs end with the card that is due.

Seven organisations; the first six sit on the committee, any four of them open, one may collude. So two may
lie or be away, and a sum may lack three organisations.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clients.memory import FileMemory, NodeState
from fedscore.contract import CommitteeTerms
from fedscore.sums.ceremonies import ceremony_of
from fedscore.sums.series import KeySeries
from server.app import run_once
from server.chronicle import FileChronicle
from server.config import load_server_config
from simulations.in_process_grid import InProcessGrid
from simulations.loopback import LoopbackFederation, LoopbackResult, LoopbackTerms, loopback_federation, train

pytestmark = pytest.mark.slow

TERMS = LoopbackTerms(
    platforms=5,
    collectors=2,
    committee=CommitteeTerms(members=6, threshold=4, colluding_members=1),
    absent=3,
    spare_rounds=1,
)
LIAR = "platform-3"
DIE_BEFORE = "platform-1"
DIE_AFTER = ("platform-2", "collector-1")
DEATHS = 2
"""The step of the run at whose opening members die: two sums are opened before."""

NO_MEMBER = "collector-2"
KILLED_MEMBERS = ("platform-1", "platform-4")
HONEST_STEPS = 2
"""Sums that are opened before anybody is killed."""


@dataclass
class Observatory:
    """What the nodes and the operator of a federation have on their disks."""

    federation: LoopbackFederation
    series: KeySeries = field(init=False)

    def __post_init__(self) -> None:
        ceremony = self.federation.operator / "ceremony.json"
        self.series = KeySeries.of(ceremony_of(self.federation.contract, ceremony))

    def state(self, party: str) -> NodeState:
        (folder,) = (one.folder for one in self.federation.parties if one.name == party)
        return FileMemory(folder / "state", self.series).load()

    @property
    def round_under_way(self) -> int | None:
        """The round that was asked and is not opened."""
        standing = FileChronicle(self.federation.operator / "state", self.series).load()
        return standing.round if standing.round > standing.head.round else None

    def collected(self, party: str) -> int:
        collected = self.state(party).collected
        return collected.round if collected is not None else 0

    def released(self, party: str) -> int:
        released = self.state(party).released
        return released.round if released is not None else 0


class Killer:
    """Kills the nodes of an organisation while vectors are collected, and of two while a sum is opened."""

    def __init__(self, federation: LoopbackFederation) -> None:
        self._federation = federation
        self._seen = Observatory(federation)
        self.in_collect: int | None = None
        self.in_open: int | None = None

    def __call__(self, run: Mapping[str, Any]) -> None:
        asked = self._seen.round_under_way
        if run.get("rounds_opened", 0) < HONEST_STEPS or asked is None:
            return
        if self.in_collect is None and self._seen.collected(NO_MEMBER) < asked:
            self._federation.kill(NO_MEMBER)
            self.in_collect = asked
        released = {name: self._seen.released(name) for name in self._seen.series.member_names.values()}
        waiting = all(released[name] < asked for name in KILLED_MEMBERS)
        if self.in_collect and not self.in_open and waiting and max(released.values()) == asked:
            for name in KILLED_MEMBERS:
                self._federation.kill(name)
            self.in_open = asked


@dataclass(frozen=True)
class Story:
    """Two runs of one federation, and what was seen on the way.

    Attributes:
        folder: Where it took place.
        unruly: The run with a liar and with members that die.
        wounded: The run in which nodes are killed.
        killer: Who killed them.
        deaths_left: Files that should have made somebody die, and did not.
    """

    folder: Path
    unruly: LoopbackResult
    wounded: LoopbackResult
    killer: Killer
    deaths_left: tuple[str, ...]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, seeded_client: tuple[str, ...]) -> Story:
    folder = tmp_path_factory.mktemp("faults")
    out = folder / "out"
    with loopback_federation(
        out, people=3000, seed=5, key_bits=2048, terms=TERMS, client=seeded_client, tell=lambda _: None
    ) as federation:
        (out / LIAR / "lie").touch()
        for name in DIE_AFTER:
            (out / name / "die-after-writing").write_text(str(DEATHS))
        (out / DIE_BEFORE / "die-before-writing").write_text(str(DEATHS))
        unruly = train(federation, tell=lambda _: None)
        (out / LIAR / "lie").unlink()
        deaths_left = tuple(str(path) for path in out.glob("*/die-*"))
        killer = Killer(federation)
        wounded = train(federation, watch=killer, tell=lambda _: None)
    return Story(
        folder=folder,
        unruly=unruly,
        wounded=wounded,
        killer=killer,
        deaths_left=deaths_left,
    )


def test_a_liar_is_named_and_the_run_goes_on_to_the_honest_card(story: Story) -> None:
    assert story.unruly.record["liars"] == [LIAR]
    accusations = [what for what in story.unruly.record["noticed"] if LIAR in what]
    assert any("could not prove its partial opening, which is wrong" in what for what in accusations)
    app = importlib.import_module("seeded_app").app
    grid = InProcessGrid(app, [{"config": str(party.config)} for party in story.unruly.parties])
    config = load_server_config(story.folder / "out" / "operator" / "server.toml")

    honest = run_once(grid, config.model_copy(update={"state": story.folder / "honest"}))

    assert honest.liars == ()
    assert story.unruly.card == honest.trained


def test_members_that_die_between_writing_and_releasing_open_the_same_cohort_later(story: Story) -> None:
    assert story.deaths_left == ()
    assert story.unruly.record["rounds_abandoned"] == 0
    assert story.unruly.record["status"] == "finished"


def test_nodes_killed_in_mid_round_leave_a_run_that_ends_with_a_valid_card(story: Story) -> None:
    record, privacy = story.wounded.record, story.wounded.card.privacy
    assert story.killer.in_collect is not None
    assert story.killer.in_open is not None
    assert record["status"] == "finished"
    assert record["liars"] == []
    assert privacy is not None
    assert privacy.epsilon is not None
    assert privacy.epsilon <= 1.0
    assert len(privacy.events) == record["rounds_opened"] + TERMS.spare_rounds
    assert story.wounded.card.contract_hash == story.wounded.contract.hash()
    noticed = "\n".join(record["noticed"])
    assert f"{NO_MEMBER} is silent" in noticed
    for name in KILLED_MEMBERS:
        assert f"committee member {name} is silent" in noticed
        assert f": {name} is silent" in noticed


def test_who_was_killed_is_out_of_the_run(story: Story) -> None:
    operator = story.folder / "out" / "operator"
    series = KeySeries.of(ceremony_of(story.wounded.contract, operator / "ceremony.json"))
    head = FileChronicle(operator / "state", series).load().head

    everybody = set(story.wounded.contract.parties_by_name)
    assert head.run == story.wounded.record["run"]
    assert head.cohort == everybody - {NO_MEMBER, *KILLED_MEMBERS}
