"""A submission: one party's ciphertexts for one round, with a proof and a signature that bind them to it.

    vector (privacy.paillier.codec) | proof of plaintext knowledge | Ed25519 signature, 64 bytes

Both proof and signature cover the *statement*: key, contract, run, round, party, transcript head and derived
request, each with its length before it. So what was made for one place is worth nothing in another, and what
one party made is worth nothing under another's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fedscore.errors import CiphertextRefused, EncryptionError, ProofRefused, SignatureRefused
from fedscore.sums.sealing import Envelope
from fedscore.sums.series import Signer
from privacy.identities import SIGNATURE_BYTES, verify_signature
from privacy.paillier.codec import VectorHeader, decode_ciphertexts, encode_ciphertexts, vector_bytes
from privacy.paillier.encryption import FreshVector
from privacy.paillier.keys import PublicKey
from privacy.paillier.products import SplitUnits
from privacy.paillier.proofs import Claim, PlaintextProof, proof_bytes, why_refused

__all__ = [
    "SIGNATURE_DOMAIN",
    "Checked",
    "check_submissions",
    "read_vectors",
    "statement_of",
    "vector_header",
    "write_submission",
]

SIGNATURE_DOMAIN = b"fedscore submission 1"
"""Tells a submission's signature from every other that an organisation makes."""


def vector_header(public_key: PublicKey, envelope: Envelope) -> VectorHeader:
    """The header of every party's vector in a round."""
    return VectorHeader.of(
        public_key,
        envelope.request.layout,
        run=bytes.fromhex(envelope.run),
        round_number=envelope.round,
        values=envelope.request.dimension,
    )


def statement_of(public_key: PublicKey, envelope: Envelope, party: str) -> bytes:
    """What a party's proof and signature are about."""
    header = vector_header(public_key, envelope)
    parts = (
        b"fedscore statement 1",
        public_key.n.to_bytes(public_key.residue_bytes, "little"),
        bytes.fromhex(envelope.contract_hash),
        bytes.fromhex(envelope.run),
        envelope.round.to_bytes(8, "little"),
        party.encode(),
        bytes.fromhex(envelope.head),
        bytes.fromhex(envelope.digest),
        *(number.to_bytes(8, "little") for number in (header.width, header.slots, header.values)),
    )
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of a round's submissions.

    Attributes:
        vectors: The ciphertexts of every party whose submission holds, ready to be added.
        refused: Why the others' do not; each error names its party.
    """

    vectors: Mapping[str, SplitUnits]
    refused: Mapping[str, EncryptionError]


def write_submission(
    public_key: PublicKey, fresh: FreshVector, envelope: Envelope, *, party: str, signer: Signer
) -> bytes:
    """Proves, signs and writes a fresh vector; after this its openings are forgotten."""
    vector = encode_ciphertexts(public_key, vector_header(public_key, envelope), fresh.ciphertexts)
    statement = statement_of(public_key, envelope, party)
    proof = fresh.prove(statement).to_bytes(public_key)
    return vector + proof + signer.sign(SIGNATURE_DOMAIN, statement + vector + proof)


def check_submissions(
    public_key: PublicKey,
    submissions: Mapping[str, bytes],
    envelope: Envelope,
    *,
    signing_keys: Mapping[str, bytes],
) -> Checked:
    """Checks form, signature and proof of every submission, the costly proofs of all on every core.

    Args:
        public_key: The key.
        submissions: By party.
        envelope: Derived by whoever checks.
        signing_keys: By party, as on the contract's roster.
    """
    vectors: dict[str, SplitUnits] = {}
    claims: dict[str, Claim] = {}
    refused: dict[str, EncryptionError] = {}
    for party, submission in submissions.items():
        try:
            claims[party] = _claim(public_key, submission, envelope, party, signing_keys)
        except (CiphertextRefused, ProofRefused, SignatureRefused) as error:
            refused[party] = type(error)(f"{party}: {error}")
    for party, reason in zip(claims, why_refused(public_key, list(claims.values())), strict=True):
        if reason is None:
            vectors[party] = claims[party].halves(public_key)
        else:
            refused[party] = ProofRefused(f"{party}: {reason}")
    return Checked(vectors=vectors, refused=refused)


def read_vectors(
    public_key: PublicKey, submissions: Mapping[str, bytes], envelope: Envelope
) -> tuple[tuple[int, ...], ...]:
    """Reads the ciphertexts of submissions that were checked before.

    Raises:
        CiphertextRefused: One is malformed; the message names its party.
    """
    header = vector_header(public_key, envelope)
    vectors = []
    for party, submission in submissions.items():
        data = submission[: vector_bytes(public_key, header)]
        try:
            vectors.append(decode_ciphertexts(data, public_key=public_key, expected=header))
        except CiphertextRefused as error:
            raise CiphertextRefused(f"{party}: {error}") from None
    return tuple(vectors)


def _claim(
    public_key: PublicKey,
    submission: bytes,
    envelope: Envelope,
    party: str,
    signing_keys: Mapping[str, bytes],
) -> Claim:
    """Takes a submission apart; everything but the proof's equation is checked here."""
    header = vector_header(public_key, envelope)
    ends_vector = vector_bytes(public_key, header)
    ends_proof = ends_vector + proof_bytes(public_key)
    if len(submission) != ends_proof + SIGNATURE_BYTES:
        raise CiphertextRefused(
            f"{len(submission)} bytes are refused: vector, proof and signature make "
            f"{ends_proof + SIGNATURE_BYTES}; answer the request"
        )
    if party not in signing_keys:
        raise SignatureRefused("the contract's roster has no key of this party: complete the contract")
    statement = statement_of(public_key, envelope, party)
    verify_signature(
        signing_keys[party],
        SIGNATURE_DOMAIN,
        statement + submission[:ends_proof],
        submission[ends_proof:],
    )
    ciphertexts = decode_ciphertexts(submission[:ends_vector], public_key=public_key, expected=header)
    proof = PlaintextProof.from_bytes(submission[ends_vector:ends_proof], public_key=public_key)
    return Claim(ciphertexts=ciphertexts, statement=statement, proof=proof)
