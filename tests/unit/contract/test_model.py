"""The contract as an object: canonical hash, changes that are checked again."""

from __future__ import annotations

import copy
import pickle
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fedscore.contract import Contract, EncryptionTerms, NoiseMode, Party, Role, load_contract, parse_contract
from fedscore.errors import ContractError

FOLDER = Path(__file__).parents[3] / "simulations" / "contracts"
TAIWAN = load_contract(FOLDER / "taiwan.toml")
RAW = tomllib.loads((FOLDER / "taiwan.toml").read_text(encoding="utf-8"))
PARTIES = [Party(name=f"p{number}", role=Role.PLATFORM) for number in range(3)]


def test_comments_blanks_and_written_out_defaults_do_not_change_the_hash() -> None:
    text = (FOLDER / "taiwan.toml").read_text(encoding="utf-8")
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert parse_contract(bare).hash() == TAIWAN.hash()
    written = bare.replace(
        "[privacy]", '[encryption]\nkey_bits = 3072\n\n[privacy]\nnoise = "shared"\nabsent = 0'
    )
    assert parse_contract(written).hash() == TAIWAN.hash()


def test_a_hash_is_what_the_contract_says_it_is() -> None:
    assert len(TAIWAN.hash()) == 64
    assert TAIWAN.hash() == Contract.model_validate_json(TAIWAN.model_dump_json()).hash()


def test_a_changed_copy_has_a_hash_and_tables_of_its_own() -> None:
    """Both are kept once they are known, and must not be those of what was copied."""
    assert TAIWAN.hash() == TAIWAN.model_copy().hash()
    assert (len(TAIWAN.tables), TAIWAN.signing_keys) == (len(TAIWAN.model_copy().tables), {})
    changes = {"name": "another", "derived": (), "interactions": ()}
    changed = TAIWAN.model_copy(update=changes)
    assert changed.hash() != TAIWAN.hash()
    assert len(changed.tables) < len(TAIWAN.tables)


def test_rules_of_rows_are_changed_and_checked_again() -> None:
    assert TAIWAN.with_rows(organisations_per_person=3).rows.organisations_per_person == 3
    with pytest.raises(ContractError, match="cannot be changed so"):
        TAIWAN.with_rows(organisations_per_person=0)


def shuffled(value: object, generator: Any) -> object:  # noqa: ANN401 - hypothesis' random
    if isinstance(value, dict):
        keys = list(value)
        generator.shuffle(keys)
        return {key: shuffled(value[key], generator) for key in keys}
    return [shuffled(entry, generator) for entry in value] if isinstance(value, list) else value


@settings(max_examples=15)
@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_change_the_hash(generator: Any) -> None:  # noqa: ANN401 - hypothesis' random
    assert Contract.model_validate(shuffled(RAW, generator)).hash() == TAIWAN.hash()


def leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict | list):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(entry, (*path, key))
    else:
        yield path


def altered(value: object) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "x"
    assert isinstance(value, int | float)
    return value + 1e-9 * max(1.0, abs(value)) if isinstance(value, float) else value + 1


def full() -> dict[str, Any]:
    """A contract in which every entry that may be written is written."""
    raw = TAIWAN.with_parties([*PARTIES, Party(name="c", role=Role.COLLECTOR)]).model_dump(
        mode="json", exclude_none=True
    )
    raw["rows"]["person"] = "person"
    raw["parties"][0]["key"] = "1a" * 32
    raw["encryption"]["committee"] = {"members": 7, "threshold": 5, "colluding_members": 1}
    raw["encryption"]["ceremony"] = "5e" * 32
    raw["characteristics"].append(
        {
            "name": "channel",
            "type": "category",
            "levels": ["web", "shop"],
            "special": [{"code": 9, "meaning": "lost"}],
            "roles": ["platform"],
        }
    )
    raw["interactions"][0]["first"] = {"of": "channel", "levels": ["web"]}
    raw["derived"][0] |= {"cap": 8.0, "specials_as_values": True}
    raw["derived"][1]["weights"] = [1.0] * 6
    return raw


def one_of_each_kind() -> list[tuple[str | int, ...]]:
    kinds: dict[tuple[str, ...], tuple[str | int, ...]] = {}
    for path in leaves(full()):
        kinds.setdefault(tuple("*" if isinstance(step, int) else step for step in path), path)
    return list(kinds.values())


@pytest.mark.parametrize("path", one_of_each_kind(), ids=lambda path: ".".join(map(str, path)))
def test_any_change_of_a_value_changes_the_hash_or_is_refused(path: tuple[str | int, ...]) -> None:
    raw: Any = full()
    unchanged = Contract.model_validate(raw).hash()
    inner = raw
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = altered(inner[path[-1]])
    try:
        contract = Contract.model_validate(raw)
    except ValidationError:
        return
    assert contract.hash() != unchanged


def test_the_order_of_characteristics_is_part_of_the_contract() -> None:
    raw = copy.deepcopy(RAW)
    raw["characteristics"][:2] = reversed(raw["characteristics"][:2])
    assert Contract.model_validate(raw).hash() != TAIWAN.hash()


def test_numbers_and_roles_that_are_equal_hash_equally() -> None:
    raw = copy.deepcopy(RAW)
    bill = next(entry for entry in raw["characteristics"] if entry["name"] == "BILL_AMT1")
    assert bill["edges"][0] == 0
    bill["edges"][0] = -0.0
    bill["roles"] = ["collector", "platform"]
    assert Contract.model_validate(raw).hash() == TAIWAN.hash()


def test_an_inconsistent_contract_cannot_be_constructed() -> None:
    raw = copy.deepcopy(RAW)
    raw["characteristics"][0]["edges"] = [2, 1]
    with pytest.raises(ValidationError, match="1 follows 2"):
        Contract.model_validate(raw)


def test_a_contract_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TAIWAN.name = "other"  # type: ignore[misc] # the attack
    with pytest.raises(TypeError):
        TAIWAN.by_name["more"] = TAIWAN.characteristics[0]  # type: ignore[index] # the attack


def test_changes_are_taken_over_and_change_the_hash() -> None:
    contract = (
        TAIWAN.with_parties(PARTIES).with_privacy(epsilon=0.5, noise="local").with_encryption(key_bits=2048)
    )
    assert (contract.privacy.epsilon, contract.privacy.noise) == (0.5, NoiseMode.LOCAL)
    assert contract.privacy.delta == TAIWAN.privacy.delta
    assert contract.encryption == EncryptionTerms(key_bits=2048)
    assert contract.parties == tuple(PARTIES)
    assert list(contract.parties_by_name) == ["p0", "p1", "p2"]
    assert contract.hash() != TAIWAN.hash()
    assert (
        contract.with_parties([])
        .with_privacy(epsilon=1, noise=NoiseMode.SHARED)
        .with_encryption(key_bits=3072)
        == TAIWAN
    )


def test_changes_are_checked_again() -> None:
    with pytest.raises(
        ContractError, match=r"cannot be changed so: .*2 parties less 1 absent and 1 colluding"
    ):
        TAIWAN.with_privacy(absent=1).with_parties(PARTIES[:2])
    with pytest.raises(ContractError, match="twice"):
        TAIWAN.with_parties([PARTIES[0], PARTIES[0], PARTIES[1]])
    with pytest.raises(ContractError, match=r"privacy, delta: must be 0\.001 or less"):
        TAIWAN.with_privacy(delta=0.1)
    with pytest.raises(ContractError, match="did you mean epsilon"):
        TAIWAN.with_privacy(epsilom=1)
    with pytest.raises(ContractError, match="key_bits: must be 2048 or more"):
        TAIWAN.with_encryption(key_bits=512)


def test_tables_are_built_once() -> None:
    assert TAIWAN.tables is TAIWAN.tables


def test_a_contract_that_was_looked_at_can_be_sent_to_another_process(tiny_contract: Contract) -> None:
    assert tiny_contract.tables
    assert tiny_contract.holders
    again = pickle.loads(pickle.dumps(tiny_contract))  # noqa: S301 - made here
    assert again == tiny_contract
    assert again.tables == tiny_contract.tables
    assert again.hash() == tiny_contract.hash()
