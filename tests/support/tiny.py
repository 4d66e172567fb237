"""A tiny random llama with a byte-level tokenizer, and small projects made with it."""

import fcntl
import json
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as StopEvent
from typing import Any

from engine.backend import mx, nn
from engine.config import TrainingConfig
from engine.project import Project
from engine.training.events import Event, Mode
from engine.training.trainer import Trainer

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": 320,
    "tie_word_embeddings": True,
    "eos_token_id": 257,
}
# Twelve steps of two epochs, the last of each smaller than the others.
RUN = TrainingConfig(
    model="tiny",
    batch_size=2,
    gradient_accumulation=2,
    max_seq_length=64,
    learning_rate=1e-2,
    num_epochs=2,
    lora_rank=2,
    lora_alpha=4.0,
    eval_every=4,
    save_every=3,
    seed=5,
    frozen_weights="resident",  # not as fast as this machine finds it today
)
TIMES = ("elapsed_s", "time", "tokens_per_second", "peak_memory_gb")


def write_tokenizer(folder: Path, chat_template: str | None = CHATML) -> None:
    """Write a tokenizer with one token a byte and ChatML's control tokens (ids 256 and 257)."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", special=True)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>"}
    if chat_template:
        settings["chat_template"] = chat_template
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def write_model(folder: Path, quantize: bool = True, **changes: Any) -> Path:
    """Write a model folder with random weights drawn from a fixed seed."""
    from mlx_lm.models.llama import Model, ModelArgs

    folder.mkdir(parents=True)
    config = {**CONFIG, **changes}
    mx.random.seed(7)
    model = Model(ModelArgs.from_dict(config))
    model.apply(lambda array: array * 3 if array.ndim > 1 else array)
    if quantize:
        nn.quantize(model, group_size=32, bits=4)
        config["quantization"] = {"group_size": 32, "bits": 4}
    from mlx.utils import tree_flatten

    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())))
    (folder / "config.json").write_text(json.dumps(config))
    write_tokenizer(folder)
    return folder


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Write rows as JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def pairs(count: int, start: int = 0) -> list[dict[str, str]]:
    """Return question-answer rows of varying length."""
    return [
        {"prompt": f"Quanto é {i} mais {i % 7}?", "completion": "São " + str(i + i % 7) + "." * (i % 5)}
        for i in range(start, start + count)
    ]


def tiny_project(root: Path, train: int = 22, valid: int = 5) -> Project:
    """Make a project with the tiny model `models/tiny` and generated data."""
    project = Project(root)
    write_model(project.models_dir / "tiny")
    write_rows(project.train_file, pairs(train))
    write_rows(project.valid_file, pairs(valid, start=100))
    return project


def long_project(root: Path) -> Project:
    """Make a project whose configuration is already chosen: 100,000 steps of a hundredth of a second."""
    project = tiny_project(root, train=400, valid=10)
    project.run_dir.mkdir()
    changes = {"num_epochs": 1000, "eval_every": 0, "save_every": 0, "learning_rate": 1e-4}
    RUN.updated(changes).save(project.config_file)
    return project


def train(
    project: Project,
    config: TrainingConfig | None = RUN,
    mode: Mode = "auto",
    until: Callable[[Event], bool] = lambda event: False,
) -> list[Event]:
    """Train and return the events; `until` asks for a pause after the event it is true for."""
    stop, events = StopEvent(), []
    for event in Trainer(project, config, stop, mode).run():
        events.append(event)
        if until(event):
            stop.set()
    return events


def drop(project: Project, config: TrainingConfig, until: Callable[[Event], bool]) -> None:
    """Train up to the event for which `until` is true, and save nothing then."""
    run = Trainer(project, config, StopEvent()).run()
    next(event for event in run if until(event))
    run.close()


def metrics_rows(project: Project) -> list[dict[str, Any]]:
    """Return the lines of `training_metrics.json` without what depends on the clock and the machine."""
    lines = project.metrics_file.read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines]


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below `folder` by its relative path."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@contextmanager
def owned_by(project: Project, pid: int, host: str = "") -> Iterator[None]:
    """Hold the run's lock in the name of another process."""
    project.run_dir.mkdir(parents=True, exist_ok=True)
    with project.lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        json.dump({"pid": pid, "host": host or socket.gethostname()}, lock)
        lock.flush()
        yield


def lora_model(**changes: Any) -> nn.Module:
    """Return a float32 tiny llama with an adapter whose matrices are both random."""
    from engine.model.adapter import attach_adapter

    from mlx_lm.models.llama import Model, ModelArgs

    mx.random.seed(7)
    model = Model(ModelArgs.from_dict(CONFIG))
    attach_adapter(model, RUN.updated(changes))
    for module in model.modules():
        if hasattr(module, "lora_b"):
            module.lora_b = mx.random.normal(module.lora_b.shape) * 0.1
    mx.eval(model.parameters())
    return model
