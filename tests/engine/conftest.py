"""A small project to train in, made once and copied for each test."""

import shutil
from pathlib import Path

from engine.project import Project
from engine.training.events import Event
from tests.support.tiny import tiny_project, train

import pytest


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that is only ever copied."""
    return tiny_project(tmp_path_factory.mktemp("template") / "project")


@pytest.fixture
def project(template: Project, tmp_path: Path) -> Project:
    """A project with the tiny model and its data, nothing trained yet."""
    return copy_of(template, tmp_path / "project")


@pytest.fixture(scope="session")
def finished(template: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[Event]]:
    """A run from its beginning to its end, not to be changed, and its events."""
    project = copy_of(template, tmp_path_factory.mktemp("finished") / "project")
    return project, train(project)


def copy_of(project: Project, root: Path) -> Project:
    """Copy a project to `root`."""
    shutil.copytree(project.root, root)
    return Project(root)
