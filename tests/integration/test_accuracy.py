"""What the shipped scenarios reach on real data, and that encrypting changes nothing of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulations.results import Results, Run
from simulations.runner import Task
from simulations.scenario import Baseline
from simulations.simulate import simulate

pytestmark = pytest.mark.slow

FLOORS = {
    "taiwan": {0.5: 0.7720, 1.0: 0.7745},
    "gmsc": {0.5: 0.8600, 1.0: 0.8610},
    "taiwan-wide": {0.5: 0.7755, 1.0: 0.7785},
    "gmsc-wide": {0.5: 0.8615, 1.0: 0.8625},
}


class Silent:
    """Watches a simulation and says nothing."""

    def stage(self, text: str) -> None: ...

    def started(self, jobs: int, found: int) -> None: ...

    def finished(self, job: Task) -> None: ...

    def noticed(self, what: str) -> None: ...


def run(name: str, shared_data: Path, out: Path, *overrides: str) -> Results:
    return simulate(name, data=shared_data, out=out, overrides=overrides, watcher=Silent()).results


def aucs(results: Results, baseline: Baseline | None, epsilon: float) -> list[float]:
    """AUC by seed, in the order of the seeds."""
    chosen: list[Run] = [one for one in results.runs if one.baseline is baseline and one.epsilon == epsilon]
    return [one.auc for one in sorted(chosen, key=lambda one: one.seed)]


@pytest.mark.parametrize("name", list(FLOORS))
def test_the_card_keeps_its_accuracy_within_its_budget(name: str, shared_data: Path, tmp_path: Path) -> None:
    results = run(name, shared_data, tmp_path, "privacy.epsilon=[0.5, 1]", "baselines=['local-noise']")
    for epsilon, floor in FLOORS[name].items():
        shared = aucs(results, None, epsilon)
        assert len(shared) == 5
        assert np.mean(shared) >= floor
        differences = np.subtract(shared, aucs(results, Baseline.LOCAL_NOISE, epsilon))
        assert np.mean(differences) > 2 * np.std(differences, ddof=1) / np.sqrt(5)
    assert all(
        one.epsilon_spent is not None and one.epsilon_spent <= one.epsilon
        for one in results.runs
        if one.epsilon
    )


@pytest.mark.parametrize("name", ["taiwan", "gmsc"])
def test_the_filtered_card_ranks_better_where_characteristics_are_many(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    settings = ("privacy.epsilon=[1]", "baselines=[]")
    plain = aucs(run(name, shared_data, tmp_path / "plain", *settings), None, 1.0)
    filtered = aucs(run(f"{name}-wide", shared_data, tmp_path / "filtered", *settings), None, 1.0)
    differences = np.subtract(filtered, plain)
    assert np.mean(differences) > 2 * np.std(differences, ddof=1) / np.sqrt(5)


@pytest.mark.parametrize("name", list(FLOORS))
def test_an_encrypted_run_is_its_plain_twin(name: str, shared_data: Path, tmp_path: Path) -> None:
    settings = ("privacy.epsilon=[1]", "split.seeds=[1]", "baselines=[]")
    plain = run(name, shared_data, tmp_path / "plain", *settings)
    encrypted = run(name, shared_data, tmp_path / "encrypted", *settings, "encryption.mode='paillier'")
    assert encrypted.runs[0].encrypted
    assert not plain.runs[0].encrypted
    assert (tmp_path / "encrypted" / "card.json").read_bytes() == (
        tmp_path / "plain" / "card.json"
    ).read_bytes()
    assert encrypted.runs[0].auc == plain.runs[0].auc


def test_shops_gain_much_by_sharing(shared_data: Path, tmp_path: Path) -> None:
    results = run("pakdd_shops", shared_data, tmp_path, "baselines=['local-only']")
    shared = aucs(results, None, 1.0)
    alone = [one.auc for one in results.runs if one.baseline is Baseline.LOCAL_ONLY]
    assert len(shared) == len(alone) == 5
    assert np.mean(shared) >= 0.650
    assert np.mean(shared) - np.mean(alone) > 0.05


NEURAL_FLOORS = {"taiwan-neural": 0.745, "gmsc-neural": 0.854}


@pytest.mark.parametrize("name", list(NEURAL_FLOORS))
def test_the_neural_model_keeps_its_accuracy_and_its_lead_over_the_public_recipe(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    results = run(name, shared_data, tmp_path, "baselines=['naive-flower-opacus', 'naive-tuned-true']")
    shared = aucs(results, None, 1.0)
    assert len(shared) == 5
    assert np.mean(shared) >= NEURAL_FLOORS[name]
    assert np.mean(np.subtract(shared, aucs(results, Baseline.NAIVE_FLOWER_OPACUS, 1.0))) >= 0.02
    # With constants that suit tables, and at the same true epsilon, the recipe is closer, and still behind.
    assert np.mean(np.subtract(shared, aucs(results, Baseline.NAIVE_TUNED_TRUE, 1.0))) > 0
