"""What encrypted sums cost, beside stock `phe` with one ciphertext per value and beside one exponentiation.

    python benchmarks/encrypted_sums.py --bits 3072 --values 10000 --slot-bits 24

What each number means, and how to read it, is written in benchmarks/README.md.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any, TypeVar

import gmpy2
import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from fedscore.errors import FedscoreError
from privacy.paillier.ceremony import Ceremony, deal
from privacy.paillier.codec import RUN_ID_BYTES, VectorHeader, vector_bytes
from privacy.paillier.encryption import add, encrypt
from privacy.paillier.fixed_base import window_for
from privacy.paillier.keys import MAXIMUM_BITS, MINIMUM_BITS
from privacy.paillier.packing import MAXIMUM_WIDTH, SlotLayout, pack
from privacy.paillier.products import split
from privacy.paillier.proofs import proof_bytes, verify_plaintexts
from privacy.paillier.threshold import combine, partial_opening

__all__ = ["Costs", "Key", "main", "measure", "prepare"]

PARTIES = 10
MEMBERS = 7
THRESHOLD = 5
REPETITIONS = 11

_Result = TypeVar("_Result")

_MOST_CIPHERTEXTS = 1 << 20
"""Announced to `encrypt`: from some thousands on, the largest table that a key may have is the cheapest."""

_NAIVE_SAMPLE = 8
"""Values that stock phe encrypts and adds in each repetition."""

_FLOOR_SAMPLE = 256
"""Multiplications from which the price of one is taken."""

_SHORTEST = 0.02
"""Processor seconds that a measurement lasts at least: what is quicker is repeated."""

_SIGNATURE_BYTES = 64
_STATEMENT = b"benchmark"

_HEADS = (
    *("bits", "values", "slot\nbits", "enc.\ns", "enc.\n\N{MULTIPLICATION SIGN}"),
    *("sent\nkB", "sent\n\N{MULTIPLICATION SIGN}", "add\n\N{MULTIPLICATION SIGN}"),
    *("par-\ntial", "com-\nbine", "prove", "ver-\nify", "floor"),
)
_METHOD = (
    f"Columns with \N{MULTIPLICATION SIGN} say how many times more stock phe takes, with one ciphertext per "
    f"value: {_NAIVE_SAMPLE} values are encrypted, and added over all {PARTIES} parties, and the time is "
    "scaled to the whole vector. Encrypting includes packing, with the key's table built. Sent is a party's "
    "whole submission: header, ciphertexts, proof and signature; a naive ciphertext is as wide as n"
    "\N{SUPERSCRIPT TWO}. A partial opening is in units of one gmpy2.powmod_sec with an exponent of n's size "
    f"modulo n; combining {THRESHOLD} of them, proving a vector and verifying that proof are in units of one "
    "gmpy2.powmod with exponent n modulo n\N{SUPERSCRIPT TWO}. Adding starts from vectors that were "
    "split into halves when their proofs were checked: splitting is counted in verifying, which starts from "
    "plain integers. The floor is one gmpy2 multiplication modulo n\N{SUPERSCRIPT TWO} per digit of every "
    "exponent, as a share of the time that encrypting takes; it may exceed 1, since encrypting multiplies "
    "halves of units. Times are processor seconds on one core. "
    f"Everything is the median of {REPETITIONS} repetitions, in which the two sides of each ratio take turns."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one sum costs; benchmarks/README.md tells how each number is measured.

    Attributes:
        bits: Length of n.
        values: Integers per party, P.
        parties: Vectors in the sum, N.
        slot_bits: Bits per packed integer.
        encrypt_seconds: Processor seconds to pack and encrypt one party's vector.
        encrypt_vs_naive: How many times longer stock phe takes, with one ciphertext per value.
        bytes_per_party: Length of a party's submission: header, ciphertexts, proof, signature.
        bytes_vs_naive: How many times longer one ciphertext per value is.
        add_vs_naive: How many times longer stock phe takes to add all parties' vectors than `add` takes once
            their proofs were checked, which leaves them split.
        partial_vs_powmod_sec: One partial opening, in exponentiations modulo n in constant time.
        combine_vs_powmod: One combined and checked opening, in exponentiations modulo n^2.
        prove_vs_powmod: One proof for the vector, in exponentiations modulo n^2.
        verify_vs_powmod: The check of that proof and splitting the vector, in exponentiations modulo n^2.
        floor_fraction: One multiplication modulo n^2 per digit of every exponent, as a share of the time
            that encrypting takes.
    """

    bits: int
    values: int
    parties: int
    slot_bits: int
    encrypt_seconds: float
    encrypt_vs_naive: float
    bytes_per_party: int
    bytes_vs_naive: float
    add_vs_naive: float
    partial_vs_powmod_sec: float
    combine_vs_powmod: float
    prove_vs_powmod: float
    verify_vs_powmod: float
    floor_fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key that is ready to encrypt: its table is built.

    Attributes:
        ceremony: The key and all its shares.
        multiplications: Entries of the table in one ciphertext: the digits of its exponent.
        table_seconds: Processor seconds that the table took to build.
    """

    ceremony: Ceremony
    multiplications: int
    table_seconds: float


def prepare(ceremony: Ceremony) -> Key:
    """Build the largest table that a key may have, as a process does that encrypts much."""
    public_key = ceremony.public_key
    exponent_bits = (public_key.bits + 1) // 2
    window = window_for(exponent_bits=exponent_bits, powers=_MOST_CIPHERTEXTS)
    with _one_core():
        seconds, _ = _timed_once(lambda: encrypt(public_key, [0], expected=_MOST_CIPHERTEXTS))
    return Key(ceremony=ceremony, multiplications=-(-exponent_bits // window), table_seconds=seconds)


def measure(key: Key, *, values: int, slot_bits: int, repetitions: int) -> Costs:
    """Measure what one sum over ten parties costs.

    Args:
        key: A prepared key.
        values: Integers per party, at least 1.
        slot_bits: Bits per packed integer.
        repetitions: How often everything is measured; medians are returned.

    Raises:
        LayoutError: Slots of this width hold no sum of ten parties, or do not fit the key.
    """
    public_key = key.ceremony.public_key
    most = ((1 << slot_bits - 1) - 1) // PARTIES
    layout = SlotLayout.for_sum(max_abs=most, max_summands=PARTIES, modulus_bits=public_key.bits)
    vector: list[int] = np.random.default_rng().integers(-most, most, values, endpoint=True).tolist()
    with _one_core():
        repeated = [_measure_once(key, layout, vector) for _ in range(repetitions)]
    medians = {name: statistics.median(each[name] for each in repeated) for name in repeated[0]}
    header = VectorHeader.of(public_key, layout, run=bytes(RUN_ID_BYTES), round_number=1, values=values)
    sent = vector_bytes(public_key, header) + proof_bytes(public_key) + _SIGNATURE_BYTES
    return Costs(
        bits=public_key.bits,
        values=values,
        parties=PARTIES,
        slot_bits=layout.width,
        bytes_per_party=sent,
        bytes_vs_naive=values * public_key.ciphertext_bytes / sent,
        **medians,
    )


def _measure_once(key: Key, layout: SlotLayout, vector: Sequence[int]) -> dict[str, float]:
    """Measure every number of `Costs` that takes time, the two sides of each ratio one after the other."""
    committee, shares = key.ceremony.committee, key.ceremony.shares
    public_key, naive_key = committee.public_key, committee.public_key.as_phe()
    n, n_squared = gmpy2.mpz(public_key.n), gmpy2.mpz(public_key.n_squared)
    unit, exponent = secrets.randbelow(public_key.n), secrets.randbits(public_key.bits)

    sample = vector[:_NAIVE_SAMPLE]
    scale = len(vector) / len(sample)
    naive_encrypt, naive = _timed(lambda: [naive_key.encrypt(value) for value in sample])
    encrypting, fresh = _timed(lambda: encrypt(public_key, pack(layout, vector), expected=_MOST_CIPHERTEXTS))
    multiplication = _multiplication_seconds(n_squared)

    # Other parties' ciphertexts cost the same.
    naive_columns = [_rotated(naive, party) for party in range(PARTIES)]
    columns = [split(public_key.n, _rotated(fresh.ciphertexts, party)) for party in range(PARTIES)]
    naive_add, _ = _timed(lambda: [sum(place[1:], place[0]) for place in zip(*naive_columns, strict=True)])
    adding, (product, *_) = _timed(lambda: add(public_key, columns))

    powmod_sec, _ = _timed(lambda: gmpy2.powmod_sec(unit, exponent, n))
    opening, _ = _timed(lambda: partial_opening(shares[0], product))

    partials = {share.index: partial_opening(share, product) for share in shares[:THRESHOLD]}
    before_combining, _ = _timed(lambda: gmpy2.powmod(unit, n, n_squared))
    combining, _ = _timed(lambda: combine(committee, product, partials))
    before_proving, _ = _timed(lambda: gmpy2.powmod(unit, n, n_squared))
    proving, proof = _timed_once(lambda: fresh.prove(_STATEMENT))
    before_verifying, _ = _timed(lambda: gmpy2.powmod(unit, n, n_squared))
    verifying, _ = _timed(lambda: verify_plaintexts(public_key, fresh.ciphertexts, _STATEMENT, proof))

    return {
        "encrypt_seconds": encrypting,
        "encrypt_vs_naive": naive_encrypt * scale / encrypting,
        "add_vs_naive": naive_add * scale / adding,
        "partial_vs_powmod_sec": opening / powmod_sec,
        "combine_vs_powmod": combining / before_combining,
        "prove_vs_powmod": proving / before_proving,
        "verify_vs_powmod": verifying / before_verifying,
        "floor_fraction": len(fresh.ciphertexts) * key.multiplications * multiplication / encrypting,
    }


def _multiplication_seconds(modulus: gmpy2.mpz) -> float:
    """Processor seconds of one multiplication of residues."""
    factors = [gmpy2.mpz(secrets.randbelow(int(modulus))) for _ in range(_FLOOR_SAMPLE)]

    def multiply() -> None:
        product = gmpy2.mpz(1)
        for factor in factors:
            product = product * factor % modulus

    seconds, _ = _timed(multiply)
    return seconds / len(factors)


def _timed(call: Callable[[], _Result]) -> tuple[float, _Result]:
    """Processor seconds of one call, the mean of as many as last long enough, and the last one's result."""
    seconds, result = _timed_once(call)
    calls = 1
    while seconds < _SHORTEST:
        another, result = _timed_once(call)
        seconds, calls = seconds + another, calls + 1
    return seconds / calls, result


def _timed_once(call: Callable[[], _Result]) -> tuple[float, _Result]:
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def _rotated(items: Sequence[_Result], places: int) -> list[_Result]:
    places %= len(items)
    return [*items[places:], *items[:places]]


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep this thread, and those that it starts, on one core, where the system can."""
    if sys.platform != "linux":
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _several(what: str, *default: int, least: int, most: int | None = None) -> Any:  # noqa: ANN401  # typer's
    shown = ", ".join(map(str, default))
    return typer.Option(
        help=f"{what}; repeatable.",
        min=least,
        max=most,
        default_factory=lambda: [*default],
        show_default=shown,
    )


def main(
    *,
    bits: Annotated[list[int], _several("Length of n", 2048, 3072, least=MINIMUM_BITS, most=MAXIMUM_BITS)],
    values: Annotated[list[int], _several("Values per party", 1_000, 10_000, 100_000, least=1)],
    slot_bits: Annotated[list[int], _several("Bits per value", 24, 48, least=8, most=MAXIMUM_WIDTH)],
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects instead.")] = False,
) -> None:
    """Measure what encrypted sums cost; everything takes some minutes."""
    terminal = Console(stderr=True)
    keys, costs = [], []
    try:
        with Progress(console=terminal, disable=not terminal.is_terminal, transient=True) as progress:
            task = progress.add_task("", total=len(bits) * (1 + len(values) * len(slot_bits)))
            for size in bits:
                progress.update(task, description=f"{size} bits: dealing a key")
                keys.append(prepare(deal(bits=size, members=MEMBERS, threshold=THRESHOLD)))
                progress.advance(task)
                for count, width in itertools.product(values, slot_bits):
                    progress.update(task, description=f"{size} bits: {count:,} values of {width} bits")
                    costs.append(measure(keys[-1], values=count, slot_bits=width, repetitions=REPETITIONS))
                    progress.advance(task)
    except FedscoreError as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps([_rounded(each) for each in costs], indent=1))
    else:
        _show(costs, keys)


def _rounded(costs: Costs) -> dict[str, float]:
    """The object that `--json` prints; more than four digits of what is measured would be noise."""
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in asdict(costs).items()
    }


def _show(costs: Iterable[Costs], keys: Iterable[Key]) -> None:
    console = Console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=0)
    for head in _HEADS:
        table.add_column(head, justify="right", no_wrap=True)
    for each in costs:
        table.add_row(
            *(str(each.bits), f"{each.values:,}", str(each.slot_bits)),
            *(f"{each.encrypt_seconds:.3g}", f"{each.encrypt_vs_naive:,.0f}"),
            *(f"{each.bytes_per_party / 1000:,.0f}", f"{each.bytes_vs_naive:.0f}"),
            *(f"{each.add_vs_naive:.0f}", f"{each.partial_vs_powmod_sec:.2f}"),
            *(f"{each.combine_vs_powmod:.2f}", f"{each.prove_vs_powmod:.2f}"),
            *(f"{each.verify_vs_powmod:.2f}", f"{each.floor_fraction:.2f}"),
        )
    console.print(table)
    tables = "; ".join(
        f"at {key.ceremony.public_key.bits} bits in {key.table_seconds:.1f} s, for {key.multiplications} "
        "multiplications per ciphertext"
        for key in keys
    )
    console.print(f"\nTables are built once per key and process: {tables}. {_METHOD}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
