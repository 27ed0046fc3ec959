"""The benchmarks run, at toy size; what they measure is for people to read, and nothing is timed here."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes

REPOSITORY = Path(__file__).parents[2]
PRIMES = json.loads((REPOSITORY / "tests" / "vectors" / "paillier_safe_primes.json").read_text())
NAMES = [
    "bits",
    "values",
    "parties",
    "slot_bits",
    "encrypt_seconds",
    "encrypt_vs_naive",
    "bytes_per_party",
    "bytes_vs_naive",
    "add_vs_naive",
    "partial_vs_powmod_sec",
    "combine_vs_powmod",
    "prove_vs_powmod",
    "verify_vs_powmod",
    "floor_fraction",
]


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(REPOSITORY))
        yield importlib.import_module("benchmarks.encrypted_sums")


@pytest.fixture(scope="module")
def ceremony() -> Ceremony:
    """A 512-bit key shared by 5 of 7."""
    p, q = (int(prime, 16) for prime in PRIMES["256"])
    return unsafe_deal_from_primes(p, q, members=7, threshold=5)


@pytest.fixture
def runner(benchmark: ModuleType, ceremony: Ceremony, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """The command, under toy keys and without repetitions."""

    def toy(*, bits: int, members: int, threshold: int) -> Ceremony:
        assert (bits, members, threshold) in {(2048, 7, 5), (3072, 7, 5)}
        return ceremony

    monkeypatch.setattr(benchmark, "deal", toy)
    monkeypatch.setattr(benchmark, "REPETITIONS", 1)
    monkeypatch.setattr(benchmark, "_SHORTEST", 0.0)
    app = typer.Typer()
    app.command()(benchmark.main)
    return app


def test_json_has_one_object_per_case_with_exactly_the_promised_keys(runner: typer.Typer) -> None:
    arguments = ["--json", "--values", "50", "--values", "100"]
    result = CliRunner().invoke(runner, arguments)
    assert result.exit_code == 0, result.output
    cases = json.loads(result.stdout)
    assert [list(case) for case in cases] == [NAMES] * 8
    assert [(case["values"], case["slot_bits"]) for case in cases] == [
        *itertools.product((50, 100), (24, 48)),
        *itertools.product((50, 100), (24, 48)),
    ]
    for case in cases:
        assert case["parties"] == 10
        assert all(isinstance(case[name], int) for name in ("bits", "values", "slot_bits", "bytes_per_party"))
        assert all(case[name] > 0 for name in NAMES)


def test_ratios_are_those_of_neighbours(
    benchmark: ModuleType, ceremony: Ceremony, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On this clock the first measurement takes a second, the next two, and so on: who is divided by whom?"""

    def readings() -> Iterator[float]:
        for seconds in itertools.count(1):
            yield from (0.0, float(seconds))

    monkeypatch.setattr(benchmark.time, "process_time", readings().__next__)
    key = benchmark.prepare(ceremony)
    costs = benchmark.measure(key, values=100, slot_bits=24, repetitions=1)
    # 21 slots of 24 bits lie below half of 512 bits.
    ciphertexts = 5
    assert (key.table_seconds, costs.encrypt_seconds) == (1, 3)
    assert costs.encrypt_vs_naive == pytest.approx(100 / 8 * 2 / 3)
    assert costs.floor_fraction == pytest.approx(ciphertexts * key.multiplications * 4 / 256 / 3)
    assert costs.add_vs_naive == pytest.approx(100 / 8 * 5 / 6)
    assert costs.partial_vs_powmod_sec == pytest.approx(8 / 7)
    assert costs.combine_vs_powmod == pytest.approx(10 / 9)
    assert costs.prove_vs_powmod == pytest.approx(12 / 11)
    assert costs.verify_vs_powmod == pytest.approx(14 / 13)
    # A header of 73 bytes; ciphertexts of 128 bytes each; a proof as long as two of them; a signature.
    assert costs.bytes_per_party == 73 + ciphertexts * 128 + 2 * 128 + 64
    assert costs.bytes_vs_naive == pytest.approx(100 * 128 / costs.bytes_per_party)


def test_the_median_of_the_repetitions_is_taken(
    benchmark: ModuleType, ceremony: Ceremony, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter((9.0, 1.0, 2.0))
    names = {name for name in NAMES if "_vs_" in name and "bytes" not in name}
    names |= {"encrypt_seconds", "floor_fraction"}
    monkeypatch.setattr(benchmark, "_measure_once", lambda *_: dict.fromkeys(names, next(measured)))
    costs = benchmark.measure(benchmark.prepare(ceremony), values=10, slot_bits=24, repetitions=3)
    assert {getattr(costs, name) for name in names} == {2.0}


def test_what_does_not_take_a_second_is_repeated(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark.time, "process_time", itertools.count(0.0, 0.25).__next__)
    monkeypatch.setattr(benchmark, "_SHORTEST", 1.0)
    results = itertools.count(1)
    assert benchmark._timed(lambda: next(results)) == (0.25, 4)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process on one core")
def test_one_core_is_used_and_the_others_are_given_back(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[set[int]] = []
    monkeypatch.setattr(benchmark.os, "sched_getaffinity", lambda _: {2, 3, 5})
    monkeypatch.setattr(benchmark.os, "sched_setaffinity", lambda _, cores: kept.append(cores))

    def fail() -> None:
        with benchmark._one_core():
            assert kept == [{2}]
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail()
    assert kept == [{2}, {2, 3, 5}]


def test_the_table_comes_with_what_was_measured_and_how(runner: typer.Typer) -> None:
    result = CliRunner().invoke(runner, ["--bits", "2048", "--values", "1000", "--slot-bits", "24"])
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert text.count("1,000 24") == 1
    for words in ("Tables are built once", "8 values are encrypted", "one core", "take turns"):
        assert words in text
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_a_key_that_nobody_deals_ends_the_command_with_the_reason(benchmark: ModuleType) -> None:
    app = typer.Typer()
    app.command()(benchmark.main)
    result = CliRunner().invoke(app, ["--bits", "2049"])
    assert result.exit_code == 1
    assert "a key of 2049 bits is refused" in result.stderr


def test_every_number_is_explained() -> None:
    text = (REPOSITORY / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"`{name}`" not in text] == []
