"""The Modelfile: Ollama joins a conversation as the model's own template does."""

from collections.abc import Sequence
from pathlib import Path

from engine.dataset.batches.chat_template import ChatTemplate
from engine.dataset.jsonl.turns import Message
from engine.errors import UserError
from engine.export.ollama import ChatPieces, Render, chat_pieces, modelfile
from tests.support.chat_forms import byte_tokenizer
from tests.support.go_template import go_render

import pytest

ZEPHYR = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
QUOTED = (
    '{% for m in messages %}{"role": "{{ m.role }}", "C:\\\\dir": """{{ m.content }}"""}\t{% endfor %}'
    "{% if add_generation_prompt %}  \n{% endif %}"
)
FORMS = {
    "chatml": ("chatml", None, True),
    "chatml with a default system text": ("qwen2", None, True),
    "llama3": ("llama3", None, True),
    "mistral": ("mistral_v3", None, False),
    "gemma": ("gemma", None, False),
    "phi4": ("phi4", None, True),
    "zephyr": ("chatml", ZEPHYR, True),
    "quotes and white space": ("chatml", QUOTED, True),
}
"""Family, another template of its tokens, and whether system texts have a turn of their own."""
GREEDY = ("PARAMETER temperature 0", "PARAMETER repeat_penalty 1")
"""Ollama draws at random and punishes repetition where nothing is said."""


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def answer(text: str) -> Message:
    return {"role": "assistant", "content": text}


SYSTEM: Message = {"role": "system", "content": "Answer in Portuguese.\nBe brief."}
TALKS: tuple[list[Message], ...] = (
    [user("Olá?")],
    [user("{{ .Content }} {{- end }}"), answer('He said: "so".'), user("a\n\n  b")],
    [user("1"), answer("2"), user("3"), answer("4"), user("5")],
)


def renderer(folder: Path, family: str, source: str | None) -> Render:
    """Return what renders with a template over a tokenizer of the family's control tokens."""
    own = ChatTemplate(byte_tokenizer(folder, family, source))

    def render(messages: Sequence[Message]) -> str:
        return own.render(messages, generation=True)

    return render


def found(own: Render) -> tuple[ChatPieces, bool]:
    pieces, with_system = chat_pieces(own)
    assert pieces
    return pieces, with_system


@pytest.mark.parametrize("name", FORMS)
def test_ollama_writes_what_the_template_writes(tmp_path: Path, name: str) -> None:
    """By our own account of it, and by what Go makes of the text in the Modelfile."""
    family, source, takes_system = FORMS[name]
    own = renderer(tmp_path, family, source)
    pieces, with_system = found(own)
    assert with_system is takes_system
    talks = [*TALKS, *([SYSTEM, *talk] for talk in TALKS if takes_system)]
    for messages in talks:
        assert pieces.render(messages) == own(messages)
        assert go_render(pieces.go_template(), messages) == own(messages)


@pytest.mark.parametrize("name", ["mistral", "gemma"])
def test_a_system_text_without_a_turn_of_its_own_is_left_out(tmp_path: Path, name: str) -> None:
    """What stands before everything stays: without it the rest would be other tokens too."""
    family, source, _takes_system = FORMS[name]
    own = renderer(tmp_path, family, source)
    pieces, _with_system = found(own)
    talk = [SYSTEM, *TALKS[1]]
    assert go_render(pieces.go_template(), talk) == pieces.render(talk) == own(TALKS[1])


@pytest.mark.parametrize(
    "source",
    [
        "{% for m in messages %}<|im_start|>{{ loop.index }} {{ m['content'] }}<|im_end|>{% endfor %}",
        "{% for m in messages %}<|im_start|>{{ m['content'] | upper }}<|im_end|>{% endfor %}",
        "{% for m in messages %}<|im_start|>{{ m['content'] | replace('\\n', ' ') }}<|im_end|>{% endfor %}",
        "{% for m in messages %}<|im_start|>{{ m['content'][:40] }}<|im_end|>{% endfor %}"
        "{{ messages | length }}",
        "<|im_start|>{{ messages[-1]['content'] }}<|im_end|>",
    ],
    ids=["numbers", "capitals", "line breaks", "how many", "the last one"],
)
def test_what_a_modelfile_cannot_say_is_refused(tmp_path: Path, source: str) -> None:
    """Turns that depend on where they stand, and texts that are changed."""
    assert chat_pieces(renderer(tmp_path, "chatml", source)) == (None, False)


def test_the_file_names_weights_adapter_template_and_stops() -> None:
    """Line by line, in Ollama's words."""
    pieces = ChatPieces("<s>", ("[S]", "[/S]"), ("[U]", "[/U]"), (" ", "</s>"), "\n")
    text = modelfile("model.gguf", "adapter.gguf", pieces, ["<|end|>", "</s>"])
    lines = text.splitlines()
    assert lines[:2] == ["FROM ./model.gguf", "ADAPTER ./adapter.gguf"]
    assert lines[2] == f'TEMPLATE """{pieces.go_template()}"""'
    assert lines[3:] == ['PARAMETER stop "<|end|>"', 'PARAMETER stop "</s>"', *GREEDY]
    assert "ADAPTER" not in modelfile("model.gguf", None, pieces, [])
    assert 'TEMPLATE """{{ .Prompt }}{{ "\\n" }}"""' in modelfile("model.gguf", None, None, [])


def test_a_stop_text_with_quotes_is_refused() -> None:
    """A Modelfile would end it there."""
    with pytest.raises(UserError, match="quotes that a Modelfile cannot hold") as caught:
        modelfile("model.gguf", None, None, ['<"end">'])
    assert "--to llama.cpp" in caught.value.fix
