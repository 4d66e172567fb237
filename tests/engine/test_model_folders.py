"""Model folders as people bring them: check, validate, fit's child, train and chat give one answer.

Each is the tiny model with a change: sound ones are trained with, all others are refused
by everybody with the same sentence, in our words.
"""

import json
import re
import shutil
from pathlib import Path

from engine.config import TrainingConfig
from engine.dataset.inspect.check import check_data
from engine.errors import UserError
from engine.hardware.project_checks import begin_trial, check_model
from engine.model.demo import MODEL_NAME
from engine.model.loading import load_base
from engine.model.trial_child import try_model
from engine.project import Project
from engine.training.events import Finished, Notice
from tests.support.folder_changes import Change
from tests.support.folder_kinds import BROKEN, SOUND, STOPS
from tests.support.tiny import RUN, train

import pytest

LIBRARIES = re.compile(
    r"Traceback|transformers|indices must be|object has no|not supported between|Validation error"
    r"|incompatible|__init__|<class",
    re.IGNORECASE,
)
"""Words of Python and of the libraries below."""
ONE = RUN.updated({"max_steps": 1, "num_epochs": 1, "eval_every": 0, "save_every": 0})


class Child:
    """The child process of a trial, in this one."""

    stdin = None

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        self._answer = try_model(folder, config)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        return json.dumps({"began": True} | self._answer).encode(), b""

    def kill(self) -> None:
        pass


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.model_folder.trial.start_child", Child)


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_folder_is_one_for_all(project: Project, name: str) -> None:
    """Check, validate, train and chat use it; it is found by the name that train gives it."""
    SOUND[name](project.models_dir / "tiny")
    (model,) = project.models()
    assert check_model(begin_trial(project, model)).status in ("ok", "warning")
    report = check_data(project, ONE.updated({"model": model}))
    assert report.is_trainable and report.train.tokens, report.model_faults
    events = train(project, ONE.updated({"model": ""}))
    assert isinstance(events[-1], Finished)
    assert load_base(project.model_dir(model)).tokenizer.encode("a")


@pytest.mark.parametrize("name", STOPS)
def test_stop_tokens_that_are_none_are_reported_by_all(project: Project, name: str) -> None:
    """What cannot be used and what is stopped at instead, by check each time it is asked."""
    change, message = STOPS[name]
    change(project.models_dir / "tiny")
    for _time in range(2):
        found = check_model(begin_trial(project))
        assert found.status == "warning" and found.detail.startswith(message)
    faults = check_data(project, ONE).model_faults
    (fault,) = (fault for fault in faults if fault.kind == "unusable_stop")
    assert (fault.severity, fault.message, fault.fix) == ("warning", found.detail, found.fix)
    events = train(project, ONE)
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert f"models/tiny: {found.detail}" in notices
    assert isinstance(events[-1], Finished)
    stops = load_base(project.models_dir / "tiny").tokenizer.eos_token_ids
    assert all(type(stop) is int and 0 <= stop < 258 for stop in stops)


def test_a_tokenizer_without_a_stop_token_is_noted(project: Project) -> None:
    """It is no fault where the configuration names one."""
    path = project.models_dir / "tiny" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token": None}))
    assert check_model(begin_trial(project)).status == "ok"
    (fault,) = check_data(project, ONE).model_faults
    assert fault.severity == "note" and "eos_token null (tokenizer_config.json)" in fault.message


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_folder_is_one_for_all(project: Project, name: str) -> None:
    """One cause and one cure, the same from check, validate and train; nothing is written."""
    change, reason = BROKEN[name]
    change(project.models_dir / "tiny")
    found = check_model(begin_trial(project))
    assert found.status == "error" and found.fix
    report = check_data(project, ONE)
    (fault,) = (fault for fault in report.model_faults if fault.severity == "error")
    assert not report.is_trainable
    with pytest.raises(UserError, match=reason) as caught:
        train(project, ONE)
    assert {(found.detail, found.fix), (fault.message, fault.fix)} == {
        (caught.value.problem, caught.value.fix)
    }
    assert not LIBRARIES.search(found.detail), found.detail


@pytest.mark.parametrize(
    "name",
    [
        "fewer layers",
        "weights cut",
        "template that is none",
        "a number as text",
        "a number that is null",
        "a value only transformers wants",
        "widths and heads that do not share",
        "text in an object",
    ],
)
def test_chat_refuses_it_too(project: Project, name: str) -> None:
    """Loading for a reply asks the same."""
    BROKEN[name][0](project.models_dir / "tiny")
    with pytest.raises(UserError, match=BROKEN[name][1]) as caught:
        load_base(project.models_dir / "tiny")
    assert not LIBRARIES.search(caught.value.problem)


def replaced_by_gguf(folder: Path) -> None:
    shutil.rmtree(folder)
    (folder.parent / "mistral.Q4_K_M.gguf").write_bytes(b"G")


def moved_up(folder: Path) -> None:
    folder.rename(folder.parent.parent / "new")
    folder.parent.rmdir()
    (folder.parent.parent / "new").rename(folder.parent)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: shutil.rmtree(folder), "No base model in"),
        (replaced_by_gguf, "mistral.Q4_K_M.gguf in .* is a GGUF file"),
        (moved_up, "lie in .*models itself"),
    ],
)
def test_what_lies_in_the_place_of_a_model_is_named(project: Project, change: Change, reason: str) -> None:
    """Nothing, a GGUF file, or the files of a model without a folder of their own."""
    change(project.models_dir / "tiny")
    with pytest.raises(UserError, match=reason):
        project.model_dir("")


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [("tokenizer.json", "{}", "is missing"), ("tokenizer_config.json", '{"eos_token": 7}', "eos_token")],
)
def test_a_damaged_tokenizer_is_named_as_such_by_chat_too(
    project: Project, file: str, content: str, reason: str
) -> None:
    """And not the configuration, which is whole."""
    folder = project.models_dir / "tiny"
    (folder / file).write_text(content)
    with pytest.raises(UserError) as refused:
        load_base(folder)
    assert "its tokenizer: " in refused.value.problem and reason in refused.value.problem
    assert "config.json" not in refused.value.problem.replace("tokenizer_config.json", "")


def test_a_folder_without_its_configuration_is_named(project: Project) -> None:
    """By its own name and where any model would do; a download that is not whole is none of them."""
    folder = project.models_dir / "tiny"
    (folder / "config.json").unlink()
    for name in ("", "tiny"):
        with pytest.raises(UserError, match=r"tiny has no config\.json, so it is no base model"):
            project.model_dir(name)
    with pytest.raises(UserError, match="No base model 'other'"):
        project.model_dir("other")
    folder.rename(folder.with_name(".tiny"))
    with pytest.raises(UserError, match="No base model in"):
        project.model_dir("")


def test_the_built_in_model_is_written_anew_and_not_downloaded(project: Project) -> None:
    """There is nothing to download it from."""
    built_in = (project.models_dir / "tiny").rename(project.models_dir / MODEL_NAME)
    (built_in / "tokenizer.json").write_text("{")
    with pytest.raises(UserError) as refused:
        load_base(built_in)
    assert refused.value.fix == f"remove {built_in}, and write it anew with: mqlora-tui demo"
