"""Options reach campaigns and nothing else, and what a campaign did is told."""

import json

import pytest

pytest_plugins = ("pytester",)

CAMPAIGNS = """
from dataclasses import dataclass

import pytest

@dataclass
class Row:
    case: str
    tries: int

FORMS = [pytest.param(1, id="short"), pytest.param(9, marks=pytest.mark.campaign, id="campaign")]

@pytest.mark.parametrize("tries", FORMS, indirect=True)
def test_counted(tries, show):
    show("Counted", [Row("a case", tries)])
    assert tries < 5

@pytest.mark.campaign
@pytest.mark.parametrize("seed", [3], indirect=True)
def test_drawn(seed, show):
    show("Drawn", [Row("another case", seed)])
"""


@pytest.fixture
def campaigns(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(CAMPAIGNS)
    scope = "asyncio_default_fixture_loop_scope = function"
    pytester.makeini(f"[pytest]\naddopts = -p no:randomly\n{scope}\nmarkers =\n    campaign\n    slow\n")
    return pytester


def run(campaigns: pytest.Pytester, *options: str) -> pytest.RunResult:
    return campaigns.runpytest_inprocess("-p", "tests.campaigns.plugin", *options)


def test_an_option_takes_the_place_of_a_campaign_s_own_value(campaigns: pytest.Pytester) -> None:
    """Its short form keeps its own, and is in no table."""
    result = run(campaigns, "--tries", "4", "--json", "rows.json")
    result.assert_outcomes(passed=3)
    rows = [json.loads(line) for line in (campaigns.path / "rows.json").read_text().splitlines()]
    assert [(row["campaign"], row["case"], row["tries"]) for row in rows] == [
        ("Counted", "a case", 4),
        ("Drawn", "another case", 3),
    ]


def test_what_failed_is_in_the_table_too(campaigns: pytest.Pytester) -> None:
    """With the number of tries that the campaign has of its own."""
    result = run(campaigns, "-m", "campaign", "-k", "counted")
    result.assert_outcomes(failed=1, deselected=2)
    result.stdout.fnmatch_lines(["Counted*", "*a case*9*"])


def test_an_option_without_effect_is_named_or_refused(campaigns: pytest.Pytester) -> None:
    """Named where another campaign uses it, refused where none does or where it is no number."""
    result = run(campaigns, "-m", "campaign", "--seed", "5")
    result.stdout.fnmatch_lines(["*another case*5*"])
    result.stdout.fnmatch_lines(["Counted*", "--seed had no effect on it."])
    for options in (("-m", "not campaign", "--tries", "4"), ("--minutes", "1")):
        result = run(campaigns, *options)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*is used by none of the chosen tests*"])
    for wrong in (("--tries", "0"), ("--minutes", "nan"), ("--json", "nowhere/rows.json")):
        assert run(campaigns, *wrong).ret == pytest.ExitCode.USAGE_ERROR
