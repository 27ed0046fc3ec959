"""A party copies another's submission, changed or not: without the proof of knowledge it reads the other.

South plays along with the server, as a party and as a member; agency and north are honest, and so are their
members. Signatures are of no help: south signs what it copied with its own key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fedscore.data import Rows
from fedscore.learners.agenda import Turn
from fedscore.messages import RefusalCode
from fedscore.sums import Query
from privacy.paillier.packing import unpack
from privacy.paillier.threshold import combine

if TYPE_CHECKING:
    from tests.attacks.conftest import Nodes, Reader, Server

PROVEN = "submission-refused: south: the proof of plaintext knowledge does not hold"


@dataclass
class Scene:
    """The first round is over, and everybody but south has answered in the second."""

    server: Server
    first: Turn
    before: dict[str, bytes]
    turn: Turn
    now: dict[str, bytes]

    def copied(self, submission: bytes, turn: Turn, *, power: int) -> bytes:
        """South's own submission: the ciphertexts of another, to a power, with that one's proof."""
        modulus = self.server.key.n_squared
        ciphertexts = self.server.ciphertexts_in(submission, turn.envelope)
        mauled = [pow(number, power, modulus) for number in ciphertexts]
        return self.server.forge(self.turn, "south", mauled, proof=self.server.proof_in(submission))

    def opened(self, submissions: dict[str, bytes]) -> int:
        """What south and whoever else helps read: the plaintext of the one ciphertext, unpacked by hand."""
        partials, _ = self.server.partials(self.turn, submissions)
        [product] = self.ciphertexts(submissions)
        numbers = {member: int.from_bytes(partial, "little") for member, partial in partials.items()}
        return combine(self.server.nodes.keys.record.committee, product, numbers).plaintext

    def ciphertexts(self, submissions: dict[str, bytes]) -> list[int]:
        product = self.server.product(self.turn.envelope, submissions)
        size = self.server.width
        return [
            int.from_bytes(product[start : start + size], "little") for start in range(0, len(product), size)
        ]


def played(server: Server) -> Scene:
    first, before, _ = server.play(1)
    turn = server.turn(2)
    return Scene(server, first, before, turn, server.collect(turn, ["north", "agency"]))


@pytest.fixture(scope="module")
def scene(make_federation: Callable[[], Nodes], serve: type[Server]) -> Scene:
    """For attacks that fail, and so leave it as it was."""
    return played(serve(make_federation(), colluders=("south",)))


@pytest.fixture
def open_scene(make_federation: Callable[[], Nodes], serve: type[Server]) -> Scene:
    """For whatever opens the round."""
    return played(serve(make_federation(), colluders=("south",)))


@pytest.fixture
def proofs_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members check form and signatures, and nothing else."""
    monkeypatch.setattr(
        "fedscore.sums.submission.why_refused", lambda _key, claims: tuple(None for _ in claims)
    )


@pytest.mark.usefixtures("proofs_unchecked")
def test_without_proofs_a_copy_from_an_earlier_round_shows_the_victims_vector(
    open_scene: Scene, reader: Reader, make_rows: Callable[[int, int], Rows]
) -> None:
    """The second round's sum needs 435 of 2,047 bits; south moves north's first vector into the others."""
    scene = open_scene
    now, past = scene.turn.envelope.request, scene.first.envelope.request
    shift = now.dimension * now.width
    assert shift + past.dimension * past.width < scene.server.key.bits - 1
    mauled = scene.copied(scene.before["north"], scene.first, power=1 << shift)
    plaintext = scene.opened({**scene.now, "south": mauled})

    half = 1 << (shift - 1)
    low = (plaintext + half) % (1 << shift) - half
    stolen = unpack(past.layout, [(plaintext - low) >> shift], past.dimension)
    assert stolen == reader.values(scene.before["north"], scene.first.envelope)
    # What the others sent in this round is in the low bits, as if nothing had happened.
    honest = [reader.values(scene.now[name], scene.turn.envelope) for name in ("north", "agency")]
    assert unpack(now.layout, [low], now.dimension) == np.sum(honest, axis=0).tolist()
    # So north's own table stands there, under its own share of the noise alone.
    query, _ = scene.server.agenda().next_sum(())
    assert isinstance(query, Query)
    table = query.contributions(make_rows(200, 0)).lattice_total(
        scale=past.scale, limit_squared=past.sensitivity_squared, dimension=past.dimension
    )
    noise = np.array(stolen) - table
    assert 0.4 < float(np.mean(noise**2)) / past.share_variance < 2


@pytest.mark.usefixtures("proofs_unchecked")
def test_without_proofs_a_copy_of_this_round_shows_the_victims_vector(
    open_scene: Scene, reader: Reader
) -> None:
    scene = open_scene
    now = scene.turn.envelope.request
    shift = now.dimension * now.width
    mauled = scene.copied(scene.now["north"], scene.turn, power=1 << shift)
    plaintext = scene.opened({**scene.now, "south": mauled})
    half = 1 << (shift - 1)
    low = (plaintext + half) % (1 << shift) - half
    stolen = unpack(now.layout, [(plaintext - low) >> shift], now.dimension)
    assert stolen == reader.values(scene.now["north"], scene.turn.envelope)


def earlier(scene: Scene, power: int) -> bytes:
    return scene.copied(scene.before["north"], scene.first, power=power)


def same(scene: Scene, power: int) -> bytes:
    return scene.copied(scene.now["north"], scene.turn, power=power)


def with_a_proof_of_zero(scene: Scene) -> bytes:
    """North's ciphertexts times an encrypted zero, with south's own good proof of that zero."""
    server = scene.server
    zero = server.seal(scene.turn, "south", [0] * scene.turn.envelope.request.dimension)
    own = server.ciphertexts_in(zero, scene.turn.envelope)
    mixed = [
        one * other % server.key.n_squared
        for one, other in zip(
            own, server.ciphertexts_in(scene.now["north"], scene.turn.envelope), strict=True
        )
    ]
    return server.forge(scene.turn, "south", mixed, proof=server.proof_in(zero))


COPIES: dict[str, Callable[[Scene], bytes]] = {
    "of an earlier round": lambda scene: earlier(scene, 1),
    "of an earlier round, shifted": lambda scene: earlier(scene, 1 << 435),
    "of this round": lambda scene: same(scene, 1),
    "of this round, shifted": lambda scene: same(scene, 1 << 435),
    "of this round, negated, so that north's vector cancels": lambda scene: same(scene, -1),
    "of this round, under other randomness": with_a_proof_of_zero,
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_with_proofs_no_copy_is_opened_and_its_sender_is_named(
    scene: Scene, copy: Callable[[Scene], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    forged = {**scene.now, "south": copy(scene)}
    assert scene.server.gets_nothing(scene.turn, forged).keys() == {"north", "agency"}
    assert caplog.text.count(PROVEN) == 2
    # An honest server would not even have asked.
    told = scene.server.nodes.combiner.refused(forged, scene.turn.envelope)
    assert told.keys() == {"south"}


def test_a_refused_copy_does_not_cost_the_others_their_round(open_scene: Scene) -> None:
    scene = open_scene
    scene.server.gets_nothing(scene.turn, {**scene.now, "south": same(scene, 1)})
    own = scene.server.collect(scene.turn, ["south"])
    partials, refusals = scene.server.partials(scene.turn, {**scene.now, **own})
    assert (len(partials), refusals) == (3, {})


def test_the_bytes_of_another_party_or_round_are_accepted_under_no_name(
    scene: Scene, refused: Callable[..., None]
) -> None:
    own = scene.server.seal(scene.turn, "south", [0] * scene.turn.envelope.request.dimension)
    honest = {**scene.now, "south": own}
    for party, bytes_of in (
        ("south", honest["north"]),
        ("north", honest["agency"]),
        ("north", own),
        ("agency", scene.before["north"]),
        *((party, scene.before[party]) for party in honest),
    ):
        ask = scene.server.open_ask(scene.turn, {**honest, party: bytes_of})
        reason = f"{party}: a signature for fedscore submission 1 is not that of the key"
        for name in ("north", "agency"):
            refused(scene.server, name, ask, RefusalCode.SUBMISSION, reason)


def test_a_proof_is_neither_changed_nor_moved(scene: Scene, refused: Callable[..., None]) -> None:
    """Other numbers that stand for the same proof would let a submission have two hashes."""
    server, key, width = scene.server, scene.server.key, scene.server.width
    sealed = server.seal(scene.turn, "south", [0] * scene.turn.envelope.request.dimension)
    proof, ciphertexts = server.proof_in(sealed), server.ciphertexts_in(sealed, scene.turn.envelope)
    half = (len(proof) - width) // 2
    commitment, plaintext, root = (
        int.from_bytes(part, "little")
        for part in (proof[:width], proof[width : width + half], proof[width + half :])
    )

    def written(u: int, z: int, s: int) -> bytes:
        return b"".join((u.to_bytes(width, "little"), z.to_bytes(half, "little"), s.to_bytes(half, "little")))

    assert written(commitment, plaintext, root) == proof
    assert key.n + root < 1 << 8 * half or key.n + plaintext < 1 << 8 * half or key.bits == 8 * half
    changed = {
        "the proof of plaintext knowledge does not hold": [
            written(commitment, plaintext, key.n - root),
            written(key.n_squared - commitment, plaintext, root),
            written(key.n_squared - commitment, plaintext, key.n - root),
            written(commitment * (1 + key.n) % key.n_squared, (plaintext + 1) % key.n, root),
            server.proof_in(scene.now["agency"]),
            server.proof_in(scene.before["south"]),
        ],
        "the proof's plaintext response lies outside": [written(commitment, key.n, root)],
        "the proof's root response lies outside": [
            written(commitment, plaintext, 0),
            written(commitment, plaintext, key.n),
        ],
        "the proof's commitment is no unit": [written(key.n, plaintext, root)],
        "the proof's commitment lies outside": [written(0, plaintext, root)],
    }
    for reason, proofs in changed.items():
        for one in proofs:
            forged = {**scene.now, "south": server.forge(scene.turn, "south", ciphertexts, proof=one)}
            ask = server.open_ask(scene.turn, forged)
            refused(server, "north", ask, RefusalCode.SUBMISSION, f"south: {reason}")
