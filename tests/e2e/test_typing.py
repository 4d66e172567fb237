"""Keys and pastes that arrive faster than they are handled, as over a slow line."""

from engine.config import TrainingConfig
from engine.project import Project
from tests.support.terminal import Terminal

import pytest

DOWN, BACKSPACE = "\x1b[B", "\x7f"


@pytest.fixture
def terminal(project: Project) -> Terminal:
    """The app in a project whose configuration is chosen."""
    terminal = Terminal("-C", str(project.root))
    terminal.wait_for("Ready for")
    return terminal


def test_a_burst_is_handled_in_its_order(terminal: Terminal, project: Project) -> None:
    """A place, its form, three values, saving and the next place, all in one write."""
    before = TrainingConfig.load(project.config_file)
    assert (before.batch_size, before.gradient_accumulation, before.max_seq_length) == (2, 2, 64)
    values = f"{BACKSPACE}x{BACKSPACE}8{DOWN}{BACKSPACE}16{DOWN}{BACKSPACE * 2}128"
    terminal.press(f"2e{DOWN * 2}{values}\x133")
    terminal.wait_for("3 Data")
    saved = TrainingConfig.load(project.config_file)
    assert (saved.batch_size, saved.gradient_accumulation, saved.max_seq_length) == (8, 16, 128)
    assert saved == before.updated({"batch_size": 8, "gradient_accumulation": 16, "max_seq_length": 128})
    terminal.press("q")
    assert terminal.wait() == 0


def test_a_pasted_text_with_codes_in_it_is_one_question(terminal: Terminal) -> None:
    """Its lines are kept, its codes are shown, and only the Enter behind it sends it."""
    terminal.press("5")
    terminal.wait_for("Ask something")
    terminal.press("\x1b[200~first\rsecond\x1b[31m\x03\x1b\rq\x1b[201~ end")
    terminal.wait_for("q end")
    assert "second\\x1b[31m\\x03\\x1b" in terminal.text and "You" not in terminal.text
    terminal.press("\r")
    terminal.wait_for("tok/s")
    assert terminal.text.index("You     first") < terminal.text.index("        second")
    terminal.press("\x11")
    assert terminal.wait() == 0


def test_a_megabyte_is_refused_and_the_next_key_answered(terminal: Terminal) -> None:
    """Nothing of it is typed, in a field or out of one."""
    terminal.press("5")
    terminal.wait_for("Ask something")
    terminal.press(f"\x1b[200~{'palavra ' * 131_072}\x1b[201~ok")
    terminal.wait_for("1,048,576 characters were pasted")
    terminal.wait_until(lambda: any(line.strip() == "ok" for line in terminal.text.splitlines()), "ok")
    terminal.press("\x11")
    assert terminal.wait() == 0
