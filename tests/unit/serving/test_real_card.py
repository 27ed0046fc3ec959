"""A card that was trained on real rows: the service's answers for all of them are the card's own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.invented_card import write_signed
from benchmarks.scoring_service import ScoringService
from fedscore.card import Card
from fedscore.contract import Contract, GradeTerms, NoiseMode, Party, Role, load_contract
from fedscore.data import Rows, read_rows
from fedscore.serving.score_pb2 import Explanation, Record, Score, ScoreBatchRequest, Value
from fedscore.serving.score_pb2_grpc import ScoringStub
from fedscore.serving.service import MOST_RECORDS
from simulations.federation import train_federation
from simulations.keys import keyed

REPOSITORY = Path(__file__).parents[3]
CONTRACT = REPOSITORY / "simulations" / "contracts" / "taiwan.toml"
PARTIES = ("north", "south", "west")


@pytest.fixture(scope="module")
def contract() -> Contract:
    grades = GradeTerms(largest_bad_rates=(0.1, 0.2, 0.4))
    roster = [Party(name=name, role=Role.PLATFORM) for name in PARTIES]
    chosen = load_contract(CONTRACT).with_parties(roster).with_grades(grades)
    return keyed(chosen.with_privacy(noise=NoiseMode.NONE))


@pytest.fixture(scope="module")
def data(shared_data: Path) -> Path:
    return shared_data / "taiwan_credit_card.parquet"


@pytest.fixture(scope="module")
def rows(data: Path, contract: Contract) -> Rows:
    return read_rows(data, contract, role=Role.PLATFORM)


@pytest.fixture(scope="module")
def trained(rows: Rows, contract: Contract) -> Card:
    parts = {name: rows.select(np.arange(place, len(rows), 3)) for place, name in enumerate(PARTIES)}
    card = train_federation(contract, parts, seed=1).card
    assert len(card.grades) == 4
    return card


def records(data: Path, card: Card) -> Iterator[list[Record]]:
    """The file's rows as a client sends them, a batch at a time."""
    columns = card.grid.source_columns(Role.PLATFORM)
    for batch in pq.ParquetFile(data).iter_batches(MOST_RECORDS, columns=["id", *columns]):
        yield [
            Record(
                id=str(row["id"]),
                columns={name: Value(number=float(row[name])) for name in columns},
            )
            for row in batch.to_pylist()
        ]


def test_every_row_is_scored_as_the_card_scores_it(
    data: Path, rows: Rows, trained: Card, tmp_path: Path
) -> None:
    with (
        ScoringService(write_signed(trained, tmp_path), tmp_path / "log") as service,
        grpc.insecure_channel(service.address) as channel,
        ThreadPoolExecutor(2) as pool,
    ):
        stub = ScoringStub(channel)

        def ask(batch: list[Record]) -> list[Score]:
            return list(
                stub.ScoreBatch(ScoreBatchRequest(records=batch, explanation=Explanation(reasons=1))).scores
            )

        scores = [score for batch in pool.map(ask, records(data, trained)) for score in batch]
    total = trained.hundredths(rows.cells)
    names = [grade.name for grade in trained.grades]
    assert [score.id for score in scores] == rows.ids.tolist()
    assert [score.hundredths for score in scores] == total.tolist()
    assert [score.score for score in scores] == trained.score(rows.cells).tolist()
    assert [score.probability for score in scores] == trained.probability(rows.cells).tolist()
    assert [score.grade for score in scores] == [names[place] for place in trained.grade_places(total)]
    assert {score.grade for score in scores} == set(names)
    assert len(scores) == 30_000
