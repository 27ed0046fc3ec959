"""A contract says what is trained: nothing is left out, nothing is idle, and all of it is in the hash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fedscore.cli.main import app
from fedscore.contract import (
    Contract,
    Encoding,
    FindingLevel,
    Learner,
    NeuralModelKind,
    NeuralTerms,
    NoiseMode,
    Optimiser,
    Training,
    check,
    parse_contract,
)
from fedscore.errors import ContractError


def with_neural(text: str, *lines: str, learner: str = 'learner = "neural"', noise: str = "") -> str:
    """The contract's text with a learner at its top and a table [neural] at its end."""
    assert text.count("delta = 1e-5") == 1
    text = text.replace("delta = 1e-5", f"delta = 1e-5\n{noise}")
    return "\n".join((learner, text, "[neural]", *lines)) + "\n"


def errors_of(text: str) -> list[tuple[str, int | None, str]]:
    return [(one.where, one.line, one.message) for one in check(text) if one.level is FindingLevel.ERROR]


def test_an_empty_table_has_the_usual_terms(tiny_text: str) -> None:
    contract = parse_contract(with_neural(tiny_text))
    assert contract.learner is Learner.NEURAL
    assert contract.neural == NeuralTerms()


def test_without_a_word_a_scorecard_is_trained(tiny_text: str) -> None:
    contract = parse_contract(tiny_text)
    assert (contract.learner, contract.neural) == (Learner.SCORECARD, None)
    assert contract == parse_contract('learner = "scorecard"\n' + tiny_text)


def test_all_terms_are_read(tiny_text: str) -> None:
    text = with_neural(
        tiny_text,
        'model = "mlp"',
        "hidden = [12, 3]",
        'encoding = "evidence"',
        'training = "local"',
        "rounds = 9",
        "one_in = 7",
        "local_steps = 5",
        "max_grad_norm = 0.5",
        'optimiser = "momentum"',
        "learning_rate = 0.3",
        noise='noise = "local"',
    )
    assert parse_contract(text).neural == NeuralTerms(
        model=NeuralModelKind.MLP,
        hidden=(12, 3),
        encoding=Encoding.EVIDENCE,
        training=Training.LOCAL,
        rounds=9,
        one_in=7,
        local_steps=5,
        max_grad_norm=0.5,
        optimiser=Optimiser.MOMENTUM,
        learning_rate=0.3,
    )


RULES: dict[str, tuple[dict[str, Any], str, str]] = {
    "steps of its own in shared training": (
        {"lines": ["local_steps = 9"]},
        "local_steps = 9",
        'parties take steps of their own in training = "local" alone: remove it',
    ),
    "patience in local training": (
        {"lines": ["patience = 3", 'training = "local"'], "noise": 'noise = "local"'},
        "patience = 3",
        "what local training releases does not tell noise from progress: remove it",
    ),
    "units of a logistic model": (
        {"lines": ['model = "logistic"', "hidden = [8]"]},
        "hidden = [8]",
        'a logistic model has no hidden layer: remove it, or use "mlp"',
    ),
    "shared noise in local training": (
        {"lines": ['training = "local"']},
        'training = "local"',
        'so nothing is shared: use privacy.noise = "local", or training = "shared"',
    ),
    "terms of another learner": (
        {"lines": ["rounds = 3"], "learner": ""},
        "[neural]",
        'these terms belong to learner = "neural": say so, or remove them',
    ),
    "a recipe of another learner": (
        {"lines": ["[scorecard]", 'recipe = "filtered"']},
        "[scorecard]",
        'these terms belong to learner = "scorecard": say so, or remove them',
    ),
    "no such learner": ({"lines": [], "learner": 'learner = "forest"'}, "learner =", "scorecard"),
    "no such model": ({"lines": ['model = "tree"']}, 'model = "tree"', '"logistic" or "mlp"'),
    "no such encoding": ({"lines": ['encoding = "raw"']}, 'encoding = "raw"', '"evidence"'),
    "no layer": ({"lines": ["hidden = []"]}, "hidden = []", "hidden layer"),
    "three layers": ({"lines": ["hidden = [4, 4, 4]"]}, "hidden = [", "hidden layer"),
    "a wide layer": ({"lines": ["hidden = [513]"]}, "hidden = [513]", "must be 512 or less"),
    "no round": ({"lines": ["rounds = 0"]}, "rounds = 0", "must be 1 or more"),
    "many rounds": ({"lines": ["rounds = 1001"]}, "rounds = 1001", "must be 1000 or less"),
    "half a round": ({"lines": ["rounds = 1.5"]}, "rounds = 1.5", "whole number"),
    "one in none": ({"lines": ["one_in = 0"]}, "one_in = 0", "must be 1 or more"),
    "a misspelt term": ({"lines": ["one_inn = 4"]}, "one_inn = 4", "did you mean one_in"),
    "no step at all": ({"lines": ["learning_rate = 0.0"]}, "learning_rate", "must be above 0"),
    "no norm": ({"lines": ["max_grad_norm = 0.0"]}, "max_grad_norm", "must be 0.01 or more"),
    "no patience at all": ({"lines": ["patience = -1"]}, "patience = -1", "must be 0 or more"),
}


@pytest.mark.parametrize("case", RULES)
def test_a_mistake_is_told_once_with_its_line_and_the_way_out(tiny_text: str, case: str) -> None:
    arguments, marker, message = RULES[case]
    lines = arguments["lines"]
    rest = {name: value for name, value in arguments.items() if name != "lines"}
    text = with_neural(tiny_text, *lines, **rest)
    [(where, line, told)] = errors_of(text)
    assert message in told
    assert line is not None
    assert marker in text.splitlines()[line - 1], (where, line)
    with pytest.raises(ContractError, match=f"line {line}"):
        parse_contract(text)


def test_a_neural_learner_without_its_terms_is_told_what_to_add(tiny_text: str) -> None:
    [(where, line, told)] = errors_of('learner = "neural"\n' + tiny_text)
    assert (where, line) == ("learner", 1)
    assert told == 'learner = "neural" needs its terms: add a table [neural], if only empty'


def test_local_training_goes_with_local_noise_and_with_none(tiny_contract: Contract) -> None:
    terms = NeuralTerms(training=Training.LOCAL)
    with pytest.raises(ContractError, match="so nothing is shared"):
        tiny_contract.with_neural(terms)
    for noise in (NoiseMode.LOCAL, NoiseMode.NONE):
        assert tiny_contract.with_privacy(noise=noise).with_neural(terms).neural == terms


def test_shared_training_goes_with_every_noise(tiny_contract: Contract) -> None:
    for noise in NoiseMode:
        assert tiny_contract.with_privacy(noise=noise).with_neural(NeuralTerms()).neural is not None


def test_terms_that_can_be_told_from_the_usual_are_not_idle(tiny_contract: Contract) -> None:
    """The rules look at values alone, so the usual ones pass even where they do nothing."""
    logistic = NeuralTerms(model=NeuralModelKind.LOGISTIC)
    assert tiny_contract.with_neural(logistic).neural == logistic


def test_every_term_is_in_the_hash(tiny_contract: Contract) -> None:
    local = tiny_contract.with_privacy(noise=NoiseMode.LOCAL)
    changes: list[dict[str, Any]] = [
        {},
        {"model": "logistic"},
        {"hidden": [17]},
        {"hidden": [16, 16]},
        {"encoding": "one-hot"},
        {"encoding": "evidence"},
        {"training": "local"},
        {"training": "local", "local_steps": 5},
        {"rounds": 61},
        {"one_in": 2},
        {"max_grad_norm": 1.5},
        {"optimiser": "momentum"},
        {"learning_rate": 0.25},
        {"patience": 1},
    ]
    assert {name for change in changes for name in change} == set(NeuralTerms.model_fields)
    hashes = {local.with_neural(NeuralTerms.model_validate(change)).hash() for change in changes}
    assert len({*hashes, local.hash()}) == len(changes) + 1
    assert local.with_neural(NeuralTerms()).with_neural(None).hash() == local.hash()


def test_a_contract_with_terms_comes_back_from_what_it_dumps(tiny_contract: Contract) -> None:
    contract = tiny_contract.with_neural(NeuralTerms(hidden=(4, 2), one_in=3))
    again = Contract.model_validate(contract.model_dump())
    assert (again, again.hash()) == (contract, contract.hash())


def test_the_command_tells_all_mistakes_with_their_lines(tiny_text: str, tmp_path: Path) -> None:
    text = with_neural(tiny_text, "rounds = 0", 'encoding = "raw"', "hiden = [4]")
    path = tmp_path / "agreed.toml"
    path.write_text(text)
    result = CliRunner().invoke(app, ["contract", "check", str(path)], env={"COLUMNS": "200"})
    assert result.exit_code != 0
    lines = text.splitlines()
    for marker, message in (
        ("rounds = 0", "must be 1 or more"),
        ('encoding = "raw"', "one of"),
        ("hiden = [4]", "did you mean hidden"),
    ):
        number = lines.index(marker) + 1
        [told] = [line for line in result.output.splitlines() if message in line]
        assert str(number) in told


def test_the_command_accepts_a_sound_contract(tiny_text: str, tmp_path: Path) -> None:
    path = tmp_path / "agreed.toml"
    path.write_text(with_neural(tiny_text, "hidden = [8]", "one_in = 4"))
    result = CliRunner().invoke(app, ["contract", "check", str(path)])
    assert result.exit_code == 0, result.output
