"""A small project whose every name and text wants to steer the terminal of whoever looks at it."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.project import Project
from tests.support.tiny import RUN, pairs, write_model, write_rows

_TITLE, _CLIPBOARD, _CLEAR, _LINK = "\x1b]0;{place}\x07", "\x1b]52;c;e30=\x07", "\x1b[2J", "\x1b]8;;x\x07"
_CONTROLS = (_TITLE, _CLIPBOARD, _CLEAR, _LINK, "\x9b2J", "\x9d0;x\x9c", "\x08", "\x7f", "\r", "\x0e", "\x85")
_HIDDEN = ("\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "\xad", "\u2060", "\U000e0041", "\u3164")
_MARKUP = ("[red]", "[@click=app.quit]x[/]", "[link=x]", "[/]", "{0}", "%s", "$x_{$", "\\")
READABLE = "é می‌خواهم 👩‍👩‍👧"
"""Joiners inside a word and inside an emoji: these stay as they are."""


def payload(place: str, draw: random.Random) -> str:
    """Return a text that names its place and holds every trick, in an order of chance."""
    tricks = [trick.replace("{place}", place) for trick in (*_CONTROLS, *_HIDDEN, *_MARKUP)]
    draw.shuffle(tricks)
    return f"{place}{''.join(tricks)}{READABLE}"


def name(place: str, draw: random.Random) -> str:
    """Return a hostile name of a file or folder, which may hold all but a slash and 255 bytes at most."""
    return payload(place, draw).replace("/", "")


@dataclass(frozen=True)
class HostileProject:
    """The project and what is said about it on the command line."""

    project: Project
    model: str
    """Name of the model folder."""
    config: Path
    """A configuration file."""
    draw: random.Random

    def text(self, place: str) -> str:
        """Return another payload."""
        return payload(place, self.draw)


def make_project(folder: Path, seed: int) -> HostileProject:
    """Write the project below `folder`; `seed` decides the order of the tricks."""
    draw = random.Random(seed)
    project, model = Project(folder / name("root", draw)), name("model", draw)
    write_model(project.models_dir / model)
    write_rows(project.train_file, [*pairs(6), *_rows(draw)])
    write_rows(project.valid_file, [*pairs(3, start=100), *_rows(draw)])
    project.prompts_file.write_text(f"{payload('prompts', draw)}\n", encoding="utf-8")
    config = folder / name("config", draw)
    RUN.updated({"model": model, "num_epochs": 1, "max_seq_length": 256}).save(config)
    return HostileProject(project, model, config, draw)


def _rows(draw: random.Random) -> list[object]:
    """Return rows that can be used, two of them with one prompt, and rows whose faults are quoted."""
    twin = payload("duplicate", draw)
    return [
        *({"prompt": twin, "completion": payload("answer", draw)} for _twin in range(2)),
        {"prompt": payload("prompt", draw), "completion": payload("completion", draw)},
        {"text": payload("text", draw)},
        {f"prompt{payload('key', draw)}": "x", "completion": "y"},
        {"\u202eprompt\x9b": "x", "completion": "y"},
        {"prompt": payload("empty", draw), "completion": ""},
        {"messages": [{"role": payload("role", draw), "content": "x"}]},
    ]


@contextmanager
def broken_model(hostile: HostileProject, how: str) -> Iterator[None]:
    """Damage the model folder for a while, so that other programs' messages quote it."""
    folder = hostile.project.models_dir / hostile.model
    sound = {path: path.read_bytes() for path in folder.iterdir()}
    _break(folder, how, hostile.text)
    try:
        yield
    finally:
        for path, content in sound.items():
            path.write_bytes(content)


def _break(folder: Path, how: str, text: Callable[[str], str]) -> None:
    config, tokenizer = folder / "config.json", folder / "tokenizer_config.json"
    if how == "architecture":
        _change(config, model_type=text("type"))
    elif how == "size":
        _change(config, num_attention_heads=text("heads"))
    elif how == "nesting":
        config.write_text("[" * 100_000)
    elif how == "code":
        _change(config, model_file=text("code"))
    elif how == "template":
        reason = json.dumps(text("template"))
        _change(tokenizer, chat_template=f"{{{{ raise_exception({reason}) }}}}")
    elif how == "weights":
        (folder / "model.safetensors").write_bytes(text("weights").encode())


BREAKS = ("architecture", "size", "nesting", "code", "template", "weights")
"""What `broken_model` knows."""


def _change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
