"""What is no canonical vector of ciphertexts for this very round is never multiplied, whoever signed it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from fedscore.errors import OpeningError
from fedscore.learners.agenda import Turn
from fedscore.messages import RefusalCode

if TYPE_CHECKING:
    from tests.attacks.conftest import Nodes, Server

Refused = Callable[..., None]
Forge = Callable[["Forger"], bytes]


class Forger:
    """South, which signs whatever it likes for the round that is going on."""

    def __init__(self, server: Server, turn: Turn, primes: tuple[int, int]) -> None:
        self.server, self.turn, self.p = server, turn, primes[0]
        self.key = server.key
        self.sealed = server.seal(turn, "south", [0] * turn.envelope.request.dimension)
        self.proof = server.proof_in(self.sealed)
        [self.good] = server.ciphertexts_in(self.sealed, turn.envelope)

    def of(self, number: int) -> bytes:
        """A submission of one number instead of the ciphertext."""
        return self.server.forge(self.turn, "south", [number], proof=self.proof)

    def wide(self, number: int, size: int) -> bytes:
        """A submission of one number that takes more bytes, or fewer."""
        header = self.server.header(self.turn.envelope)
        return self.server.forge(
            self.turn, "south", [], head=header + number.to_bytes(size, "little"), proof=self.proof
        )

    def headed(self, offset: int, patch: bytes) -> bytes:
        """The good submission, with other bytes in its header."""
        header = bytearray(self.server.header(self.turn.envelope))
        header[offset : offset + len(patch)] = patch
        return self.server.forge(self.turn, "south", [self.good], head=bytes(header), proof=self.proof)


NUMBERS: dict[str, tuple[Forge, str]] = {
    "zero": (lambda it: it.of(0), "ciphertext 1 of 1 lies outside"),
    "n squared": (lambda it: it.of(it.key.n_squared), "ciphertext 1 of 1 lies outside"),
    "n squared plus a ciphertext": (
        lambda it: it.of(it.key.n_squared + it.good % (1 << 4000)),
        "ciphertext 1 of 1 lies outside",
    ),
    "the largest number in its bytes": (
        lambda it: it.of((1 << 8 * it.server.width) - 1),
        "ciphertext 1 of 1 lies outside",
    ),
    "n": (lambda it: it.of(it.key.n), "ciphertext 1 of 1 is no unit"),
    "a multiple of a prime of n": (lambda it: it.of(it.p * 12345), "ciphertext 1 of 1 is no unit"),
    "5,000 bits": (lambda it: it.wide(1 << 4999, 625), "bytes are refused: vector, proof and signature make"),
    "one byte less": (lambda it: it.wide(1, it.server.width - 1), "bytes are refused: vector, proof and"),
    "one byte more": (
        lambda it: it.wide(it.good, it.server.width + 1),
        "bytes are refused: vector, proof and",
    ),
    "two ciphertexts": (
        lambda it: it.server.forge(it.turn, "south", [it.good, it.good], proof=it.proof),
        "bytes are refused: vector, proof and",
    ),
    "no ciphertext": (
        lambda it: it.server.forge(it.turn, "south", [], proof=it.proof),
        "bytes are refused: vector, proof and",
    ),
    "a megabyte": (lambda it: it.wide(1, 1 << 20), "bytes are refused: vector, proof and"),
    "nothing": (lambda _: b"", "0 bytes are refused: vector, proof and"),
    "a signature cut off": (lambda it: it.sealed[:-1], "bytes are refused: vector, proof and"),
    "no signature": (lambda it: it.sealed[:-64] + bytes(64), "a signature for fedscore submission 1 is not"),
}

HEADERS: dict[str, tuple[Forge, str]] = {
    "another mark": (lambda it: it.headed(0, b"fedsux"), "the bytes are no vector of ciphertexts"),
    "another version": (
        lambda it: it.headed(6, struct.pack("<H", 7)),
        "version 7 of the wire form is refused",
    ),
    "another key": (lambda it: it.headed(8, b"\x01" * 32), "the vector's key_id differs"),
    "another run": (lambda it: it.headed(40, b"\xcd" * 16), "the vector's run differs"),
    "another round": (lambda it: it.headed(56, struct.pack("<I", 2)), "the vector's round_number differs"),
    "wider slots": (lambda it: it.headed(60, b"\x3f"), "the vector's width differs"),
    "slots of no bits": (lambda it: it.headed(60, b"\x00"), "the vector's width differs"),
    "fewer slots": (lambda it: it.headed(61, struct.pack("<I", 1)), "the vector's slots differs"),
    "more values": (lambda it: it.headed(65, struct.pack("<I", 2**32 - 1)), "the vector's values differs"),
    "more ciphertexts": (
        lambda it: it.headed(69, struct.pack("<I", 2**32 - 1)),
        "the vector's ciphertexts differs",
    ),
}


@pytest.fixture(scope="module")
def server(make_federation: Callable[..., Nodes], serve: type[Server]) -> Server:
    return serve(make_federation(), colluders=("south",))


@pytest.fixture(scope="module")
def forger(server: Server, primes: tuple[int, int]) -> Forger:
    return Forger(server, server.turn(1), primes)


@pytest.fixture(scope="module")
def honest(server: Server, forger: Forger) -> dict[str, bytes]:
    return server.collect(forger.turn, ["north", "agency"])


@pytest.mark.parametrize(
    ("forge", "reason"), [*NUMBERS.values(), *HEADERS.values()], ids=[*NUMBERS, *HEADERS]
)
def test_a_malformed_submission_is_refused_by_name(
    server: Server,
    forger: Forger,
    honest: dict[str, bytes],
    refused: Refused,
    forge: Forge,
    reason: str,
) -> None:
    submissions = {**honest, "south": forge(forger)}
    ask = server.open_ask(forger.turn, submissions)
    refused(server, "north", ask, RefusalCode.SUBMISSION, f"submission-refused: south: .*{reason}")
    told = server.nodes.combiner.refused(submissions, forger.turn.envelope)
    assert told.keys() == {"south"}


def test_the_forger_is_good_at_it(server: Server, forger: Forger, honest: dict[str, bytes]) -> None:
    """What it forges with nothing changed passes, so the refusals above are about what was changed."""
    same = forger.of(forger.good)
    assert same == forger.sealed
    assert forger.headed(0, b"fedsum") == forger.sealed
    assert forger.wide(forger.good, server.width) == forger.sealed
    assert server.nodes.combiner.refused({**honest, "south": same}, forger.turn.envelope) == {}


def test_a_refusal_does_not_quote_what_may_be_a_factor_of_the_key(
    server: Server,
    forger: Forger,
    honest: dict[str, bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    number = forger.p * 12345
    answer = server.nodes.nodes["north"].answer(
        server.open_ask(forger.turn, {**honest, "south": forger.of(number)})
    )
    for text in (repr(answer), caplog.text):
        assert str(forger.p) not in text
        assert str(number) not in text
        assert f"{number:x}" not in text


def test_a_malformed_partial_opening_opens_nothing(
    make_federation: Callable[..., Nodes], serve: type[Server]
) -> None:
    server = serve(make_federation())
    turn = server.turn(1)
    submissions = server.collect(turn)
    partials, _ = server.partials(turn, submissions)
    size, good = len(partials[1]), partials[1]
    for garbage in (
        bytes(size),
        server.key.n.to_bytes(size, "little"),
        (server.key.n + 1).to_bytes(size, "little"),
        b"\xff" * size,
        good[:-1],
        good + b"\0",
        good * 1000,
        b"",
    ):
        with pytest.raises(OpeningError, match=r"member 1( is no unit|: [0-9]+ bytes are no 1 numbers)"):
            server.combined(turn, submissions, {**partials, 1: garbage})
    for index in (0, 4, -1):
        with pytest.raises(OpeningError, match=f"of member {index} is refused: the committee has 1 to 3"):
            server.combined(turn, submissions, {**partials, index: good})
