"""The neural program: what it plans, what it asks, and that it may end before its plan does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from clients.file_books import FileBooks
from fedscore.contract import Contract, Encoding, NeuralModelKind, NeuralTerms, NoiseMode, Training
from fedscore.data import Rows
from fedscore.errors import ContractError, ProtocolError
from fedscore.learners.agenda import Agenda
from fedscore.learners.choice import program_of
from fedscore.learners.neural.gradients import GradientQuery
from fedscore.learners.neural.model import NeuralModel
from fedscore.learners.neural.program import LocalUpdate, Neural
from fedscore.learners.scorecard.axes import Axes
from fedscore.sums import noised_total
from privacy.dp.accounting import guarantee
from privacy.dp.events import Composed
from privacy.ledger import Limits
from simulations.keys import simulated_identity
from simulations.randomness import SeededRandomness

RUN = "ab" * 16
Openings = list[npt.NDArray[np.int64]]


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("training", list(Training))
@pytest.mark.parametrize("model", list(NeuralModelKind))
def test_the_plan_is_as_long_as_its_queries_turn_out(
    tiny_contract: Contract,
    make_rows: Callable[[int, int], Rows],
    encoding: Encoding,
    training: Training,
    model: NeuralModelKind,
) -> None:
    terms = NeuralTerms(model=model, training=training, encoding=encoding, rounds=2)
    contract = tiny_contract.with_privacy(noise=NoiseMode.NONE).with_neural(terms)
    agenda, openings = Agenda(contract, run=RUN), Openings()
    plan = program_of(contract).plan
    assert sum((planned.share for planned in plan), Fraction(0)) == 1
    assert len(plan) == 3
    while not agenda.is_finished(openings):
        query, request = agenda.next_sum(openings)
        assert request.dimension == query.dimension == plan[len(openings)].dimension_limit
        if openings:
            assert isinstance(query, LocalUpdate if training is Training.LOCAL else GradientQuery)
        openings.append(
            noised_total(query, make_rows(50, 1), request, row_cap=4000, randomness=SeededRandomness(1))
        )
    trained = agenda.finish(openings)
    assert isinstance(trained, NeuralModel)
    assert (trained.rounds, trained.cells) == (2, tuple(table.size for table in contract.tables))


def test_evidence_is_paid_for(tiny_contract: Contract) -> None:
    first = Neural(tiny_contract.with_neural(NeuralTerms(encoding=Encoding.EVIDENCE))).plan[0]
    assert (first.name, first.share) == ("histogram", Fraction(3, 10))
    assert first.dimension_limit == 2 * Axes.of(tiny_contract).cells
    counts = Neural(tiny_contract.with_neural(NeuralTerms())).plan[0]
    assert (counts.name, counts.share, counts.dimension_limit) == ("outcomes", Fraction(1, 50), 2)


def test_a_contract_without_terms_has_no_neural_program(tiny_contract: Contract) -> None:
    with pytest.raises(ContractError, match="the contract has no neural terms"):
        _ = Neural(tiny_contract).plan


def test_a_program_is_planned_and_priced_without_torch(
    tiny_contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", "opacus"):
        monkeypatch.setitem(sys.modules, name, None)
    agenda = Agenda(tiny_contract.with_neural(NeuralTerms(rounds=2)), run=RUN)
    query, _ = agenda.next_sum([np.array([100, 300])])
    assert isinstance(query, GradientQuery)


@pytest.mark.parametrize("counts", [(0, 0), (-50, 900), (900, -50)])
def test_noise_that_leaves_nobody_stops_nothing(tiny_contract: Contract, counts: tuple[int, int]) -> None:
    contract = tiny_contract.with_privacy(epsilon=0.1).with_neural(NeuralTerms(rounds=1))
    agenda = Agenda(contract, run=RUN)
    query, request = agenda.next_sum([np.array(counts) * agenda.requests[0].scale])
    assert isinstance(query, GradientQuery)
    assert np.isfinite(query.parameters).all()
    assert agenda.is_finished([np.array(counts), np.zeros(request.dimension, dtype=np.int64)])


# An early end


def patient(contract: Contract, *, patience: int = 3, **changes: object) -> Contract:
    terms = NeuralTerms.model_validate(
        {"hidden": [4], "rounds": 12, "patience": patience, "one_in": 1, **changes}
    )
    return contract.with_privacy(epsilon=0.05).with_neural(terms)


def noise_alone(agenda: Agenda, count: int) -> Openings:
    openings = Openings()
    for number in range(count):
        _, request = agenda.next_sum(openings)
        deviation = np.sqrt(request.share_variance * request.parties)
        drawn = np.random.default_rng(number).normal(0.0, deviation, request.dimension)
        openings.append(np.rint(drawn).astype(np.int64))
    return openings


def test_a_run_that_shows_noise_alone_is_over_before_its_plan(tiny_contract: Contract) -> None:
    agenda = Agenda(patient(tiny_contract), run=RUN)
    openings = noise_alone(agenda, 4)
    assert agenda.rounds == 13
    assert [agenda.is_finished(openings[:count]) for count in range(5)] == [False] * 4 + [True]
    for ask in (agenda.next_sum, lambda at: agenda.turn(at, round_number=5, head="cd" * 32)):
        with pytest.raises(ProtocolError, match="the program ended after 4 sums: there is no further one"):
            ask(openings)
    with pytest.raises(ProtocolError, match="more openings"):
        agenda.is_finished([*openings, openings[-1]])
    trained = agenda.finish(openings)
    assert isinstance(trained, NeuralModel)
    assert trained.rounds == 3


def test_without_patience_the_plan_is_followed(tiny_contract: Contract) -> None:
    agenda = Agenda(patient(tiny_contract, patience=0), run=RUN)
    assert not agenda.is_finished(noise_alone(agenda, 12))
    assert agenda.is_finished(noise_alone(agenda, 13))


def test_everybody_agrees_on_the_end_from_the_openings_alone(tiny_contract: Contract) -> None:
    openings = noise_alone(Agenda(patient(tiny_contract), run=RUN), 4)
    fresh = Agenda(patient(tiny_contract), run=RUN)
    assert fresh.is_finished(openings)
    assert fresh.finish(openings) == Agenda(patient(tiny_contract), run=RUN).finish(openings)


def test_the_server_ends_with_the_program_and_only_opened_sums_are_spent(
    tiny_contract: Contract, make_federation: Callable[..., Any], tmp_path: Path
) -> None:
    contract = patient(tiny_contract, patience=2)
    federation = make_federation(contract=contract, count=10)
    north = simulated_identity("north")
    limits = Limits(epsilon=10.0, delta=1e-5, run_epsilon=10.0)
    terms: dict[str, Any] = {
        "party": "north",
        "signer": north,
        "signing_key": north.public.signing_key,
        "source": "rows",
    }
    FileBooks.create(tmp_path, **terms)
    books = FileBooks(tmp_path, **terms, limits=limits, policy="99" * 32)
    federation.nodes["north"]._books = books

    result = federation.coordinator().run()

    agenda = Agenda(federation.contract, run=RUN)
    assert 3 <= len(result.openings) < agenda.rounds
    assert agenda.is_finished(result.openings)
    assert not agenda.is_finished(result.openings[:-1])
    with books.locked():
        spending = books.spending()
    opened = Composed(events=tuple(one.event for one in agenda.requests[: len(result.openings)]))
    assert guarantee(spending.spent, delta=1e-5) == guarantee(opened, delta=1e-5)
    assert guarantee(opened, delta=1e-5).epsilon < 0.8 * agenda.record.epsilon
