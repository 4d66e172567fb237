"""A project to train in that leaves no process behind."""

from collections.abc import Iterator
from pathlib import Path

from engine.project import Project
from tests.campaigns.signal_checks import processes_of
from tests.support.tiny import long_project

import pytest


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project whose run takes far longer than any test needs; none of it goes on afterwards."""
    project = long_project(tmp_path)
    yield project
    for process in processes_of(project):  # of a test that failed
        process.kill()
