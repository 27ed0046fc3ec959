"""What every party derives of a run by itself; and a request's hash is about all that it depends on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fedscore.contract import Contract, NoiseMode, Party, Role
from fedscore.data import Rows
from fedscore.errors import BudgetExhausted, NoiseError, ProtocolError
from fedscore.learners.agenda import Agenda
from fedscore.learners.scorecard.program import Scorecard
from fedscore.sums import LocalSteps, Query, SumRequest, chain_openings
from privacy.dp.events import Composed, DistributedGaussian

RUN = "ab" * 16
HEAD = "cd" * 32

Openings = list[npt.NDArray[np.int64]]


def noiseless_openings(agenda: Agenda, rows: Rows) -> Openings:
    openings: Openings = []
    for _ in range(agenda.rounds):
        query, request = agenda.next_sum(openings)
        assert isinstance(query, Query)
        openings.append(
            query.contributions(rows).lattice_total(
                scale=request.scale,
                limit_squared=request.sensitivity_squared,
                dimension=request.dimension,
            )
        )
    return openings


def test_the_scorecard_is_nine_sums_whose_shares_add_to_one(tiny_contract: Contract) -> None:
    plan = Scorecard(tiny_contract).plan
    assert [planned.name for planned in plan] == [
        "histogram",
        "covariance",
        "gradient 1",
        "gradient 2",
        "gradient 3",
        "gradient 4",
        "residuals 1",
        "residuals 2",
        "residuals 3",
    ]
    assert sum((planned.share for planned in plan), Fraction(0)) == 1


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0, 8.0])
@pytest.mark.parametrize("noise", [NoiseMode.SHARED, NoiseMode.LOCAL])
def test_a_program_spends_its_budget_and_never_more(
    tiny_contract: Contract, epsilon: float, noise: NoiseMode
) -> None:
    agenda = Agenda(tiny_contract.with_privacy(epsilon=epsilon, noise=noise), run=RUN)
    assert 0.97 * epsilon <= agenda.record.epsilon <= epsilon


def test_the_events_are_those_of_the_requests(tiny_contract: Contract) -> None:
    agenda = Agenda(tiny_contract, run=RUN)
    assert isinstance(agenda.event, Composed)
    for request, event in zip(agenda.requests, agenda.event.events, strict=True):
        assert isinstance(event, DistributedGaussian)
        assert event.share_variance == request.share_variance >= 100
        assert event.sensitivity_squared == request.sensitivity_squared
        # shares of the two honest parties alone (three parties, one may collude)
        assert event.honest_shares == 2


def test_persons_are_charged_for_every_row_that_they_may_have(tiny_contract: Contract) -> None:
    several = Contract.model_validate(
        {
            **tiny_contract.model_dump(),
            "rows": {
                **tiny_contract.rows.model_dump(),
                "organisations_per_person": 3,
                "rows_per_person": 2,
                "person": "person_id",
            },
        }
    )
    one, six = Agenda(tiny_contract, run=RUN), Agenda(several, run=RUN)
    assert one.person.epsilon == one.record.epsilon
    assert six.record.epsilon == one.record.epsilon
    assert math.isclose(six.person.mu, 6 * six.record.mu, rel_tol=1e-9)
    assert six.person.epsilon > 6 * six.record.epsilon


def test_real_valued_noise_spans_sixteen_steps_per_row(tiny_contract: Contract) -> None:
    agenda = Agenda(tiny_contract, run=RUN)
    rows = tiny_contract.rows.row_cap * len(tiny_contract.parties)
    for request in agenda.requests[1:]:
        assert math.sqrt(request.share_variance * request.honest_shares) >= 16 * rows


def test_without_an_honest_share_of_noise_nothing_starts(tiny_contract: Contract) -> None:
    contract = tiny_contract.model_copy(
        update={"privacy": tiny_contract.privacy.model_copy(update={"colluding_parties": 3})}
    )
    with pytest.raises(NoiseError, match="no honest share of noise"):
        Agenda(contract, run=RUN)


def test_a_program_over_budget_is_refused_before_its_first_round(
    tiny_contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedscore.learners.pricing.gaussian_mu", lambda _epsilon, _delta: 5.0)
    with pytest.raises(BudgetExhausted, match="nothing was sent"):
        Agenda(tiny_contract, run=RUN)


def test_two_parties_derive_the_same_requests_and_card(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    contract = tiny_contract.with_privacy(noise=NoiseMode.NONE)
    one = Agenda(contract, run=RUN)
    openings = noiseless_openings(one, make_rows(500, 3))
    for number in range(len(openings)):
        # a fresh process: everything is derived again from the transcript
        other = Agenda(contract, run=RUN)
        derived = [
            agenda.turn(openings[:number], round_number=20 + number, head=HEAD).envelope
            for agenda in (one, other)
        ]
        assert derived[0] == derived[1]
    assert Agenda(contract, run=RUN).finish(openings) == one.finish(openings)


def test_a_turn_is_the_next_sum_in_its_place(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    contract = tiny_contract.with_privacy(noise=NoiseMode.NONE)
    agenda = Agenda(contract, run=RUN)
    openings = noiseless_openings(agenda, make_rows(500, 3))[:2]
    query, request = agenda.next_sum(openings)

    turn = agenda.turn(openings, round_number=11, head=HEAD)

    assert turn.query is query
    envelope = turn.envelope
    assert (envelope.run, envelope.round, envelope.head) == (RUN, 11, HEAD)
    assert envelope.contract_hash == contract.hash()
    assert envelope.request == request
    assert envelope.digest == request.digest(
        contract_hash=contract.hash(),
        run=RUN,
        round_number=11,
        step=2,
        head=HEAD,
        openings=chain_openings(openings),
    )


def test_a_request_is_bound_to_contract_run_round_head_and_transcript(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    contract = tiny_contract.with_privacy(noise=NoiseMode.NONE)
    openings = noiseless_openings(Agenda(contract, run=RUN), make_rows(500, 3))[:3]
    renamed = Contract.model_validate({**contract.model_dump(), "name": "other"})

    def digest(
        contract: Contract = contract,
        run: str = RUN,
        openings: Openings = openings,
        round_number: int = 4,
        head: str = HEAD,
    ) -> str:
        turn = Agenda(contract, run=run).turn(openings, round_number=round_number, head=head)
        return turn.envelope.digest

    digests = {
        "honest": digest(),
        "another contract": digest(contract=renamed),
        "another run": digest(run="cd" * 16),
        "another round": digest(round_number=5),
        "another head": digest(head="ce" * 32),
        "an opening less": digest(openings=openings[:2]),
        "another opening": digest(openings=[*openings[:2], openings[2] + 1]),
        # of the same sum after another first opening
        "another beginning": digest(openings=[openings[0] + 1, *openings[1:]]),
    }
    assert len(set(digests.values())) == len(digests)
    assert digest() == digests["honest"]


PLACE: dict[str, Any] = {
    "contract_hash": "0" * 64,
    "run": RUN,
    "round_number": 7,
    "step": 3,
    "head": HEAD,
    "openings": "ef" * 32,
}
REQUEST = SumRequest(
    name="histogram",
    dimension=86,
    scale=2,
    sensitivity_squared=16,
    share_variance=374,
    honest_shares=2,
    parties=3,
    width=20,
    max_abs=100_000,
    slots=50,
)
LOCAL = LocalSteps(steps=4, dimension=85, scale=3000, sensitivity_squared=9_000_000, share_variance=10**9)


@pytest.mark.parametrize("name", PLACE)
def test_a_digest_changes_with_every_part_of_its_place(name: str) -> None:
    value = PLACE[name]
    changes: dict[str, Any] = {name: value + 1 if isinstance(value, int) else "1" + value[1:]}

    assert digest_at(**changes) != digest_at()


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(SumRequest)])
def test_a_digest_changes_with_every_field_of_the_request(name: str) -> None:
    value = getattr(REQUEST, name)
    changes: dict[str, Any] = {
        name: LOCAL if value is None else value + 1 if isinstance(value, int) else value + "s"
    }

    assert digest_at(dataclasses.replace(REQUEST, **changes)) != digest_at()


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(LocalSteps)])
def test_a_digest_changes_with_every_field_of_an_updates_steps(name: str) -> None:
    before = dataclasses.replace(REQUEST, local=LOCAL)
    changed = dataclasses.replace(LOCAL, **{name: getattr(LOCAL, name) + 1})

    assert digest_at(dataclasses.replace(before, local=changed)) != digest_at(before)


def test_parts_that_are_exchanged_are_another_place() -> None:
    assert digest_at(step=7, round_number=3) != digest_at()
    assert digest_at(head="ef" * 32, openings=HEAD) != digest_at()
    assert digest_at(contract_hash=HEAD, head="0" * 64) != digest_at()


def digest_at(request: SumRequest = REQUEST, **place: Any) -> str:  # noqa: ANN401 - parts of a place
    return request.digest(**{**PLACE, **place})


def test_asked_for_another_history_an_agenda_starts_anew(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    """One derivation may serve many parties, some of whom are shown something else."""
    contract = tiny_contract.with_privacy(noise=NoiseMode.NONE)
    shared = Agenda(contract, run=RUN)
    openings = noiseless_openings(shared, make_rows(500, 3))
    forked = [openings[0] + 5, *openings[1:4]]
    for asked in (openings[:4], forked, openings[:2], [], openings[:5], forked[:1], openings):
        if len(asked) == shared.rounds:
            assert shared.finish(asked) == Agenda(contract, run=RUN).finish(asked)
            continue
        fresh = Agenda(contract, run=RUN).turn(asked, round_number=9, head=HEAD)
        assert shared.turn(asked, round_number=9, head=HEAD).envelope == fresh.envelope


def test_openings_of_another_length_are_refused(tiny_contract: Contract) -> None:
    with pytest.raises(ProtocolError, match=r"has 3 values, \d+ were asked for"):
        Agenda(tiny_contract, run=RUN).next_sum([np.zeros(3, dtype=np.int64)])


def test_there_is_no_card_before_the_last_sum_and_no_sum_after_it(
    tiny_contract: Contract, make_rows: Callable[[int, int], Rows]
) -> None:
    agenda = Agenda(tiny_contract.with_privacy(noise=NoiseMode.NONE), run=RUN)
    openings = noiseless_openings(agenda, make_rows(500, 3))
    with pytest.raises(ProtocolError, match="8 of 9 sums are opened: training goes on"):
        agenda.finish(openings[:8])
    with pytest.raises(ProtocolError, match="the program ended after 9 sums: there is no further one"):
        agenda.turn(openings, round_number=10, head=HEAD)
    with pytest.raises(ProtocolError, match="the program ended after 9 sums: there is no further one"):
        agenda.next_sum(openings)
    with pytest.raises(ProtocolError, match="more openings"):
        agenda.next_sum([*openings, openings[-1]])


@pytest.mark.parametrize("role", list(Role))
def test_the_roster_is_part_of_the_request(tiny_contract: Contract, role: Role) -> None:
    invented = tiny_contract.with_parties([*tiny_contract.parties, Party(name="invented", role=role)])
    honest = Agenda(tiny_contract, run=RUN).turn([], round_number=1, head=HEAD).envelope
    thinned = Agenda(invented, run=RUN).turn([], round_number=1, head=HEAD).envelope
    assert thinned.digest != honest.digest
    assert thinned.request.share_variance != honest.request.share_variance
