"""One round of the small contract, answered once: everything else is derived from its submissions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from fedscore.contract import Contract
from fedscore.learners.agenda import Agenda
from fedscore.sums import Envelope
from fedscore.sums.paillier import PaillierCombiner, PaillierMember, PaillierSealer
from simulations.keys import SimulatedKeys, simulated_identity

RUN = "ab" * 16
HEAD = "cd" * 32


@pytest.fixture(scope="session")
def envelope(tiny_contract: Contract) -> Envelope:
    """The first sum of a run that begins in the key's third round, in slots for three ciphertexts."""
    derived = Agenda(tiny_contract, run=RUN).turn((), round_number=3, head=HEAD).envelope
    return replace(derived, request=replace(derived.request, slots=20))


@pytest.fixture(scope="session")
def vectors(tiny_contract: Contract, envelope: Envelope) -> Mapping[str, list[int]]:
    """A vector per party, with values at the ends of their range."""
    generator = np.random.default_rng(11)
    limit, size = envelope.request.max_abs, envelope.request.dimension
    return {
        name: [limit, -limit, *generator.integers(-limit, limit, size - 2, endpoint=True).tolist()]
        for name in tiny_contract.parties_by_name
    }


@pytest.fixture(scope="session")
def sealers(tiny_contract: Contract, small_keys: SimulatedKeys) -> Mapping[str, PaillierSealer]:
    """Every party's sealer."""
    return {
        name: PaillierSealer(
            public_key=small_keys.record.public_key, party=name, signer=simulated_identity(name)
        )
        for name in tiny_contract.parties_by_name
    }


@pytest.fixture(scope="session")
def submissions(
    vectors: Mapping[str, list[int]], sealers: Mapping[str, PaillierSealer], envelope: Envelope
) -> Mapping[str, bytes]:
    """What the parties submitted."""
    return {name: sealers[name].seal(vector, envelope) for name, vector in vectors.items()}


@pytest.fixture(scope="session")
def members(tiny_contract: Contract, small_keys: SimulatedKeys) -> Mapping[int, PaillierMember]:
    """The 2-of-3 committee, by number."""
    return {
        share.index: PaillierMember(share=share, signing_keys=tiny_contract.signing_keys)
        for share in small_keys.shares
    }


@pytest.fixture(scope="session")
def combiner(tiny_contract: Contract, small_keys: SimulatedKeys) -> PaillierCombiner:
    """The server's."""
    return PaillierCombiner(committee=small_keys.record.committee, signing_keys=tiny_contract.signing_keys)
