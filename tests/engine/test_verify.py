"""The judge of `verify-resume`: it sees every difference, and nothing in two runs that are the same."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from engine.dataset.batches.micro_batch import epoch_steps
from engine.project import Project
from engine.verify.child import TrainingProcess
from engine.verify.compare import checkpoint_digests, compare_runs
from engine.verify.experiment import leftovers
from engine.verify.interruption_point import InterruptionPoint, Usual, moment, points
from engine.verify.results import ExperimentResult, Interruption
from engine.verify.scratch import first_rows, scratch_project, shortened, with_whole_paths
from tests.support.tiny import RUN, pairs, tiny_project, train, write_rows

import pytest

SHORT = RUN.updated({"num_epochs": 1})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return tiny_project(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="module")
def finished(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A run that is only ever copied."""
    root = tmp_path_factory.mktemp("finished") / "project"
    shutil.copytree(template.root, root)
    train(Project(root), SHORT)
    return Project(root)


@pytest.fixture
def other(finished: Project, tmp_path: Path) -> Project:
    """The same run once more."""
    shutil.copytree(finished.root, tmp_path / "other")
    return Project(tmp_path / "other")


def test_two_runs_of_one_configuration_are_identical(
    finished: Project, template: Project, tmp_path: Path
) -> None:
    """Trained twice: only times differ, and they do not count."""
    shutil.copytree(template.root, tmp_path / "again")
    again = Project(tmp_path / "again")
    train(again, SHORT)
    assert finished.metrics_file.read_bytes() != again.metrics_file.read_bytes()
    assert [file.file for file in compare_runs(finished, again) if not file.identical] == []
    digests = checkpoint_digests(finished.run_dir)
    assert digests == checkpoint_digests(again.run_dir) and {6, 3} <= set(digests)


def test_two_seeds_are_different(finished: Project, template: Project, tmp_path: Path) -> None:
    """A resume that took another order of the data would be seen in all that training changes."""
    shutil.copytree(template.root, tmp_path / "seed")
    seed = Project(tmp_path / "seed")
    train(seed, SHORT.updated({"seed": 6}))
    files = {file.file.rpartition("/")[2]: file for file in compare_runs(finished, seed)}
    assert [name for name, file in files.items() if file.identical] == ["adapter_config.json"]
    assert "record 1" in files["training_metrics.json"].difference
    assert "arrays" in files["adapters.safetensors"].difference
    assert not ExperimentResult(6, (), tuple(files.values()), ()).identical


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def change_value(path: Path) -> None:
    path.write_text(path.read_text().replace('"best_step": ', '"best_step": 1'))


def change_column(path: Path) -> None:
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace("2,0,", "2,1,", 1)
    path.write_text("\n".join(lines) + "\n")


def repeat_line(path: Path) -> None:
    path.write_text(path.read_text() + path.read_text().splitlines(keepends=True)[-1])


@pytest.mark.parametrize(
    ("name", "tamper", "difference"),
    [
        ("checkpoint_epoch0_step6/adapters.safetensors", flip, "1 of 28 arrays, the first is model.layers"),
        ("checkpoint_epoch0_step6/optimizer.safetensors", flip, "1 of 58 arrays, the first is "),
        ("checkpoint_epoch0_step6/optimizer.safetensors", Path.unlink, "missing"),
        ("checkpoint_epoch0_step6/state.json", change_value, "record 1, best_step: 6 and 16"),
        ("adapters/adapters.safetensors", flip, "1 of 28 arrays"),
        ("adapters/adapter_config.json", flip, "from byte "),
        ("training_metrics.json", repeat_line, "6 and 7 records"),
        ("training_metrics.csv", change_column, "record 2, epoch: 0 and 1"),
    ],
)
def test_a_tampered_file_is_named_with_its_first_difference(
    finished: Project, other: Project, name: str, tamper: Callable[[Path], None], difference: str
) -> None:
    """Down to one bit, in every file that is compared."""
    tamper(other.run_dir / name)
    [different] = [file for file in compare_runs(finished, other) if not file.identical]
    assert different.file == name and difference in different.difference
    assert different.straight != different.interrupted


def test_a_checkpoint_in_between_is_compared_too(finished: Project, other: Project) -> None:
    """So that a difference is laid to the interruption before it."""
    flip(other.run_dir / "checkpoint_epoch0_step3" / "optimizer.safetensors")
    one, two = checkpoint_digests(finished.run_dir), checkpoint_digests(other.run_dir)
    assert [step for step in one if one[step] != two[step]] == [3]


def test_the_verdict_counts_everything(finished: Project, other: Project) -> None:
    """Files, checkpoints in between and what is left behind."""
    same = tuple(compare_runs(finished, other))
    point = Interruption("step", 1, True, 1, compared_step=3, identical=True)
    assert ExperimentResult(6, (point,), same, ()).identical
    assert not ExperimentResult(6, (replace(point, identical=False),), same, ()).identical
    assert not ExperimentResult(6, (point,), same, (".partial-x",)).identical


def test_leftovers_are_found_but_the_lock_is_none(other: Project) -> None:
    """Also those in the best adapter's folder."""
    assert leftovers(other) == ()
    (other.adapters_dir / ".partial-x").touch()
    (other.run_dir / ".partial-y").mkdir()
    assert leftovers(other) == (".partial-x", ".partial-y")


# The scratch project


@pytest.mark.parametrize(("batch", "accumulation", "steps"), [(2, 2, 12), (4, 1, 6), (1, 1, 8), (3, 5, 100)])
def test_a_scratch_run_has_the_steps_that_were_asked_for(
    template: Project, tmp_path: Path, batch: int, accumulation: int, steps: int
) -> None:
    """In two epochs, whatever the batch, with a smaller last step where a step has several examples."""
    config = shortened(
        RUN.updated({"batch_size": batch, "gradient_accumulation": accumulation}), "tiny", steps
    )
    scratch = scratch_project(tmp_path / "s", template, template.model_dir("tiny"), config, steps)
    lengths = [10] * len(scratch.train_file.read_text().splitlines())
    sizes = [len(step) for step in epoch_steps(lengths, config.examples_per_step, 0, 0)]
    assert len(sizes) * config.num_epochs == steps
    assert (sizes[-1] < sizes[0]) == (config.examples_per_step > 1)
    assert config.eval_every != "auto" and config.eval_every < steps // 2 and config.save_every <= steps // 2


def test_a_scratch_project_borrows_the_model_and_leaves_the_users_project_alone(
    template: Project, tmp_path: Path
) -> None:
    """The model is a link; deleting the folder deletes only the link."""
    before = sorted(template.root.rglob("*"))
    model = template.model_dir("tiny")
    scratch = scratch_project(tmp_path / "s", template, model, shortened(RUN, "tiny", 6), 6)
    assert (
        list(scratch.models().values()) == [scratch.models_dir / "tiny"]
        and (scratch.models_dir / "tiny").is_symlink()
    )
    shutil.rmtree(scratch.root)
    assert sorted(template.root.rglob("*")) == before


def test_rows_are_taken_from_the_top_and_again_where_there_are_few(tmp_path: Path) -> None:
    """Unusable lines, blank ones and a byte order mark are left behind."""
    path = tmp_path / "train.jsonl"
    write_rows(path, pairs(3))
    one, two, three = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"\xef\xbb\xbf" + one + b"\n{}\n" + two.rstrip() + b"\r\n" + three.rstrip())
    assert first_rows(path, 2) == one + two
    assert first_rows(path, 4) == one + two + three + one


def test_data_without_a_usable_row_is_copied_as_it_is(tmp_path: Path) -> None:
    """So that training names the line in the user's file."""
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"\n{}\n[]\n")
    assert first_rows(path, 5) == path.read_bytes()


# Where to interrupt


def step_done(step: int, val_loss: float | None = None) -> dict[str, object]:
    return {"event": "step_done", "step": step, "val_loss": val_loss}


def phase(name: str, done: int = 0, total: int = 0) -> dict[str, object]:
    return {"event": "phase", "name": name, "done": done, "total": total}


@pytest.mark.parametrize(
    ("point", "event", "step", "delay"),
    [
        (InterruptionPoint("step", 1), step_done(1), 1, 1.0),
        (InterruptionPoint("step", 2), step_done(1), 1, None),  # too early
        (InterruptionPoint("step", 1), step_done(3), 3, None),  # a checkpoint follows
        (InterruptionPoint("step", 1), step_done(4, val_loss=2.0), 4, None),  # a validation was just made
        (InterruptionPoint("evaluation", 4), phase("validating", 1, 3), 3, 0.0),
        (InterruptionPoint("evaluation", 4), phase("validating", 0, 3), 3, None),
        (InterruptionPoint("evaluation", 4), phase("validating", 3, 3), 3, None),
        (InterruptionPoint("evaluation", 4), phase("validating", 1, 3), 1, None),
        (InterruptionPoint("evaluation", 4), phase("validating", 0, 1), 3, 3.0),
        (InterruptionPoint("evaluation", 4), phase("validating", 1, 1), 3, None),
        (InterruptionPoint("checkpoint", 6), phase("saving"), 6, 0.0),
        (InterruptionPoint("checkpoint", 6), phase("saving"), 3, None),
        (InterruptionPoint("pause", 8), step_done(8), 8, 0.0),
        (InterruptionPoint("pause", 8), step_done(7), 7, None),
        (InterruptionPoint("pause", 8), phase("training"), 8, None),
    ],
)
def test_an_interruption_waits_for_its_place(
    point: InterruptionPoint, event: dict[str, object], step: int, delay: float | None
) -> None:
    """Half a step's or half a validation's usual time after the event that begins it."""
    assert moment(point, event, step, save_every=3, usual=Usual(step_s=2.0, evaluation_s=6.0)) == delay


@pytest.mark.parametrize("total", [6, 12, 100])
def test_interruptions_come_in_order_and_before_the_end(total: int) -> None:
    """Each place of a run once, a step's middle in both epochs."""
    planned = points(total)
    assert {point.kind for point in planned} == {"step", "evaluation", "checkpoint", "pause"}
    steps = [point.step for point in planned if point.kind == "step"]
    assert steps[0] < total // 2 < steps[1]
    assert all(0 < point.step < total for point in planned)
    assert planned[-1].step >= planned[-2].step


def test_every_checkpoint_is_kept_for_the_comparison() -> None:
    """Nothing but place and number of validations and checkpoints is changed in the user's configuration."""
    changed = shortened(RUN, "tiny", 12).model_dump()
    assert {key for key, value in RUN.model_dump().items() if value != changed[key]} == {
        "eval_every",
        "keep_checkpoints",
    }
    assert shortened(RUN.updated({"early_stopping_patience": 1}), "x", 12).early_stopping_patience == 0


def test_an_adapter_to_go_on_from_is_the_users(template: Project, tmp_path: Path) -> None:
    """A relative path begins at the user's project, not at the scratch one."""
    assert with_whole_paths(RUN, template) == RUN
    for text, folder in (("a/b", template.root / "a" / "b"), (str(tmp_path), tmp_path)):
        config = with_whole_paths(RUN.updated({"init_adapter": text}), template)
        assert Path(config.init_adapter) == folder.resolve()


def test_a_refusal_among_the_events_is_none() -> None:
    """It is told with `--json` as an object of its own, and as a sentence on the error stream."""
    code = """print('{"event": "step_done", "step": 3}'); print('{"error": {"problem": "p", "fix": "f"}}')"""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        child = TrainingProcess(process, errors)
        assert [event["event"] for event in child.events()] == ["step_done"] and child.step == 3
        assert child.end() == 0
