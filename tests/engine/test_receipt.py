"""The receipt of a run: what it says is true, the same run has the same one, a hostile one does no harm."""

import hashlib
import json
import os
import socket
from collections.abc import Callable
from getpass import getuser
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.project import Project
from engine.receipt.compare import TOLERANCE, base_here, compare, differences
from engine.receipt.exported import export_receipt
from engine.receipt.form import Machine, Receipt
from engine.training.events import Evaluated, Event, StepDone
from engine.training.receipt import this_machine, versions
from tests.engine.conftest import copy_of
from tests.support.tiny import train

import pytest

Finished = tuple[Project, list[Event]]


def sha256(path: Path) -> str:
    """Read a whole file, as `sha256sum` does."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def changed(receipt: Receipt, **values: Any) -> Receipt:
    """Return a receipt in which some parts are others."""
    return receipt.model_copy(update=values)


def test_what_a_receipt_says_is_true(finished: Finished) -> None:
    """Hashes of whole files, losses as they were told, versions and settings."""
    project, events = finished
    receipt = Receipt.load(project.receipt_file)
    assert (receipt.data.train, receipt.data.valid) == (
        sha256(project.train_file),
        sha256(project.valid_file),
    )
    both = bytes.fromhex(str(receipt.data.train)) + bytes.fromhex(str(receipt.data.valid))
    assert receipt.data.both == hashlib.sha256(both).hexdigest()
    assert receipt.adapter == sha256(project.adapter_file)
    last = next(project.run_dir.glob("checkpoint_*_step12"))
    assert receipt.last_adapter == sha256(last / "adapters.safetensors")
    scored = [event.val_loss for event in events if isinstance(event, Evaluated)]
    steps = [event.metrics.loss for event in events if isinstance(event, StepDone)]
    losses = receipt.losses
    assert (losses.base, losses.best, losses.last) == (scored[0], min(scored[1:]), scored[-1])
    assert (losses.steps, losses.last_training) == (len(steps), steps[-1])
    assert (receipt.seed, receipt.base.name, receipt.ended) == (5, "tiny", "completed")
    assert set(receipt.versions) == {"mqlora-tui", "mlx", "mlx-lm", "python"}


def test_it_names_no_host_no_user_and_no_folder(finished: Finished) -> None:
    """It is meant to be given away."""
    text = finished[0].receipt_file.read_text()
    for name in (socket.gethostname(), str(finished[0].root), os.path.expanduser("~")):
        assert name not in text
    assert f'"{getuser()}"' not in text


def test_the_same_run_has_the_same_receipt(project: Project, finished: Finished) -> None:
    """Also where it was paused on its way: nothing in it depends on the clock."""
    train(project, until=lambda event: isinstance(event, StepDone) and event.metrics.step == 5)
    assert not project.receipt_file.exists()
    train(project)
    assert project.receipt_file.read_bytes() == finished[0].receipt_file.read_bytes()


def test_a_new_run_takes_the_old_receipt_to_the_archive(finished: Finished, tmp_path: Path) -> None:
    """A receipt never lies beside a run that it is not of."""
    project = copy_of(finished[0], tmp_path / "project")
    before = project.receipt_file.read_bytes()
    train(project, mode="restart", until=lambda event: isinstance(event, StepDone))
    assert not project.receipt_file.exists()
    (archived,) = (project.run_dir / "archive").glob("*/receipt.json")
    assert archived.read_bytes() == before


def test_where_the_model_came_from_is_told(finished: Finished, project: Project) -> None:
    """If its folder says so; what else stands there is not believed."""
    commit = "ab" * 20
    source = {"way": "hub", "repository": "someone/tiny", "revision": commit, "more": 1}
    (project.model_dir("tiny") / "source.json").write_text(json.dumps(source))
    train(project)
    base = Receipt.load(project.receipt_file).base
    assert (base.repository, base.revision) == ("someone/tiny", commit)
    assert Receipt.load(finished[0].receipt_file).base.repository is None


def here(project: Project, receipt: Receipt) -> list[str]:
    """Name what differs."""
    found = differences(project, receipt, base_here(project, receipt), versions(), this_machine())
    return [each.what for each in found]


def test_what_differs_is_named(finished: Finished, tmp_path: Path) -> None:
    """Nothing at home; elsewhere data, model, versions and machine."""
    project = copy_of(finished[0], tmp_path / "project")
    receipt = Receipt.load(project.receipt_file)
    assert here(project, receipt) == []
    other = changed(
        receipt,
        versions=receipt.versions | {"mlx": "0.1"},
        machine=Machine(chip="Toy M9", computes="GPU", system=receipt.machine.system),
    )
    assert here(project, other) == ["mlx", "chip", "computes with"]
    with project.valid_file.open("a") as file:
        file.write("\n")
    (project.model_dir("tiny") / "tokenizer_config.json").write_text("{}")
    assert here(project, receipt) == ["valid.jsonl", "base model", "chat template or tokenizer"]


def test_the_model_is_found_under_another_name(finished: Finished, tmp_path: Path) -> None:
    """By its files; a name is never followed out of the project's models."""
    project = copy_of(finished[0], tmp_path / "project")
    receipt = Receipt.load(project.receipt_file)
    folder = project.model_dir("tiny")
    folder.rename(folder.with_name("other"))
    assert base_here(project, receipt) == "other"
    outside = project.root / "outside"
    (folder.with_name("other")).rename(outside)
    hostile = changed(receipt, base=receipt.base.model_copy(update={"name": "../outside"}))
    with pytest.raises(UserError, match="is not here"):
        base_here(project, hostile)


def test_runs_are_compared_by_bytes_then_by_losses(finished: Finished) -> None:
    """To rounding, and not beyond it."""
    receipt = Receipt.load(finished[0].receipt_file)
    assert compare(receipt, receipt).agreement == "same_bytes"
    assert receipt.losses.best is not None

    def with_best(loss: float | None) -> Receipt:
        return changed(receipt, adapter="0" * 64, losses=receipt.losses.model_copy(update={"best": loss}))

    assert compare(receipt, with_best(receipt.losses.best + TOLERANCE / 2)).agreement == "same_losses"
    assert compare(receipt, with_best(receipt.losses.best + 2 * TOLERANCE)).agreement == "different"
    assert compare(receipt, with_best(None)).agreement == "different"


def _set(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        for name in path[:-1]:
            values = values[name]
        values[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("more", to=1), "'more' is wrong"),
        (_set("format", to=2), "another version of this program"),
        (_set("adapter", to="../../etc/passwd"), "'adapter' is wrong"),
        (_set("losses", "best", to="x" * 10), "'losses.best' is wrong"),
        (_set("losses", "steps", to=10**30), "'losses.steps' is wrong"),
        (_set("base", "name", to="x" * 300), "'base.name' is wrong"),
        (_set("base", "name", to="../tiny"), "contradicts itself"),
        (_set("versions", to={str(i): "1" for i in range(99)}), "'versions' is wrong"),
        (_set("\x1b[2J", to=1), "is wrong"),
        (_set("config", "seed", to=6), "was changed by hand"),
        (_set("seed", to=6), "contradicts itself"),
        (_set("data", "train", to="0" * 64), "contradicts itself"),
    ],
    ids=range(12),
)
def test_a_receipt_that_is_none_is_refused(
    finished: Finished, tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    """With the field, and without what steers a terminal."""
    values = json.loads(finished[0].receipt_file.read_text())
    change(values)
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(values))
    with pytest.raises(UserError) as refusal:
        Receipt.load(path)
    assert words in str(refusal.value) and "\x1b" not in str(refusal.value)


def test_a_file_that_is_no_plain_one_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe, a far too large file, nested without end, none."""
    pipe, large, deep = tmp_path / "pipe", tmp_path / "large", tmp_path / "deep"
    os.mkfifo(pipe)
    large.write_bytes(b" " * (1 << 19))
    deep.write_text("[" * 100_000)
    for path in (pipe, large, deep, tmp_path / "none", tmp_path):
        with pytest.raises(UserError):
            Receipt.load(path)


def test_an_export_has_a_receipt_of_its_own(finished: Finished, tmp_path: Path) -> None:
    """Its files, what each format loses, and the run that it is of."""
    receipt = Receipt.load(finished[0].receipt_file)
    exported = tmp_path / "model.safetensors"
    exported.write_bytes(b"weights")
    path = export_receipt(tmp_path, [exported], {"adapter": 1.25, "4-bit": None}, receipt)
    value = json.loads(path.read_text())
    assert value["files"] == {"model.safetensors": hashlib.sha256(b"weights").hexdigest()}
    assert value["losses"] == {"adapter": 1.25, "4-bit": None}
    assert value["run"]["adapter"] == receipt.adapter
