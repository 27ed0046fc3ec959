"""Whoever reads docs/card-format.md and nothing else gives the score that the product gives."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given

from fedscore.card.judging import judge
from fedscore.card.scoring import Scorer
from fedscore.contract import Role
from tests.integration import independent_reader
from tests.integration.independent_reader import Reader
from tests.random_cards import Drawn, cards_with_rows, table_of
from tests.trained_cards import taiwan


def test_the_reader_imports_nothing_but_the_standard_library() -> None:
    source = Path(independent_reader.__file__).read_text(encoding="utf-8")
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imported if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in imported if isinstance(node, ast.ImportFrom)}
    assert names == {"functools", "json", "math", "bisect", "pathlib", "typing"}
    assert sum(bool(line) for line in source.splitlines()) <= 100


def test_it_scores_customers_of_taiwan_as_the_product_does(shared_data: Path, tmp_path: Path) -> None:
    trained = taiwan(shared_data)
    trained.card.write(tmp_path / "card.json")
    reader = Reader(tmp_path / "card.json", "platform")
    rows = pq.read_table(trained.file).slice(0, 5000).to_pylist()
    scored = Scorer(trained.card, role=Role.PLATFORM).score_cells(trained.rows.cells[:5000])
    found = [reader.score(row) for row in rows]
    assert [total for total, _, _ in found] == scored.hundredths.tolist()
    assert [grade for _, _, grade in found] == [trained.card.grades[place].name for place in scored.grades]
    np.testing.assert_allclose([probability for _, probability, _ in found], scored.probability, rtol=1e-12)


@given(cards_with_rows())
def test_it_scores_random_cards_as_the_product_does(
    tmp_path_factory: pytest.TempPathFactory, drawn: Drawn
) -> None:
    path = tmp_path_factory.mktemp("card") / "card.json"
    drawn.card.write(path)
    reader = Reader(path, drawn.role)
    scorer = Scorer(drawn.card, role=drawn.role)
    table = table_of(drawn)
    (batch,) = table.combine_chunks().to_batches()
    judged = judge(batch, id_column="id", numbers=scorer.numbers, categories=scorer.categories, is_csv=False)
    scored = scorer.score(judged.values)
    found = [reader.score(row) for row, fit in zip(drawn.rows, judged.fit.tolist(), strict=True) if fit]
    assert [total for total, _, _ in found] == scored.hundredths.tolist()
    names = [grade.name for grade in drawn.card.grades]
    assert [grade for _, _, grade in found] == [names[place] if names else None for place in scored.grades]
    for (_, mine, _), theirs in zip(found, scored.probability.tolist(), strict=True):
        assert math.isclose(mine, theirs, rel_tol=1e-12)
