"""The model file: what it holds, and how a probability follows from it. Needs neither torch nor Opacus."""

from __future__ import annotations

import json
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, model_validator

from fedscore.card import PrivacyRecord, read_trained
from fedscore.contract import Contract, NeuralTerms
from fedscore.data import Cells
from fedscore.learners.neural.architecture import Architecture, forward
from fedscore.learners.neural.fixed_point import LARGEST_WIDTH
from fedscore.learners.neural.inputs import Inputs

__all__ = ["InputColumn", "NeuralModel", "model_of"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class InputColumn(_Frozen):
    """One input of the model.

    Attributes:
        name: The table's name, and what the input says of it.
        table: Place of the table in the contract.
        values: Its value at each cell of the table.
    """

    name: str
    table: int
    values: tuple[float, ...]


class NeuralModel(_Frozen):
    """A trained neural model.

    Attributes:
        schema_version: Of this file.
        kind: What this file is.
        software_version: Of the fedscore that trained it.
        contract_hash: The contract that it was trained under.
        contract_name: Its name.
        outcome: What is predicted.
        terms: The model's form and training.
        cells: Number of cells of each table of the contract.
        inputs: What the model sees of a row.
        parameters: Weights and biases, layer by layer, weights of a unit together.
        rounds: Sums of gradients or updates that were made; fewer than planned if training stopped early.
        privacy: What training cost.
    """

    schema_version: Literal[1] = 1
    kind: Literal["neural"] = "neural"
    software_version: str
    contract_hash: str
    contract_name: str
    outcome: str
    terms: NeuralTerms
    cells: tuple[int, ...]
    inputs: tuple[InputColumn, ...]
    parameters: tuple[float, ...]
    rounds: int
    privacy: PrivacyRecord | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not 1 <= len(self.inputs) <= LARGEST_WIDTH:
            raise ValueError(f"a model has 1 to {LARGEST_WIDTH} inputs")
        if len(self.parameters) != self._architecture.parameters:
            raise ValueError("the parameters are not as many as the model has")
        tables = [column.table for column in self.inputs]
        if not all(0 <= table < len(self.cells) for table in tables) or any(
            len(column.values) != self.cells[column.table] for column in self.inputs
        ):
            raise ValueError("an input does not fit its table")
        return self

    @cached_property
    def _architecture(self) -> Architecture:
        return Architecture.of(self.terms, len(self.inputs))

    @cached_property
    def _inputs(self) -> Inputs:
        return Inputs(
            names=tuple(column.name for column in self.inputs),
            tables=tuple(column.table for column in self.inputs),
            values=tuple(np.array(column.values) for column in self.inputs),
            sizes=self.cells,
        )

    def probability(self, cells: Cells) -> npt.NDArray[np.float64]:
        """Returns [records], the probability of the outcome.

        Args:
            cells: [records, tables], each record's cell in each table.

        Raises:
            DataError: The cells do not belong to this model's tables.
        """
        log_odds = forward(self._architecture, np.array(self.parameters), self._inputs.of(cells))
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -700.0, 700.0))))

    @property
    def file_name(self) -> str:
        """What its file is called in a folder of results."""
        return "model.json"

    def with_privacy(self, privacy: PrivacyRecord) -> NeuralModel:
        """Returns the model with what its training cost."""
        return self.model_copy(update={"privacy": privacy})

    def to_json(self) -> str:
        """Returns the file's text: the same model gives the same bytes."""
        return json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> NeuralModel:
        """Reads a model file.

        Raises:
            CardError: The file is missing, no JSON, or not a model of this schema.
        """
        return read_trained(cls, path, called="a neural model", named="model.json", schema=1)


def model_of(
    contract: Contract,
    terms: NeuralTerms,
    inputs: Inputs,
    parameters: npt.NDArray[np.float64],
    *,
    rounds: int,
) -> NeuralModel:
    """Writes down what training gave.

    Args:
        contract: That it was trained under.
        terms: Its neural terms.
        inputs: What the model sees of a row.
        parameters: [parameters].
        rounds: Sums that were made of gradients or updates.
    """
    columns = zip(inputs.names, inputs.tables, inputs.values, strict=True)
    return NeuralModel(
        software_version=version("fedscore"),
        contract_hash=contract.hash(),
        contract_name=contract.name,
        outcome=contract.outcome.definition,
        terms=terms,
        cells=inputs.sizes,
        inputs=tuple(
            InputColumn(name=name, table=table, values=tuple(values.tolist()))
            for name, table, values in columns
        ),
        parameters=tuple(parameters.tolist()),
        rounds=rounds,
    )
