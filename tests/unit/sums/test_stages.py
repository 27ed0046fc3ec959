"""Time is added up where it was spent, also by what failed."""

from __future__ import annotations

import itertools

import pytest

from fedscore.sums.stages import Stage, Stages


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by one second whenever it is read, and one of the processor's by two."""
    ticks, work = itertools.count(100.0), itertools.count(7.0, 2.0)
    monkeypatch.setattr("fedscore.sums.stages.time.perf_counter", lambda: next(ticks))
    monkeypatch.setattr("fedscore.sums.stages.time.process_time", lambda: next(work))


def test_nothing_was_spent_before_anything_was_done() -> None:
    assert Stages().seconds == Stages().processor_seconds == dict.fromkeys(Stage, 0.0)
    assert list(Stage) == [Stage.ENCRYPT, Stage.PROVE, Stage.VERIFY, Stage.OPEN]


def test_time_is_added_up_by_stage() -> None:
    stages = Stages()
    for stage in (Stage.ENCRYPT, Stage.OPEN, Stage.ENCRYPT, Stage.ENCRYPT):
        with stages.measure(stage):
            pass

    assert stages.seconds == {Stage.ENCRYPT: 3.0, Stage.PROVE: 0.0, Stage.VERIFY: 0.0, Stage.OPEN: 1.0}
    assert stages.processor_seconds == {stage: 2 * spent for stage, spent in stages.seconds.items()}


def test_what_fails_takes_time_as_well() -> None:
    stages = Stages()
    with pytest.raises(KeyError), stages.measure(Stage.VERIFY):
        raise KeyError

    assert (stages.seconds[Stage.VERIFY], stages.processor_seconds[Stage.VERIFY]) == (1.0, 2.0)


def test_two_parties_may_share_a_clock_and_others_do_not() -> None:
    shared, own = Stages(), Stages()
    with shared.measure(Stage.PROVE), own.measure(Stage.PROVE):
        pass

    assert (shared.seconds[Stage.PROVE], own.seconds[Stage.PROVE]) == (3.0, 1.0)
