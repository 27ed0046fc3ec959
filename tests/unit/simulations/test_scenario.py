from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedscore.contract import CommitteeTerms, NeuralTerms, NoiseMode, Role
from fedscore.errors import ScenarioError
from simulations.federation import EncryptionMode
from simulations.scenario import (
    NAIVE,
    Baseline,
    PartitionKind,
    load_scenario,
    parse_scenario,
    shipped_scenarios,
)

TEXT = """
[data]
path = "x.parquet"
contract = "taiwan"
[parties]
count = 20
"""


FIVE_OF_SEVEN = CommitteeTerms(members=7, threshold=5, colluding_members=1)


def refusal(text: str, overrides: tuple[str, ...] = ()) -> str:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, overrides=overrides)
    return str(caught.value)


def test_the_shipped_scenarios_are_those_of_the_published_benchmark() -> None:
    assert set(shipped_scenarios()) >= {"gmsc", "gmsc-neural", "taiwan", "taiwan-neural"}
    for name in ("gmsc", "taiwan"):
        terms = load_scenario(name).terms
        assert terms.split.seeds == (1, 4, 100, 333, 1002)
        assert terms.split.test_share == 0.3
        assert terms.parties.members == (Role.PLATFORM,) * 20
        assert terms.parties.kind is PartitionKind.IID
        assert terms.privacy.epsilon == (0.1, 0.5, 1, 2, 4, 8)
        assert terms.privacy.delta == 1e-5
        assert terms.privacy.noise is NoiseMode.SHARED
        assert terms.encryption.mode is EncryptionMode.PLAIN
        assert terms.encryption.committee == FIVE_OF_SEVEN
        assert terms.learner.neural is None
        assert terms.baselines == (
            Baseline.POOLED_LIGHTGBM,
            Baseline.POOLED_NO_NOISE,
            Baseline.LOCAL_ONLY,
            Baseline.LOCAL_NOISE,
        )


def test_the_shops_of_pakdd_are_its_parties_and_its_rows_are_numbered() -> None:
    terms = load_scenario("pakdd_shops").terms
    assert (terms.parties.kind, terms.parties.column) == (PartitionKind.COLUMN, "ID_SHOP")
    assert terms.parties.members == (Role.PLATFORM,) * 31
    assert terms.data.number_rows
    assert terms.privacy.epsilon == (1,)
    assert terms.split == load_scenario("taiwan").terms.split
    assert not load_scenario("taiwan").terms.data.number_rows


def test_the_neural_scenarios_differ_from_them_in_learner_budget_and_baselines_alone() -> None:
    for name in ("gmsc", "taiwan"):
        plain, neural = load_scenario(name).terms, load_scenario(f"{name}-neural").terms
        assert neural.learner.neural == NeuralTerms(rounds=100 if name == "gmsc" else 60)
        assert neural.privacy.epsilon == (1,)
        assert neural.baselines == (
            Baseline.SCORECARD,
            Baseline.NEURAL_LOCAL,
            *NAIVE,
            Baseline.POOLED_LIGHTGBM,
            Baseline.POOLED_NO_NOISE,
        )
        changes = {
            "learner": plain.learner,
            "baselines": plain.baselines,
            "privacy": neural.privacy.model_copy(update={"epsilon": plain.privacy.epsilon}),
        }
        assert neural.model_copy(update=changes) == plain


@pytest.mark.parametrize(
    ("settings", "repeated"),
    [
        (("baselines=['scorecard']",), "scorecard, which would repeat"),
        (("learner.name='neural'", "baselines=['neural-shared']"), "neural-shared, which would repeat"),
        (
            ("learner={name='neural', training='local'}", "baselines=['neural-local', 'local-noise']"),
            "neural-local, local-noise, which would repeat the scenario's own run (learner neural, local",
        ),
        (("privacy.noise='local'", "baselines=['local-noise']"), "local-noise, which would repeat"),
    ],
)
def test_a_baseline_that_repeats_the_own_run_is_refused(settings: tuple[str, ...], repeated: str) -> None:
    assert repeated in refusal(TEXT, settings)


@pytest.mark.parametrize(
    "settings",
    [
        ("baselines=['neural-shared', 'neural-local', 'naive-flower-opacus', 'local-noise']",),
        ("learner.name='neural'", "baselines=['scorecard', 'neural-local', 'local-noise']"),
        ("learner={name='neural', training='local'}", "baselines=['scorecard', 'neural-shared']"),
    ],
)
def test_every_other_baseline_stands_beside_any_learner(settings: tuple[str, ...]) -> None:
    assert parse_scenario(TEXT, overrides=settings).baselines


@pytest.mark.parametrize(("training", "noise"), [("shared", NoiseMode.SHARED), ("local", NoiseMode.LOCAL)])
def test_local_training_makes_shared_noise_local(training: str, noise: NoiseMode) -> None:
    learner = f"learner={{name='neural', training='{training}'}}"
    assert parse_scenario(TEXT, overrides=(learner,)).noise is noise
    assert parse_scenario(TEXT, overrides=(learner, "privacy.noise='none'")).noise is NoiseMode.NONE


def test_encryption_is_on_unless_the_scenario_turns_it_off() -> None:
    assert parse_scenario(TEXT).encryption.mode is EncryptionMode.PAILLIER
    assert parse_scenario(TEXT).encryption.key_bits == 3072


def test_every_mistake_is_told_at_once_with_the_closest_known_word() -> None:
    told = refusal(
        """
        baselines = ["pooled-lgbm"]
        [data]
        path = "x.parquet"
        [parties]
        count = 20
        knid = "iid"
        [privacy]
        epsilonn = [1]
        delta = 2
        [encryption]
        mode = "pailier"
        [splitt]
        """
    )
    assert "pooled-lgbm" in told
    assert "did you mean 'pooled-lightgbm'?" in told
    assert "data.contract is missing" in told
    assert "parties.knid is not a key of a scenario: did you mean 'kind'?" in told
    assert "privacy.epsilonn is not a key of a scenario: did you mean 'epsilon'?" in told
    assert "privacy.delta: input should be less than or equal to 0.001" in told
    assert "did you mean 'paillier'?" in told
    assert "splitt is not a key of a scenario: did you mean 'split'?" in told
    assert told.count("\n") == 7


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("", "say how many parties there are"),
        ("count = 0", "greater than or equal to 1"),
        ("count = 3\nroles = { platform = 2 }", "roles adds up to 2"),
        ("roles = { platform = 0 }", "names no party"),
        ("roles = { plattform = 2 }", "did you mean 'platform'?"),
        ("count = 3\ncolumn = 'shop'", "column belongs to kind"),
        ("count = 3\nkind = 'column'", "needs column"),
        ("count = 3\nkind = 'dirichlet'", "needs alpha"),
        ("count = 3\nkind = 'dirichlet'\nalpha = -1", "greater than 0"),
    ],
)
def test_parties_that_cannot_be_dealt_to_are_refused(section: str, expected: str) -> None:
    told = refusal(f"[data]\npath='x'\ncontract='y'\n[parties]\n{section}")
    assert expected in told


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("privacy.epsilon=[0]", "privacy.epsilon.0: input should be greater than 0"),
        ("privacy.epsilon=[inf]", "finite"),
        ("privacy.epsilon=[nan]", "privacy.epsilon.0"),
        ("privacy.epsilon=[]", "at least 1"),
        ("privacy.epsilon=[1, 1]", "twice"),
        ("split.seeds=[1, 1]", "twice"),
        ("split.seeds=[-1]", "split.seeds.0"),
        ("split.test=1.0", "split.test"),
        ("split={kind='hash', test=0.3}", "from the contract"),
        ("encryption.key_bits=1024", "greater than or equal to 2048"),
        ("baselines=['local-only', 'local-only']", "twice"),
        ("learner.name='neurall'", "did you mean 'neural'?"),
        ("learner={name='neural', model='tree'}", "known are logistic, mlp"),
        (
            "learner={name='neural', hiden=[4]}",
            "learner.hiden is not a key of a scenario: did you mean 'hidden'",
        ),
        ("learner={name='neural', rounds=0}", "learner.rounds: input should be greater than or equal to 1"),
        ("learner={name='neural', hidden=[]}", "learner.hidden"),
        ("learner={name='neural', hidden=[4, 4, 4]}", "learner.hidden"),
        ("learner={name='neural', max_grad_norm='1'}", "learner.max_grad_norm"),
        ("learner={name='neural', local_steps=9}", "learner: local_steps: parties take steps of their own"),
        ("learner={name='neural', training='local', patience=2}", "learner: patience: what local training"),
        ("learner={name='neural', model='logistic', hidden=[4]}", "learner: hidden: a logistic model"),
        (
            "learner={rounds=5, model='mlp'}",
            "learner: model, rounds would do nothing: the learner is the scorecard",
        ),
        ("privacy.colluding_parties=0", "greater than or equal to 1"),
        ("privacy.spare_rounds=-1", "greater than or equal to 0"),
        ("privacy.spare_rounds=101", "less than or equal to 100"),
    ],
)
def test_values_out_of_range_are_refused(override: str, expected: str) -> None:
    assert expected in refusal(TEXT, (override,))


def test_settings_replace_and_add_keys_and_later_ones_win() -> None:
    terms = parse_scenario(
        TEXT,
        overrides=(
            "privacy.epsilon=[1]",
            "privacy.epsilon=[2, 4]",
            'encryption.mode="plain"',
            "split.seeds=7",
            "parties={roles={platform=2, collector=1}}",
            "baselines=['local-only']",
        ),
    )
    assert terms.privacy.epsilon == (2, 4)
    assert terms.encryption.mode is EncryptionMode.PLAIN
    assert terms.split.seeds == (7,)
    assert terms.parties.members == (Role.PLATFORM, Role.PLATFORM, Role.COLLECTOR)
    assert terms.baselines == (Baseline.LOCAL_ONLY,)


@pytest.mark.parametrize("override", ["privacy.epsilon", "=1", "privacy..epsilon=1", "a b=1"])
def test_a_setting_without_key_or_value_is_refused_with_an_example(override: str) -> None:
    assert "for example --set privacy.epsilon=[1]" in refusal(TEXT, (override,))


def test_a_bare_word_is_refused_with_the_quotes_that_it_needs() -> None:
    told = refusal(TEXT, ("encryption.mode=plain",))
    assert "the value is not TOML" in told
    assert """--set 'encryption.mode="plain"'""" in told


def test_a_value_cannot_bring_further_keys_along() -> None:
    assert "the value is not TOML" in refusal(TEXT, ("privacy.delta=1e-5\nbaselines=[]",))


def test_a_setting_cannot_go_through_a_value() -> None:
    assert "'path' is a value of the scenario, not a table" in refusal(TEXT, ("data.path.name='x'",))


def test_an_unknown_key_of_a_setting_is_told_like_one_of_the_file() -> None:
    assert "did you mean 'epsilon'?" in refusal(TEXT, ("privacy.epsilom=[1]",))


def test_a_name_that_is_neither_file_nor_shipped_lists_the_shipped_ones(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"gmsc, .*gmsc-neural, .*taiwan, .*taiwan-neural"):
        load_scenario(tmp_path / "nowhere.toml")
    with pytest.raises(ScenarioError, match=r"gmsc, .*gmsc-neural, .*taiwan, .*taiwan-neural"):
        load_scenario("taiwann")


@pytest.mark.parametrize(("content", "expected"), [(b"\xff\xfe", "not UTF-8"), (b"[data", "not TOML")])
def test_what_is_no_toml_is_told_so(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "odd.toml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError, match=expected):
        load_scenario(path)


def test_a_scenario_is_reported_as_it_was_run() -> None:
    dumped: dict[str, Any] = parse_scenario(TEXT, overrides=("privacy.epsilon=3",)).model_dump(mode="json")
    assert dumped["privacy"]["epsilon"] == [3.0]
    assert dumped["learner"] == {"name": "scorecard"}
    neural = parse_scenario(TEXT, overrides=("learner={name='neural', rounds=7}",)).model_dump(mode="json")
    assert neural["learner"] == {
        "name": "neural",
        **NeuralTerms().model_dump(mode="json"),
        "rounds": 7,
    }
    assert dumped["encryption"] == {
        "mode": "paillier",
        "key_bits": 3072,
        "committee": {"members": 3, "threshold": 2, "colluding_members": 1},
    }


def test_two_of_three_open_where_no_committee_is_named() -> None:
    two_of_three = CommitteeTerms(members=3, threshold=2, colluding_members=1)
    assert parse_scenario(TEXT).encryption.committee == two_of_three
    assert parse_scenario(TEXT, overrides=("encryption.key_bits=2048",)).encryption.committee == two_of_three
    assert parse_scenario(TEXT, overrides=('encryption.mode="plain"',)).encryption.committee is None


def test_a_committee_that_is_named_is_taken() -> None:
    for mode in EncryptionMode:
        overrides = (f"encryption={{mode='{mode.value}', committee={COMMITTEE}}}", "privacy.absent=2")
        assert parse_scenario(TEXT, overrides=overrides).encryption.committee == FIVE_OF_SEVEN


COMMITTEE = "{members=7, threshold=5, colluding_members=1}"


@pytest.mark.parametrize(
    ("committee", "expected"),
    [
        (
            "{members=7, threshold=8, colluding_members=1}",
            "encryption.committee: no sum could ever be opened",
        ),
        ("{members=7, threshold=1, colluding_members=1}", "a threshold of 2 would do"),
        ("{members=2, threshold=2, colluding_members=2}", "2 of 2 members may collude"),
        ("{members=33, threshold=20, colluding_members=1}", "encryption.committee.members: input should be"),
        ("{members=7, threshold=5}", "encryption.committee.colluding_members is missing"),
        ("{members=7, treshold=5, colluding_members=1}", "did you mean 'threshold'?"),
        ("7", "encryption.committee"),
    ],
)
def test_a_committee_that_no_contract_may_have_is_refused(committee: str, expected: str) -> None:
    assert expected in refusal(TEXT, (f"encryption.committee={committee}",))


def test_mistakes_of_a_committee_are_told_with_the_others() -> None:
    told = refusal(TEXT, ("encryption.committee={members=7, threshold=8, colluding_members=1}", "splitt={}"))
    assert "it takes 8 members and there are 7" in told
    assert "splitt is not a key" in told
    assert told.count("\n") == 2


def test_a_committee_must_fit_the_absences() -> None:
    four = "encryption.committee={members=7, threshold=4, colluding_members=1}"
    assert parse_scenario(TEXT, overrides=(four,)).encryption.committee is not None
    told = refusal(TEXT, (four, "privacy.absent=1"))
    assert "encryption.committee does not fit privacy.absent: while parties may be absent" in told
    assert "a threshold of 5 would do" in told


def test_with_absences_the_usual_committee_is_too_small_and_one_must_be_named() -> None:
    told = refusal(TEXT, ("privacy.absent=1",))
    assert "encryption.committee is left out, and the usual one, two of three members, does not fit" in told
    assert "a threshold of 3 would do" in told
    plain = parse_scenario(TEXT, overrides=("privacy.absent=1", 'encryption.mode="plain"'))
    assert plain.privacy.absent == 1


def test_one_holder_of_the_whole_key_is_allowed_if_it_is_trusted_by_name() -> None:
    alone = "encryption.committee={members=1, threshold=1, colluding_members=0}"
    committee = parse_scenario(TEXT, overrides=(alone,)).encryption.committee
    assert committee == CommitteeTerms(members=1, threshold=1, colluding_members=0)
