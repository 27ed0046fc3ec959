"""The benchmark of many rounds runs, at toy size; what it measures is for people to read."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from fedscore.learners.agenda import Agenda
from fedscore.sums.stages import Stage
from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes
from privacy.paillier.keys import PublicKey

REPOSITORY = Path(__file__).parents[2]
PRIMES = json.loads((REPOSITORY / "tests" / "vectors" / "paillier_safe_primes.json").read_text())
TOY = ["--rounds", "2", "--hidden", "2", "--parties", "4", "--rows", "30", "--bits", "2048"]
PARAMETERS = 2 * 42 + 1
STAGES = ("encrypt", "prove", "verify", "open", "gradients", "rest")


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(REPOSITORY))
        yield importlib.import_module("benchmarks.neural_rounds")


@pytest.fixture(scope="module")
def key() -> PublicKey:
    p, q = (int(prime, 16) for prime in PRIMES["1024"])
    return PublicKey(p * q)


@pytest.fixture
def runner(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """The command, under a known key."""

    def known(*, bits: int, members: int, threshold: int) -> Ceremony:
        assert bits == 2048
        p, q = (int(prime, 16) for prime in PRIMES["1024"])
        return unsafe_deal_from_primes(p, q, members=members, threshold=threshold)

    monkeypatch.setattr(benchmark, "deal", known)
    app = typer.Typer()
    app.command()(benchmark.main)
    return app


def test_json_has_exactly_the_promised_names_and_the_parts_make_the_whole(
    benchmark: ModuleType, runner: typer.Typer
) -> None:
    result = CliRunner().invoke(runner, [*TOY, "--json"])
    assert result.exit_code == 0, result.output
    costs = json.loads(result.stdout)
    assert list(costs) == [field.name for field in fields(benchmark.Costs)]
    told = [costs[name] for name in ("bits", "rounds", "parameters", "parties", "rows")]
    assert told == [2048, 2, PARAMETERS, 4, 30]
    assert (costs["members"], costs["threshold"]) == (3, 2)
    assert costs["ciphertexts_per_party"] == 1 + 2 * -(-PARAMETERS // (2047 // costs["slot_bits"]))
    assert all(costs[f"{stage}_seconds"] > 0 for stage in STAGES)
    assert costs["seconds"] == pytest.approx(sum(costs[f"{stage}_seconds"] for stage in STAGES), rel=2e-3)
    assert costs["floor_ratio"] == pytest.approx(
        costs["processor_seconds"] / costs["floor_seconds"], rel=2e-3
    )


def test_the_table_comes_with_what_was_measured_and_how(runner: typer.Typer) -> None:
    result = CliRunner().invoke(runner, [*TOY, "--members", "5", "--threshold", "3"])
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert f"2 rounds of {PARAMETERS} parameters" in text
    assert "committee 3 of 5" in text
    for words in (
        *Stage,
        "cryptography",
        "gradients and noise",
        "rest",
        "everything",
        "ratio",
        "prices are taken",
    ):
        assert words in text
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_a_committee_that_cannot_be_ends_the_command_with_the_reason(runner: typer.Typer) -> None:
    result = CliRunner().invoke(runner, [*TOY, "--members", "3", "--threshold", "4"])
    assert result.exit_code == 1
    assert "3 of 3 members may collude" in result.stderr


def test_the_time_of_taking_prices_is_left_out(
    benchmark: ModuleType, key: PublicKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter((10.0, 13.0, 20.0, 27.0))
    prices = iter((0.5, 1.5))

    def taken(*_: object) -> object:
        return benchmark.Prices(**dict.fromkeys(benchmark.Prices.__dataclass_fields__, next(prices)))

    monkeypatch.setattr(benchmark, "_prices", taken)
    monkeypatch.setattr("benchmarks.neural_rounds.time.perf_counter", lambda: next(ticks))
    opened: list[None] = []
    pricing = benchmark._Pricing(key, None, lambda: opened.append(None))
    for number in (1, 2):
        pricing.round_opened("name", number, 2)
    assert pricing.seconds == 10.0
    assert len(opened) == 2
    assert pricing.prices.power == 1.0
    with pytest.raises(RuntimeError, match="somebody is silent"):
        pricing.noticed("somebody is silent")


def test_each_operation_of_the_floor_is_counted_as_often_as_it_is_needed(
    benchmark: ModuleType, key: PublicKey
) -> None:
    """With a price of one for one operation and of nothing for the others, the floor is its number."""
    setting = benchmark.Setting(bits=2048, rounds=3, hidden=10, parties=4, rows=30, members=5, threshold=3)
    requests = Agenda(benchmark.contract_of(setting), run="0" * 32).requests[1:]
    (ciphertexts,) = {request.layout.plaintexts_for(request.dimension) for request in requests}
    assert ciphertexts > 2

    free = benchmark.Prices(**dict.fromkeys(benchmark.Prices.__dataclass_fields__, 0.0))

    def count(name: str) -> dict[Stage, float]:
        floor = benchmark.floor_of(requests, replace(free, **{name: 1.0}), setting, key)
        return {stage: number for stage, number in floor.items() if number}

    assert count("power_wide") == {
        Stage.PROVE: 4 * 3,
        Stage.VERIFY: (5 + 1) * 3,
        Stage.OPEN: 3 * ciphertexts + 5 * 2,
    }
    reopening = 5 * 2 * (ciphertexts + benchmark._buckets(ciphertexts, 128, base=1, bucket=1))
    assert count("power")[Stage.OPEN] == 3 * ciphertexts + 5 * 2 * ciphertexts
    assert count("power").keys() == {Stage.OPEN}
    assert count("power_short") == {Stage.VERIFY: (5 + 1) * 3 * 4}
    assert count("secret_power") == {Stage.OPEN: 5 * 3 * ciphertexts}
    assert count("secret_power_half") == {Stage.PROVE: 4 * 3}
    assert count("product")[Stage.OPEN] == reopening - 5 * 2 * ciphertexts
    assert count("product_half")[Stage.ENCRYPT] == 4 * 3 * ciphertexts * benchmark._digits(
        key, 4 * 3 * ciphertexts
    )
    assert count("product_half").keys() == {Stage.ENCRYPT, Stage.VERIFY, Stage.OPEN}


def test_buckets_are_as_wide_as_is_cheapest(benchmark: ModuleType) -> None:
    assert benchmark._buckets(100, 1, base=1.0, bucket=0.0) == 50.0
    # One bit at a time: half of the digits are not 0, and there is one bucket for the others.
    assert benchmark._buckets(1, 2, base=1.0, bucket=1.0) == 2 * (0.5 + 2)
    # Two at a time: three quarters of them, and three buckets.
    assert benchmark._buckets(100, 2, base=1.0, bucket=1.0) == 75 + 6


def test_every_number_is_explained(benchmark: ModuleType) -> None:
    text = (REPOSITORY / "benchmarks" / "README.md").read_text(encoding="utf-8")
    names = [field.name for field in fields(benchmark.Costs)]
    assert [name for name in names if f"`{name}`" not in text] == []
