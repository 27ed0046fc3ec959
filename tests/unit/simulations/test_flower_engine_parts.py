"""What a run on Flower's engine is made of, without Flower: state that outlives processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flwr.app import Context
from hypothesis import given
from hypothesis import strategies as st

from clients.app import build_app
from clients.porter import Porter
from fedscore.contract import Contract, Recipe
from fedscore.data import Rows
from fedscore.data.identity import digests_of
from fedscore.sums import Side
from server.grid_transport import GridTransport
from simulations.federation import EncryptionMode, FederationResult, train_federation
from simulations.flower_engine import engine
from simulations.flower_engine.folder import RunFolder, Terms
from simulations.flower_engine.nodes import PARTITION, NodesOfFolder, _House
from simulations.flower_engine.noise import KeptRandomness
from simulations.in_process_grid import InProcessGrid
from simulations.keys import SimulatedKeys
from simulations.randomness import SeededRandomness
from tests.evaluations import product_contract, product_rows


@pytest.fixture(scope="module")
def contract(tiny_text: str) -> Contract:
    return product_contract(tiny_text)


def rows_of(contract: Contract, count: int, seed: int) -> dict[str, Rows]:
    return {
        party.name: product_rows(contract, count, seed + number, role=party.role)
        for number, party in enumerate(contract.parties)
    }


def terms_of(contract: Contract, **others: Any) -> Terms:  # noqa: ANN401 - other terms
    plain = {"seed": 4, "encryption": EncryptionMode.PLAIN, "keys": None, "evaluates": True}
    return Terms(contract=contract, **{**plain, **others})


def in_turns(
    path: Path, terms: Terms, training: Mapping[str, Rows], testing: Mapping[str, Rows] | None
) -> FederationResult:
    """A federation whose messages are answered by one of two processes, as far as their memory goes."""
    folder = RunFolder(path)
    folder.furnish(terms, training, testing)
    houses = [_House(folder), _House(folder)]
    choice = np.random.default_rng(3)
    answered = [0, 0]

    def porter_of(context: Context) -> Porter:
        one = int(choice.integers(2))
        answered[one] += 1
        return houses[one].porter(int(context.node_config[PARTITION]))

    participants = folder.terms().participants()
    grid = InProcessGrid(
        build_app(porter_of), [{PARTITION: number} for number in range(len(participants.names))]
    )
    result = participants.run(GridTransport(grid, signer=participants.operator))
    assert min(answered) > 5
    return result


def drawn(file: Path, seed: list[int], bound: int, size: int) -> npt.NDArray[np.int64]:
    """What a process draws that has just been started."""
    randomness = KeptRandomness(file, seed)
    with randomness.going_on():
        return randomness.integers_below(bound, size)


@given(
    draws=st.lists(st.tuples(st.integers(1, 2**62), st.integers(0, 9)), min_size=1, max_size=12),
    seed=st.lists(st.integers(0, 2**32), min_size=1, max_size=3),
)
def test_noise_goes_on_where_another_process_left_it(
    draws: list[tuple[int, int]], seed: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("noise") / "noise.json"
    whole = SeededRandomness(seed)
    for bound, size in draws:
        assert np.array_equal(drawn(file, seed, bound, size), whole.integers_below(bound, size))


def test_what_is_left_of_a_generators_word_is_kept_too(tmp_path: Path) -> None:
    """Small bounds take half a word: the other half is what the next draw begins with."""
    whole = SeededRandomness([5])
    expected = [whole.integers_below(10, 1).tolist() for _ in range(50)]
    file = tmp_path / "noise.json"
    assert [drawn(file, [5], 10, 1).tolist() for _ in range(50)] == expected
    assert len({number for (number,) in expected}) > 5


def test_an_answer_that_fails_has_drawn_what_it_drew(tmp_path: Path) -> None:
    """As in one process, where nothing is drawn back."""
    file, whole = tmp_path / "noise.json", SeededRandomness([5])
    randomness = KeptRandomness(file, [5])
    whole.integers_below(100, 3)

    def fails() -> None:
        with randomness.going_on():
            randomness.integers_below(100, 3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert drawn(file, [5], 100, 7).tolist() == whole.integers_below(100, 7).tolist()
    with pytest.raises(RuntimeError, match="while no answer is made"):
        randomness.integers_below(100, 3)


def test_two_processes_in_turns_open_what_one_opens(contract: Contract, tmp_path: Path) -> None:
    training, testing = rows_of(contract, 400, 1), rows_of(contract, 200, 11)
    one = train_federation(contract, training, seed=4, test_rows=testing)
    two = in_turns(tmp_path, terms_of(contract), training, testing)
    assert [opening.tolist() for opening in two.openings] == [opening.tolist() for opening in one.openings]
    assert two.card.to_json() == one.card.to_json()
    assert two.card.evaluation is not None
    assert (two.rounds, two.phases, two.bytes_per_party) == (one.rounds, one.phases, one.bytes_per_party)


def test_the_filtered_recipe_in_turns(contract: Contract, tmp_path: Path) -> None:
    filtered = contract.with_recipe(Recipe.FILTERED)
    training, testing = rows_of(filtered, 300, 1), rows_of(filtered, 100, 11)
    one = train_federation(filtered, training, seed=9, test_rows=testing)
    two = in_turns(tmp_path, terms_of(filtered, seed=9), training, testing)
    assert all(map(np.array_equal, two.openings, one.openings))
    assert two.card.to_json() == one.card.to_json()


def test_what_a_node_remembers_is_in_its_folder_alone(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise whose place a process kept for itself would be drawn twice: the checks above see that."""
    training, testing = rows_of(contract, 100, 1), rows_of(contract, 50, 11)
    one = train_federation(contract, training, seed=4, test_rows=testing)
    monkeypatch.setattr(KeptRandomness, "_keep", lambda _self, _position: None)
    two = in_turns(tmp_path, terms_of(contract), training, testing)
    assert not all(map(np.array_equal, two.openings, one.openings))


def test_terms_come_back_as_they_were(contract: Contract, small_keys: SimulatedKeys) -> None:
    terms = terms_of(contract, encryption=EncryptionMode.PAILLIER, keys=small_keys, evaluates=False)
    back = Terms.from_json(terms.to_json())
    assert back.contract.hash() == contract.hash()
    assert back.keys is not None
    assert back.keys.to_texts() == small_keys.to_texts()
    assert (back.evaluates, back.seed, back.encryption) == (False, 4, EncryptionMode.PAILLIER)
    assert Terms.from_json(terms_of(contract).to_json()).keys is None


@pytest.mark.parametrize("kind", ["texts", "digests", "persons", "nobody"])
def test_rows_come_back_as_they_were(contract: Contract, tmp_path: Path, kind: str) -> None:
    rows = product_rows(contract, 0 if kind == "nobody" else 30, 3)
    changes: dict[str, Any] = {}
    if kind == "digests":
        changes["ids"] = digests_of(rows.ids)
    if kind == "persons":
        changes["persons"] = np.array([f"person {row // 2}" for row in range(30)], dtype=object)
        changes["late"] = np.arange(30) % 3 == 0
    rows = Rows(
        cells=rows.cells.astype(np.uint8),
        outcome=rows.outcome,
        groups=rows.groups,
        **{"ids": rows.ids, **changes},
    )
    held = {"north": rows, "south": rows, "agency": rows}
    folder = RunFolder(tmp_path)
    folder.furnish(terms_of(contract), held, held)
    for side in Side:
        back = folder.rows(side, 1)
        assert back.cells.dtype == np.uint8
        assert back.cells.tolist() == rows.cells.tolist()
        assert back.outcome.tolist() == rows.outcome.tolist()
        assert back.ids.tolist() == rows.ids.tolist()
        assert back.persons.tolist() == rows.persons.tolist()
        assert (back.persons is back.ids) == (rows.persons is rows.ids)
        assert back.groups.tolist() == rows.groups.tolist()
        assert back.late.tolist() == rows.late.tolist()


def test_a_message_brings_nothing_but_the_folders_path(contract: Contract, tmp_path: Path) -> None:
    RunFolder(tmp_path).furnish(terms_of(contract), rows_of(contract, 20, 1), None)
    nodes = NodesOfFolder(folder=str(tmp_path))
    context = Context(run_id=1, node_id=7, node_config={PARTITION: 2}, state=None, run_config={})  # type: ignore[arg-type]  # is not looked at
    assert nodes(context) is NodesOfFolder(folder=str(tmp_path))(context)
    assert nodes.__getstate__() == [str(tmp_path)]


def test_nothing_reports_and_nobody_else_gets_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLWR_TELEMETRY_ENABLED", "1")
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    before = dict(os.environ)
    tokens = set()
    for _ in range(2):
        with engine._environment(tmp_path):
            inside = dict(os.environ)
        tokens.add(inside["RAY_AUTH_TOKEN"])
        assert os.environ == before
    assert len(tokens) == 2
    assert all(len(token) == 64 for token in tokens)
    assert inside["RAY_AUTH_MODE"] == "token"
    assert inside["FLWR_HOME"] == str(tmp_path)
    for name in ("FLWR_TELEMETRY_ENABLED", "RAY_USAGE_STATS_ENABLED"):
        assert inside[name] == "0"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        assert inside[name] == "1"


@pytest.mark.parametrize("base", ["/tmp", "/a/very/long/folder/of/temporary/files/that/somebody/chose"])  # noqa: S108 - what is tested
def test_rays_sockets_get_a_short_path(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", base)
    with engine._private_folder() as path:
        assert path.stat().st_mode & 0o077 == 0
        session = f"ray/session_2026-11-28_18-06-59_319806_{2**22}/sockets/plasma_store"
        assert len(str(path / session)) < 104
    assert not path.exists()
