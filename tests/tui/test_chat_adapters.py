"""The adapters that can be talked to, with a run that was really trained."""

from engine.chat import ChatSession, ChatSettings
from engine.errors import UserError
from engine.project import Project
from tui.app.jobs.adapters import WEIGHTS, find_adapters
from tui.app.jobs.chat import create_session

import pytest


def test_each_checkpoint_answers_as_the_command_line_with_its_folder_and_a_damaged_one_is_refused(
    trained: Project,
) -> None:
    """The adapter that was chosen is the one that is loaded; turned off, both are the base model."""
    best, newest, *_older = find_adapters(trained)
    assert best.folder is None and newest.folder and newest.step > 0

    def said(session: object, with_adapter: bool) -> str:
        asked = [{"role": "user", "content": "Quanto é 3 mais 4?"}]
        assert isinstance(session, ChatSession)
        return "".join(chunk.text for chunk in session.reply(asked, ChatSettings(8), with_adapter))

    chosen, named = create_session(trained, "", newest.folder), ChatSession(trained, "", newest.folder)
    assert said(chosen, True) == said(named, True) != said(chosen, False)
    weights = newest.folder / WEIGHTS
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        create_session(trained, "", newest.folder)
    trained.adapters_dir.rename(trained.root / "elsewhere")
    assert said(chosen, False) == said(create_session(trained, "", None), False), "the base model"
