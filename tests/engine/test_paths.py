"""Names that want to lead out of the project: other folders may be read, never written to."""

import json
import os
from pathlib import Path

from engine.analysis.charts import write_dashboard
from engine.errors import UserError
from engine.model.loading import load_base
from engine.project import Project
from engine.training.state import RunState
from tests.support.tiny import RUN, files_below, tiny_project, train, write_model

import pytest


def test_a_model_outside_of_the_project_is_read_and_nothing_else(tmp_path: Path) -> None:
    """A name with dots or from the root works as a path to read; the run stays in the project's folder."""
    project = tiny_project(tmp_path / "project", train=6)
    elsewhere = write_model(tmp_path / "elsewhere" / "model")
    for name in ("../../elsewhere/model", str(elsewhere)):
        before = files_below(tmp_path)
        train(project, RUN.updated({"model": name, "num_epochs": 1}), "restart")
        changed = {path for path, content in files_below(tmp_path).items() if before.get(path) != content}
        assert changed and all(path.startswith("project/checkpoints_qlora/") for path in changed)
        state = RunState.load(project.state_file)
        assert state is not None and state.status == "finished"


@pytest.mark.parametrize("name", ["../..", "../../etc", "/etc", "/", "..", ".", "a\x00b", "x" * 5000])
def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, name: str) -> None:
    """Only a folder with a config.json is taken for a model."""
    project = tiny_project(tmp_path / "project", train=2)
    with pytest.raises(UserError, match="No base model"):
        project.model_dir(name)


def test_a_link_in_the_place_of_a_checkpoint_leads_nowhere(tmp_path: Path) -> None:
    """Old checkpoints are deleted; what a link of such a name points at is not."""
    project = tiny_project(tmp_path / "project", train=6)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("kept")
    project.run_dir.mkdir()
    (project.run_dir / "checkpoint_epoch0_step0").symlink_to(precious)
    (project.run_dir / ".partial-x").symlink_to(precious)
    train(project, RUN.updated({"keep_checkpoints": 1, "save_every": 1}), "restart")
    assert files_below(precious) == {"thesis.txt": b"kept"}


def test_a_hostile_state_file_moves_nothing_out(tmp_path: Path) -> None:
    """Names in training_state.json are shown, not followed."""
    project = tiny_project(tmp_path / "project", train=6)
    train(project, RUN.updated({"num_epochs": 1}))
    state = json.loads(project.state_file.read_text())
    state |= {
        "last_checkpoint": "../../escape",
        "model": "../../escape",
        "reason": "\x1b[2J",
        "status": "paused",
    }
    project.state_file.write_text(json.dumps(state))
    before = {path for path in files_below(tmp_path) if not path.startswith("project/checkpoints_qlora")}
    train(project, RUN.updated({"num_epochs": 1}), "restart")
    after = {path for path in files_below(tmp_path) if not path.startswith("project/checkpoints_qlora")}
    assert before == after
    assert os.listdir(tmp_path) == ["project"]


@pytest.mark.parametrize("name", ["a [b] *? $\\frac{$ %s {0}", "\x1b[2J\x9b\u202e é"])
def test_any_name_of_a_model_works_all_the_way(tmp_path: Path, name: str) -> None:
    """Patterns, formulas and control codes in a name: loaded, trained and drawn as any other."""
    project = tiny_project(tmp_path / f"project {name}", train=6)
    (project.models_dir / "tiny").rename(project.models_dir / name)
    assert load_base(project.models_dir / name).tokenizer.encode("é") == [127, 102]
    train(project, RUN.updated({"model": name, "num_epochs": 1}))
    assert write_dashboard(project).stat().st_size


def test_a_name_is_never_a_formula_or_a_latex_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the user has matplotlib set all texts with LaTeX, which can read files."""
    matplotlib = pytest.importorskip("matplotlib")
    project = tiny_project(tmp_path, train=6)
    train(project, RUN.updated({"num_epochs": 1}))
    state = json.loads(project.state_file.read_text())
    project.state_file.write_text(json.dumps({**state, "model": "$\\frac{$ \\input{/etc/passwd}"}))
    monkeypatch.setitem(matplotlib.rcParams, "text.usetex", True)
    monkeypatch.setattr(
        "matplotlib.texmanager.TexManager.make_dvi", lambda *_a, **_k: pytest.fail("LaTeX ran")
    )
    assert write_dashboard(project).stat().st_size
    assert isinstance(Project(tmp_path).dashboard_png, Path)
