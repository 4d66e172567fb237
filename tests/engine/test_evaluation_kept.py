"""Evaluations that are kept, rows that are held out, and what is refused."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event as StopEvent

from engine.backend import mx
from engine.config import TrainingConfig
from engine.dataset.batches.tokenize import ExampleTokenizer
from engine.errors import UserError
from engine.evaluation.copies import AdapterChanged, copied
from engine.evaluation.evaluator import Evaluator
from engine.evaluation.general_texts import general_texts, paragraphs
from engine.evaluation.kept import KnownEvaluation, kept_evaluations, key_of, known_evaluation
from engine.evaluation.request import EvaluationRequest, choose
from engine.evaluation.results import AskedRow, Change, Estimate, Evaluation
from engine.evaluation.sentences import plus_minus, remarks_on_rows, row_change, verdicts, worst_and_best
from engine.memory.predict import MemoryBudget
from engine.model.mlx_lm_adapter import BASE_PRINT
from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.run_folder import archive_run
from tests.engine.conftest import copy_of
from tests.support.chat_forms import byte_tokenizer
from tests.support.evaluations import evaluation
from tests.support.tiny import RUN, pairs, tiny_project, train, write_rows

import msgspec
import numpy as np
import pytest

NO_ANSWERS = EvaluationRequest(answers=0)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run whose last checkpoint is not its best, only ever copied."""
    project = tiny_project(tmp_path_factory.mktemp("evaluated") / "project", train=12, valid=4)
    train(project, RUN.updated({"learning_rate": 0.1, "num_epochs": 2}))
    return project


@pytest.fixture
def trained(template: Project, tmp_path: Path) -> Project:
    return copy_of(template, tmp_path / "project")


def evaluated(project: Project, request: EvaluationRequest = NO_ANSWERS) -> tuple[Evaluation, bool]:
    """Evaluate; return what was found and whether it was kept."""
    evaluator = Evaluator(project, request, StopEvent())
    found = evaluator.run()
    assert found is not None
    return found, evaluator.was_kept


def test_the_second_time_it_is_there(trained: Project) -> None:
    """To the digit; what is damaged, or is of another key, is made anew in its place."""
    first, was_kept = evaluated(trained)
    assert not was_kept and evaluated(trained) == (first, True)
    default, _kept = evaluated(trained, EvaluationRequest())
    assert known_evaluation(trained) == KnownEvaluation(default, True)
    for path in trained.evaluations_dir.glob(f"{default.key[:32]}*"):
        path.unlink()
    assert known_evaluation(trained) == KnownEvaluation(first, True), "fewer answers are no other run"
    assert next(kept_evaluations(trained), None) == first
    (kept,) = trained.evaluations_dir.iterdir()
    whole = kept.read_text()
    values = json.loads(whole)
    others = (
        whole[: len(whole) // 2],
        "[" * 100_000,
        json.dumps(values | {"key": "0" * 64}),
        json.dumps(values | {"lines": [1]}),
        json.dumps(values | {"trained_tokens": ["\x1b"] * 4}),
    )
    for damaged in others:
        kept.write_text(damaged)
        again, was_kept = evaluated(trained)
        assert not was_kept and again.variants == first.variants, damaged[:80]
        assert evaluated(trained)[1]
    kept.unlink()
    kept.symlink_to(trained.config_file)
    assert next(kept_evaluations(trained), None) is None and not evaluated(trained)[1]
    assert not kept.is_symlink() and "evaluations" not in trained.config_file.read_text()


def test_a_project_that_was_moved_keeps_its_evaluation(
    trained: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is named otherwise: from its own folder, or by a link."""
    first, _kept = evaluated(trained)
    monkeypatch.chdir(trained.root.parent)
    assert known_evaluation(Project(Path(trained.root.name))) == KnownEvaluation(first, True)
    moved = trained.root.rename(trained.root.with_name("elsewhere"))
    assert known_evaluation(Project(moved)) == KnownEvaluation(first, True)


def test_evaluations_of_other_adapters_or_rows_are_not_taken_for_the_runs(trained: Project) -> None:
    """They neither stand for it nor make it out of date; one that is, is told as such."""
    name = sorted(trained.run_dir.glob("checkpoint_*"))[0].name
    for request in (
        EvaluationRequest(file=trained.train_file, answers=0),
        EvaluationRequest(checkpoints=(name,), answers=0),
        EvaluationRequest(adapter=trained.adapters_dir, answers=0),
    ):
        evaluated(trained, request)
        assert known_evaluation(trained) is None
    first, _kept = evaluated(trained, EvaluationRequest(answers=0))
    assert known_evaluation(trained) == KnownEvaluation(first, True)
    trained.valid_file.write_text(trained.valid_file.read_text() + json.dumps(pairs(1, start=200)[0]) + "\n")
    assert known_evaluation(trained) == KnownEvaluation(first, False)


def test_another_run_is_another_evaluation(trained: Project) -> None:
    """Rows, adapter, base model, training rows and what is asked count; the archive keeps what was found."""
    first, _kept = evaluated(trained)

    def more(path: Path) -> None:
        path.write_text(path.read_text() + json.dumps(pairs(1, start=200)[0]) + "\n")

    def other_adapter() -> None:
        checkpoints = sorted(trained.run_dir.glob("checkpoint_*"))
        assert len(checkpoints) > 1
        shutil.copy(checkpoints[0] / "adapters.safetensors", trained.adapter_file)

    changes: tuple[Callable[[], None], ...] = (
        lambda: more(trained.valid_file),
        lambda: more(trained.train_file),
        other_adapter,
    )
    seen = {first.key}
    for change in changes:
        change()
        found, was_kept = evaluated(trained)
        assert not was_kept and found.key not in seen
        seen.add(found.key)
    assert evaluated(trained, EvaluationRequest(answers=1))[0].key not in seen
    newest = next(kept_evaluations(trained), None)
    archive_run(trained)
    assert next(kept_evaluations(trained), None) is None
    (archived,) = trained.archive_dir.iterdir()
    assert next(kept_evaluations(Project(trained.root, str(archived.relative_to(trained.root))))) == newest


def test_a_run_may_replace_what_is_evaluated(trained: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was chosen is what is measured: its best adapter overwritten, its last checkpoint taken away."""
    wanted, _kept = evaluated(trained)
    shutil.rmtree(trained.evaluations_dir)
    newest = checkpoint_folders(trained.run_dir)[0]
    adapter = trained.adapter_file.read_bytes()

    def replace(stage: str, _share: float) -> None:
        if newest.exists() and stage.startswith("Scoring"):
            shutil.copy(
                checkpoint_folders(trained.run_dir)[-1] / "adapters.safetensors", trained.adapter_file
            )
            shutil.rmtree(newest)

    found = Evaluator(trained, NO_ANSWERS, StopEvent(), replace).run()
    assert found is not None and found.variants == wanted.variants and not newest.exists()
    trained.adapter_file.write_bytes(adapter)

    def never(_chosen: object, _folder: Path) -> dict[Path, Path]:
        raise AdapterChanged

    monkeypatch.setattr("engine.evaluation.evaluator.copied", never)
    with pytest.raises(UserError, match="change while they are read"):
        Evaluator(trained, NO_ANSWERS, StopEvent()).run()


@pytest.mark.parametrize("change", ["other weights", "gone"])
def test_a_copy_is_of_what_was_chosen(trained: Project, tmp_path: Path, change: str) -> None:
    """Between the choice and the copy a run may have gone on."""
    chosen = choose(trained, NO_ANSWERS)
    (tmp_path / "copies").mkdir()
    copies = copied(chosen, tmp_path / "copies")
    assert set(copies) == {each.folder for each in chosen.variants if each.folder}
    last = chosen.variants[-1].folder
    assert last is not None
    if change == "gone":
        shutil.rmtree(last)
    else:
        shutil.copy(checkpoint_folders(trained.run_dir)[-1] / "adapters.safetensors", last)
    (tmp_path / "again").mkdir()
    with pytest.raises(AdapterChanged):
        copied(chosen, tmp_path / "again")


@pytest.mark.parametrize(
    ("loss", "low", "high", "said", "level"),
    [
        (-1.0, -1.2, -0.8, "better than the base model on 5 of 9 rows, -1.00 ± 0.20", "ok"),
        (1.0, 0.8, 1.2, "worse than the base model: better on 5 of 9 rows, +1.00 ± 0.20", "error"),
        (1.0, -0.2, 2.2, "worse than the base model: better on 5 of 9 rows, +1.00 ± 1.20", "warning"),
        (-0.001, -0.002, -0.0005, "as good as the base model on 9 rows: 0.00 ± 0.00", "warning"),
    ],
)
def test_what_is_said_of_a_change(loss: float, low: float, high: float, said: str, level: str) -> None:
    """Worse is worse, and next to nothing is nothing, however certain it is."""
    found = evaluation()
    best = msgspec.structs.replace(found.variants[1], change=Change(Estimate(loss, low, high), 5, 9))
    remark = next(verdicts(msgspec.structs.replace(found, variants=(found.variants[0], best))))
    assert said in remark.text and remark.level == level
    assert ("may be chance" in remark.text) == (low < 0 < high)


@pytest.mark.parametrize(
    ("changed", "is_other"),
    [
        ({"max_seq_length": 32}, True),
        ({"mask_history": True}, True),
        ({"prompt_loss_weight": 0.5}, True),
        ({"train_on_template_text": True}, True),
        ({"learning_rate": 0.01, "seed": 3, "eval_every": 7}, False),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_settings_that_decide_which_tokens_count_are_part_of_the_key(
    trained: Project, changed: dict[str, object], is_other: bool
) -> None:
    """As the run had them; how it learned is in its adapters."""
    chosen = choose(trained, NO_ANSWERS)
    assert any(getattr(chosen.config, name) != value for name, value in changed.items())
    other = replace(chosen, config=chosen.config.updated(changed))
    assert (key_of(trained, other, NO_ANSWERS) != key_of(trained, chosen, NO_ANSWERS)) == is_other


def test_held_out_rows_come_first_and_no_run_reads_them(trained: Project, tmp_path: Path) -> None:
    """A run opens every file of the data but this one, and is the same with it as without."""
    write_rows(trained.test_file, pairs(5, start=300))
    opened: list[str] = []
    is_watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if is_watching and event == "open":
            opened.append(os.path.basename(str(arguments[0])))

    sys.addaudithook(watch)
    shutil.rmtree(trained.run_dir)
    train(trained, RUN.updated({"learning_rate": 0.1, "num_epochs": 2}))
    assert {"train.jsonl", "valid.jsonl"} <= set(opened) and "test.jsonl" not in opened
    found, _kept = evaluated(trained)
    is_watching = False
    assert "test.jsonl" in opened
    assert (found.source, found.lines, found.leaked) == ("test", (1, 2, 3, 4, 5), ())
    given = tmp_path / "own.jsonl"
    write_rows(given, pairs(2, start=400))
    found, _kept = evaluated(trained, EvaluationRequest(file=given, answers=0))
    assert (found.source, found.file, len(found.lines)) == ("given", str(given), 2)


def test_rows_that_were_trained_on_are_told(trained: Project) -> None:
    """By their question or as a whole, wherever the file lies and whatever its name is."""
    folder = trained.root / "elsewhere"
    write_rows(folder / "train.jsonl", [*pairs(1, start=300), *pairs(2, start=3)])
    found, _kept = evaluated(trained, EvaluationRequest(file=folder / "train.jsonl", answers=0))
    assert found.leaked == (2, 3)
    assert any("lines 2, 3" in remark.text for remark in remarks_on_rows(found))


def test_rows_that_cannot_be_used_are_told(trained: Project) -> None:
    """With their lines; the others count."""
    trained.test_file.write_text("no JSON\n" + json.dumps(pairs(1)[0]) + '\n{"prompt": "a"}\n')
    found, _kept = evaluated(trained)
    assert (found.lines, found.left_out) == ((2,), (1, 3))
    assert found.variants[0].loss.low is None, "one row has no interval"
    assert any("2 rows cannot be used" in remark.text for remark in remarks_on_rows(found))


def test_the_same_adapter_is_scored_once(trained: Project) -> None:
    """Best and last share a line where they are the same bytes."""
    last = max(trained.run_dir.glob("checkpoint_*"), key=lambda path: int(path.name.split("step")[1]))
    for path in ("adapters.safetensors", "adapter_config.json"):
        shutil.copy(last / path, trained.adapters_dir / path)
    found, _kept = evaluated(trained)
    assert [each.name for each in found.variants] == ["base", "best = last"]


def test_a_damaged_checkpoint_is_not_the_last(trained: Project) -> None:
    """The newest whole one is; by its name a damaged one is refused."""
    *_rest, before, last = sorted(
        trained.run_dir.glob("checkpoint_*"), key=lambda path: int(path.name.split("step")[1])
    )
    weights = last / "adapters.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    found, _kept = evaluated(trained)
    assert found.variants[-1].folder == str(before)
    with pytest.raises(UserError, match="Cannot use the adapter"):
        evaluated(trained, EvaluationRequest((last.name,)))


def test_what_is_refused(trained: Project, tmp_path: Path) -> None:
    """In a sentence that names what is wrong and where."""
    empty, wrong = tmp_path / "empty.jsonl", tmp_path / "wrong.jsonl"
    empty.write_text("")
    wrong.write_text('{"prompt": "a"}\n')
    config = trained.adapters_dir / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {BASE_PRINT: "0" * 64}))
    cases: list[tuple[Project, EvaluationRequest, str]] = [
        (trained, EvaluationRequest(("none",)), "There is no checkpoint none"),
        (trained, EvaluationRequest(adapter=tmp_path / "none"), "there is no such folder"),
        (trained, EvaluationRequest(file=tmp_path / "none.jsonl"), "Cannot read .*none.jsonl"),
        (trained, EvaluationRequest(file=tmp_path), "is a folder"),
        (trained, EvaluationRequest(file=empty), "empty.jsonl has no rows"),
        (trained, EvaluationRequest(file=wrong), "wrong.jsonl has no usable row; line 1: 'completion' is"),
        (trained, NO_ANSWERS, "was not trained on .*tiny"),
        (tiny_project(tmp_path / "fresh"), NO_ANSWERS, "There is no adapter to evaluate yet"),
    ]
    for project, request, problem in cases:
        with pytest.raises(UserError, match=problem) as refused:
            evaluated(project, request)
        assert refused.value.fix
    assert not trained.evaluations_dir.exists()
    shutil.rmtree(trained.models_dir / "tiny")
    with pytest.raises(UserError, match="No base model"):
        evaluated(trained)


def test_a_model_that_does_not_fit_is_refused(trained: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is loaded, with what is needed and what is free."""
    monkeypatch.setattr("engine.evaluation.scoring.read_budget", lambda: MemoryBudget("cpu", 1000, 10**9))
    with pytest.raises(UserError, match=r"takes \d+\S* kB of memory, and 1.0 kB are free"):
        evaluated(trained)


def test_what_cannot_be_kept_is_told(trained: Project) -> None:
    """It is returned all the same."""
    trained.evaluations_dir.write_text("in the way")
    evaluator = Evaluator(trained, NO_ANSWERS, StopEvent())
    assert evaluator.run() is not None and "exists" in evaluator.not_kept


def test_numbers_that_are_none_are_refused(trained: Project) -> None:
    """An adapter whose loss is not finite has no place in a comparison."""
    weights = dict(mx.load(str(trained.adapter_file)))
    mx.save_safetensors(str(trained.adapter_file), {name: array * 1e30 for name, array in weights.items()})
    with pytest.raises(UserError, match="The loss of best on line 1 is not finite"):
        evaluated(trained)


def test_asked_to_stop_it_returns_and_keeps_nothing(trained: Project) -> None:
    """After the row at hand, in whatever stage."""
    for wanted in ("Reading the rows", "Loading the base model", "Scoring best", "Answers of base"):
        stop = StopEvent()

        def on_progress(stage: str, _share: float, stop: StopEvent = stop, wanted: str = wanted) -> None:
            if stage.startswith(wanted):
                stop.set()

        assert Evaluator(trained, EvaluationRequest(), stop, on_progress).run() is None
        assert not trained.evaluations_dir.exists()


def test_answers_are_spread_over_the_rows_and_ranked(trained: Project) -> None:
    """At most as many as are asked for; none is among the worst and among the best."""
    write_rows(trained.test_file, pairs(9, start=300))
    found, _kept = evaluated(trained, EvaluationRequest(answers=3))
    assert [asked.row for asked in found.asked] == [1, 4, 7]
    assert found.most_tokens == max(16, -(-max(asked.tokens for asked in found.asked) * 3 // 2))
    for variant in found.variants:
        assert len(variant.answers) == 3 and variant.figures is not None
        assert all(each.tokens <= found.most_tokens for each in variant.answers)
    worst, best = worst_and_best(found)
    assert len(worst) == 1 and len(best) == 2 and not set(worst) & set(best)
    assert row_change(found, worst[0]) >= max(row_change(found, place) for place in best)
    assert all(row_change(found, place) < 0 for place in best)


@pytest.mark.parametrize(
    ("changes", "worst", "best"),
    [
        ([1.0], [0], []),
        ([-1.0], [], [0]),
        ([2.0, -1.0, 1.0], [0, 2], [1]),
        ([0.0, 0.0], [1, 0], []),
        ([-float(n) for n in range(12)], [0, 1, 2, 3, 4], [11, 10, 9, 8, 7]),
    ],
)
def test_a_row_that_lost_is_not_among_those_that_gained(
    changes: list[float], worst: list[int], best: list[int]
) -> None:
    """However few there are."""
    asked = tuple(AskedRow(row, "?", "!", 1) for row in range(len(changes)))
    base, adapter = evaluation().variants[:2]
    found = msgspec.structs.replace(
        evaluation(),
        asked=asked,
        variants=(
            msgspec.structs.replace(base, row_losses=(3.0,) * len(changes)),
            msgspec.structs.replace(adapter, row_losses=tuple(3.0 + change for change in changes)),
        ),
    )
    assert worst_and_best(found) == (worst, best)


@pytest.mark.parametrize(
    ("estimate", "said"),
    [
        (Estimate(-1.93, -2.04, -1.82), "-1.93 ± 0.11"),
        (Estimate(-1.06, -2.73, -0.02), "-1.06 (-2.73 to -0.02)"),
        (Estimate(-1.06, None, None), "-1.06"),
    ],
)
def test_a_lopsided_interval_is_told_by_its_ends(estimate: Estimate, said: str) -> None:
    """What is certain must not look as if it were not."""
    assert plus_minus(Change(estimate, 4, 5)) == said


def test_general_texts_are_whole_and_end_with_no_token(tmp_path: Path) -> None:
    """Eight of each language, every token but the first trained, as long as their bytes."""
    texts = general_texts(ExampleTokenizer(byte_tokenizer(tmp_path, "chatml"), TrainingConfig()))
    assert [len(texts.english), len(texts.portuguese)] == [8, 8]
    for text, example in zip(paragraphs("en") + paragraphs("pt"), texts.all, strict=True):
        length = min(512, len(text.encode()))
        assert len(example.tokens) == length and example.trained.sum() == length - 1


def test_what_was_forgotten_is_told(trained: Project) -> None:
    """From a tenth of a nat on."""
    found, _kept = evaluated(trained)
    best = found.variants[1]
    assert best.general.change is not None
    for rise, is_told in ((0.09, False), (0.11, True)):
        loss = msgspec.structs.replace(best.general.change.loss, value=rise)
        change = msgspec.structs.replace(best.general.change, loss=loss)
        general = msgspec.structs.replace(best.general, change=change)
        variants = (found.variants[0], msgspec.structs.replace(best, general=general))
        told = [remark.text for remark in verdicts(msgspec.structs.replace(found, variants=variants))]
        assert any("it forgot some" in text for text in told) == is_told
    assert np.isclose(best.general.change.loss.value, best.general.loss - found.variants[0].general.loss)
