"""Powers come back in their order, whatever the number of cores."""

from __future__ import annotations

import pytest

from privacy.paillier.powers import powers


@pytest.mark.parametrize("cores", [None, 1, 2, 3, 64])
def test_each_base_is_raised_and_the_order_is_kept(
    cores: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privacy.paillier.powers.os.cpu_count", lambda: cores)
    for count in range(8):
        bases = [7 * base + 3 for base in range(count)]
        assert powers(bases, 12_345, 1_000_003) == [pow(base, 12_345, 1_000_003) for base in bases]
    assert powers([5, 10], 0, 7) == [1, 1]
