"""Whoever drops out of a run stays out of it: no two of its sums differ by one organisation's table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from clients.gate import CommitteeGate
from fedscore.data import Rows
from fedscore.messages import Phase, RefusalCode
from fedscore.sums import Query

if TYPE_CHECKING:
    from tests.attacks.conftest import Server

PRESENT = ("north", "south", "agency")
BACK = "west: missing from a sum of this run that was opened, or may have been, so out of the run"

Refused = Callable[..., None]


def test_who_was_missing_in_the_last_opened_round_stays_out_of_the_run(
    absences: Server, refused: Refused
) -> None:
    """Else two sums of one run, with and without one organisation, would show its table."""
    absences.play(1, PRESENT)
    turn = absences.turn(2)
    submissions = absences.collect(turn, PRESENT)
    # West itself does not answer in the middle of a run; here it has been bought as well.
    back = {**submissions, "west": absences.seal(turn, "west", [0] * turn.envelope.request.dimension)}
    for phase in (Phase.OPEN, Phase.PROVE):
        ask = absences.ask(phase, turn, submissions=back)
        refused(absences, "north", ask, RefusalCode.COHORT, BACK)
    absences.gets_nothing(turn, back)
    # A head in which west was there is not the one that they know.
    forged = replace(absences.head, submissions={**absences.head.submissions, "west": "0" * 64})
    turn = absences.turn(2, head=forged)
    reason = "stands at round 1, this member's at 1: a forked or older history is refused"
    ask = absences.open_ask(turn, back, head=forged)
    refused(absences, "north", ask, RefusalCode.TRANSCRIPT, reason)


def test_the_first_sum_of_a_run_is_not_asked_again_once_it_was_opened(
    absences: Server, refused: Refused
) -> None:
    """West was missing; asked without the opening, its round would look like a run's beginning."""
    turn, submissions, opened = absences.play(1, PRESENT)
    absences.openings = ()
    turn = absences.turn(2)
    assert turn.envelope.request.name == "histogram"
    reason = "the openings are not those that the transcript's head stands for: begin a new run"
    for name in absences.nodes.contract.parties_by_name:
        refused(absences, name, absences.ask(Phase.COLLECT, turn), RefusalCode.TRANSCRIPT, reason)
    # Nor is it opened, whoever has been bought among the parties.
    sealed = absences.seal(turn, "west", [0] * turn.envelope.request.dimension)
    for phase in (Phase.OPEN, Phase.PROVE):
        for name in ("north", "south", "west", "auditor-1"):
            ask = absences.ask(phase, turn, submissions={**submissions, "west": sealed})
            refused(absences, name, ask, RefusalCode.TRANSCRIPT, reason)
    # With its opening the run goes on, without west.
    absences.openings = (opened.values,)
    assert not absences.partials(absences.turn(3), absences.collect(absences.turn(3), PRESENT))[1]


def opened_in_secret(server: Server) -> np.typing.NDArray[np.int64]:
    """The first sum, opened without west by as few members as it takes; the server says that it failed."""
    turn = server.turn(1)
    others = {name: sent for name, sent in server.collect(turn).items() if name != "west"}
    partials = server.helped(turn, others, ["north", "south", "agency", "west"])
    return server.combined(turn, others, partials).values


def test_without_the_rule_a_spare_round_shows_one_partys_table(
    absences: Server, make_rows: Callable[[int, int], Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defence off: the difference of two sums is west's table, under the noise of two rounds."""
    monkeypatch.setattr(CommitteeGate, "_require_cohort", lambda *_: None)
    without = opened_in_secret(absences)
    _, _, opened = absences.play(2)
    query, request = absences.agenda().next_sum(())
    assert isinstance(query, Query)
    table = query.contributions(make_rows(200, 3)).lattice_total(
        scale=request.scale, limit_squared=request.sensitivity_squared, dimension=request.dimension
    )
    noise = opened.values - without - table
    shares = 7 * request.share_variance
    assert 0.4 < float(np.mean(noise**2.0)) / shares < 2.0


def test_a_round_that_was_released_counts_as_opened_when_the_server_abandons_it(
    absences: Server, refused: Refused
) -> None:
    opened_in_secret(absences)
    turn = absences.turn(2)
    everyone = absences.collect(turn)
    for name in ("north", "south", "west"):
        for phase in (Phase.OPEN, Phase.PROVE):
            ask = absences.ask(phase, turn, submissions=everyone)
            refused(absences, name, ask, RefusalCode.COHORT, BACK)
    # The auditor has not seen the first cohort; with the accomplice it is too few.
    assert absences.gets_nothing(turn, everyone).keys() == {"north", "south", "west"}


def test_a_run_goes_on_after_an_abandoned_round_without_whoever_was_missing_in_it(absences: Server) -> None:
    opened_in_secret(absences)
    _, submissions, _ = absences.play(2, PRESENT)
    assert submissions.keys() == set(PRESENT)
    # In another run under the key everybody takes part again.
    absences.begin("cd" * 16)
    turn = absences.turn(3)
    assert not absences.partials(turn, absences.collect(turn))[1]
