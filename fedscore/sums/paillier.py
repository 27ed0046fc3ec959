"""Sums under threshold Paillier: pack, encrypt, prove, sign; check, add, open together, unpack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fedscore.errors import OpeningError, ProofRefused
from fedscore.sums.sealing import Envelope, OpenedSum, SumShape
from fedscore.sums.series import Signer
from fedscore.sums.stages import Stage, Stages
from fedscore.sums.submission import check_submissions, read_vectors, statement_of, write_submission
from privacy.paillier.committee import Committee
from privacy.paillier.encryption import add, encrypt
from privacy.paillier.keys import PublicKey
from privacy.paillier.packing import pack, unpack
from privacy.paillier.partial_proofs import PartialProof, prove_partials, verify_partials
from privacy.paillier.products import split
from privacy.paillier.reopening import reproduce_all
from privacy.paillier.shares import KeyShare
from privacy.paillier.threshold import Opening, combine_all, partial_opening

__all__ = ["PaillierCombiner", "PaillierMember", "PaillierSealer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaillierSealer:
    """What every node holds: the public key, and its organisation's own key for signatures.

    Attributes:
        public_key: Of the key series.
        party: The organisation's name on the roster.
        signer: Signs as this organisation.
        expected: Ciphertexts that this process will make, for the size of the tables.
        stages: Where time is told.
    """

    public_key: PublicKey
    party: str
    signer: Signer
    expected: int | None = None
    stages: Stages = field(default_factory=Stages)

    def seal(self, values: Sequence[int], envelope: Envelope) -> bytes:
        """See `Sealer.seal`.

        Raises:
            LayoutError: A value lies outside its slot.
        """
        with self.stages.measure(Stage.ENCRYPT):
            plaintexts = pack(envelope.request.layout, values)
            fresh = encrypt(self.public_key, plaintexts, expected=self.expected)
        with self.stages.measure(Stage.PROVE):
            return write_submission(self.public_key, fresh, envelope, party=self.party, signer=self.signer)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaillierMember:
    """What a node of the committee holds: its share of the private key.

    Attributes:
        share: The share.
        signing_keys: The roster's, by party.
        stages: Where time is told.
    """

    share: KeyShare
    signing_keys: Mapping[str, bytes]
    stages: Stages = field(default_factory=Stages)

    @property
    def index(self) -> int:
        """The member's number, from 1."""
        return self.share.index

    def product(self, submissions: Mapping[str, bytes], envelope: Envelope) -> bytes:
        """See `Member.product`."""
        public_key = self.share.public_key
        envelope.request.layout.require_summands(len(submissions))
        with self.stages.measure(Stage.VERIFY):
            checked = check_submissions(public_key, submissions, envelope, signing_keys=self.signing_keys)
        for refusal in checked.refused.values():
            raise refusal
        return _joined(add(public_key, list(checked.vectors.values())), public_key.ciphertext_bytes)

    def partial(self, product: bytes) -> bytes:
        """See `Member.partial`."""
        public_key = self.share.public_key
        with self.stages.measure(Stage.OPEN):
            return _joined(
                (partial_opening(self.share, ciphertext) for ciphertext in self._ciphertexts(product)),
                public_key.residue_bytes,
            )

    def prove(self, product: bytes, envelope: Envelope) -> bytes:
        """See `Member.prove`."""
        public_key = self.share.public_key
        statement = statement_of(public_key, envelope, f"member {self.index}")
        partials, proof = prove_partials(self.share, self._ciphertexts(product), statement)
        return _joined(partials, public_key.residue_bytes) + proof.to_bytes()

    def reopen(self, opening: bytes, shape: SumShape) -> tuple[bytes, npt.NDArray[np.int64]]:
        """See `Member.reopen`: what published plaintexts encrypt to under their published roots."""
        public_key = self.share.public_key
        with self.stages.measure(Stage.OPEN):
            openings, quotients = _read_openings(public_key, opening, shape)
            product = reproduce_all(public_key, openings, quotients)
        return _joined(product, public_key.ciphertext_bytes), _values(openings, shape)

    def _ciphertexts(self, product: bytes) -> list[int]:
        size = self.share.public_key.ciphertext_bytes
        return _split(product, size, len(product) // size, "a product")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaillierCombiner:
    """What the server holds: the public key, and what is public of the committee.

    Attributes:
        committee: Its size, its threshold, its verification keys.
        signing_keys: The roster's, by party.
        stages: Where time is told.
    """

    committee: Committee
    signing_keys: Mapping[str, bytes]
    stages: Stages = field(default_factory=Stages)

    @property
    def threshold(self) -> int:
        """Number of members whose partial openings are needed."""
        return self.committee.threshold

    def refused(self, submissions: Mapping[str, bytes], envelope: Envelope) -> Mapping[str, str]:
        """See `Combiner.refused`."""
        with self.stages.measure(Stage.VERIFY):
            checked = check_submissions(
                self.committee.public_key, submissions, envelope, signing_keys=self.signing_keys
            )
        return {party: str(error) for party, error in checked.refused.items()}

    def combine(
        self, submissions: Mapping[str, bytes], partials: Mapping[int, bytes], envelope: Envelope
    ) -> OpenedSum:
        """See `Combiner.combine`: each opening is checked by encrypting it again."""
        public_key = self.committee.public_key
        with self.stages.measure(Stage.OPEN):
            product = _product(public_key, submissions, envelope)
            parts = {
                member: _split(partial, public_key.residue_bytes, len(product), f"member {member}")
                for member, partial in partials.items()
            }
            openings = combine_all(self.committee, product, parts)
            return OpenedSum(
                values=_values(openings, envelope.shape),
                opening=_write_openings(public_key, openings, product),
            )

    def proven(
        self, submissions: Mapping[str, bytes], proofs: Mapping[int, bytes], envelope: Envelope
    ) -> Mapping[int, bytes]:
        """See `Combiner.proven`."""
        public_key = self.committee.public_key
        product = _product(public_key, submissions, envelope)
        ends_partials = len(product) * public_key.residue_bytes
        proven = {}
        for member, data in proofs.items():
            statement = statement_of(public_key, envelope, f"member {member}")
            try:
                partials = _split(
                    data[:ends_partials], public_key.residue_bytes, len(product), f"member {member}"
                )
                proof = PartialProof.from_bytes(data[ends_partials:])
                verify_partials(self.committee, member, product, partials, statement, proof)
            except (OpeningError, ProofRefused):
                continue
            proven[member] = data[:ends_partials]
        return proven


def _product(public_key: PublicKey, submissions: Mapping[str, bytes], envelope: Envelope) -> tuple[int, ...]:
    """Adds all submissions, in whatever order they came."""
    envelope.request.layout.require_summands(len(submissions))
    vectors = read_vectors(public_key, submissions, envelope)
    return add(public_key, [split(public_key.n, vector) for vector in vectors])


def _joined(residues: Iterable[int], size: int) -> bytes:
    return b"".join(residue.to_bytes(size, "little") for residue in residues)


def _split(data: bytes, size: int, count: int, what: str) -> list[int]:
    if len(data) != count * size:
        raise OpeningError(
            f"{what}: {len(data)} bytes are no {count} numbers of {size} bytes: ask for the opening again"
        )
    return [int.from_bytes(data[start : start + size], "little") for start in range(0, len(data), size)]


def _write_openings(public_key: PublicKey, openings: Sequence[Opening], product: Sequence[int]) -> bytes:
    """Plaintext and root of every ciphertext, and its quotient by n, each as a residue modulo n."""
    n = public_key.n
    numbers = [
        number
        for opening, ciphertext in zip(openings, product, strict=True)
        for number in (opening.plaintext % n, opening.root, ciphertext // n)
    ]
    return _joined(numbers, public_key.residue_bytes)


def _read_openings(
    public_key: PublicKey, data: bytes, shape: SumShape
) -> tuple[list[Opening], Sequence[int]]:
    count = shape.layout.plaintexts_for(shape.dimension)
    numbers = _split(data, public_key.residue_bytes, 3 * count, "a published opening")
    if any(plaintext >= public_key.n for plaintext in numbers[::3]):
        raise OpeningError("a published opening has a plaintext of n or more: ask for its one encoding")
    openings = [
        Opening(plaintext=public_key.centred(plaintext), root=root)
        for plaintext, root in zip(numbers[::3], numbers[1::3], strict=True)
    ]
    return openings, numbers[2::3]


def _values(openings: Sequence[Opening], shape: SumShape) -> npt.NDArray[np.int64]:
    plaintexts = [opening.plaintext for opening in openings]
    return np.array(unpack(shape.layout, plaintexts, shape.dimension), dtype=np.int64)
