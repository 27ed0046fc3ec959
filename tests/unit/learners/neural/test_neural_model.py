"""The model file: the same bytes for the same model, and nothing is read that is no model."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedscore.card import Card, PrivacyRecord
from fedscore.contract import Contract, Encoding, NeuralTerms, NoiseMode
from fedscore.errors import CardError, DataError
from fedscore.learners.neural.architecture import Architecture, forward
from fedscore.learners.neural.inputs import grid_inputs
from fedscore.learners.neural.model import NeuralModel, model_of

TERMS = NeuralTerms(hidden=(5, 3))


@pytest.fixture(scope="module")
def model(tiny_contract: Contract) -> NeuralModel:
    contract = tiny_contract.with_neural(TERMS)
    inputs = grid_inputs(contract.tables, Encoding.STANDARDISED)
    architecture = Architecture.of(TERMS, len(inputs))
    parameters = np.random.default_rng(1).normal(size=architecture.parameters)
    return model_of(contract, TERMS, inputs, parameters, rounds=7)


@pytest.fixture
def path(model: NeuralModel, tmp_path: Path) -> Path:
    (tmp_path / "model.json").write_text(model.to_json(), encoding="utf-8")
    return tmp_path / "model.json"


def rows_of(contract: Contract, count: int = 200) -> np.ndarray:
    generator = np.random.default_rng(3)
    return np.column_stack([generator.integers(0, table.size, count) for table in contract.tables]).astype(
        np.int32
    )


def test_the_file_gives_back_the_model_to_the_last_bit(
    model: NeuralModel, path: Path, tiny_contract: Contract, tmp_path: Path
) -> None:
    again = NeuralModel.read(path)
    assert again == model
    (tmp_path / "again.json").write_text(again.to_json(), encoding="utf-8")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
    cells = rows_of(tiny_contract)
    assert again.probability(cells).tobytes() == model.probability(cells).tobytes()


def test_what_training_cost_is_in_the_file(model: NeuralModel, tmp_path: Path) -> None:
    cost = PrivacyRecord(
        noise=NoiseMode.SHARED,
        epsilon=0.9,
        person_epsilon=1.9,
        delta=1e-5,
        mu=None,
        absent=0,
        colluding_parties=1,
        events=({"sum": "gradient 1", "one_in": 10},),
    )
    (tmp_path / "model.json").write_text(model.with_privacy(cost).to_json(), encoding="utf-8")
    assert NeuralModel.read(tmp_path / "model.json").privacy == cost
    assert model.privacy is None


def test_a_probability_is_the_logistic_function_of_the_score(
    model: NeuralModel, tiny_contract: Contract
) -> None:
    cells = rows_of(tiny_contract)
    inputs = grid_inputs(tiny_contract.tables, Encoding.STANDARDISED).of(cells)
    scores = forward(Architecture.of(TERMS, inputs.shape[1]), np.array(model.parameters), inputs)
    np.testing.assert_allclose(model.probability(cells), 1 / (1 + np.exp(-scores)), rtol=1e-12)
    assert np.ptp(scores) > 0.2


def test_extreme_scores_are_probabilities_without_a_warning(
    model: NeuralModel, tiny_contract: Contract
) -> None:
    for sign in (-1.0, 1.0):
        extreme = model.model_copy(update={"parameters": tuple(sign * 1e5 for _ in model.parameters)})
        found = extreme.probability(rows_of(tiny_contract))
        assert ((found >= 0) & (found <= 1)).all()


def test_it_scores_where_torch_cannot_be_imported(
    path: Path, tiny_contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", "opacus"):
        monkeypatch.setitem(sys.modules, name, None)
    assert NeuralModel.read(path).probability(rows_of(tiny_contract)).shape == (200,)


@pytest.mark.parametrize("change", [-1, 99])
def test_cells_of_other_tables_are_refused(model: NeuralModel, tiny_contract: Contract, change: int) -> None:
    cells = rows_of(tiny_contract)
    cells[17, 1] = change
    with pytest.raises(DataError, match="bin them by its contract"):
        model.probability(cells)


def test_a_missing_file_is_told_apart_from_a_wrong_one(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"cannot be read .*name the model\.json of a run"):
        NeuralModel.read(tmp_path / "nowhere.json")


def test_no_truncated_file_is_a_model(path: Path) -> None:
    whole = path.read_bytes()
    for length in (0, 1, 10, len(whole) // 3, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:length])
        with pytest.raises(CardError, match="not a neural model of schema 1"):
            NeuralModel.read(path)
    path.write_bytes(whole[:50] + b"\xff\xfe" + whole[52:])
    with pytest.raises(CardError, match="not a neural model of schema 1"):
        NeuralModel.read(path)


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another schema": (lambda raw: raw.update(schema_version=2), "schema_version"),
    "another kind": (lambda raw: raw.update(kind="scorecard"), "kind"),
    "a foreign key": (lambda raw: raw.update(extra=1), "extra"),
    "a key less": (lambda raw: raw.pop("contract_hash"), "contract_hash"),
    "a parameter less": (lambda raw: raw["parameters"].pop(), "not as many as the model has"),
    "a parameter more": (lambda raw: raw["parameters"].append(0.0), "not as many as the model has"),
    "not a number": (lambda raw: raw["parameters"].__setitem__(0, float("nan")), "parameters.0"),
    "infinite": (lambda raw: raw["inputs"][0]["values"].__setitem__(0, float("inf")), "inputs.0.values.0"),
    "text": (lambda raw: raw["parameters"].__setitem__(0, "many"), "parameters.0"),
    "a table too far": (lambda raw: raw["inputs"][0].update(table=4), "does not fit its table"),
    "a table before the first": (lambda raw: raw["inputs"][0].update(table=-1), "does not fit its table"),
    "a value less": (lambda raw: raw["inputs"][0]["values"].pop(), "does not fit its table"),
    "a cell more": (lambda raw: raw["cells"].__setitem__(0, raw["cells"][0] + 1), "does not fit its table"),
    "an input less": (lambda raw: raw["inputs"].pop(), "not as many as the model has"),
    "no input": (
        lambda raw: raw.update(inputs=[], parameters=[0.0] * Architecture.of(TERMS, 0).parameters),
        "a model has 1 to 1000 inputs",
    ),
    "wrong terms": (lambda raw: raw["terms"].update(hidden=[0]), "terms.hidden"),
    "other terms": (lambda raw: raw["terms"].update(hidden=[4]), "not as many as the model has"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_model_is_refused_with_its_place(path: Path, case: str) -> None:
    spoil, message = WRONG[case]
    raw = json.loads(path.read_text())
    spoil(raw)
    path.write_text(json.dumps(raw))
    with pytest.raises(CardError, match=message):
        NeuralModel.read(path)


def test_a_card_is_no_model_and_a_model_no_card(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CardError):
        Card.read(path)
    for text in ("{}", "[]", "null", '"model"', "3"):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(CardError, match="not a neural model"):
            NeuralModel.read(tmp_path / "other.json")
