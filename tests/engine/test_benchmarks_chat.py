"""The comparison of chat with mlx-lm and llama.cpp: same prompt and replies, figures as measured."""

import math
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks import chat, replies
from benchmarks.chat import Chats, Run, long_prompt
from benchmarks.replies import Question, Reply, Speaker, timed
from benchmarks.variants import FLOAT32, INSTALLED, OURS
from engine.errors import UserError
from engine.export.gguf_export import MODEL_FILE
from engine.export.targets import ExportRequest
from engine.model_folder.tokenizer import load_tokenizer
from engine.project import Project
from tests.support.export_models import KINDS, exporter_of
from tests.support.tiny import RUN, tiny_project, train, write_model

import pytest

ASK = Question("Quanto é 3 mais 4?", 6)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with an adapter that changes replies."""
    project = tiny_project(tmp_path_factory.mktemp("trained"))
    train(project, RUN.updated({"num_epochs": 4}))
    return project


@pytest.mark.parametrize("with_adapter", [True, False])
def test_both_sides_give_the_same_reply(trained: Project, tmp_path: Path, with_adapter: bool) -> None:
    """With the adapter and, in a session that has one, without; mlx-lm on the float32 copy."""
    replies.write_float32(trained.model_dir("tiny"), tmp_path / "float32")
    question = replace(ASK, with_adapter=with_adapter)
    mine = timed(replies.ours(trained.model_dir("tiny"), trained.adapters_dir)(question))
    adapter = trained.adapters_dir if with_adapter else None
    theirs = timed(replies.mlx_lm(tmp_path / "float32", adapter, True)(question))
    assert (mine.text, mine.tokens) == (theirs.text, theirs.tokens) and mine.text
    assert min(mine.first_s, mine.tokens_per_second) > 0


def test_a_speaker_that_cannot_load_says_why(tmp_path: Path) -> None:
    """The refusal comes from its process, whole."""
    missing = partial(replies.ours, tmp_path / "none", None)
    with pytest.raises(UserError, match="No base model"), Speaker(missing) as speaker:
        speaker.ask(ASK)


@pytest.mark.slow
def test_a_comparison_prints_every_run_and_the_ratios(
    trained: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both sides with the adapter and without, and mlx-lm as installed once."""
    command = f"chat {trained.model_dir('tiny')} --adapter {trained.adapters_dir} --max-tokens 4 --long 40"
    monkeypatch.setattr(sys, "argv", [*command.split(), "--repetitions", "1", "--slow-tokens", "2"])
    chat.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:6]] == ["ours", "mlx_lm", "ours", "mlx_lm", "mlx_lm"]
    assert sum(line.startswith("ours / mlx_lm openblas, adapter: tok/s") for line in lines) == 1
    assert sum(line.startswith("ours / mlx_lm, adapter: tok/s") for line in lines) == 1
    assert sum(line.startswith("ours / mlx_lm openblas, base: tok/s") for line in lines) == 1
    assert not any("WARNING" in line for line in lines)


def test_ratios_are_those_of_the_same_repetition() -> None:
    """Above one is faster for us, also where seconds are compared; replies that differ are told."""
    chats = Chats(Path(), None, ASK, ASK)
    for side, text, rate, first in (
        (OURS, "a", 20.0, 1.0),
        (FLOAT32, "a", 10.0, 3.0),
        (INSTALLED, "b", 1, 5),
    ):
        chats.runs.append(Run(side, "base", Reply(text, 6, first, rate), math.nan if rate == 1 else first))
    lines = chats.summary()
    assert lines[3:] == [
        "ours / mlx_lm openblas, base: tok/s 2.000x (2.000 to 2.000), first token 3.000x (3.000 to 3.000), "
        "first token, long 3.000x (3.000 to 3.000)",
        "ours / mlx_lm, base: tok/s 20.000x (20.000 to 20.000), first token 5.000x (5.000 to 5.000)",
    ]
    chats.runs[1] = Run(FLOAT32, "base", Reply("c", 6, 1.0, 1.0), 1.0)
    assert chats.summary()[-1] == "WARNING: the replies differ (base): ['a', 'c']"


def test_a_long_prompt_is_that_long(tmp_path: Path) -> None:
    """In the model's tokens, without the template's."""
    folder = write_model(tmp_path / "tiny")
    assert len(load_tokenizer(folder)(long_prompt(folder, 1000))["input_ids"]) == 1000


def test_pieces_are_timed_after_the_first_token() -> None:
    """A reply of one token has no speed, none at all is an error."""
    reply = timed([("a", 1), ("", 2), ("b", 3), ("", 3)])
    assert (reply.text, reply.tokens) == ("ab", 3) and reply.tokens_per_second > 0
    assert math.isnan(timed([("a", 1)]).tokens_per_second)
    with pytest.raises(ValueError, match="empty"):
        timed([])


def test_as_installed_nothing_is_loaded_before_mlx() -> None:
    """Neither what starts the runs nor the child's own module brings OpenBLAS or MLX."""
    code = "import sys, benchmarks.chat; sys.exit('mlx' in sys.modules or 'engine.backend' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.slow
def test_llama_cpp_answers_from_an_exported_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Token by token, as the others do, and no more of them than it is asked for."""
    pytest.importorskip("xllamacpp")
    monkeypatch.setattr("engine.export.score.LEAST", -1e9)  # what a random adapter gains says nothing
    exporter = exporter_of(tmp_path / "project", KINDS["llama-bf16"])
    folder = exporter.export(ExportRequest("gguf")).folder
    with Speaker(partial(replies.llama_cpp, exporter.base, folder / MODEL_FILE)) as speaker:
        answered = [speaker.ask(replace(ASK, max_tokens=most)) for most in (6, 6, 1)]
    assert answered[0].text == answered[1].text and answered[0].text.startswith(answered[2].text)
    assert 1 < answered[0].tokens <= 6 and answered[2].tokens == 1
    assert answered[0].tokens_per_second > 0 < answered[0].first_s
