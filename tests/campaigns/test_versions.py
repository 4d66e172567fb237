"""A short form of the campaign on files of other versions, and proof that it would see what goes wrong."""

from pathlib import Path

from tests.campaigns.versions import LATER, campaign, judge, rewrite
from tests.support.moments import step_done
from tests.support.tiny import RUN, tiny_project, train

import pytest


def test_files_of_other_versions_are_understood_or_refused() -> None:
    """By those commands that would lose the most."""
    results = campaign(is_short=True)
    assert [f"{row.case}: {row.remark}" for row in results if row.survived < row.tries] == []
    assert sum(row.tries for row in results) == 3


@pytest.mark.slow
def test_the_campaign_sees_a_run_that_goes_on(tmp_path: Path) -> None:
    """What is known is not refused, and a judge that expects a refusal says so."""
    project = tiny_project(tmp_path)
    train(project, RUN.updated({"num_epochs": 1}), until=step_done(4))
    assert judge(project, ("train",), "state.json", "as it was", is_known=False).faults
    rewrite(project, "training_state.json", LATER["format 3"])
    assert judge(project, ("train",), "training_state.json", "format 3", is_known=True).faults
