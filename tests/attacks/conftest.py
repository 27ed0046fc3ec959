"""A hostile server, played by hand, against nodes that are real; and what it reads with everybody's key."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import phe
import pytest

from clients.memory import Memory
from clients.node import Node
from fedscore.contract import Contract
from fedscore.errors import OpeningError
from fedscore.learners.agenda import Agenda, Turn
from fedscore.messages import Ask, Head, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.transcript import NO_OPENINGS, extend_openings, submission_digest
from fedscore.sums import Envelope, OpenedSum
from fedscore.sums.paillier import PaillierCombiner, PaillierMember, PaillierSealer
from fedscore.sums.series import KeySeries
from fedscore.sums.submission import SIGNATURE_DOMAIN, read_vectors, statement_of, vector_header
from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes
from privacy.paillier.codec import encode_ciphertexts
from privacy.paillier.encryption import add
from privacy.paillier.keys import PublicKey
from privacy.paillier.packing import unpack
from privacy.paillier.products import split
from privacy.paillier.proofs import proof_bytes
from server.coordinator import Coordinator
from simulations.keys import SimulatedKeys, keyed, record_of, simulated_identity

RUN = "ab" * 16
PRIMES = Path(__file__).parents[1] / "vectors" / "paillier_safe_primes.json"
Vector = npt.NDArray[np.int64]


class Nodes(Protocol):
    """What `make_federation` makes."""

    contract: Contract
    keys: SimulatedKeys
    nodes: dict[str, Node]
    memories: dict[str, Memory]
    hook: Callable[[str, Ask, Any], Any]
    asked: list[tuple[str, Ask]]

    @property
    def series(self) -> KeySeries: ...

    @property
    def combiner(self) -> PaillierCombiner: ...

    def coordinator(self, **changes: Any) -> Coordinator: ...  # noqa: ANN401 - whatever the arguments are


@dataclass
class Server:
    """The attacker's server: it asks whatever it likes, and keeps the true transcript as well.

    `colluders` are committee members whose shares it holds.
    """

    nodes: Nodes
    run: str = RUN
    colluders: tuple[str, ...] = ()
    head: Head = field(init=False)
    opening: bytes = b""
    openings: tuple[Vector, ...] = ()
    signatures: dict[int, bytes] = field(default_factory=dict)
    _agendas: dict[str, Agenda] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.head = self.nodes.series.genesis

    @property
    def key(self) -> PublicKey:
        return self.nodes.keys.record.public_key

    def agenda(self, run: str | None = None) -> Agenda:
        """What an honest server derives for a run."""
        told = run or self.run
        if told not in self._agendas:
            self._agendas[told] = Agenda(self.nodes.contract, run=told)
        return self._agendas[told]

    def begin(self, run: str) -> None:
        """Begins another run under the same key."""
        self.run, self.openings = run, ()

    def turn(
        self,
        number: int,
        *,
        agenda: Agenda | None = None,
        head: Head | None = None,
        openings: tuple[Vector, ...] | None = None,
        run: str | None = None,
    ) -> Turn:
        """What an honest server derives for a round, with changes."""
        return (agenda or self.agenda(run)).turn(
            self.openings if openings is None else openings,
            round_number=number,
            head=(head or self.head).hash,
        )

    def ask(self, phase: Phase, turn: Turn, **changes: Any) -> Ask:  # noqa: ANN401 - fields of an ask
        """What an honest server would ask, with changes."""
        honest = Ask(
            phase=phase,
            run=turn.envelope.run,
            round=turn.envelope.round,
            contract_hash=turn.envelope.contract_hash,
            head=self.head,
            opening=self.opening,
            head_signatures=dict(self.signatures),
            request_hash=turn.envelope.digest,
            openings=self.openings,
        )
        return replace(honest, **changes)

    def answer(self, name: str, ask: Ask) -> Reply:
        answer = self.nodes.nodes[name].answer(ask)
        assert isinstance(answer, Reply), f"{name} refused ({answer.code})"
        if answer.committee_member is not None and answer.head_signature:
            self.signatures[answer.committee_member] = answer.head_signature
        return answer

    def collect(
        self,
        turn: Turn,
        names: Iterable[str] | None = None,
        **changes: Any,  # noqa: ANN401 - fields of an ask
    ) -> dict[str, bytes]:
        """What parties answer, all of them if none is named."""
        ask = self.ask(Phase.COLLECT, turn, **changes)
        asked = self.nodes.contract.parties_by_name if names is None else names
        return {name: self.answer(name, ask).payload for name in asked}

    def open_ask(
        self,
        turn: Turn,
        submissions: Mapping[str, bytes],
        **changes: Any,  # noqa: ANN401 - fields of an ask
    ) -> Ask:
        return self.ask(Phase.OPEN, turn, **{"submissions": submissions, **changes})

    def partials(
        self,
        turn: Turn,
        submissions: Mapping[str, bytes],
        **changes: Any,  # noqa: ANN401 - fields of an ask
    ) -> tuple[dict[int, bytes], dict[str, Refusal]]:
        """Partial openings of all who give one, and the refusals; colluders give what they have at once."""
        ask = self.open_ask(turn, submissions, **changes)
        given: dict[int, bytes] = {}
        refused: dict[str, Refusal] = {}
        for share in self.nodes.keys.shares:
            name = self.nodes.keys.record.members[share.index - 1].name
            if name in self.colluders:
                given[share.index] = self.accomplice(share.index, turn, submissions)
                continue
            answer = self.nodes.nodes[name].answer(ask)
            if isinstance(answer, Refusal):
                refused[name] = answer
            else:
                given[share.index] = answer.payload
        return given, refused

    def helped(self, turn: Turn, submissions: Mapping[str, bytes], names: Iterable[str]) -> dict[int, bytes]:
        """Partial openings of those named, who must give them, and of nobody else."""
        numbers = {name: number for number, name in self.nodes.series.member_names.items()}
        ask = self.open_ask(turn, submissions)
        return {
            numbers[name]: self.accomplice(numbers[name], turn, submissions)
            if name in self.colluders
            else self.answer(name, ask).payload
            for name in names
        }

    def accomplice(self, index: int, turn: Turn, submissions: Mapping[str, bytes]) -> bytes:
        """What a bought member gives, without looking at what it is for."""
        share = self.nodes.keys.shares[index - 1]
        member = PaillierMember(share=share, signing_keys=self.nodes.contract.signing_keys)
        return member.partial(self.product(turn.envelope, submissions))

    def product(self, envelope: Envelope, submissions: Mapping[str, bytes]) -> bytes:
        """The product of whatever ciphertexts the submissions hold."""
        vectors = read_vectors(self.key, submissions, envelope)
        return self._residues(add(self.key, [split(self.key.n, vector) for vector in vectors]))

    def combined(
        self, turn: Turn, submissions: Mapping[str, bytes], partials: Mapping[int, bytes]
    ) -> OpenedSum:
        return self.nodes.combiner.combine(submissions, partials, turn.envelope)

    def gets_nothing(
        self,
        turn: Turn,
        submissions: Mapping[str, bytes],
        **changes: Any,  # noqa: ANN401 - fields of an ask
    ) -> dict[str, Refusal]:
        """Asks the whole committee, adds what the colluders have, and shows that it does not open."""
        partials, refused = self.partials(turn, submissions, **changes)
        threshold = self.nodes.keys.record.committee.threshold
        assert len(partials) < threshold
        with pytest.raises(OpeningError, match=rf"{len(partials)} partial openings do not open"):
            self.combined(turn, submissions, partials)
        return refused

    def close(self, turn: Turn, submissions: Mapping[str, bytes], opened: OpenedSum) -> None:
        """Goes on as an honest server does."""
        self.head = self.next_head(turn, submissions, opened)
        self.opening, self.signatures = opened.opening, {}
        self.openings = (*self.openings, opened.values)

    def next_head(self, turn: Turn, submissions: Mapping[str, bytes], opened: OpenedSum) -> Head:
        """The link that an honest server adds for an opened sum."""
        return Head(
            key_id=self.key.key_id,
            round=turn.envelope.round,
            run=turn.envelope.run,
            step=len(self.openings) + 1,
            request=turn.envelope.digest,
            openings=extend_openings(self.head.openings if self.openings else NO_OPENINGS, opened.values),
            opening=hashlib.sha256(opened.opening).hexdigest(),
            submissions={name: submission_digest(sent) for name, sent in sorted(submissions.items())},
            previous=self.head.hash,
        )

    def play(
        self, number: int, names: Iterable[str] | None = None
    ) -> tuple[Turn, dict[str, bytes], OpenedSum]:
        """One honest round, from first to last."""
        turn = self.turn(number)
        submissions = self.collect(turn, names)
        partials, refused = self.partials(turn, submissions)
        assert not refused
        opened = self.combined(turn, submissions, partials)
        self.close(turn, submissions, opened)
        return turn, submissions, opened

    def forge(
        self, turn: Turn, party: str, ciphertexts: Iterable[int], *, proof: bytes, head: bytes | None = None
    ) -> bytes:
        """A submission of any numbers and any proof, properly signed by a party that plays along."""
        body = (self.header(turn.envelope) if head is None else head) + self._residues(ciphertexts) + proof
        statement = statement_of(self.key, turn.envelope, party)
        return body + simulated_identity(party).sign(SIGNATURE_DOMAIN, statement + body)

    def header(self, envelope: Envelope) -> bytes:
        """The bytes before the ciphertexts of a vector."""
        header = vector_header(self.key, envelope)
        whole = encode_ciphertexts(self.key, header, (1,) * header.ciphertexts)
        return whole[: -header.ciphertexts * self.width]

    def proof_in(self, submission: bytes) -> bytes:
        return submission[-64 - proof_bytes(self.key) : -64]

    def ciphertexts_in(self, submission: bytes, envelope: Envelope) -> tuple[int, ...]:
        [ciphertexts] = read_vectors(self.key, {"it": submission}, envelope)
        return ciphertexts

    def seal(self, turn: Turn, party: str, values: Iterable[int]) -> bytes:
        """What a party that plays along makes of values of its choice: sealed, proven and signed."""
        sealer = PaillierSealer(public_key=self.key, party=party, signer=simulated_identity(party))
        return sealer.seal(list(values), turn.envelope)

    @property
    def width(self) -> int:
        """Bytes of a ciphertext."""
        return (self.key.n_squared.bit_length() + 7) // 8

    def _residues(self, numbers: Iterable[int]) -> bytes:
        return b"".join(number.to_bytes(self.width, "little") for number in numbers)


@dataclass(frozen=True)
class Reader:
    """Reads ciphertexts with the whole private key, as nobody in a consortium can: the tests' oracle."""

    key: PublicKey
    private: phe.PaillierPrivateKey

    def roots(self, submission: bytes, envelope: Envelope) -> list[int]:
        """The encryption randomness of every ciphertext of a submission."""
        order = (self.private.p - 1) * (self.private.q - 1)
        inverse = pow(self.key.n, -1, order)
        return [pow(number, inverse, self.key.n) for number in self._ciphertexts(submission, envelope)]

    def values(self, submission: bytes, envelope: Envelope) -> list[int]:
        """The vector that a submission holds."""
        plaintexts = [
            self.key.centred(self.private.raw_decrypt(number))
            for number in self._ciphertexts(submission, envelope)
        ]
        return unpack(envelope.request.layout, plaintexts, envelope.request.dimension)

    def _ciphertexts(self, submission: bytes, envelope: Envelope) -> tuple[int, ...]:
        [ciphertexts] = read_vectors(self.key, {"it": submission}, envelope)
        return ciphertexts


@pytest.fixture(scope="session")
def primes() -> tuple[int, int]:
    p, q = (int(prime, 16) for prime in json.loads(PRIMES.read_text())["1024"])
    return p, q


@pytest.fixture(scope="session")
def reader(primes: tuple[int, int]) -> Reader:
    public = PublicKey(primes[0] * primes[1])
    return Reader(key=public, private=phe.PaillierPrivateKey(public.as_phe(), *primes))


@pytest.fixture(scope="session")
def audited(tiny_contract: Contract, primes: tuple[int, int]) -> tuple[Contract, SimulatedKeys]:
    """Three parties and two auditors, 3 of 5; two organisations may collude with the server in all roles."""
    contract = tiny_contract.with_privacy(colluding_parties=2).with_encryption(
        committee={"members": 5, "threshold": 3, "colluding_members": 2}
    )
    return contract, record_of(contract, _dealt(primes, members=5, threshold=3))


@pytest.fixture(scope="session")
def with_absences(tiny_contract: Contract, primes: tuple[int, int]) -> tuple[Contract, SimulatedKeys]:
    """Four parties of whom one may be absent, and an auditor: 4 of 5, of whom one may collude."""
    west = tiny_contract.parties[1].model_copy(update={"name": "west", "key": None})
    committee = {"members": 5, "threshold": 4, "colluding_members": 1}
    contract = keyed(tiny_contract.with_parties([*tiny_contract.parties, west]))
    contract = contract.with_encryption(committee=committee).with_privacy(absent=1, spare_rounds=1)
    return contract, record_of(contract, _dealt(primes, members=5, threshold=4))


def _dealt(primes: tuple[int, int], *, members: int, threshold: int) -> Ceremony:
    return unsafe_deal_from_primes(*primes, members=members, threshold=threshold)


@pytest.fixture(scope="session")
def serve() -> type[Server]:
    """Makes a hostile server of (nodes, run, colluders)."""
    return Server


@pytest.fixture
def absences(make_federation: Callable[..., Nodes], with_absences: tuple[Contract, SimulatedKeys]) -> Server:
    """Four parties of whom one may be absent; agency's member plays along with the server."""
    return Server(make_federation(*with_absences), colluders=("agency",))


@pytest.fixture
def refused(caplog: pytest.LogCaptureFixture) -> Callable[..., None]:
    """Asks a node, and shows that it refuses, says why in its own log, and remembers nothing of it."""

    def check(server: Server, name: str, ask: Ask, code: RefusalCode, reason: str) -> None:
        before = server.nodes.memories[name].load()
        caplog.clear()
        answer = server.nodes.nodes[name].answer(ask)
        assert isinstance(answer, Refusal), f"{name} did what it was asked"
        assert answer.code is code, caplog.text
        assert re.search(reason, caplog.text), caplog.text
        after = server.nodes.memories[name].load()
        assert (after.collected, after.released) == (before.collected, before.released)

    return check
