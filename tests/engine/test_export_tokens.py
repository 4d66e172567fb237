"""The tokenizer in a GGUF file: llama.cpp splits texts into the tokens that were trained."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.export.gguf_export import write_gguf_files
from engine.export.gguf_vocabulary import read_vocabulary
from engine.export.targets import ExportRequest
from engine.model.adapter_file import read_adapter
from engine.model_folder.tokenizer import load_tokenizer
from tests.support.export_models import MISTRAL, Kind, write_kind, write_random_adapter
from tests.support.export_tokenizers import TEXTS, TokenizerKind
from tests.support.llama_cpp_tokens import llama_cpp_tokens
from tests.support.tiny import CHATML

import pytest

KINDS: dict[str, tuple[TokenizerKind, str | None]] = {
    "llama3": ("llama3", CHATML),
    "qwen2": ("qwen2", CHATML),
    "smollm": ("smollm", CHATML),
    "gpt2": ("gpt2", None),
    "first": ("first", MISTRAL),
    "prepend": ("prepend", MISTRAL),
    "first-plain": ("first", None),
    "prepend-plain": ("prepend", None),
}


def written(tmp_path: Path, kind: Kind) -> tuple[Path, Path]:
    """Return the folder of a model, and its GGUF file."""
    base = write_kind(tmp_path / "models" / "tiny", kind)
    adapter = read_adapter(write_random_adapter(base, tmp_path / "run" / "adapter"))
    (tmp_path / "gguf").mkdir()
    write_gguf_files(base, adapter, ExportRequest("gguf"), tmp_path / "gguf", lambda stage, share: None)
    return base, tmp_path / "gguf" / "model.gguf"


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_llama_cpp_splits_texts_as_we_do(tmp_path: Path, name: str) -> None:
    """Texts of several languages, alone where the model has no template, and in a conversation."""
    pytest.importorskip("xllamacpp")
    splitter, template = KINDS[name]
    base, model = written(tmp_path, Kind(tokenizer=splitter, template=template))
    tokenizer = load_tokenizer(base)
    # Hugging Face's "first" puts no space before a text that begins with one; SentencePiece does.
    texts = [text for text in TEXTS if name != "first-plain" or not text.startswith(" ")]
    if template:
        texts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}, {"role": "assistant", "content": text}], tokenize=False
            )
            for text in TEXTS
        ]
    ours = [tokenizer.encode(text, add_special_tokens=not template) for text in texts]
    theirs = llama_cpp_tokens(model, texts, with_start=True)
    assert len({tuple(tokens) for tokens in ours}) == len(texts)
    differing = [text for text, one, other in zip(texts, ours, theirs, strict=True) if one != other]
    assert not differing, (differing, tokenizer.tokenize(differing[0]))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model with the words of Llama 3."""
    return write_kind(tmp_path / "tiny", Kind())


def change(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def lower_case(content: dict[str, Any]) -> None:
    content["normalizer"] = {"type": "Lowercase"}


def prefix_space(content: dict[str, Any]) -> None:
    content["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = True


def other_words(content: dict[str, Any]) -> None:
    content["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\w+|\W+"


def whitespace(content: dict[str, Any]) -> None:
    content["pre_tokenizer"] = {"type": "Whitespace"}


@pytest.mark.parametrize("edit", [lower_case, prefix_space, other_words, whitespace])
def test_what_llama_cpp_does_not_do_with_a_text_is_refused(
    base: Path, edit: Callable[[dict[str, Any]], None]
) -> None:
    """A file that llama.cpp reads, and splits texts of otherwise, would be worse than none."""
    read_vocabulary(base, 448)
    change(base, edit)
    with pytest.raises(UserError, match=r"splits texts as llama\.cpp does not") as caught:
        read_vocabulary(base, 448)
    assert "--to mlx" in caught.value.fix


def test_pieces_that_llama_cpp_would_join_and_we_do_not_are_refused(tmp_path: Path) -> None:
    """SentencePiece joins any two pieces that make a third: a pair that is not in the list tells."""
    base = write_kind(tmp_path / "tiny", Kind("mistral", "prepend", template=MISTRAL))
    read_vocabulary(base, 672)
    change(base, lambda content: content["model"]["merges"].pop(0))
    with pytest.raises(UserError, match=r"splits texts as llama\.cpp does not"):
        read_vocabulary(base, 672)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(base: Path) -> None:
    """Its last tokens would have no vector."""
    with pytest.raises(UserError, match="larger than the vocabulary of its model"):
        read_vocabulary(base, 300)
