"""Real processes train a neural model, both ways; every organisation's ledger has what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from clients.config import load_node_config
from clients.deployment import books_of, identity_of
from clients.policy import load_policy
from fedscore.contract import NeuralTerms, Training
from fedscore.errors import ProtocolError
from fedscore.learners.agenda import Agenda
from fedscore.learners.neural.model import NeuralModel
from privacy.ledger import Spending, event_fields
from simulations.loopback import LoopbackResult, LoopbackTerms, run_loopback
from simulations.loopback.parties import PartyFolder

pytestmark = pytest.mark.slow

TERMS = {
    "shared": NeuralTerms(hidden=(4,), rounds=3),
    "local": NeuralTerms(hidden=(4,), rounds=2, training=Training.LOCAL, local_steps=2, one_in=4),
}


@dataclass(frozen=True)
class Trained:
    """A run of one of the two ways.

    Attributes:
        out: Where it took place.
        terms: Of its contract.
        result: What it gave.
    """

    out: Path
    terms: NeuralTerms
    result: LoopbackResult


@pytest.fixture(scope="module", params=TERMS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    terms = TERMS[request.param]
    out = tmp_path_factory.mktemp(request.param) / "out"
    result = run_loopback(
        out, people=3000, seed=3, key_bits=2048, terms=LoopbackTerms(neural=terms), tell=lambda _: None
    )
    return Trained(out=out, terms=terms, result=result)


def spending_of(party: PartyFolder) -> Spending:
    config = load_node_config(party.config)
    books = books_of(config, load_policy(config.policy), identity_of(config))
    with books.locked():
        books.verify()
        return books.spending()


def test_the_model_is_where_the_card_would_be(trained: Trained) -> None:
    model, result = NeuralModel.read(trained.out / "model.json"), trained.result
    assert model == result.trained
    assert (model.terms, model.contract_hash) == (trained.terms, result.contract.hash())
    assert model.rounds == trained.terms.rounds
    assert not list(trained.out.rglob("card.json"))
    with pytest.raises(ProtocolError, match="trained a neural model and no card"):
        _ = result.card
    cells = np.zeros((2, len(result.contract.tables)), dtype=np.int32)
    assert np.isfinite(model.probability(cells)).all()
    assert (result.record["rounds_opened"], result.record["noticed"]) == (1 + trained.terms.rounds, [])


def test_every_ledger_has_what_the_run_cost(trained: Trained) -> None:
    result = trained.result
    privacy = result.trained.privacy
    agenda = Agenda(result.contract, run=result.record["run"])
    assert privacy is not None
    for party in result.parties:
        spent = spending_of(party)
        (run,) = spent.runs
        assert (run.run, event_fields(run.reserved)) == (agenda.run, event_fields(agenda.event))
        assert [charge.name for charge in run.charges] == [request.name for request in agenda.requests]
        assert [event_fields(charge.event) for charge in run.charges] == [
            event_fields(request.event) for request in agenda.requests
        ]
        assert spent.guarantee(delta=result.contract.privacy.delta).epsilon == privacy.epsilon
    assert agenda.record.epsilon <= result.contract.privacy.epsilon
