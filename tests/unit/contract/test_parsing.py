"""Files that cannot be read are told as such."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedscore.contract import load_contract
from fedscore.errors import ContractError

SHIPPED = Path(__file__).parents[3] / "simulations" / "contracts" / "taiwan.toml"


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"there is no contract .*absent\.toml"):
        load_contract(tmp_path / "absent.toml")


def test_a_folder_is_no_contract(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cannot be read: Is a directory"):
        load_contract(tmp_path)


def test_another_encoding_is_told(tmp_path: Path) -> None:
    file = tmp_path / "contract.toml"
    file.write_bytes(b'name = "caf\xe9"')
    with pytest.raises(ContractError, match=r"is not UTF-8 \(byte 12\): save it as UTF-8"):
        load_contract(file)


def test_the_file_is_named_with_its_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "contract.toml"
    file.write_text("version = 1\nepsilon = 2\n")
    with pytest.raises(
        ContractError, match=r"contract\.toml has \d+ mistakes:\n(.*\n)*  line 2, epsilon: there is no"
    ):
        load_contract(file)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "contract.toml"
    file.write_bytes(b"\xef\xbb\xbf" + SHIPPED.read_bytes())
    assert load_contract(file) == load_contract(SHIPPED)
