"""Write the test vectors of packing, wire form and opening, with nothing but Python's own integers.

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


def main() -> None:
    made = {
        "ciphertexts": ciphertext_vectors(),
        "packing": packing_vectors(),
        "openings": opening_vectors(),
    }
    for name, vectors in made.items():
        (HERE / f"paillier_{name}.json").write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()
