"""What a neural model costs under encryption: a private sum of gradients for every step.

    python benchmarks/neural_rounds.py --rounds 40 --hidden 238 --parties 10 --bits 3072

What each number means, how the floor is counted, and how to read it, is written in benchmarks/README.md.
"""

from __future__ import annotations

import json
import math
import secrets
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Annotated
from unittest import mock

import gmpy2
import numpy as np
import numpy.typing as npt
import typer
from gmpy2 import mpz
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from fedscore.contract import Contract, Party, Role, parse_contract
from fedscore.data import Rows
from fedscore.errors import FedscoreError
from fedscore.learners.agenda import Agenda
from fedscore.sums import SumRequest, noised_total
from fedscore.sums.stages import Stage
from privacy.paillier.ceremony import deal
from privacy.paillier.fixed_base import window_for
from privacy.paillier.keys import MAXIMUM_BITS, MINIMUM_BITS, PublicKey
from privacy.paillier.shares import KeyShare
from simulations.federation import EncryptionMode, FederationResult, train_federation
from simulations.keys import SimulatedKeys, keyed, record_of

__all__ = ["Costs", "Prices", "Setting", "floor_of", "main", "measure"]

_CONTRACT = """
version = 1
name = "rounds"
learner = "neural"
purpose = "Measure what many rounds cost; its rows are invented."

[outcome]
definition = "invented"
bucket = "1+"
horizon_days = 30

[rows]
row_cap = {rows}

[split]
test_share = 0.3
key = "rounds"

[privacy]
epsilon = 1.0
delta = 1e-6

[neural]
rounds = {rounds}
hidden = [{hidden}]
{characteristics}"""

_CHARACTERISTIC = """
[[characteristics]]
name = "x{number}"
type = "number"
unit = "none"
description = "Invented."
edges = [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5]
"""

_CHARACTERISTICS = 20
_INPUTS = 2 * _CHARACTERISTICS
"""Of each characteristic its place along the grid, and an indicator for missing."""

_SEED = 1
_SAMPLE = 64
"""Multiplications from which the price of one is taken, each time."""

_CALLS = 4
"""How often every operation is made when its price is taken."""

_COEFFICIENT_BITS = 128
"""Length of the challenges of proofs, and of the weights under which many equations become one."""

_METHOD = (
    "Wall seconds are those of the whole run in one process; processor seconds are those of both cores. The "
    "floor counts what the protocol cannot do without, operation by operation, each at the price that gmpy2 "
    "asks for it on one core; prices are taken after every round, and their time is left out. Finding the "
    "key's primes is not measured."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is measured.

    Attributes:
        bits: Length of n.
        rounds: Steps, each a private sum of gradients; one sum of counts comes before them.
        hidden: Units of the model's hidden layer.
        parties: Organisations.
        rows: Rows of each; also the contract's cap, on which the width of slots depends.
        members: Size of the committee.
        threshold: How many of them open a sum.
    """

    bits: int
    rounds: int
    hidden: int
    parties: int
    rows: int
    members: int
    threshold: int

    @property
    def parameters(self) -> int:
        """Number of parameters: values per party and step."""
        return (_INPUTS + 2) * self.hidden + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a run cost; benchmarks/README.md tells how each number is measured.

    Attributes:
        bits: Length of n.
        rounds: Steps.
        parameters: Of the model: values per party and step.
        parties: Organisations.
        rows: Rows of each.
        members: Size of the committee.
        threshold: How many of them open a sum.
        slot_bits: Bits per packed integer, in the widest of the sums.
        ciphertexts_per_party: Over all sums.
        bytes_per_party: Over all sums.
        seconds: Wall time.
        encrypt_seconds: Wall time of it for packing and encrypting, the key's table included.
        prove_seconds: For proofs of plaintext knowledge and signatures.
        verify_seconds: For checking them, at the server and at every member.
        open_seconds: For partial openings, combining them, and the members' check of what is published.
        gradients_seconds: For each party's clipped gradients, truncated, checked and added, and its noise.
        rest_seconds: For everything else: messages, hashes, the parties' own derivations.
        processor_seconds: Processor time of the four stages of cryptography, on all cores.
        floor_seconds: Processor time that they cannot do without.
        floor_ratio: The one divided by the other.
    """

    bits: int
    rounds: int
    parameters: int
    parties: int
    rows: int
    members: int
    threshold: int
    slot_bits: int
    ciphertexts_per_party: int
    bytes_per_party: int
    seconds: float
    encrypt_seconds: float
    prove_seconds: float
    verify_seconds: float
    open_seconds: float
    gradients_seconds: float
    rest_seconds: float
    processor_seconds: float
    floor_seconds: float
    floor_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Processor seconds of single operations in gmpy2, under one key.

    Attributes:
        power_wide: `powmod` with exponent n modulo n².
        power: `powmod` with exponent n modulo n.
        power_short: `powmod` with an exponent of 128 bits modulo n.
        secret_power: `powmod_sec` modulo n with an exponent as long as a share's.
        secret_power_half: `powmod_sec` modulo n with an exponent as long as a proof's.
        product_wide: One multiplication of two residues modulo n².
        product_half: One multiplication modulo n² of a residue by one modulo n.
        product: One multiplication of two residues modulo n.
    """

    power_wide: float
    power: float
    power_short: float
    secret_power: float
    secret_power_half: float
    product_wide: float
    product_half: float
    product: float


def measure(
    setting: Setting, keys: SimulatedKeys, *, opened: Callable[[], None] = lambda: None
) -> tuple[Costs, FederationResult, Mapping[Stage, float]]:
    """Train over invented rows, encrypted, and tell where the time went.

    Args:
        setting: What is measured.
        keys: Of its committee, as `contract_of` names it.
        opened: Called after each round.

    Returns:
        The costs, what the run gave, and the floor by stage.

    Raises:
        FedscoreError: Such a run cannot be.
    """
    contract = contract_of(setting)
    agenda = Agenda(contract, run="0" * 32)
    pricing = _Pricing(keys.record.public_key, keys.shares[0], opened)
    started = time.perf_counter()
    with _clocked("clients.node.noised_total", noised_total) as gradients:
        result = train_federation(
            contract,
            _rows(contract, setting.rows),
            seed=_SEED,
            encryption=EncryptionMode.PAILLIER,
            keys=keys,
            observer=pricing,
        )
    seconds = time.perf_counter() - started - pricing.seconds
    requests = agenda.requests[: result.rounds]
    floor = floor_of(requests, pricing.prices, setting, keys.record.public_key)
    processor_seconds, floor_seconds = sum(result.processor_stages.values()), sum(floor.values())
    costs = Costs(
        bits=setting.bits,
        rounds=setting.rounds,
        parameters=setting.parameters,
        parties=setting.parties,
        rows=setting.rows,
        members=setting.members,
        threshold=setting.threshold,
        slot_bits=max(request.width for request in requests),
        ciphertexts_per_party=sum(_ciphertexts(request) for request in requests),
        bytes_per_party=result.bytes_per_party,
        seconds=seconds,
        encrypt_seconds=result.stages[Stage.ENCRYPT],
        prove_seconds=result.stages[Stage.PROVE],
        verify_seconds=result.stages[Stage.VERIFY],
        open_seconds=result.stages[Stage.OPEN],
        gradients_seconds=gradients.seconds,
        rest_seconds=seconds - gradients.seconds - sum(result.stages.values()),
        processor_seconds=processor_seconds,
        floor_seconds=floor_seconds,
        floor_ratio=processor_seconds / floor_seconds,
    )
    return costs, result, floor


def contract_of(setting: Setting) -> Contract:
    """The contract of so many parties, with simulated keys."""
    contract = parse_contract(
        _CONTRACT.format(
            rows=setting.rows,
            rounds=setting.rounds,
            hidden=setting.hidden,
            characteristics="".join(
                _CHARACTERISTIC.format(number=number) for number in range(1, _CHARACTERISTICS + 1)
            ),
        )
    )
    committee = {
        "members": setting.members,
        "threshold": setting.threshold,
        "colluding_members": setting.threshold - 1,
    }
    return keyed(
        contract.with_encryption(key_bits=setting.bits, committee=committee).with_parties(
            Party(name=f"party-{number:03}", role=Role.PLATFORM) for number in range(1, setting.parties + 1)
        )
    )


def _rows(contract: Contract, count: int) -> dict[str, Rows]:
    """Invented rows whose outcome depends on all characteristics a little."""
    generator = np.random.default_rng(_SEED)
    rows = {}
    for party in contract.parties:
        cells = generator.integers(0, [table.size for table in contract.tables], (count, _CHARACTERISTICS))
        chance = 1 / (1 + np.exp(2 - 0.1 * (cells - cells.mean()).sum(axis=1)))
        rows[party.name] = Rows(
            cells=cells.astype(np.int32),
            outcome=(generator.random(count) < chance).astype(np.int8),
            ids=np.array([f"{party.name} {number}" for number in range(count)], dtype=object),
        )
    return rows


@dataclass(slots=True)
class _Clock:
    seconds: float = 0.0


@contextmanager
def _clocked(place: str, call: Callable[..., npt.NDArray[np.int64]]) -> Iterator[_Clock]:
    """Tells how long all calls of a function take that is looked up in a place."""
    clock = _Clock()

    def timed(*arguments: object, **named: object) -> npt.NDArray[np.int64]:
        started = time.perf_counter()
        try:
            return call(*arguments, **named)
        finally:
            clock.seconds += time.perf_counter() - started

    with mock.patch(place, timed):
        yield clock


@dataclass(slots=True)
class _Pricing:
    """An `Observer` that takes every price after each round, for a machine's speed is not constant."""

    key: PublicKey
    share: KeyShare
    opened: Callable[[], None]
    seconds: float = 0.0
    taken: list[Prices] = field(default_factory=list)

    def round_opened(self, name: str, number: int, rounds: int) -> None:
        """See `Observer.round_opened`."""
        del name, number, rounds
        started = time.perf_counter()
        self.taken.append(_prices(self.key, self.share))
        self.seconds += time.perf_counter() - started
        self.opened()

    def noticed(self, what: str) -> None:
        """See `Observer.noticed`: nothing goes wrong here."""
        raise RuntimeError(what)

    @property
    def prices(self) -> Prices:
        """The mean of those that were taken."""
        return Prices(
            **{
                name: statistics.fmean(getattr(each, name) for each in self.taken)
                for name in Prices.__dataclass_fields__
            }
        )


def _prices(key: PublicKey, share: KeyShare) -> Prices:
    n, n_squared = mpz(key.n), mpz(key.n_squared)
    unit = mpz(secrets.randbelow(key.n))
    short = mpz(secrets.randbits(_COEFFICIENT_BITS))
    secret = mpz(secrets.randbits((2 * share.delta * key.n).bit_length() - 2))
    half = mpz(secrets.randbits((key.bits + 1) // 2 + _COEFFICIENT_BITS))
    wide = [mpz(secrets.randbelow(key.n_squared)) for _ in range(_SAMPLE)]
    narrow = [mpz(secrets.randbelow(key.n)) for _ in range(_SAMPLE)]
    return Prices(
        power_wide=_seconds(lambda: gmpy2.powmod(unit, n, n_squared)),
        power=_seconds(lambda: gmpy2.powmod(unit, n, n)),
        power_short=_seconds(lambda: gmpy2.powmod(unit, short, n)),
        secret_power=_seconds(lambda: gmpy2.powmod_sec(unit, secret, n)),
        secret_power_half=_seconds(lambda: gmpy2.powmod_sec(unit, half, n)),
        product_wide=_product_seconds(wide, n_squared),
        product_half=_product_seconds(narrow, n_squared),
        product=_product_seconds(narrow, n),
    )


def _product_seconds(factors: Sequence[mpz], modulus: mpz) -> float:
    def multiply() -> None:
        product = modulus - 1
        for factor in factors:
            product = product * factor % modulus

    return _seconds(multiply) / _SAMPLE


def _seconds(call: Callable[[], object]) -> float:
    """Processor seconds of one call, the mean of some."""
    started = time.process_time()
    for _ in range(_CALLS):
        call()
    return (time.process_time() - started) / _CALLS


def floor_of(
    requests: Sequence[SumRequest], prices: Prices, setting: Setting, key: PublicKey
) -> dict[Stage, float]:
    """Processor seconds that cryptography cannot do without; benchmarks/README.md has the counts.

    Args:
        requests: Of all sums that were opened.
        prices: Of single operations.
        setting: How many take part.
        key: The public key.
    """
    counts = [_ciphertexts(request) for request in requests]
    parties, members, rounds = setting.parties, setting.members, len(counts)
    digits = _digits(key, parties * sum(counts))
    verified = sum(
        prices.power_wide
        + parties * prices.power_short
        + _buckets(
            parties * (count + 1),
            2 * _COEFFICIENT_BITS,
            base=prices.product_half,
            bucket=prices.product_wide,
        )
        for count in counts
    )
    combined = sum(counts) * (prices.power + prices.power_wide)
    # The last opening is shown to nobody: no round follows.
    reopened = sum(
        count * prices.power
        + prices.power_wide
        + _buckets(count, _COEFFICIENT_BITS, base=prices.product_half, bucket=prices.product_wide)
        + _buckets(count, _COEFFICIENT_BITS, base=prices.product, bucket=prices.product)
        for count in counts[:-1]
    )
    return {
        Stage.ENCRYPT: parties * sum(counts) * digits * prices.product_half,
        Stage.PROVE: parties * rounds * (prices.power_wide + prices.secret_power_half),
        Stage.VERIFY: (members + 1) * verified,
        Stage.OPEN: members * (sum(counts) * prices.secret_power + reopened) + combined,
    }


def _ciphertexts(request: SumRequest) -> int:
    return request.layout.plaintexts_for(request.dimension)


def _digits(key: PublicKey, ciphertexts: int) -> int:
    """Entries of the table that make one power."""
    exponent_bits = (key.bits + 1) // 2
    return math.ceil(exponent_bits / window_for(exponent_bits=exponent_bits, powers=ciphertexts))


def _buckets(bases: int, bits: int, *, base: float, bucket: float) -> float:
    """A product of powers by buckets of the best width: one product per digit but 0, two per bucket."""
    return min(
        math.ceil(bits / width) * (bases * (1 - 1 / (1 << width)) * base + 2 * ((1 << width) - 1) * bucket)
        for width in range(1, 17)
    )


def main(
    *,
    rounds: Annotated[int, typer.Option(help="Steps of training, each a private sum.", min=1, max=1000)] = 40,
    hidden: Annotated[int, typer.Option(help="Units of the hidden layer.", min=1, max=512)] = 238,
    parties: Annotated[int, typer.Option(help="Organisations.", min=3, max=100)] = 10,
    rows: Annotated[int, typer.Option(help="Rows of each organisation, and the row cap.", min=1)] = 2_000,
    bits: Annotated[int, typer.Option(help="Length of n.", min=MINIMUM_BITS, max=MAXIMUM_BITS)] = 3_072,
    members: Annotated[int, typer.Option(help="Size of the committee.", min=3, max=9)] = 3,
    threshold: Annotated[int, typer.Option(help="Members who open a sum together.", min=2, max=9)] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object instead.")] = False,
) -> None:
    """Measure what training a neural model under encryption costs; it takes some ten minutes."""
    setting = Setting(
        bits=bits,
        rounds=rounds,
        hidden=hidden,
        parties=parties,
        rows=rows,
        members=members,
        threshold=threshold,
    )
    terminal = Console(stderr=True)
    try:
        with Progress(console=terminal, disable=not terminal.is_terminal, transient=True) as progress:
            task = progress.add_task(f"{bits} bits: dealing a key", total=rounds + 1)
            keys = record_of(contract_of(setting), deal(bits=bits, members=members, threshold=threshold))
            progress.update(task, description=f"{parties} parties, {setting.parameters:,} parameters")
            costs, result, floor = measure(setting, keys, opened=lambda: progress.advance(task))
    except FedscoreError as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(_rounded(costs), indent=1))
    else:
        _show(costs, result, floor)


def _rounded(costs: Costs) -> dict[str, float]:
    """The object that `--json` prints; more than four digits of what is measured would be noise."""
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in asdict(costs).items()
    }


def _show(costs: Costs, result: FederationResult, floor: Mapping[Stage, float]) -> None:
    console = Console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in ("", "wall s", "processor s", "floor s", "ratio"):
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for stage in Stage:
        table.add_row(
            stage.value,
            f"{result.stages[stage]:.1f}",
            f"{result.processor_stages[stage]:.1f}",
            f"{floor[stage]:.1f}",
            f"{result.processor_stages[stage] / floor[stage]:.2f}",
        )
    wall = sum(result.stages.values())
    table.add_row(
        "cryptography",
        f"{wall:.1f}",
        f"{costs.processor_seconds:.1f}",
        f"{costs.floor_seconds:.1f}",
        f"{costs.floor_ratio:.2f}",
    )
    table.add_row("gradients and noise", f"{costs.gradients_seconds:.1f}")
    table.add_row("rest", f"{costs.rest_seconds:.1f}")
    table.add_row("everything", f"{costs.seconds:.1f}")
    console.print(
        f"{costs.rounds} rounds of {costs.parameters:,} parameters in slots of {costs.slot_bits} bits, "
        f"{costs.parties} parties of {costs.rows:,} rows, {costs.bits} bits, committee "
        f"{costs.threshold} of {costs.members}: {costs.seconds / 60:.1f} minutes; "
        f"{costs.bytes_per_party / 1e6:.1f} MB sent per party\n",
        highlight=False,
    )
    console.print(table)
    console.print(f"\n{_METHOD}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
