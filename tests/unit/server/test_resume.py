"""A run goes on after its coordinator died anywhere: the same is asked again, and nothing is opened twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fedscore.contract import Contract
from fedscore.errors import NodeConfigError, RunFailed, RunOver, RunStopped
from fedscore.messages import Ask, Head, Phase, Refusal, Reply
from fedscore.messages.transcript import chain_openings, submission_digests
from server.checkpoint import FileCheckpoints, Stage
from server.chronicle import FileChronicle, Standing, VolatileChronicle
from server.coordinator import Coordinator, RunResult
from server.transport import Silence
from simulations.keys import keyed

Answer = Reply | Refusal | Silence
MakeCircle = Callable[..., Any]
Vector = npt.NDArray[np.int64]

RUN = "ab" * 16
ALL = frozenset({"north", "south", "agency", "west"})
AUDITORS = ("auditor-1", "auditor-2", "auditor-3")
SILENT = Silence(reason="no answer within 5 seconds")


class Killed(BaseException):
    """Like a process that dies: nobody catches it."""


@dataclass
class Fuse:
    """Counts the points at which a process may die, and kills it at one of them."""

    burns: int | None = None
    passed: list[str] = field(default_factory=list)

    def point(self, name: str) -> None:
        self.passed.append(name)
        if len(self.passed) == self.burns:
            raise Killed(name)


@dataclass
class Fragile:
    """A store before and after whose writes a process may die."""

    inner: Any
    fuse: Fuse
    name: str

    def load(self) -> Any:  # noqa: ANN401 - what the store holds
        return self.inner.load()

    def store(self, what: Any) -> None:  # noqa: ANN401 - what the store holds
        self.fuse.point(f"before {self.name}")
        self.inner.store(what)
        self.fuse.point(f"after {self.name}")


@dataclass
class World:
    """A circle whose coordinator lives in a folder; it keeps book of what left the nodes, over all deaths."""

    circle: Any
    folder: Path
    fuse: Fuse = field(default_factory=Fuse)
    submissions: dict[tuple[str, int], set[bytes]] = field(default_factory=lambda: defaultdict(set))
    releases: dict[tuple[str, int], set[tuple[tuple[str, str], ...]]] = field(
        default_factory=lambda: defaultdict(set)
    )
    openings: dict[int, Vector] = field(default_factory=dict)
    heads: dict[int, Head] = field(default_factory=dict)

    def addresses(self) -> tuple[int, ...]:
        found: tuple[int, ...] = self.circle.addresses()
        return found

    def ask(self, asks: Mapping[int, Ask]) -> Mapping[int, Answer]:
        answers: dict[int, Answer] = {}
        if not asks:
            return answers
        what = next(iter(asks.values())).phase
        self.fuse.point(f"before {what}")
        for number, (address, ask) in enumerate(asks.items()):
            if number == len(asks) // 2:
                self.fuse.point(f"amid {what}")
            name = list(self.circle.nodes)[address - 101]
            answers |= self.circle.ask({address: ask})
            self._note(name, ask, answers[address])
        self.fuse.point(f"after {what}")
        return answers

    def _note(self, name: str, ask: Ask, answer: Answer) -> None:
        for step, opening in enumerate(ask.openings):
            assert np.array_equal(self.openings.setdefault(step, opening), opening)
        if ask.head.round:
            assert self.heads.setdefault(ask.head.round, ask.head) == ask.head
        if isinstance(answer, Reply) and ask.phase is Phase.COLLECT:
            self.submissions[name, ask.round].add(answer.payload)
        if isinstance(answer, Reply) and ask.phase in (Phase.OPEN, Phase.PROVE):
            self.releases[name, ask.round].add(tuple(submission_digests(ask.submissions).items()))

    @property
    def checkpoints(self) -> FileCheckpoints:
        return FileCheckpoints(self.folder, self.circle.series)

    @property
    def chronicle(self) -> FileChronicle:
        return FileChronicle(self.folder, self.circle.series)

    def coordinator(self, **changes: Any) -> Coordinator:  # noqa: ANN401 - whatever the arguments are
        resume = self.checkpoints.load()
        made: Coordinator = self.circle.coordinator(
            **{
                "transport": self,
                "chronicle": Fragile(self.chronicle, self.fuse, "chronicle"),
                "checkpoints": Fragile(self.checkpoints, self.fuse, "checkpoint"),
                "run": RUN,
                "resume": resume,
                **changes,
            }
        )
        return made

    def run(self, *, burns: int | None = None, **changes: Any) -> RunResult:  # noqa: ANN401 - the coordinator's
        self.fuse.burns, self.fuse.passed = burns, []
        return self.coordinator(**changes).run()

    def asked(self, phase: Phase) -> list[tuple[str, Ask]]:
        return [(name, ask) for name, ask in self.circle.asked if ask.phase is phase]

    def rounds(self) -> set[int]:
        return {ask.round for _, ask in self.asked(Phase.COLLECT)}

    def judge(self, result: RunResult, *, rounds: set[int]) -> None:
        """What has to hold whoever died when."""
        assert self.rounds() == rounds
        assert {key: len(sent) for key, sent in self.submissions.items() if len(sent) != 1} == {}
        assert {key: len(sent) for key, sent in self.releases.items() if len(sent) != 1} == {}
        cohorts: dict[int, set[tuple[tuple[str, str], ...]]] = defaultdict(set)
        for (_, number), released in self.releases.items():
            cohorts[number] |= released
        assert {number: len(cohort) for number, cohort in cohorts.items() if len(cohort) != 1} == {}
        assert {ask.run for _, ask in self.circle.asked} == {RUN}
        assert len(result.openings) == 3
        for step, opening in self.openings.items():
            assert np.array_equal(result.openings[step], opening)
        head = self.chronicle.load().head
        assert (head.run, head.step, head.openings) == (RUN, 3, chain_openings(result.openings))
        for link in sorted(self.heads.values(), key=lambda one: -one.round):
            assert head.previous == link.hash
            head = link
        assert head.previous == self.circle.series.genesis.hash


@pytest.fixture
def make_world(
    make_circle: MakeCircle,
    three_sums: Any,  # noqa: ANN401 - the fixture's
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., World]:
    # Only a machine that dies needs the sync; here processes do.
    monkeypatch.setattr("os.fsync", lambda _: None)

    def make(**terms: Any) -> World:  # noqa: ANN401 - the circle's
        folder = tmp_path / f"state-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return World(circle=make_circle(**{"count": 20, "agenda_of": three_sums, **terms}), folder=folder)

    return make


@pytest.fixture
def small_contract(tiny_contract: Contract) -> Contract:
    """Three parties, who are the committee too."""
    return keyed(
        tiny_contract.with_encryption(committee={"members": 3, "threshold": 2, "colluding_members": 1})
    )


def rough(name: str, ask: Ask, answer: Answer) -> Answer:
    """A party is away, a member lies, and a round has too few parties to be opened."""
    if name == "agency" and ask.phase is Phase.COLLECT and ask.round >= 2:
        return SILENT
    if name == "west" and ask.phase is Phase.COLLECT and ask.round == 2:
        return SILENT
    if name == "south" and ask.phase in (Phase.OPEN, Phase.PROVE) and isinstance(answer, Reply):
        return replace(answer, payload=answer.payload[:-1] + bytes([answer.payload[-1] ^ 1]))
    return answer


# Killed.


def test_a_run_that_dies_at_any_point_is_resumed_to_its_end(
    make_world: Callable[..., World], small_contract: Contract
) -> None:
    undisturbed = make_world(contract=small_contract)
    undisturbed.judge(undisturbed.run(), rounds={1, 2, 3})
    points = list(undisturbed.fuse.passed)
    assert len(points) == 5 + 3 * (2 * 3 + 3 * 4)

    for burns, point in enumerate(points, start=1):
        world = make_world(contract=small_contract)
        with pytest.raises(Killed, match=point):
            world.run(burns=burns)
        world.judge(world.run(), rounds={1, 2, 3})


def test_a_run_that_dies_within_its_evaluation_is_resumed_to_its_end(
    make_world: Callable[..., World],
    sums_of_both_sides: Callable[[Contract, str], Any],
    small_contract: Contract,
) -> None:
    """Everywhere from the first sum over test rows to its opening: nobody sums other rows for it later."""
    undisturbed = make_world(contract=small_contract, agenda_of=sums_of_both_sides)
    expected = undisturbed.run()
    undisturbed.judge(expected, rounds={1, 2, 3})
    collects = [place for place, name in enumerate(undisturbed.fuse.passed) if name == "before collect"]
    for burns in range(collects[1] + 1, collects[2] + 1):
        world = make_world(contract=small_contract, agenda_of=sums_of_both_sides)
        with pytest.raises(Killed):
            world.run(burns=burns)
        result = world.run()
        world.judge(result, rounds={1, 2, 3})
        assert [one.tolist() for one in result.openings] == [one.tolist() for one in expected.openings]


@pytest.mark.slow
def test_a_rough_run_that_dies_at_any_point_is_resumed_to_its_end(make_world: Callable[..., World]) -> None:
    undisturbed = make_world(spare_rounds=1)
    undisturbed.circle.hook = rough
    expected = undisturbed.run()
    assert (expected.abandoned, expected.liars) == (1, ("south",))

    for burns in range(1, len(undisturbed.fuse.passed) + 1):
        world = make_world(spare_rounds=1)
        world.circle.hook = rough
        with pytest.raises(Killed):
            world.run(burns=burns)
        result = world.run()

        world.judge(result, rounds={1, 2, 3, 4})
        assert (result.abandoned, result.liars) == (1, ("south",))
        assert (result.values_per_party, result.bytes_per_party) == (
            expected.values_per_party,
            expected.bytes_per_party,
        )


@pytest.mark.parametrize("burns", range(6, 24))
def test_who_is_back_after_a_death_never_changes_a_cohort_that_may_be_open(
    make_world: Callable[..., World], burns: int
) -> None:
    """Everywhere within the first round: somebody is away before the death, and there after it."""
    world = make_world()
    world.circle.hook = lambda name, ask, answer: (
        SILENT if name == "agency" and ask.phase is Phase.COLLECT else answer
    )
    with pytest.raises(Killed):
        world.run(burns=burns)
    was_asked = any(ask.phase is Phase.OPEN for _, ask in world.circle.asked)
    world.circle.hook = lambda _name, _ask, answer: answer

    result = world.run()

    world.judge(result, rounds={1, 2, 3})
    if was_asked:
        assert {frozenset(ask.submissions) for _, ask in world.asked(Phase.OPEN)} == {ALL - {"agency"}}


@pytest.mark.parametrize("burns", range(17, 30, 2))
def test_a_run_that_dies_again_and_again_comes_to_its_end(
    make_world: Callable[..., World], small_contract: Contract, burns: int
) -> None:
    world = make_world(contract=small_contract)
    deaths = 0
    while True:
        try:
            result = world.run(burns=burns)
        except Killed:
            deaths += 1
            assert deaths < 30, "no progress"
        else:
            break

    assert deaths >= 2
    world.judge(result, rounds={1, 2, 3})


def test_where_all_sums_are_opened_nobody_is_asked_for_anything(make_world: Callable[..., World]) -> None:
    world = make_world()
    expected = world.run()
    world.circle.asked.clear()

    again = world.run()

    assert world.circle.asked == []
    assert again.trained == expected.trained


# Interrupted: what a resume asks for.


def test_too_few_parties_are_asked_for_the_very_same_round_when_they_are_back(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.circle.hook = lambda name, ask, answer: (
        SILENT if name in ("agency", "west") and ask.phase is Phase.COLLECT and ask.round == 2 else answer
    )
    with pytest.raises(RunFailed, match="the run is interrupted, and what it opened stays spent"):
        world.run()
    kept = world.checkpoints.load()
    assert kept is not None
    assert (kept.stage, kept.round, kept.abandoned) == (Stage.COLLECT, 2, 0)
    world.circle.hook = lambda _name, _ask, answer: answer

    result = world.run()

    world.judge(result, rounds={1, 2, 3})
    assert result.abandoned == 0
    assert world.asked(Phase.OPEN)[-1][1].submissions.keys() == ALL


def test_a_cohort_that_may_be_open_already_is_the_one_that_a_resume_asks_for(
    make_world: Callable[..., World],
) -> None:
    world = make_world()

    def few(name: str, ask: Ask, answer: Answer) -> Answer:
        lost = (ask.phase is Phase.COLLECT and name == "agency") or (
            ask.phase is Phase.OPEN and name in AUDITORS
        )
        return SILENT if lost and ask.round == 2 else answer

    world.circle.hook = few
    with pytest.raises(RunFailed, match="4 of 5 needed partial openings arrived"):
        world.run()
    kept = world.checkpoints.load()
    assert kept is not None
    assert (kept.stage, kept.parties) == (Stage.OPEN, ALL - {"agency"})
    world.circle.hook = lambda _name, _ask, answer: answer
    world.circle.asked.clear()

    result = world.run()

    world.judge(result, rounds={3})
    assert {frozenset(ask.submissions) for _, ask in world.asked(Phase.OPEN)} == {ALL - {"agency"}}
    # It would answer now, and is not even asked.
    assert "agency" not in {name for name, _ in world.asked(Phase.COLLECT)}


def test_a_resume_without_enough_parties_spends_no_round(make_world: Callable[..., World]) -> None:
    world = make_world(spare_rounds=1)
    with pytest.raises(Killed):
        world.run(burns=world_point(make_world, "amid collect", spare_rounds=1))
    world.circle.away = lambda name, _ask: name in ("north", "west")

    with pytest.raises(RunFailed) as failure:
        world.run()

    assert str(failure.value).startswith(
        "hello: 2 parties answered, 3 are needed; without an answer: north, west; the run can be resumed"
    )
    kept = world.checkpoints.load()
    assert kept is not None
    assert (kept.round, kept.abandoned) == (1, 0)
    world.circle.away = lambda _name, _ask: False
    world.judge(world.run(), rounds={1, 2, 3})


def test_a_cohort_is_opened_without_its_parties_and_the_next_sum_waits_for_them(
    make_world: Callable[..., World],
) -> None:
    world = make_world(spare_rounds=1, auditors=True)
    with pytest.raises(Killed):
        world.run(burns=world_point(make_world, "before open", spare_rounds=1, auditors=True))
    world.circle.away = lambda name, _ask: name in ALL

    with pytest.raises(RunFailed, match=r"hello: 0 parties answered, 3 are needed.*can be resumed"):
        world.run()

    kept = world.checkpoints.load()
    assert kept is not None
    assert (len(kept.openings), kept.stage, kept.abandoned) == (1, Stage.OPENED, 0)
    world.circle.away = lambda _name, _ask: False
    world.judge(world.run(), rounds={1, 2, 3})


def test_who_lied_stays_out_after_a_resume(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.circle.hook = lambda name, ask, answer: (
        replace(answer, payload=b"?" * 32)
        if name == "south" and ask.phase in (Phase.OPEN, Phase.PROVE) and isinstance(answer, Reply)
        else SILENT
        if ask.phase is Phase.COLLECT and ask.round == 2
        else answer
    )
    with pytest.raises(RunFailed):
        world.run()
    world.circle.hook = lambda _name, _ask, answer: answer
    world.circle.asked.clear()

    result = world.run()

    assert result.liars == ("south",)
    assert "south" not in {name for name, _ in world.asked(Phase.OPEN)}
    assert "south" in {name for name, _ in world.asked(Phase.COLLECT)}


def world_point(make_world: Callable[..., World], name: str, **terms: Any) -> int:  # noqa: ANN401 - the circle's
    """The number of the first point of that name."""
    world = make_world(**terms)
    world.run()
    return world.fuse.passed.index(name) + 1


# What can never go on.


def test_a_run_that_another_has_overtaken_never_goes_on(make_world: Callable[..., World]) -> None:
    world = make_world()
    with pytest.raises(Killed):
        world.run(burns=30)
    kept = world.checkpoints.load()
    assert kept is not None
    # Another server, with a folder of its own, runs under the same key.
    elsewhere = VolatileChronicle(world.circle.series)
    elsewhere.store(world.chronicle.load())
    world.circle.run(run="cd" * 16, chronicle=elsewhere)

    with pytest.raises(RunOver, match=r"transcript has moved on to round \d without it.*begin a new run"):
        world.run()

    # The folder's next run starts from there.
    assert world.chronicle.load().head.run == "cd" * 16
    assert world.circle.run(chronicle=world.chronicle, run="ef" * 16).openings


def test_a_chronicle_that_has_moved_on_is_noticed_too(make_world: Callable[..., World]) -> None:
    world = make_world()
    with pytest.raises(Killed):
        world.run(burns=30)
    other = make_world()
    other.run()
    world.chronicle.store(other.chronicle.load())

    with pytest.raises(RunOver, match="has moved on to round 3"):
        world.run()


def test_too_many_liars_end_a_run_for_good(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.circle.hook = lambda name, ask, answer: (
        replace(answer, payload=b"?" * 32)
        if name in AUDITORS and ask.phase in (Phase.OPEN, Phase.PROVE) and isinstance(answer, Reply)
        else answer
    )

    with pytest.raises(RunOver, match="too many committee members have lied"):
        world.run()


def test_under_another_contract_a_run_is_not_resumed(
    make_world: Callable[..., World], circle_contract: Contract
) -> None:
    world = make_world()
    with pytest.raises(Killed):
        world.run(burns=30)

    with pytest.raises(NodeConfigError, match=f"run {RUN} was begun under another contract"):
        world.run(contract=circle_contract.with_privacy(epsilon=2.0))


# Crash points between checkpoint and chronicle.


def test_a_chronicle_that_was_left_behind_catches_up_before_anybody_is_asked(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.run()
    newest = world.chronicle.load()
    world.chronicle.store(Standing(round=2, head=world.circle.series.genesis))

    world.run()

    assert world.chronicle.load().head == newest.head
    assert world.chronicle.load().opening == newest.opening


def test_a_lost_chronicle_is_made_again_from_the_checkpoint(make_world: Callable[..., World]) -> None:
    world = make_world()
    with pytest.raises(Killed):
        world.run(burns=40)
    for file in world.folder.glob("transcript-*"):
        file.unlink()

    world.judge(world.run(), rounds={1, 2, 3})


# The operator ends a run.


@pytest.mark.parametrize("after", range(10))
def test_a_stop_is_seen_between_any_two_phases(make_world: Callable[..., World], after: int) -> None:
    world = make_world()
    heard = 0

    def stopping() -> bool:
        nonlocal heard
        heard += 1
        return heard > after

    with pytest.raises(RunStopped, match="the operator ended the run; what was released stays spent"):
        world.run(stopping=stopping)

    phases = [point for point in world.fuse.passed if point.startswith("before") and "ch" not in point]
    assert len(phases) == (after + 1) // 2
    assert heard == after + 1
