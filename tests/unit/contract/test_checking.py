"""Every mistake has its line, its words and its remedy."""

from __future__ import annotations

import re

import pytest

from fedscore.contract import FindingLevel, check, parse_contract
from fedscore.errors import ContractError

BASE = """\
version = 1
name = "small"
purpose = "Show what a contract is."

[outcome]
definition = "Thirty days late."
bucket = "30+"
horizon_days = 30

[rows]
row_cap = 1000

[split]
test_share = 0.3
key = "a key"

[[characteristics]]
name = "income"
type = "number"
edges = [1000, 2000]
special = [{ code = -1, meaning = "refused" }]

[[characteristics]]
name = "channel"
type = "category"
levels = ["web", "shop"]

[[characteristics]]
name = "spend"
type = "number"
roles = ["platform"]
edges = [10, 20, 30]

[[derived]]
name = "spend_to_income"
formula = "ratio"
of = ["spend", "income"]
edges = [0.1, 0.5]

[[interactions]]
first = { of = "income", edges = [1500] }
second = { of = "channel", levels = ["web"] }

[privacy]
epsilon = 1.0
delta = 1e-6

[encryption]
committee = { members = 7, threshold = 5, colluding_members = 1 }
ceremony = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"

[[parties]]
name = "a"
role = "platform"
key = "1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a"

[[parties]]
name = "b"
role = "platform"
key = "2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b"

[[parties]]
name = "c"
role = "collector"
key = "3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c"

[[parties]]
name = "d"
role = "collector"
key = "4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d"
"""


def test_a_sound_contract_has_no_findings() -> None:
    assert check(BASE) == ()


def changed(old: str, new: str) -> str:
    assert BASE.count(old) == 1, f"{old!r} must occur once to be replaced"
    return BASE.replace(old, new)


COMMITTEE = "{ members = 7, threshold = 5, colluding_members = 1 }"
CEREMONY = "5e" * 32
KEY_A, KEY_B = "1a" * 32, "2b" * 32


def line_of(text: str, part: str) -> int:
    [line] = [number for number, line in enumerate(text.splitlines(), start=1) if part in line]
    return line


# What is replaced by what; on which line the finding is; its level; what it says.
SPEND = 'name = "spend"\ntype = "number"'
ERRORS = {
    "unknown key": ("row_cap = 1000", "row_cap = 9\nrow_capp = 1", "row_capp", "did you mean row_cap"),
    "unknown section": ("[rows]", "[rowz]\nrow_cap = 1\n[rows]", "[rowz]", "did you mean rows"),
    "missing key": ("row_cap = 1000", "", "[rows]", "row_cap is missing: add it. The largest number"),
    "text for number": (
        "row_cap = 1000",
        'row_cap = "many"',
        "row_cap",
        "must be a whole number, without quotes",
    ),
    "number for text": ('bucket = "30+"', "bucket = 30", "bucket", "must be text in quotes. The bucket"),
    "no finite number": ("edges = [10, 20, 30]", "edges = [10, inf]", "inf", "must be a finite number"),
    "nan": ("edges = [10, 20, 30]", "edges = [\n10,\nnan,\n]", "nan", "must be a finite number"),
    "text for edges": ("edges = [10, 20, 30]", 'edges = "10"', 'edges = "10"', "an array in square brackets"),
    "bool for edge": ("edges = [10, 20, 30]", "edges = [true]", "[true]", "must be a number, without quotes"),
    "role": ('roles = ["platform"]', 'roles = ["bank"]', "bank", 'one of "platform" or "collector"'),
    "role twice": ('roles = ["platform"]', 'roles = ["platform", "platform"]', "roles", "each once"),
    "no role": ('roles = ["platform"]', "roles = []", "roles", 'name "platform", "collector", or both'),
    "formula": ('formula = "ratio"', 'formula = "quotient"', "quotient", 'one of "ratio"'),
    "version": ("version = 1", "version = 2", "version", "must be 1"),
    "duplicate name": (
        "[[derived]]",
        '[[characteristics]]\nname = "spend" # again\ntype = "number"\nedges = [4]\n\n[[derived]]',
        "# again",
        "spend is taken further up",
    ),
    "derived duplicate name": (
        'name = "spend_to_income"',
        'name = "channel" # again',
        "# again",
        "channel is taken",
    ),
    "name": ('name = "b"', 'name = "b c/d"', "b c/d", "letters, digits"),
    "duplicate party": ('name = "b"', 'name = "a" # again', "again", "party a is in the roster twice"),
    "edges fall": ("edges = [10, 20, 30]", "edges = [\n10,\n30,\n20,\n]", "20,", "20 follows 30: sort them"),
    "edges repeat": ("edges = [10, 20, 30]", "edges = [10, 10, 30]", "[10, 10, 30]", "10 follows 10"),
    "no edges": ("edges = [10, 20, 30]", "", None, "spend has no edges: give its public grid"),
    "edges of input": ("edges = [10, 20, 30]", "edges = [9]\ninput_only = true", "[9]", "it has no cells"),
    "monotone input": (
        "edges = [10, 20, 30]",
        'monotone = "increasing"\ninput_only = true',
        "monotone",
        "it has no cells",
    ),
    "levels of number": ("edges = [10, 20, 30]", 'edges = [9]\nlevels = ["x"]', '["x"]', "not levels"),
    "no levels": ('levels = ["web", "shop"]', "", None, "channel has no levels"),
    "edges of category": ('levels = ["web", "shop"]', 'levels = ["web"]\nedges = [7]', "[7]", "not edges"),
    "monotone category": (
        'levels = ["web", "shop"]',
        'levels = ["web"]\nmonotone = "increasing"',
        "mono",
        "no order",
    ),
    "level twice": (
        'levels = ["web", "shop"]',
        'levels = ["web", "web"]',
        '"web", "web"',
        "web is named twice",
    ),
    "special twice": (
        'special = [{ code = -1, meaning = "refused" }]',
        'special = [\n{ code = -1, meaning = "refused" },\n{ code = -1.0, meaning = "unknown" },\n]',
        "unknown",
        "special code -1 is named twice",
    ),
    "meaning twice": (
        'special = [{ code = -1, meaning = "refused" }]',
        'special = [\n{ code = -1, meaning = "refused" },\n{ code = -2, meaning = "refused" },\n]',
        "-2",
        'two codes mean "refused"',
    ),
    "special text of number": ("code = -1", 'code = "-1"', "special", "remove the quotes"),
    "special is true": ("code = -1", "code = true", "special", "must be a number or text"),
    "special is a level": (
        'levels = ["web", "shop"]',
        'levels = ["web", 7]\nspecial = [{ code = 7, meaning = "lost" }]',
        "lost",
        "7 is a special code and a level",
    ),
    "ratio of one": (
        'of = ["spend", "income"]',
        'of = ["spend"]',
        "of = [",
        "takes a numerator and a denominator",
    ),
    "unknown input": (
        'of = ["spend", "income"]',
        'of = ["spend", "incone"]',
        "incone",
        "did you mean income",
    ),
    "input twice": ('of = ["spend", "income"]', 'of = ["spend", "spend"]', "spend", "spend is named twice"),
    "category input": (
        'of = ["spend", "income"]',
        'of = ["spend", "channel"]',
        None,
        "channel is a category",
    ),
    "own input": (
        'of = ["spend", "income"]',
        'of = ["spend", "spend_to_income"]',
        '"spend", "spend_to_income"',
        "is its own input",
    ),
    "no threshold": ('formula = "ratio"', 'formula = "count_above"', "[[derived]]", "needs a threshold"),
    "needless threshold": (
        "edges = [0.1, 0.5]",
        "edges = [1]\nthreshold = 3",
        "threshold",
        "does nothing in ratio",
    ),
    "needless weights": (
        "edges = [0.1, 0.5]",
        "edges = [1]\nweights = [1, 2]",
        "weights",
        "does nothing in ratio",
    ),
    "weights": (
        'formula = "ratio"',
        'formula = "sum"\nweights = [1]',
        "weights",
        "1 weights for 2 inputs",
    ),
    "needless denominator": (
        'formula = "ratio"',
        'formula = "sum"\ndenominator_floor = 1',
        "denominator_floor",
        "does nothing in sum",
    ),
    "denominator": (
        "edges = [0.1, 0.5]",
        "edges = [1]\ndenominator_floor = 0",
        "denominator_floor",
        "above 0",
    ),
    "cap below floor": (
        "edges = [0.1, 0.5]",
        "edges = [1]\nfloor = 5\ncap = 5",
        "cap = 5",
        "not above the floor 5",
    ),
    "trend of one": (
        'formula = "ratio"\nof = ["spend", "income"]',
        'formula = "trend"\nof = ["spend"] # one',
        "# one",
        "at least 2 inputs, most recent first, not 1",
    ),
    "empty of": ('of = ["spend", "income"]', "of = []", "of = []", "an array of at least 1"),
    "side unknown": ('of = "income"', 'of = "incomes"', "incomes", "did you mean income"),
    "side crossed with itself": (
        '{ of = "channel", levels = ["web"] }',
        '{ of = "income", edges = [5] }',
        "[5]",
        "crossed with itself",
    ),
    "levels of a number side": ("edges = [1500]", 'levels = ["low"]', "low", "give edges instead of levels"),
    "no coarse grid": (", edges = [1500]", "", "first", "give its coarse grid"),
    "coarse grid falls": ("edges = [1500]", "edges = [1500, 1400]", "1400", "1400 follows 1500"),
    "edges of a category side": ('levels = ["web"] }', "edges = [8] }", "[8]", "levels instead of edges"),
    "no levels of a side": (', levels = ["web"] }', " }", "second", "name the levels that matter"),
    "level of a side": (
        'levels = ["web"] }',
        'levels = ["wep"] }',
        "wep",
        "wep is no level of channel (did you mean web",
    ),
    "level of a side twice": (
        'levels = ["web"] }',
        'levels = ["web", "web"] }',
        '"web", "web"',
        "named twice",
    ),
    "pair twice": (
        "[privacy]",
        (
            '[[interactions]] # again\nfirst = { of = "channel", levels = ["shop"] }\n'
            'second = { of = "income", edges = [3] }\n\n[privacy]'
        ),
        "again",
        "channel and income are crossed twice",
    ),
    "outcome as characteristic": (
        SPEND,
        SPEND + '\ncolumn = "y"',
        'column = "y"',
        "column y holds the outcome",
    ),
    "id as characteristic": (SPEND, SPEND + '\ncolumn = "id"', 'column = "id"', "column id identifies rows"),
    "person as characteristic": (
        "row_cap = 1000",
        'row_cap = 9\nperson = "spend"',
        None,
        "identifies persons",
    ),
    "outcome is id": (
        'bucket = "30+"',
        'bucket = "30+"\ncolumn = "id"',
        'column = "id"',
        "name the label's own",
    ),
    "rows per person": (
        "row_cap = 1000",
        "row_cap = 9\nrows_per_person = 2",
        "rows_per",
        "name it as person",
    ),
    "row cap": ("row_cap = 1000", "row_cap = 0", "row_cap", "must be 1 or more"),
    "epsilon": ("epsilon = 1.0", "epsilon = 0", "epsilon", "must be above 0"),
    "epsilon infinite": ("epsilon = 1.0", "epsilon = inf", "epsilon", "must be a finite number"),
    "delta zero": ("delta = 1e-6", "delta = 0.0", "delta", "must be above 0"),
    "delta large": ("delta = 1e-6", "delta = 0.01", "delta", "must be 0.001 or less"),
    "colluding": ("delta = 1e-6", "delta = 1e-6\ncolluding_parties = 0", "colluding", "must be 1 or more"),
    "no honest share": (
        "delta = 1e-6",
        "delta = 1e-6\nabsent = 3",
        "absent",
        "4 parties less 3 absent and 1 colluding",
    ),
    "all collude": (
        "delta = 1e-6",
        "delta = 1e-6\ncolluding_parties = 4",
        "colluding",
        "0 absent and 4 colluding",
    ),
    "cohort": ("delta = 1e-6", "delta = 1e-6\nminimum_cohort = 1", "minimum_cohort", "must be 2 or more"),
    "cohort too large": (
        "delta = 1e-6",
        "delta = 1e-6\nminimum_cohort = 5",
        "minimum_cohort",
        "roster has 4",
    ),
    "noise": ("delta = 1e-6", 'delta = 1e-6\nnoise = "much"', "noise", 'one of "shared", "local" or "none"'),
    "key bits": (
        "[encryption]",
        "[encryption]\nkey_bits = 1024",
        "key_bits",
        "must be 2048 or more",
    ),
    "spare rounds": (
        "delta = 1e-6",
        "delta = 1e-6\nspare_rounds = -1",
        "spare_rounds",
        "must be 0 or more. How many sums",
    ),
    "many spare rounds": (
        "delta = 1e-6",
        "delta = 1e-6\nspare_rounds = 101",
        "spare_rounds",
        "must be 100 or less",
    ),
    "half a spare round": ("delta = 1e-6", "delta = 1e-6\nspare_rounds = 0.5", "spare_", "a whole number"),
    "committee of nobody": ("members = 7", "members = 0", "committee", "must be 1 or more. How many members"),
    "committee too large": ("members = 7", "members = 33", "committee", "must be 32 or less"),
    "committee without threshold": (", threshold = 5", "", "committee", "threshold is missing: add it"),
    "committee without trust": (", colluding_members = 1", "", "committee", "colluding_members is missing"),
    "committee no table": (COMMITTEE, "7", "committee", "must be a table of keys and values. Who opens"),
    "committee misspelt": ("threshold", "treshold = 5, threshold", "committee", "did you mean threshold"),
    "negative collusion": ("colluding_members = 1", "colluding_members = -1", "committee", "0 or more"),
    "threshold above members": (
        "threshold = 5",
        "threshold = 8",
        "threshold = 8",
        "it takes 8 members and there are 7; lower it (to no less than 2)",
    ),
    "threshold of colluders": (
        COMMITTEE,
        "{ members = 7, threshold = 3, colluding_members = 3 }",
        "threshold = 3",
        "would read every party's vector by themselves; a threshold of 4 would do",
    ),
    "all members collude": (
        COMMITTEE,
        "{ members = 3, threshold = 3, colluding_members = 3 }",
        "colluding_members = 3",
        "3 of 3 members may collude, so no threshold protects anything: 2 at most",
    ),
    "two cohorts": (
        "delta = 1e-6\n\n[encryption]\ncommittee = { members = 7, threshold = 5",
        "delta = 1e-6\nabsent = 1\n\n[encryption]\ncommittee = { members = 7, threshold = 4",
        "threshold = 4",
        "2 x 4 is not above 7 + 1: two cohorts of one round could be opened, whose difference is one",
    ),
    "ceremony of nobody": (f"committee = {COMMITTEE}\n", "", "ceremony", "none is named"),
    "no hash": (CEREMONY, CEREMONY.upper(), "ceremony", "must be 64 hexadecimal digits, 0 to 9 and a to f"),
    "short hash": (CEREMONY, CEREMONY[:-2], "ceremony", "must be 64 hexadecimal digits"),
    "no key": (f'"{KEY_B}"', f'"{KEY_B}0"', KEY_B, "must be 64 hexadecimal digits, 0 to 9 and a to f. The"),
    "number for key": (f'"{KEY_B}"', "17", "key = 17", "must be text in quotes"),
    "test share": ("test_share = 0.3", "test_share = 0.95", "test_share", "must be 0.9 or less"),
    "split key": ('key = "a key"', 'key = ""', "key =", "text that is not empty"),
    "denied": (
        SPEND,
        SPEND + '\ndescription = "Religious donations."',
        None,
        "spend seems to be about religion",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_mistake_is_told_with_its_line(case: str) -> None:
    old, new, marker, message = ERRORS[case]
    text = changed(old, new)
    found = [finding for finding in check(text) if finding.level is FindingLevel.ERROR]
    assert len(found) == 1, [str(finding) for finding in found]
    assert message in found[0].message
    if marker is not None:
        assert text.splitlines()[(found[0].line or 0) - 1].count(marker), found[0]
    with pytest.raises(ContractError, match=re.escape(f"line {found[0].line}, {found[0].where}")):
        parse_contract(text)


WARNINGS = {
    "unused": (
        SPEND,
        'name = "rest"\ntype = "number"\ninput_only = true # unused\n\n[[characteristics]]\n' + SPEND,
        "# unused",
        "nothing uses rest",
    ),
    "unused derived": (
        "edges = [0.1, 0.5]",
        "input_only = true # unused",
        "# unused",
        "nothing uses spend_to_income",
    ),
    "fair lending": (SPEND, SPEND + '\ncolumn = "SEX"', None, "fair-lending law"),
    "only one": (
        f'[[parties]]\nname = "b"\nrole = "platform"\nkey = "{KEY_B}"\n',
        "",
        None,
        "the only platform",
    ),
    "no committee": (
        f'committee = {COMMITTEE}\nceremony = "{CEREMONY}"\n',
        "",
        "[encryption]",
        "no committee is named that could open a sum (simulations only; a node refuses)",
    ),
    "no ceremony": (
        f'ceremony = "{CEREMONY}"\n',
        "",
        "[encryption]",
        "no record says who the committee's members are (simulations only; a node refuses)",
    ),
    "no key": (
        f'key = "{KEY_B}"',
        "# no key",
        "[[parties]]",
        "1 of 4 parties have no key to sign with (simulations only; a node refuses)",
    ),
    "one holder": (
        COMMITTEE,
        "{ members = 1, threshold = 1, colluding_members = 0 }",
        "committee",
        "the one member and the server together read every party's vector",
    ),
    "any holder": (
        COMMITTEE,
        "{ members = 3, threshold = 1, colluding_members = 0 }",
        "committee",
        "any one member and the server together read every party's vector",
    ),
    "epsilon": ("epsilon = 1.0", "epsilon = 11", "epsilon", "epsilon 11 promises next to nothing"),
    "noise": ("delta = 1e-6", 'delta = 1e-6\nnoise = "none"', "noise", "without noise nothing is promised"),
    "delta": ("delta = 1e-6", "delta = 1e-3", "delta", "1 / (row_cap x parties) = 0.00025"),
    "absent": (
        "delta = 1e-6",
        "delta = 1e-6\nabsent = 2\nminimum_cohort = 3",
        "absent",
        "2 of 4 parties are left",
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_a_doubt_is_told_with_its_line_and_refuses_nothing(case: str) -> None:
    old, new, marker, message = WARNINGS[case]
    text = changed(old, new)
    [found] = check(text)
    assert found.level is FindingLevel.WARNING
    assert message in found.message
    if marker is not None:
        assert marker in text.splitlines()[(found.line or 0) - 1]
    parse_contract(text)


def test_needless_specials_as_values_is_a_warning() -> None:
    text = changed("edges = [0.1, 0.5]", "edges = [1]\nspecials_as_values = true").replace(
        'special = [{ code = -1, meaning = "refused" }]\n', ""
    )
    [found] = check(text)
    assert (found.level, found.line) == (FindingLevel.WARNING, line_of(text, "specials_as_values"))


def test_a_role_without_parties_is_told_where_its_characteristic_stands() -> None:
    text = BASE.replace('role = "platform"', 'role = "collector"')
    [found] = check(text)
    assert found.level is FindingLevel.WARNING
    assert "no party of the roster holds spend" in found.message
    assert found.line == line_of(text, 'roles = ["platform"]')


def test_a_party_whose_role_holds_nothing_is_refused() -> None:
    text = BASE.replace('type = "number"', 'type = "number"\nroles = ["platform"]').replace(
        'type = "category"', 'type = "category"\nroles = ["platform"]'
    )
    text = text.replace('roles = ["platform"]\nroles = ["platform"]', 'roles = ["platform"]')
    [found] = check(text)
    assert "no characteristic is held by the role collector" in found.message
    assert found.where == "party c, role"


def test_an_input_that_is_derived_further_down_is_refused() -> None:
    text = changed(
        "[[interactions]]",
        '[[derived]]\nname = "later"\nformula = "max"\nof = ["spend"]\nedges = [1]\n\n[[interactions]]',
    ).replace('of = ["spend", "income"]', 'of = ["spend", "later"]')
    [found] = check(text)
    assert "later is derived further down: move it up" in found.message
    assert found.line == line_of(text, '"later"]')


def test_inputs_that_no_role_holds_together_are_refused() -> None:
    text = BASE.replace("edges = [1000, 2000]", 'edges = [1000, 2000]\nroles = ["collector"]')
    [found] = check(text)
    assert "no role holds all of these" in found.message
    assert found.line == line_of(text, "of = [")


def test_without_a_roster_nobody_is_counted() -> None:
    text = BASE[: BASE.index("[[parties]]")].replace(
        "delta = 1e-6", "delta = 1e-3\nabsent = 9\nminimum_cohort = 9"
    )
    assert check(text) == ()


def test_local_noise_needs_no_honest_share_of_others() -> None:
    assert check(changed("delta = 1e-6", 'delta = 1e-6\nnoise = "local"\ncolluding_parties = 4')) == ()


def test_all_mistakes_are_told_at_once_in_the_order_of_lines() -> None:
    text = (
        BASE.replace("row_cap = 1000", "row_cap = 0")
        .replace("edges = [10, 20, 30]", "edges = [30, 20]")
        .replace('of = ["spend", "income"]', 'of = ["spent", "income"]')
        .replace('role = "collector"', 'role = "agency"', 1)
        .replace('name = "d"', 'name = "a"')
    )
    found = check(text)
    assert [finding.where for finding in found] == [
        "rows, row_cap",
        "characteristic spend, edges, entry 2",
        "derived characteristic spend_to_income, of, entry 1",
        "party c, role",
        "party a, name",
    ]
    with pytest.raises(ContractError, match=r"(?s)^agreed\.toml has 5 mistakes:\n.*line 11, rows, row_cap"):
        parse_contract(text, source="agreed.toml")


def test_long_codes_are_told_apart() -> None:
    codes = '[{ code = 12345678, meaning = "refused" }, { code = 12345679, meaning = "lost" }]'
    assert check(changed('[{ code = -1, meaning = "refused" }]', codes)) == ()


def test_a_missing_name_is_told_once() -> None:
    found = check(changed('name = "spend"', ""))
    assert [finding.where for finding in found] == [
        "characteristic number 3, name",
        "derived characteristic spend_to_income, of, entry 1",
    ]


def test_a_reference_to_an_unreadable_characteristic_is_no_second_mistake() -> None:
    [found] = check(changed(SPEND, 'name = "spend"\ntype = "numeral"'))
    assert found.where == "characteristic spend, type"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("version = 1\nname = \n", 2, "this is not TOML: invalid value"),
        ("version = 1\nversion = 1\n", 2, "this is not TOML: cannot overwrite a value"),
        ('version = 1\n\nname = """never closed\n', 4, "this is not TOML: "),
        ("[rows\n", 1, "this is not TOML: "),
    ],
)
def test_broken_toml_is_told_with_its_line(text: str, line: int, message: str) -> None:
    [found] = check(text)
    assert (found.line, found.where) == (line, "syntax")
    assert message in found.message


def test_an_empty_contract_is_told_what_it_lacks() -> None:
    found = check("")
    assert {finding.line for finding in found} == {None}
    assert {"version", "name", "outcome", "characteristics", "privacy"} <= {
        finding.where for finding in found
    }


@pytest.mark.parametrize(
    "text",
    [
        "characteristics = 3",
        "characteristics = [1, 'x']",
        "parties = {}",
        "rows = []",
        "privacy = 'none'",
        "[[rows]]",
    ],
)
def test_tables_of_the_wrong_shape_are_told_and_break_nothing(text: str) -> None:
    assert all(finding.level is FindingLevel.ERROR for finding in check(text))
    with pytest.raises(ContractError):
        parse_contract(text)


def test_an_interaction_that_no_role_holds_is_refused(tiny_text: str) -> None:
    mixed = tiny_text.replace(
        'second = { of = "late_payments", edges = [0.5] }', 'second = { of = "segment", levels = ["card"] }'
    )
    assert mixed != tiny_text
    assert not [one for one in check(mixed) if one.level is FindingLevel.ERROR]
    apart = mixed.replace('name = "utilisation"', 'name = "utilisation"\nroles = ["collector"]')
    (finding,) = [one for one in check(apart) if one.level is FindingLevel.ERROR]
    assert "no role holds both utilisation and segment" in finding.message
    assert finding.line == apart[: apart.index("[[interactions]]")].count("\n") + 1


def test_a_circle_of_derived_characteristics_is_told_and_not_followed(tiny_text: str) -> None:
    circle = "".join(
        f'[[derived]]\nname = "{name}"\nformula = "max"\nof = ["{other}"]\nedges = [1]\n\n'
        for name, other in (("a", "b"), ("b", "a"))
    )
    crossed = tiny_text.replace("[[interactions]]", circle + "[[interactions]]").replace(
        'first = { of = "utilisation"', 'first = { of = "a"'
    )
    errors = [one.message for one in check(crossed) if one.level is FindingLevel.ERROR]
    assert errors == ["b is derived further down: move it up"]
