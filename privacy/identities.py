"""Who somebody is to the others: a name, a key that signs, and a key that things are sealed to.

Signatures are Ed25519 (RFC 8032), each over a domain and a message, so one made for one purpose is good for
no other. Sealing is HPKE in base mode (RFC 9180: X25519, HKDF-SHA256, ChaCha20-Poly1305) with the purpose as
its `info`: what was sealed for one purpose opens for no other. Base mode says nothing about who sealed;
where that matters, what is inside must prove itself.

A public identity signs itself, which ties its sealing key and nonce to its signing key. It does not say who
stands behind that key: compare fingerprints over a channel that the sender of the file does not control.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Self

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from fedscore.errors import KeyRefused, SignatureRefused

__all__ = [
    "IDENTITY_KIND",
    "PUBLIC_IDENTITY_KIND",
    "SIGNATURE_BYTES",
    "Identity",
    "PublicIdentity",
    "verify_signature",
]

IDENTITY_KIND = "fedscore-identity-1"
"""What a file with secret keys says that it is."""

PUBLIC_IDENTITY_KIND = "fedscore-public-identity-1"
"""What a file without them says that it is."""

SIGNATURE_BYTES = 64
"""Length of an Ed25519 signature (RFC 8032)."""

_KEY_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SELF_DOMAIN = PUBLIC_IDENTITY_KIND.encode()
_SECRET_SIZES = {"signing_key": _KEY_BYTES, "sealing_key": _KEY_BYTES, "nonce": _KEY_BYTES}
_PUBLIC_SIZES = _SECRET_SIZES | {"signature": SIGNATURE_BYTES}
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
# The prime of Curve25519.
_FIELD = (1 << 255) - 19


def verify_signature(signing_key: bytes, domain: bytes, message: bytes, signature: bytes) -> None:
    """Check that a signature was made with a key, for a purpose, over a message.

    Args:
        signing_key: The public key, 32 bytes.
        domain: What the signature is for, as it was given to `Identity.sign`.
        message: What was signed.
        signature: The signature, 64 bytes.

    Raises:
        SignatureRefused: It is not; or the key is one under which anybody can sign.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(signing_key)
        key.verify(signature, _signed(domain, message))
        genuine = _binds(signing_key)
    except (InvalidSignature, ValueError):
        genuine = False
    if not genuine:
        raise SignatureRefused(
            f"a signature for {domain.decode('ascii', 'backslashreplace')} is not that of the key "
            f"{signing_key.hex()[:16]}: have it signed anew, with the identity whose key was registered"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicIdentity:
    """What others know of an identity.

    Building one checks its own signature, so whoever has one knows that its parts belong together.

    Attributes:
        name: Letters, digits, - _ . (at most 64), as a contract's roster has it.
        signing_key: Ed25519 public key, 32 bytes.
        sealing_key: X25519 public key, 32 bytes.
        nonce: 32 bytes drawn with the identity; a committee's nonces make the first hash of its transcript,
            so that nobody chooses that hash alone.
        signature: Of the signing key over all of these, 64 bytes.

    Raises:
        KeyRefused: A part is malformed, or a key is one that protects nothing.
        SignatureRefused: The identity is not signed by its own key.
    """

    name: str
    signing_key: bytes
    sealing_key: bytes
    nonce: bytes
    signature: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _require_name(self.name)
        if {len(self.signing_key), len(self.sealing_key), len(self.nonce)} != {_KEY_BYTES}:
            raise KeyRefused(
                f"keys and nonce of {self.name} must have {_KEY_BYTES} bytes each: ask for the file anew"
            )
        if not _binds(self.signing_key) or not _is_sound(self.sealing_key):
            raise KeyRefused(
                f"a key of {self.name} protects nothing, as anybody knows its secret: ask for an identity "
                "that `fedscore keys identity` made"
            )
        verify_signature(self.signing_key, _SELF_DOMAIN, self._claim(), self.signature)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all parts but the signature, as 64 hexadecimal digits: what people compare."""
        return hashlib.sha256(self._claim()).hexdigest()

    def document(self) -> dict[str, str]:
        """The identity as a JSON object, for files that hold several."""
        return _claimed(self.name, self.signing_key, self.sealing_key, self.nonce) | {
            "signature": self.signature.hex()
        }

    @classmethod
    def from_document(cls, document: object) -> Self:
        """Read an identity from what `document` returned.

        Raises:
            KeyRefused: The object is malformed.
            SignatureRefused: The identity is not signed by its own key.
        """
        name, parts = _read(PUBLIC_IDENTITY_KIND, document, _PUBLIC_SIZES)
        return cls(name=name, **parts)

    def to_json(self) -> str:
        """The identity as one line of JSON text."""
        return _canonical(self.document()).decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read an identity from what `to_json` wrote.

        Raises:
            KeyRefused: The text is malformed.
            SignatureRefused: The identity is not signed by its own key.
        """
        return cls.from_document(_parsed(text))

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt something that only the holder of the identity can read.

        Args:
            plaintext: What to seal.
            context: What it is for; `Identity.unseal` needs the same bytes.

        Returns:
            48 bytes more than the plaintext, different each time.
        """
        return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(self.sealing_key), context)

    def _claim(self) -> bytes:
        return _canonical(_claimed(self.name, self.signing_key, self.sealing_key, self.nonce))


class Identity:
    """A holder's own identity: secret keys, which are never printed, compared, copied or pickled.

    Make one with `generate`, or read one with `from_json`.

    Attributes:
        public: What others may know.

    Raises:
        KeyRefused: The name is no name, or a key or the nonce is malformed.
    """

    __slots__ = ("_sealing_key", "_signing_key", "public")

    def __init__(self, name: str, *, signing_key: bytes, sealing_key: bytes, nonce: bytes) -> None:
        _require_name(name)
        self._signing_key = Ed25519PrivateKey.from_private_bytes(signing_key)
        self._sealing_key = X25519PrivateKey.from_private_bytes(sealing_key)
        keys = (
            self._signing_key.public_key().public_bytes_raw(),
            self._sealing_key.public_key().public_bytes_raw(),
        )
        self.public = PublicIdentity(
            name=name,
            signing_key=keys[0],
            sealing_key=keys[1],
            nonce=nonce,
            signature=self.sign(_SELF_DOMAIN, _canonical(_claimed(name, *keys, nonce))),
        )

    def __repr__(self) -> str:
        return f"Identity(name={self.name!r}, fingerprint={self.public.fingerprint[:16]!r}, keys=<secret>)"

    def __reduce__(self) -> NoReturn:
        raise KeyRefused("an identity is not pickled or copied: its file stays with its one holder")

    @property
    def name(self) -> str:
        """The holder's name."""
        return self.public.name

    @classmethod
    def generate(cls, name: str) -> Self:
        """Draw a new identity from the system's randomness.

        Args:
            name: The holder's name: letters, digits, - _ . (at most 64).

        Raises:
            KeyRefused: The name is no such name.
        """
        keys = (secrets.token_bytes(_KEY_BYTES) for _ in range(3))
        return cls(name, signing_key=next(keys), sealing_key=next(keys), nonce=next(keys))

    @classmethod
    def unsafe_from_seed(cls, name: str, seed: bytes) -> Self:
        """Derive an identity from a seed, for tests and simulations only: whoever knows the seed is it.

        Args:
            name: The holder's name.
            seed: Any bytes; one seed gives different keys under different names.
        """
        drawn = hashlib.shake_256(_framed(b"fedscore-unsafe-identity", name.encode(), seed)).digest(96)
        return cls(name, signing_key=drawn[:32], sealing_key=drawn[32:64], nonce=drawn[64:])

    def sign(self, domain: bytes, message: bytes) -> bytes:
        """Sign a message for a purpose.

        Args:
            domain: What the signature is for; it is good for nothing else.
            message: What to sign.

        Returns:
            The signature, 64 bytes.
        """
        return self._signing_key.sign(_signed(domain, message))

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        """Read what was sealed to this identity.

        Args:
            sealed: What `PublicIdentity.seal` returned.
            context: The purpose that it was sealed for.

        Returns:
            The plaintext. It may come from anybody: check what it says.

        Raises:
            KeyRefused: It was sealed to another identity or for another purpose, or was changed since.
        """
        try:
            return _SUITE.decrypt(sealed, self._sealing_key, context)
        except (InvalidTag, ValueError):
            plaintext = None
        if plaintext is None:
            raise KeyRefused(
                f"what was sealed does not open for {self.name}: it is for somebody else or another purpose, "
                "or was changed on its way; fetch the file again, and use the identity that it was made for"
            )
        return plaintext

    def to_json(self) -> str:
        """The identity as JSON text, **secret included**: for its holder alone, readable by nobody else."""
        return _canonical(
            {
                "kind": IDENTITY_KIND,
                "name": self.name,
                "signing_key": self._signing_key.private_bytes_raw().hex(),
                "sealing_key": self._sealing_key.private_bytes_raw().hex(),
                "nonce": self.public.nonce.hex(),
            }
        ).decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read an identity from what `to_json` wrote.

        Raises:
            KeyRefused: The text is malformed. The message holds nothing of it.
        """
        name, parts = _read(IDENTITY_KIND, _parsed(text), _SECRET_SIZES)
        return cls(name, **parts)


def _claimed(name: str, signing_key: bytes, sealing_key: bytes, nonce: bytes) -> dict[str, str]:
    """What a public identity's own signature covers."""
    return {
        "kind": PUBLIC_IDENTITY_KIND,
        "name": name,
        "signing_key": signing_key.hex(),
        "sealing_key": sealing_key.hex(),
        "nonce": nonce.hex(),
    }


def _framed(*parts: bytes) -> bytes:
    """Join byte strings so that no two lists of them give the same bytes."""
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def _signed(domain: bytes, message: bytes) -> bytes:
    return _framed(b"fedscore-signature-1", domain, message)


def _canonical(document: Mapping[str, str]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise KeyRefused(
            "the name of an identity is refused: use 1 to 64 letters, digits, - _ . and begin with a letter "
            "or a digit"
        )


def _parsed(text: str) -> object:
    # The parser's own error carries the whole text, so it is not chained.
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _read(kind: str, document: object, sizes: Mapping[str, int]) -> tuple[str, dict[str, bytes]]:
    """The name and the byte strings of a JSON object; the message never repeats what may be secret."""
    if not isinstance(document, dict) or document.get("kind") != kind:
        raise KeyRefused(f"the text is no {kind}: give the file as `fedscore keys identity` wrote it")
    if set(document) != {"kind", "name", *sizes} or not isinstance(document["name"], str):
        raise KeyRefused(f"a {kind} holds exactly a name and {', '.join(sizes)}: make a new identity")
    parts: dict[str, bytes] = {}
    for part, size in sizes.items():
        digits = document[part]
        if not isinstance(digits, str) or not re.fullmatch(rf"[0-9a-f]{{{2 * size}}}", digits):
            raise KeyRefused(
                f"{part} of a {kind} must be {2 * size} lower-case hexadecimal digits: make a new identity"
            )
        parts[part] = bytes.fromhex(digits)
    return document["name"], parts


def _binds(signing_key: bytes) -> bool:
    """Whether only the holder of a secret can sign under an Ed25519 key.

    Under the eight points of small order, some or all signatures hold for every message. The birational map
    (RFC 7748, section 4.1) takes y to u = (1 + y)/(1 - y) on the curve of X25519, with the same orders.
    """
    y = int.from_bytes(signing_key, "little") % (1 << 255)
    u = (1 + y) * pow(1 - y, _FIELD - 2, _FIELD) % _FIELD
    return _is_sound(u.to_bytes(_KEY_BYTES, "little"))


@functools.lru_cache(maxsize=1024)
def _is_sound(sealing_key: bytes) -> bool:
    """Whether an X25519 key is of large order: otherwise every exchange with it gives zero."""
    probe = X25519PrivateKey.from_private_bytes(hashlib.sha256(b"fedscore-order-probe").digest())
    try:
        probe.exchange(X25519PublicKey.from_public_bytes(sealing_key))
    except ValueError:
        return False
    return True
