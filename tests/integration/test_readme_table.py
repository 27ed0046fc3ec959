"""The demo's table in the README is what the demo prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulations.demo import run_demo
from simulations.wording import bytes_in_words, epsilon_in_words, method_in_words

README = Path(__file__).parents[2] / "README.md"


class _Silent:
    def stage(self, text: str) -> None:
        pass

    def round_opened(self, name: str, number: int, rounds: int) -> None:
        pass

    def noticed(self, what: str) -> None:
        pytest.fail(what)


def shown() -> dict[str, list[str]]:
    """The cells of the README's table by method: AUC, KS, ε, ε of a person, rounds, bytes, seconds."""
    text = README.read_text(encoding="utf-8")
    block = text.partition("<!-- demo: begin -->")[2].partition("<!-- demo: end -->")[0]
    rows = [re.split(r" {2,}", line.strip()) for line in block.splitlines()]
    return {row[0]: row[1:] for row in rows if len(row) == 8 and row[0] != "method"}


@pytest.mark.slow
def test_the_readme_shows_what_the_demo_prints(tmp_path: Path) -> None:
    demo = run_demo(out=tmp_path, seed=1, people=60_000, watcher=_Silent())
    table = shown()
    assert list(table) == [method_in_words(run) for run in demo.results.runs]
    for run in demo.results.runs:
        auc, ks, epsilon, person, rounds, sent, _ = table[method_in_words(run)]
        # Other machines round otherwise, and a bin may move by it.
        assert float(auc) == pytest.approx(run.auc, abs=5e-4)
        assert float(ks) == pytest.approx(run.ks, abs=5e-3)
        assert (epsilon, person) == (epsilon_in_words(run.epsilon), epsilon_in_words(run.epsilon_person))
        assert rounds == (str(run.rounds) if run.rounds else bytes_in_words(0))
        assert sent == bytes_in_words(run.bytes_per_party)
