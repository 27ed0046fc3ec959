"""How well could one do with everybody's raw columns on one table, and no privacy at all?"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedscore.contract import Contract
from fedscore.errors import MissingExtra
from simulations.raw import places_of, whole_table

__all__ = ["LIGHTGBM_SETTINGS", "ceiling_probabilities", "raw_values", "require_lightgbm"]

LIGHTGBM_SETTINGS: Mapping[str, Any] = {
    "n_estimators": 300,
    "learning_rate": 0.02,
    "num_leaves": 31,
    "min_child_samples": 100,
    "colsample_bytree": 0.5,
    "subsample": 0.8,
    "subsample_freq": 1,
}
"""Fixed in advance on other splits (seeds 7001 to 7003), the same for every data set."""


def raw_values(
    path: Path,
    contract: Contract,
    ids: npt.NDArray[np.object_] | npt.NDArray[np.str_],
    *,
    number_rows: bool = False,
) -> npt.NDArray[np.float64]:
    """All columns of a file but identifiers and outcome, as numbers, not binned.

    Columns that the contract leaves out (because the law asks for it, or because a card needs no more) are
    among them: a ceiling is what the file would give to somebody who heeds nothing.

    Args:
        path: The data file, Parquet or CSV.
        contract: Names identifiers and outcome.
        ids: Ids of the rows wanted, shape [n].
        number_rows: Whether ids are the places of the rows in the file.

    Returns:
        Shape [n, columns], in the order of `ids`; NaN where a value is missing, text as the place of its
        value among the column's values in order.

    Raises:
        DataError: The file cannot be read, or lacks a row.
    """
    rules = contract.rows
    table = whole_table(path, rules.id, number_rows=number_rows)
    apart = {rules.id, rules.person, contract.outcome.column}
    # Numbers of the whole file first: a text has one place in it, whichever rows are wanted.
    values = np.column_stack([_numbers(table[name]) for name in table.column_names if name not in apart])
    return np.asarray(values[places_of(ids, table, rules.id)])


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        texts = column.cast(pa.string())
        known = pc.unique(texts).drop_null()
        column = pc.index_in(texts, known.take(pc.array_sort_indices(known)))
    values: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    return values


def require_lightgbm() -> None:
    """Refuse before hours are spent on the other runs.

    Raises:
        MissingExtra: LightGBM is not installed.
    """
    if importlib.util.find_spec("lightgbm") is None:
        raise MissingExtra(
            "the baseline pooled-lightgbm needs LightGBM: run pip install 'fedscore[simulations]', "
            "or leave it out of the scenario's baselines"
        )


def ceiling_probabilities(
    training: npt.NDArray[np.float64],
    outcome: npt.NDArray[np.int8],
    test: npt.NDArray[np.float64],
    *,
    seed: int,
) -> npt.NDArray[np.float64]:
    """Train LightGBM without privacy and score test rows.

    Args:
        training: Raw values of training rows, shape [n, columns].
        outcome: Their outcomes in {0, 1}, shape [n].
        test: Raw values of test rows, shape [m, columns].
        seed: Seed of LightGBM's own sampling.

    Returns:
        Probability of the bad outcome for each test row, shape [m].

    Raises:
        MissingExtra: LightGBM is not installed.
    """
    require_lightgbm()
    import lightgbm  # noqa: PLC0415 - an optional extra, and only this function needs it

    model = lightgbm.LGBMClassifier(
        **LIGHTGBM_SETTINGS, random_state=seed, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1
    )
    model.fit(training, outcome)
    return np.asarray(model.predict_proba(test), dtype=np.float64)[:, 1]
