"""Write the test vectors of packing, wire form, proofs and opening, with nothing but Python's own integers.

This is the scheme written a second time, slowly and without the library, so that the vectors are an oracle.
Everything is derived from the committed primes and from hashes of labels: running it again changes nothing.

    python tests/vectors/make_paillier_vectors.py
"""

from __future__ import annotations

import hashlib
import json
import math
from itertools import combinations
from pathlib import Path
from typing import Literal

HERE = Path(__file__).parent
PRIMES = json.loads((HERE / "paillier_safe_primes.json").read_text())
P, Q = (int(prime, 16) for prime in PRIMES["128"])
N = P * Q
KEY_ID = hashlib.sha256(N.to_bytes((N.bit_length() + 7) // 8, "little")).digest()
RUN = bytes(range(16))

Json = dict[str, object]


def derived(label: str, below: int) -> int:
    """A number below a bound that everyone derives alike."""
    return int.from_bytes(hashlib.shake_256(label.encode()).digest(256), "big") % below


def unit(label: str) -> int:
    root = derived(label, N)
    assert math.gcd(root, N) == 1
    return root


def encrypt(plaintext: int, root: int) -> int:
    return (1 + plaintext * N) * pow(root, N, N * N) % (N * N)


def header(  # noqa: PLR0913  # the fields of the header
    *,
    magic: bytes = b"fedsum",
    version: int = 1,
    key_id: bytes = KEY_ID,
    run: bytes = RUN,
    number: int = 7,
    width: int = 24,
    slots: int = 10,
    values: int = 25,
    ciphertexts: int = 3,
) -> bytes:
    integers = ((version, 2), (number, 4), (width, 1), (slots, 4), (values, 4), (ciphertexts, 4))
    version_, number_, *layout = (integer.to_bytes(size, "little") for integer, size in integers)
    return magic + version_ + key_id + run + number_ + b"".join(layout)


def wire(units: list[int], head: bytes | None = None, size: int = 64) -> bytes:
    return (header() if head is None else head) + b"".join(
        number.to_bytes(size, "little") for number in units
    )


def ciphertext_vectors() -> Json:
    good = [encrypt(derived(f"plaintext {i}", N), unit(f"root {i}")) for i in range(3)]
    other = hashlib.sha256(b"another key").digest()
    n2 = N * N
    refused = [
        ("empty", b"", "no header"),
        ("header cut off", header()[:-1], "no header"),
        ("header alone", header(), "bytes are refused"),
        ("one byte short", wire(good)[:-1], "bytes are refused"),
        ("one ciphertext short", wire(good[:2]), "bytes are refused"),
        ("one ciphertext too many", wire([*good, good[0]]), "bytes are refused"),
        ("trailing byte", wire(good) + b"\0", "bytes are refused"),
        ("numbers of 5,000 bits", wire([(1 << 4999) | 1] * 3, size=625), "bytes are refused"),
        ("residues one byte too wide", wire(good, size=65), "bytes are refused"),
        ("another mark", wire(good, header(magic=b"FEDSUM")), "do not begin with its mark"),
        ("version 0", wire(good, header(version=0)), "version 0"),
        ("version 2", wire(good, header(version=2)), "version 2"),
        ("another key", wire(good, header(key_id=other)), "key_id differs"),
        ("another run", wire(good, header(run=RUN[::-1])), "run differs"),
        ("an earlier round", wire(good, header(number=6)), "round_number differs"),
        ("a later round", wire(good, header(number=8)), "round_number differs"),
        ("narrower slots", wire(good, header(width=23)), "width differs"),
        ("fewer slots", wire(good, header(slots=9)), "slots differs"),
        ("no slots", wire(good, header(slots=0)), "slots differs"),
        ("fewer values", wire(good, header(values=24)), "values differs"),
        ("no values", wire(good, header(values=0)), "values differs"),
        ("fewer ciphertexts announced", wire(good, header(ciphertexts=2)), "ciphertexts differs"),
        ("more ciphertexts announced", wire(good, header(ciphertexts=0xFFFFFFFF)), "ciphertexts differs"),
        ("big-endian round", wire(good, header(number=7 << 24)), "round_number differs"),
        ("zero", wire([good[0], 0, good[2]]), "ciphertext 2 of 3 lies outside"),
        ("n", wire([good[0], good[1], N]), "ciphertext 3 of 3 is no unit"),
        ("p", wire([P, good[1], good[2]]), "ciphertext 1 of 3 is no unit"),
        ("a multiple of p", wire([good[0], P * derived("k", N), good[2]]), "ciphertext 2 of 3 is no unit"),
        ("a multiple of q", wire([good[0], Q * derived("k", N), good[2]]), "ciphertext 2 of 3 is no unit"),
        ("n squared", wire([good[0], n2, good[2]]), "ciphertext 2 of 3 lies outside"),
        ("n squared and a unit", wire([good[0], n2 + 1, good[2]]), "ciphertext 2 of 3 lies outside"),
        ("the largest number", wire([good[0], (1 << 512) - 1, good[2]]), "ciphertext 2 of 3 lies outside"),
    ]
    return {
        "n": f"{N:x}",
        "run": RUN.hex(),
        "round": 7,
        "layout": {"width": 24, "max_abs": 1000, "max_summands": 20, "slots": 10},
        "values": 25,
        "ciphertexts": [f"{number:x}" for number in good],
        "data": wire(good).hex(),
        "refused": [{"name": name, "data": data.hex(), "message": text} for name, data, text in refused],
    }


def packing_vectors() -> Json:
    layouts: list[Json] = [
        {"width": 8, "max_abs": 42, "max_summands": 3, "slots": 4},
        {"width": 2, "max_abs": 1, "max_summands": 1, "slots": 3},
        {"width": 63, "max_abs": 2**62 - 1, "max_summands": 1, "slots": 48},
        {"width": 24, "max_abs": 2**23 // 20, "max_summands": 19, "slots": 10},
    ]
    packed = []
    for layout in layouts:
        width, bound, slots = (int(str(layout[name])) for name in ("width", "max_abs", "slots"))
        for length in (0, 1, slots, slots + 1, 3 * slots - 1):
            values = [derived(f"{width} {length} {i}", 2 * bound + 1) - bound for i in range(length)]
            for extreme in (values, [bound] * length, [-bound] * length):
                rows = [extreme[start : start + slots] for start in range(0, length, slots)]
                plaintexts = [sum(value * 2 ** (width * i) for i, value in enumerate(row)) for row in rows]
                packed.append(
                    {
                        "layout": layout,
                        "values": [str(value) for value in extreme],
                        "plaintexts": [str(plaintext) for plaintext in plaintexts],
                    }
                )
    small = layouts[0]
    refused = [
        ("beyond the top slot", 2**31, 4, "outside the layout's range"),
        ("below the bottom", -(2**31) - 2**23 - 2**15 - 2**7 - 1, 4, "outside the layout's range"),
        ("a slot above the sum's bound", 127, 4, "a slot exceeds 126"),
        ("a slot below the sum's bound", -127, 4, "a slot exceeds 126"),
        ("a top slot at minus half", -128 << 24, 4, "a slot exceeds 126"),
        ("an unused slot in use", 1 << 16, 2, "slots beyond the 2 values"),
        ("too few plaintexts", 1, 5, "do not hold 5 values"),
        ("too many plaintexts", 1, 0, "do not hold 0 values"),
    ]
    return {
        "packed": packed,
        "refused": [
            {"name": name, "layout": small, "plaintext": str(number), "length": length, "message": text}
            for name, number, length, text in refused
        ],
    }


def opening_vectors() -> Json:
    members, threshold = 5, 3
    order = (P // 2) * (Q // 2)
    polynomial = [pow(N, -1, order), derived("first", order), derived("second", order)]
    base = pow(unit("base"), 2, N)
    delta = math.factorial(members)
    values = [sum(c * i**k for k, c in enumerate(polynomial)) % order for i in range(1, members + 1)]
    opened = []
    for i, plaintext in enumerate([0, 1, -1, N // 2, -(N // 2), derived("any", N // 2)]):
        root = unit(f"opening root {i}")
        ciphertext = encrypt(plaintext, root)
        partials = {str(j): f"{pow(ciphertext, 2 * delta * s, N):x}" for j, s in enumerate(values, start=1)}
        opened.append(
            {
                "plaintext": str(plaintext),
                "root": f"{root:x}",
                "ciphertext": f"{ciphertext:x}",
                "partials": partials,
            }
        )
    first, second = (encrypt(5, unit("first")), encrypt(6, unit("second")))
    honest = {j: pow(first, 2 * delta * s, N) for j, s in enumerate(values, start=1)}
    three = {j: honest[j] for j in (1, 2, 3)}
    refused = [
        ("two of three", {1: honest[1], 2: honest[2]}, "2 partial openings do not open"),
        ("none", {}, "0 partial openings do not open"),
        ("a lie", {**three, 2: three[2] * 2 % N}, "does not reproduce its ciphertext"),
        ("the trivial part", {**three, 1: 1}, "does not reproduce its ciphertext"),
        ("two members swapped", {1: three[2], 2: three[1], 3: three[3]}, "does not reproduce its ciphertext"),
        (
            "part of another ciphertext",
            {**three, 3: pow(second, 2 * delta * values[2], N)},
            "does not reproduce its ciphertext",
        ),
        ("without the factor 2 N!", {j: pow(first, values[j - 1], N) for j in three}, "does not reproduce"),
        ("member 0", {**three, 0: honest[4]}, "member 0 is refused"),
        ("member 6", {**three, 6: honest[4]}, "member 6 is refused"),
        ("zero", {**three, 2: 0}, "member 2 is no unit"),
        ("p", {**three, 2: P}, "member 2 is no unit"),
        ("not reduced", {**three, 2: three[2] + N}, "member 2 is no unit"),
        ("negative", {**three, 2: three[2] - N}, "member 2 is no unit"),
    ]
    return {
        "n": f"{N:x}",
        "members": members,
        "threshold": threshold,
        "verification_base": f"{base:x}",
        "shares": [
            {"index": i, "value": f"{s:x}", "verification_key": f"{pow(base, delta * s, N):x}"}
            for i, s in enumerate(values, start=1)
        ],
        "subsets": [list(subset) for subset in combinations(range(1, members + 1), threshold)],
        "opened": opened,
        "ciphertext": f"{first:x}",
        "refused": [
            {"name": name, "partials": {str(j): f"{part:x}" for j, part in parts.items()}, "message": text}
            for name, parts, text in refused
        ],
    }


def base_of_randomness(n: int) -> int:
    size = (n.bit_length() + 7) // 8
    seed = b"fedscore paillier randomness base 1" + n.to_bytes(size, "little")
    x = int.from_bytes(hashlib.shake_256(seed).digest(size + 16), "little") % n
    return -x * x % n


H = base_of_randomness(N)
HASHED = (
    "label",
    "length of the statement",
    "statement",
    "length of n",
    "n",
    "h",
    "number of ciphertexts",
    "ciphertexts",
    "commitment",
)

Transcript = tuple[int, int, int]


def hashed(statement: bytes, ciphertexts: list[int], commitment: int, *, omit: str = "") -> list[int]:
    """The coefficients, or what they would be if something were left out of the hash."""
    parts = (
        b"fedscore paillier plaintext knowledge 1",
        len(statement).to_bytes(8, "little"),
        statement,
        (32).to_bytes(4, "little"),
        N.to_bytes(32, "little"),
        H.to_bytes(32, "little"),
        len(ciphertexts).to_bytes(4, "little"),
        b"".join(c.to_bytes(64, "little") for c in ciphertexts),
        commitment.to_bytes(64, "little"),
    )
    text = b"".join(part for name, part in zip(HASHED, parts, strict=True) if name != omit)
    stream = hashlib.shake_256(text).digest(16 * len(ciphertexts))
    return [int.from_bytes(stream[i : i + 16], "little") for i in range(0, len(stream), 16)]


def proven(
    statement: bytes,
    openings: list[tuple[int, int]],
    mask: str,
    *,
    coefficients: list[int] | None = None,
    omit: str = "",
) -> Transcript:
    """Prove slowly, from plaintexts and roots; the first attempt whose numbers leave room for n on top."""
    ciphertexts = [encrypt(m, r) for m, r in openings]
    for attempt in range(1000):
        m0, r0 = derived(f"{mask} plaintext {attempt}", N), unit(f"{mask} root {attempt}")
        u = encrypt(m0, r0)
        e = hashed(statement, ciphertexts, u, omit=omit) if coefficients is None else coefficients
        z = (m0 + sum(k * m for k, (m, _) in zip(e, openings, strict=True))) % N
        s = r0 * math.prod(pow(r, k, N) for k, (_, r) in zip(e, openings, strict=True)) % N
        if max(z, s) + N < 1 << 256 and u + N * N < 1 << 512:
            return u, z, s
    raise AssertionError


def proof_wire(transcript: Transcript, order: Literal["little", "big"] = "little") -> bytes:
    sizes = (64, 32, 32)
    return b"".join(number.to_bytes(size, order) for number, size in zip(transcript, sizes, strict=True))


STATEMENT = b"contract, run, round, node, transcript, request, layout"
OPENINGS = [(derived(f"proven {i}", N), unit(f"proven root {i}")) for i in range(3)]
PROVEN = [encrypt(m, r) for m, r in OPENINGS]
HONEST = proven(STATEMENT, OPENINGS, "mask")
FAILS = "does not hold for these ciphertexts and this statement"


def accepted_proofs() -> list[Json]:
    short = [(derived(f"short {i}", N), pow(H, derived(f"exponent {i}", 1 << 128), N)) for i in range(20)]
    cases = [
        ("three ciphertexts", STATEMENT, OPENINGS),
        ("one ciphertext", STATEMENT, OPENINGS[:1]),
        ("an empty statement", b"", OPENINGS),
        ("the same ciphertext twice", STATEMENT, [OPENINGS[0], OPENINGS[0]]),
        ("zero under root one", STATEMENT, [(0, 1)]),
        ("twenty ciphertexts under powers of h", bytes(100), short),
    ]
    made: list[Json] = []
    for name, statement, openings in cases:
        ciphertexts = [encrypt(m, r) for m, r in openings]
        transcript = proven(statement, openings, name)
        made.append(
            {
                "name": name,
                "statement": statement.hex(),
                "ciphertexts": [f"{c:x}" for c in ciphertexts],
                "coefficients": [f"{k:x}" for k in hashed(statement, ciphertexts, transcript[0])],
                "transcript": [f"{number:x}" for number in transcript],
                "data": proof_wire(transcript).hex(),
            }
        )
    return made


def other_claims() -> list[Json]:
    """The honest proof beside what it was not made for."""
    n2, first, others = N * N, PROVEN[0], PROVEN[1:]
    power = 1 << 20
    raised_copy = [pow(c, power, n2) for c in PROVEN]
    u, z, s = HONEST
    raised = (pow(u, power, n2), z * power % N, pow(s, power, N))
    cases = [
        ("another statement", STATEMENT[:-1] + b"T", PROVEN, HONEST, FAILS),
        ("no statement", b"", PROVEN, HONEST, FAILS),
        ("a zero byte more", STATEMENT + b"\0", PROVEN, HONEST, FAILS),
        ("another order", STATEMENT, PROVEN[::-1], HONEST, FAILS),
        ("one ciphertext left out", STATEMENT, PROVEN[:2], HONEST, FAILS),
        ("one ciphertext more", STATEMENT, [*PROVEN, first], HONEST, FAILS),
        ("one ciphertext exchanged", STATEMENT, [encrypt(0, 3), *others], HONEST, FAILS),
        ("another root", STATEMENT, [first * pow(2, N, n2) % n2, *others], HONEST, FAILS),
        ("a plaintext more by one", STATEMENT, [first * (1 + N) % n2, *others], HONEST, FAILS),
        ("a ciphertext negated", STATEMENT, [n2 - first, *others], HONEST, FAILS),
        ("a copy raised to a power of two", STATEMENT, raised_copy, HONEST, FAILS),
        ("a copy and its proof raised to a power of two", STATEMENT, raised_copy, raised, FAILS),
        ("a copy with 5 added", STATEMENT, [encrypt(5, 7) * c % n2 for c in PROVEN], HONEST, FAILS),
        ("no ciphertext", STATEMENT, [], HONEST, "no ciphertext comes with the proof"),
        ("zero as a ciphertext", STATEMENT, [0, *others], HONEST, "a ciphertext lies outside"),
        ("n^2 as a ciphertext", STATEMENT, [n2, *others], HONEST, "a ciphertext lies outside"),
        ("a ciphertext and n^2", STATEMENT, [first + n2, *others], HONEST, "a ciphertext lies outside"),
        ("a ciphertext less n^2", STATEMENT, [first - n2, *others], HONEST, "a ciphertext lies outside"),
        ("5,000 bits", STATEMENT, [(1 << 4999) | 1, *others], HONEST, "a ciphertext lies outside"),
        ("a multiple of p as the last ciphertext", STATEMENT, [*PROVEN[:2], 5 * P], HONEST, "is no unit"),
        ("n as a ciphertext", STATEMENT, [N, *others], HONEST, "a ciphertext is no unit"),
    ]
    return [refused_proof(*case) for case in cases]


def other_transcripts() -> list[Json]:
    """What is no proof of the honest claim."""
    n2 = N * N
    u, z, s = HONEST
    e = hashed(STATEMENT, PROVEN, u)
    backwards_z, backwards_s = derived("backwards plaintext", N), unit("backwards root")
    backwards = encrypt(backwards_z, backwards_s)
    for i, c in enumerate(PROVEN):
        backwards = backwards * pow(c, -derived(f"backwards coefficient {i}", 1 << 128), n2) % n2
    cases: list[tuple[str, Transcript, str]] = [
        ("a commitment of zero", (0, z, s), "commitment lies outside"),
        ("a commitment of n^2", (n2, z, s), "commitment lies outside"),
        ("a commitment and n^2", (u + n2, z, s), "commitment lies outside"),
        ("a commitment of q", (Q, z, s), "commitment is no unit"),
        ("a commitment negated", (n2 - u, z, s), FAILS),
        ("a commitment of one", (1, z, s), FAILS),
        ("a plaintext response and n", (u, z + N, s), "plaintext response lies outside"),
        ("a plaintext response of n", (u, N, s), "plaintext response lies outside"),
        ("a plaintext response more by one", (u, (z + 1) % N, s), FAILS),
        ("a plaintext response negated", (u, N - z, s), FAILS),
        ("a root response and n", (u, z, s + N), "root response lies outside"),
        ("a root response of zero", (u, z, 0), "root response lies outside"),
        ("a root response of n", (u, z, N), "root response lies outside"),
        ("a root response of p", (u, z, P), "root response is no unit"),
        ("a root response negated", (u, z, N - s), FAILS),
        ("a root response of one", (u, z, 1), FAILS),
        ("a transcript made backwards", (backwards, backwards_z, backwards_s), FAILS),
        ("coefficients of zero", proven(STATEMENT, OPENINGS, "b", coefficients=[0] * 3), FAILS),
        ("coefficients of one", proven(STATEMENT, OPENINGS, "c", coefficients=[1] * 3), FAILS),
        ("another commitment's coefficients", proven(STATEMENT, OPENINGS, "d", coefficients=e), FAILS),
        *((f"hashed without {name}", proven(STATEMENT, OPENINGS, name, omit=name), FAILS) for name in HASHED),
    ]
    return [refused_proof(name, STATEMENT, PROVEN, transcript, text) for name, transcript, text in cases]


def refused_proof(
    name: str, statement: bytes, ciphertexts: list[int], transcript: Transcript, message: str
) -> Json:
    return {
        "name": name,
        "statement": statement.hex(),
        "ciphertexts": [f"{c:x}" for c in ciphertexts],
        "transcript": [f"{number:x}" for number in transcript],
        "message": message,
    }


def proof_vectors() -> Json:
    u, z, s = HONEST
    data = proof_wire(HONEST)
    length = "bytes is refused: one under this key has 128"
    encodings = [
        ("empty", b"", length),
        ("one byte short", data[:-1], length),
        ("one byte more", data + b"\0", length),
        ("numbers of 5,000 bits", b"\xff" * 2500, length),
        ("all zeros", bytes(128), "commitment lies outside"),
        ("all ones", b"\xff" * 128, "commitment lies outside"),
        ("a commitment and n^2", proof_wire((u + N * N, z, s)), "commitment lies outside"),
        ("a commitment of p", proof_wire((P, z, s)), "commitment is no unit"),
        ("a plaintext response and n", proof_wire((u, z + N, s)), "plaintext response lies outside"),
        ("a root response and n", proof_wire((u, z, s + N)), "root response lies outside"),
        ("a root response of zero", proof_wire((u, z, 0)), "root response lies outside"),
        ("a root response of q", proof_wire((u, z, Q)), "root response is no unit"),
    ]
    return {
        "n": f"{N:x}",
        "h": f"{H:x}",
        "accepted": accepted_proofs(),
        "refused": [*other_claims(), *other_transcripts()],
        "refused_encodings": [
            {"name": name, "data": encoding.hex(), "message": message}
            for name, encoding, message in encodings
        ],
    }


def main() -> None:
    made = {
        "ciphertexts": ciphertext_vectors(),
        "packing": packing_vectors(),
        "openings": opening_vectors(),
        "proofs": proof_vectors(),
    }
    for name, vectors in made.items():
        (HERE / f"paillier_{name}.json").write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()
