"""Which rows are set apart for testing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split

from fedscore.contract import Contract
from fedscore.data import Rows, on_test_side
from fedscore.errors import ScenarioError
from simulations.scenario import SplitKind, SplitTerms

__all__ = ["held_out", "random_split"]


def random_split(outcome: npt.NDArray[np.int8], *, test_share: float, seed: int) -> npt.NDArray[np.bool_]:
    """The literature's split: scikit-learn's `train_test_split`, stratified by outcome.

    Args:
        outcome: Outcomes in {0, 1}, shape [n].
        test_share: Share of test rows, between 0 and 1.
        seed: The `random_state`.

    Returns:
        True where a row is a test row, shape [n].

    Raises:
        ScenarioError: One of the outcomes has too few rows for both sides.
    """
    if min(int((outcome == value).sum()) for value in (0, 1)) < 2:
        raise ScenarioError("a stratified split needs at least two rows of each outcome")
    try:
        _, test = train_test_split(
            np.arange(len(outcome)), test_size=test_share, stratify=outcome, random_state=seed
        )
    except ValueError:
        raise ScenarioError(
            f"split.test = {test_share} leaves one side of the {len(outcome)} rows without an outcome: "
            "use a share nearer to one half, or more rows"
        ) from None
    mask = np.zeros(len(outcome), dtype=np.bool_)
    mask[test] = True
    return mask


def held_out(rows: Rows, contract: Contract, terms: SplitTerms, *, seed: int) -> npt.NDArray[np.bool_]:
    """Set test rows apart as the scenario asks.

    Args:
        rows: All rows of the file.
        contract: Whose own split, by person or by date, a hash split follows.
        terms: The scenario's split.
        seed: Seed of a random split.

    Returns:
        True where a row is a test row, shape [n].

    Raises:
        ScenarioError: A random split would put rows of one person on both sides.
    """
    if terms.kind is SplitKind.HASH:
        return on_test_side(rows, contract.split)
    if contract.rows.person is not None:
        raise ScenarioError(
            f"contract {contract.name!r} knows persons, and a random split would put rows of one person on "
            "both sides: use --set 'split.kind=\"hash\"'"
        )
    return random_split(rows.outcome, test_share=terms.test_share, seed=seed)
