"""Files of other versions are understood or refused, and proof that it would be seen if not."""

from pathlib import Path

from tests.campaigns.common import broken
from tests.campaigns.plugin import Show
from tests.campaigns.versions import LATER, campaign, judge, rewrite
from tests.support.moments import step_done
from tests.support.tiny import RUN, tiny_project, train

import pytest


@pytest.mark.parametrize(
    ("is_short", "made"),
    [
        pytest.param(True, 3, marks=pytest.mark.slow, id="short"),
        pytest.param(False, 180, marks=pytest.mark.campaign, id="campaign"),
    ],
)
def test_files_of_other_versions_are_understood_or_refused(is_short: bool, made: int, show: Show) -> None:
    """The campaign; the short form has the command that would lose the most."""
    results = campaign(is_short)
    show("Files of other versions", results)
    assert broken(results) == [] and sum(row.tries for row in results) == made


@pytest.mark.slow
def test_the_campaign_sees_a_run_that_goes_on(tmp_path: Path) -> None:
    """What is known is not refused, and a judge that expects a refusal says so."""
    project = tiny_project(tmp_path)
    train(project, RUN.updated({"num_epochs": 1}), until=step_done(4))
    assert judge(project, ("train",), "state.json", "as it was", is_known=False).faults
    rewrite(project, "training_state.json", LATER["format 3"])
    assert judge(project, ("train",), "training_state.json", "format 3", is_known=True).faults
