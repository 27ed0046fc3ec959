"""What a researcher asks for: data, parties, budgets, seeds and baselines, in one TOML file.

A scenario is checked as a whole before anything is read or trained, and every mistake is told at once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from fedscore.contract import NoiseMode, Training
from fedscore.errors import ScenarioError
from simulations.audit.terms import AuditTerms
from simulations.deployment import DeploymentTerms
from simulations.encryption_choice import EncryptionChoice, require_committee
from simulations.fault_terms import FaultTerms
from simulations.learner_terms import LearnerTerms, noise_of
from simulations.overrides import with_overrides
from simulations.party_terms import PartitionKind, PartyTerms
from simulations.scenario_mistakes import explain
from simulations.sweep import Mistake, grid_of, listed, varied

__all__ = [
    "NAIVE",
    "Baseline",
    "DataTerms",
    "EncryptionChoice",
    "LoadedScenario",
    "PartitionKind",
    "PartyTerms",
    "PrivacyGrid",
    "Scenario",
    "SplitKind",
    "SplitTerms",
    "Variation",
    "load_scenario",
    "parse_scenario",
    "parse_variations",
    "shipped_scenarios",
]

_SHIPPED = Path(__file__).parent / "scenarios"


class Baseline(StrEnum):
    """What a scenario's own run is compared with, on the same split."""

    POOLED_LIGHTGBM = "pooled-lightgbm"
    """LightGBM on everybody's raw columns in one place, without privacy."""

    POOLED_NO_NOISE = "pooled-no-noise"
    """The scenario's learner on everybody's rows in one place, without privacy."""

    LOCAL_ONLY = "local-only"
    """The scenario's learner at each party by itself; nothing is shared."""

    LOCAL_NOISE = "local-noise"
    """The scenario's learner, where every party adds the whole noise."""

    SCORECARD = "scorecard"
    """The federated scorecard of the plain recipe, for scenarios of another learner."""

    NEURAL_SHARED = "neural-shared"
    """The neural model, trained by sums with shared noise; with the scenario's terms, or the usual ones."""

    NEURAL_LOCAL = "neural-local"
    """The same, trained by each party with its whole noise, and averaged."""

    NAIVE_FLOWER_OPACUS = "naive-flower-opacus"
    """The public example of Flower and Opacus as it stands, with what it reports and what it costs."""

    NAIVE_TUNED = "naive-tuned"
    """The same with rounds, batches and steps that suit tables; it reports epsilon, and costs more."""

    NAIVE_TUNED_TRUE = "naive-tuned-true"
    """That once more, with so much noise that epsilon is what it costs."""


NAIVE = (Baseline.NAIVE_FLOWER_OPACUS, Baseline.NAIVE_TUNED, Baseline.NAIVE_TUNED_TRUE)
"""The forms of the public recipe."""


class SplitKind(StrEnum):
    """How test rows are set apart."""

    RANDOM = "random"
    HASH = "hash"


def _listed(value: object) -> object:
    """Let one number stand for a list of one."""
    return value if isinstance(value, list | tuple) else (value,)


_Epsilon = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Seed = Annotated[int, Field(ge=0, lt=2**32)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataTerms(_Section):
    """Where rows come from and what they mean.

    Attributes:
        path: A file's name, looked up by `simulations.lookup.find_data`; an absolute path is taken as it is.
        contract: The name of a shipped contract, or a path relative to the scenario.
        number_rows: Whether rows are told apart by their place in the file, for a file without a column of
            ids: every row is then a record of its own, and the order of the rows is part of the data.
        complete_rows: Whether rows with an empty cell, in any column of the file, are left out before all
            else, to compare with what others reached without them. No deployment can choose its customers so.
    """

    path: str = Field(min_length=1)
    contract: str = Field(min_length=1)
    number_rows: bool = Field(default=False, strict=True)
    complete_rows: bool = Field(default=False, strict=True)


class SplitTerms(_Section):
    """How test rows are set apart, and the seeds that everything random in a run is drawn from.

    Attributes:
        kind: `random` is scikit-learn's stratified `train_test_split`; `hash` the contract's keyed hash.
        seeds: One run of every method per seed.
        test: Share of test rows of a random split; a hash split takes the contract's own.
    """

    kind: SplitKind = SplitKind.RANDOM
    seeds: Annotated[tuple[_Seed, ...], BeforeValidator(_listed), Field(min_length=1)] = (1,)
    test: float | None = Field(default=None, gt=0, lt=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds holds the same seed twice, which would count one run as two")
        if self.kind is SplitKind.HASH and self.test is not None:
            raise ValueError("kind = \"hash\" takes its share of test rows from the contract: remove 'test'")
        return self

    @property
    def test_share(self) -> float:
        """Share of test rows of a random split."""
        return 0.3 if self.test is None else self.test


class PrivacyGrid(_Section):
    """The budgets to try; one run per epsilon and seed.

    Attributes:
        epsilon: Record-level epsilons; unused where `noise` is `none`.
        delta: Record-level delta, at most 1e-3.
        noise: Who adds noise: shares that add up, every party in full, or nobody. Local training of a neural
            model turns "shared" into "local" for its runs: every party's steps carry the whole noise.
        absent: Parties that the noise may lack.
        colluding_parties: Parties whose own share of the noise protects nobody from them.
        spare_rounds: Sums of a run that may be abandoned and asked again, paid for beforehand.
    """

    epsilon: Annotated[tuple[_Epsilon, ...], BeforeValidator(_listed), Field(min_length=1)] = (1.0,)
    delta: float = Field(default=1e-5, gt=0, le=1e-3)
    noise: NoiseMode = NoiseMode.SHARED
    absent: int = Field(default=0, ge=0)
    colluding_parties: int = Field(default=1, ge=1)
    spare_rounds: int = Field(default=0, ge=0, le=100)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.epsilon)) != len(self.epsilon):
            raise ValueError("epsilon holds the same value twice")
        return self


class Scenario(_Section):
    """A whole experiment: one learner, compared with baselines over seeds and budgets.

    Attributes:
        baselines: What own runs are compared with.
        data: Where rows come from.
        split: How test rows are set apart.
        parties: Who holds which rows.
        learner: What is trained.
        privacy: The budgets to try.
        encryption: How sums are added.
        audit: What is put to the test, if anything is.
        deployment: What a deployment would run on; changes nothing but what is said of its time.
        sweep: The grid that this variation is one of: dotted keys and the values that they take. It has been
            applied: the other attributes have this variation's values.
    """

    baselines: tuple[Baseline, ...] = ()
    data: DataTerms
    split: SplitTerms = SplitTerms()
    parties: PartyTerms
    faults: FaultTerms = FaultTerms()
    learner: LearnerTerms = LearnerTerms()
    privacy: PrivacyGrid = PrivacyGrid()
    encryption: EncryptionChoice = EncryptionChoice()
    audit: AuditTerms | None = None
    deployment: DeploymentTerms = DeploymentTerms()
    sweep: dict[str, tuple[Any, ...]] = Field(default_factory=dict)

    @property
    def noise(self) -> NoiseMode:
        """Who adds noise in the scenario's own runs."""
        return noise_of(self.learner.neural, self.privacy.noise)

    @property
    def own_runs(self) -> frozenset[Baseline]:
        """The baselines that would only repeat the scenario's own runs."""
        neural = self.learner.neural
        if neural is None:
            same = Baseline.SCORECARD
        elif neural.training is Training.SHARED:
            same = Baseline.NEURAL_SHARED
        else:
            same = Baseline.NEURAL_LOCAL
        return frozenset({same, Baseline.LOCAL_NOISE} if self.noise is NoiseMode.LOCAL else {same})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.baselines)) != len(self.baselines):
            raise ValueError("baselines names the same baseline twice")
        if repeated := [baseline for baseline in self.baselines if baseline in self.own_runs]:
            raise ValueError(
                f"baselines names {', '.join(repeated)}, which would repeat the scenario's own run "
                f"(learner {self.learner.name}, {self.noise} noise): take it out, or choose another learner"
            )
        return self

    @model_validator(mode="after")
    def _faults_fit_roster(self) -> Self:
        self.faults.require_fit(len(self.parties.members))
        return self

    @model_validator(mode="after")
    def _committee_fits_absences(self) -> Self:
        try:
            require_committee(self.encryption.committee, absences=self.privacy.absent > 0)
        except ValueError as refused:
            which = (
                "encryption.committee"
                if "committee" in self.encryption.model_fields_set
                else "encryption.committee is left out, and the usual one, two of three members,"
            )
            raise ValueError(f"{which} does not fit privacy.absent: {refused}") from None
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """One of the experiments that a scenario's sweep asks for.

    Attributes:
        coordinates: Swept keys, dotted, with this variation's values as TOML text; empty without a sweep.
        terms: The whole scenario with these values.
    """

    coordinates: Mapping[str, str]
    terms: Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedScenario:
    """A scenario and where it came from.

    Attributes:
        name: The file's name without its ending.
        folder: The file's folder, which relative paths in the scenario start from.
        variations: What the scenario says, overrides included; one without a sweep.
    """

    name: str
    folder: Path
    variations: tuple[Variation, ...]

    @property
    def terms(self) -> Scenario:
        """The terms of the first variation: all there is to say without a sweep."""
        return self.variations[0].terms

    def at(self, variation: Variation) -> LoadedScenario:
        """The scenario as if it had this variation alone."""
        return replace(self, variations=(variation,))


def shipped_scenarios() -> tuple[str, ...]:
    """Names of the scenarios that come with fedscore."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.toml")))


def load_scenario(scenario: str | Path, overrides: Sequence[str] = ()) -> LoadedScenario:
    """Read a scenario.

    Args:
        scenario: A file, or the name of a shipped scenario; a file of that name in the way is preferred only
            where the argument is written as a path (with a folder or an ending).
        overrides: `key=VALUE` settings, VALUE as TOML.

    Raises:
        ScenarioError: There is no such scenario, or it cannot be run as written; every mistake is listed.
    """
    path = _SHIPPED / f"{scenario}.toml" if str(scenario) in shipped_scenarios() else Path(scenario)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ScenarioError(f"{path} is not UTF-8 text: a scenario is a TOML file") from None
    except OSError as error:
        raise ScenarioError(
            f"no scenario can be read from {path} ({error.strerror}): give a file, "
            f"or one of the shipped names: {', '.join(shipped_scenarios())}"
        ) from None
    variations = parse_variations(text, overrides=overrides, source=str(path))
    return LoadedScenario(name=path.stem, folder=path.parent, variations=variations)


def parse_scenario(text: str, *, overrides: Sequence[str] = (), source: str = "scenario.toml") -> Scenario:
    """Check the text of a scenario; of one with a sweep, the first variation is returned.

    Args:
        text: The scenario, as TOML.
        overrides: `key=VALUE` settings that replace or add to what the text says.
        source: What to call the text in messages.

    Raises:
        ScenarioError: The text is no TOML or says something that cannot be run; every mistake is listed.
    """
    return parse_variations(text, overrides=overrides, source=source)[0].terms


def parse_variations(
    text: str, *, overrides: Sequence[str] = (), source: str = "scenario.toml"
) -> tuple[Variation, ...]:
    """Check the text of a scenario, and each of its variations as a whole scenario.

    Args:
        text: The scenario, as TOML.
        overrides: `key=VALUE` settings that replace or add to what the text says.
        source: What to call the text in messages.

    Raises:
        ScenarioError: The text is no TOML or says something that cannot be run; every mistake is listed, with
            the variations that it belongs to.
    """
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{source} is not TOML: {error}") from None
    document = with_overrides(document, overrides)
    grid = grid_of(document, settings=[override.partition("=")[0].strip() for override in overrides])
    document["sweep"] = grid
    found, mistakes = [], []
    varying = varied(document, grid)
    for coordinates, variation in varying:
        try:
            terms = Scenario.model_validate(variation)
        except ValidationError as error:
            mistakes += [Mistake(coordinates=coordinates, text=one) for one in explain(error, Scenario)]
        else:
            found.append(Variation(coordinates=coordinates, terms=terms))
    if mistakes:
        told = listed(mistakes, [coordinates for coordinates, _ in varying])
        raise ScenarioError(
            f"{source} cannot be run as written:\n" + "\n".join(f"  - {mistake}" for mistake in told)
        )
    return tuple(found)
