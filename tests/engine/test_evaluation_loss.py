"""The losses of an evaluation against NumPy in float64, PEFT, mlx-lm and the run itself."""

import json
import shutil
from pathlib import Path
from threading import Event as StopEvent

from engine.config import TrainingConfig
from engine.dataset.batches.tokenize import Example, ExampleTokenizer
from engine.evaluation.evaluator import Evaluator
from engine.evaluation.request import EvaluationRequest
from engine.evaluation.results import Evaluation
from engine.evaluation.scoring import VariantScorer
from engine.model_folder.tokenizer import load_tokenizer
from engine.project import Project
from engine.training.state import RunState
from tests.support.numpy_llama import Weights, summed_loss
from tests.support.peft_llama import FOLDER, TOKENS
from tests.support.tiny import (
    CONFIG,
    RUN,
    pairs,
    tiny_project,
    train,
    write_model,
    write_rows,
    write_tokenizer,
)

import mlx_lm
import numpy as np
import pytest
from mlx_lm.tuner.datasets import CacheDataset, CompletionsDataset
from mlx_lm.tuner.trainer import evaluate as mlx_lm_evaluate
from safetensors.numpy import load_file
from tokenizers import Tokenizer

SETTINGS = {"num_epochs": 3, "learning_rate": 3e-2}


def evaluate(project: Project, **asked: object) -> Evaluation:
    request = EvaluationRequest(**{"answers": 0} | asked)  # type: ignore[arg-type]
    found = Evaluator(project, request, StopEvent()).run()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run on a model whose weights are float32, as NumPy reads them."""
    project = tiny_project(tmp_path_factory.mktemp("plain") / "project", train=16, valid=6)
    shutil.rmtree(project.models_dir / "tiny")
    write_model(project.models_dir / "tiny", quantize=False)
    train(project, RUN.updated(SETTINGS))
    return project


def tokens_of(folder: Path, row: dict[str, str]) -> tuple[list[int], list[bool]]:
    """ChatML written out: the answer and the token that ends it are trained."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    before = f"<|im_start|>user\n{row['prompt']}<|im_end|>\n<|im_start|>assistant\n"
    parts = [tokenizer.encode(text).ids for text in (before, f"{row['completion']}<|im_end|>")]
    return [*parts[0], *parts[1]], [False] * len(parts[0]) + [True] * len(parts[1])


def weights_of(project: Project, adapter: Path | None) -> Weights:
    """The arrays of the files, by the names of a model with LoRA layers."""
    found = load_file(project.models_dir / "tiny" / "model.safetensors")
    factors = load_file(adapter / "adapters.safetensors") if adapter else {}
    adapted = {name.rpartition(".")[0] for name in factors}
    named = {
        name.replace(".weight", ".linear.weight") if name.removesuffix(".weight") in adapted else name: array
        for name, array in (found | factors).items()
    }
    return {name: array.astype(np.float64) for name, array in named.items()}


def test_losses_are_those_of_numpy(plain: Project) -> None:
    """Every row of every variant, from the files on; the mean counts tokens, not rows."""
    found = evaluate(plain)
    for variant in found.variants:
        weights = weights_of(plain, Path(variant.folder) if variant.folder else None)
        totals, counts = [], []
        for row in pairs(6, start=100):
            tokens, trained = tokens_of(plain.models_dir / "tiny", row)
            totals.append(summed_loss(weights, CONFIG, RUN.lora_scale, np.array(tokens), trained))
            counts.append(sum(trained))
        assert variant.row_losses == pytest.approx(np.array(totals) / counts, abs=1e-4)
        assert variant.loss.value == pytest.approx(sum(totals) / sum(counts), abs=1e-4)
        assert list(found.trained_tokens) == counts
    base, best = found.variants[:2]
    assert best.change is not None and best.change.loss.value < -1
    assert best.change.loss.value == pytest.approx(best.loss.value - base.loss.value)


def test_losses_are_those_that_the_run_saw(plain: Project) -> None:
    """Its first validation is the base model's, its lowest one that of the best adapter."""
    found, state = evaluate(plain), RunState.load(plain.state_file)
    assert state is not None
    assert found.variants[0].loss.value == pytest.approx(state.initial_val_loss, rel=1e-5)
    assert found.variants[1].loss.value == pytest.approx(state.best_val_loss, rel=1e-5)
    assert found.variants[1].step == state.best_step


def test_losses_are_those_of_hugging_face_and_peft(tmp_path: Path) -> None:
    """From the logits that transformers and PEFT gave for a stored model and adapter."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(FOLDER / name, folder / name)
    write_tokenizer(folder)
    trained = np.array([False, True, False, True, True, True])
    example = Example(1, np.array(TOKENS, np.int32), trained, ends_turn=True)
    tokenize = ExampleTokenizer(load_tokenizer(folder), TrainingConfig())
    scorer = VariantScorer(folder, tokenize, {}, StopEvent())
    logits = load_file(FOLDER / "logits.safetensors")
    for name, adapter in (("base", None), ("adapted", FOLDER / "adapter"), ("base", None)):
        rows = logits[name].astype(np.float64)
        chosen = rows[np.arange(5), TOKENS[1:]] - np.log(np.exp(rows[:-1]).sum(-1))
        with scorer.wearing(adapter):
            (total,) = scorer.losses([example], lambda done: None)
        assert total / trained.sum() == pytest.approx(-chosen[trained[1:]].mean(), abs=1e-4)


def test_the_loss_is_mlx_lms_where_both_count_the_same_tokens(tmp_path: Path) -> None:
    """Rows that fill the longest length, so that mlx-lm pads none of them, one at a time."""
    project = tiny_project(tmp_path, train=8, valid=3)
    rows = [
        {"prompt": f"Quem é {n}?", "completion": "É o número " + str(n) * 60} for n in (3, 14, 159)
    ]  # each longer than the 64 tokens at which both cut
    write_rows(project.valid_file, rows)
    train(project, RUN.updated({"num_epochs": 1}))
    found = evaluate(project)
    for variant in found.variants:
        model, tokenizer = mlx_lm.load(
            str(project.models_dir / "tiny"), adapter_path=variant.folder and str(variant.folder)
        )[:2]
        data = CacheDataset(CompletionsDataset(rows, tokenizer, "prompt", "completion", mask_prompt=True))
        expected = mlx_lm_evaluate(model, data, batch_size=1, num_batches=-1, max_seq_length=64)
        assert variant.loss.value == pytest.approx(expected, abs=1e-3), variant.name


def test_a_row_of_several_examples_is_one_row(plain: Project, tmp_path: Path) -> None:
    """Its answers are resampled together, and its loss is the mean over all of their tokens."""
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "Um."},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "Dois."},
    ]
    file = tmp_path / "rows.jsonl"
    write_rows(file, [{"messages": turns}, {"text": "Era uma vez"}, pairs(1)[0]])
    found = evaluate(plain, file=file, answers=5)
    assert found.lines == (1, 2, 3) and found.trained_tokens[0] == len("Um.Dois.") + 2
    assert [(asked.row, asked.question, asked.reference) for asked in found.asked] == [
        (0, "b", "Dois."),
        (2, "Quanto é 0 mais 0?", "São 0"),
    ], "plain text asks nothing"
    assert json.loads(file.read_text().splitlines()[2])["completion"] == found.asked[1].reference
