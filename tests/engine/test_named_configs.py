"""Configurations under names: what was saved is loaded, and what others put there does no harm."""

import json
import os
from pathlib import Path

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.project import Project
from engine.training.named_configs import (
    bring_back,
    check_name,
    delete_named,
    named_configs,
    rename_named,
    save_named,
)

import pytest


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """In the order of names, in any script; saved again it is the later one."""
    project, config = Project(tmp_path), TrainingConfig(lora_rank=3, lora_targets=("q_proj",))
    assert named_configs(project) == []
    save_named(project, "devagar, mas bem 👋", TrainingConfig())
    save_named(project, " a ", TrainingConfig())
    save_named(project, "a", config)
    assert [(one.name, one.config) for one in named_configs(project)] == [
        ("a", config),
        ("devagar, mas bem 👋", TrainingConfig()),
    ]


@pytest.mark.parametrize(
    "name", ["", "  ", "../x", "a/b", ".hidden", "x" * 61, "a\x1b[2J", "a\u202eb", "a\nb"]
)
def test_a_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    """Nor does it hide anything or steer a terminal."""
    with pytest.raises(UserError):
        check_name(name)
    with pytest.raises(UserError):
        save_named(Project(tmp_path), name, TrainingConfig())
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_are_told_and_not_followed(tmp_path: Path) -> None:
    """A pipe, a link, a folder, no JSON, unknown keys, wrong values; the good one is there all the same."""
    project = Project(tmp_path)
    save_named(project, "good", TrainingConfig())
    folder = project.configs_dir
    os.mkfifo(folder / "pipe.json")
    os.symlink(folder / "good.json", folder / "link.json")
    (folder / "folder.json").mkdir()
    (folder / "deep.json").write_text("[" * 200_000)
    (folder / "keys.json").write_text(json.dumps({"batch_size": 2, "__class__": "x"}))
    (folder / "values.json").write_text(json.dumps({"batch_size": 10**30}))
    (folder / "large.json").write_bytes(b" " * (2 << 20))
    (folder / "other.txt").write_text("{}")
    found = {one.name: one for one in named_configs(project)}
    assert set(found) == {"good", "pipe", "link", "folder", "deep", "keys", "values", "large"}
    assert [name for name, one in found.items() if one.config] == ["good"]
    assert all(one.error for name, one in found.items() if name != "good")


def test_a_folder_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    (tmp_path / "elsewhere").mkdir()
    project.root.mkdir()
    os.symlink(tmp_path / "elsewhere", project.configs_dir)
    with pytest.raises(UserError, match="is a link"):
        save_named(project, "a", TrainingConfig())
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_one_is_renamed_deleted_and_brought_back(tmp_path: Path) -> None:
    """A name that is taken is not given to another; a link goes, not what it leads to."""
    project, config = Project(tmp_path), TrainingConfig(lora_rank=3)
    save_named(project, "a", config)
    save_named(project, "b", TrainingConfig())
    with pytest.raises(UserError, match="a configuration b already"):
        rename_named(project, "a", " b ")
    rename_named(project, "a", "c")
    delete_named(project, "c")
    assert [one.name for one in named_configs(project)] == ["b"]
    bring_back(project, "c")
    assert [(one.name, one.config) for one in named_configs(project)] == [
        ("b", TrainingConfig()),
        ("c", config),
    ]
    os.symlink(project.configs_dir / "c.json", project.configs_dir / "link.json")
    delete_named(project, "c")
    save_named(project, "c", TrainingConfig())
    with pytest.raises(UserError, match="a configuration c already"):
        bring_back(project, "c")
    delete_named(project, "link")
    assert [one.name for one in named_configs(project)] == ["b", "c"]
    with pytest.raises(UserError, match="Cannot rename"):
        delete_named(project, "link")
