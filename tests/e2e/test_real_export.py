"""The built-in model with a trained adapter, as llama.cpp reads it."""

from pathlib import Path
from threading import Event

from engine.config import TrainingConfig
from engine.dataset.inspect.load import load_file
from engine.dataset.inspect.model_tokens import example_tokenizer
from engine.export.chosen import exporter
from engine.export.gguf_export import ADAPTER_FILE, MODEL_FILE, in_gguf
from engine.export.llama_cpp import LlamaCppFiles, few_rows, log_probabilities
from engine.export.read_back import as_trained, q4_1_difference
from engine.export.score import Scores
from engine.export.targets import ExportRequest
from engine.model.demo import install_demo
from engine.project import Project
from engine.training.trainer import Trainer

import numpy as np
import pytest

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.xdist_group("model")]
CONFIG = TrainingConfig(num_epochs=1, max_steps=12, batch_size=4, gradient_accumulation=1, max_seq_length=128)


def silent(stage: str, share: float) -> None:
    """Progress that nobody sees."""


def test_llama_cpp_computes_what_was_trained(tmp_path: Path) -> None:
    """The base model to the bit, with the adapter beside it and merged, at 32 positions."""
    pytest.importorskip("xllamacpp")
    project = Project(tmp_path)
    install_demo(project)
    list(Trainer(project, CONFIG, Event()).run())
    made = exporter(project, ExportRequest("gguf"), silent)
    rows = few_rows(load_file(project.valid_file, example_tokenizer(made.base, CONFIG), CONFIG).examples, 32)
    base, adapter = as_trained(made.adapter, made.base, rows, lambda done, total: None)
    assert adapter.mean() > base.mean() + 0.1  # it has learned

    beside = made.export(ExportRequest("gguf")).folder
    architecture, vocabulary = in_gguf(made.base)
    assert q4_1_difference(made.base, architecture, beside / MODEL_FILE) == 0.0
    merged = made.export(ExportRequest("gguf", 16)).folder
    tokens, plain = len(vocabulary.tokens), vocabulary.tokens.index("a")
    scored: list[tuple[int, int]] = []

    def by_llama_cpp(files: LlamaCppFiles) -> Scores:
        return log_probabilities(files, rows, tokens, plain, lambda *counts: scored.append(counts))

    exact = by_llama_cpp(LlamaCppFiles(beside / MODEL_FILE, beside / ADAPTER_FILE))
    whole = by_llama_cpp(LlamaCppFiles(merged / MODEL_FILE))
    assert scored == 2 * [(number, len(adapter)) for number in range(1, len(adapter) + 1)]
    # Merged weights, and what llama.cpp multiplies them with, are rounded to 16 bits, in each of 30 layers.
    assert np.abs(whole - adapter).mean() < 0.02 and np.abs(whole - adapter).max() < 0.2
    # What it multiplies 4-bit weights with is rounded to 8 bits.
    assert abs(exact.mean() - adapter.mean()) < 0.05 and np.abs(exact - adapter).max() < 0.5
