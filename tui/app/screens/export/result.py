"""What came of an export: where it is, what it keeps and the command that tries it."""

from pathlib import Path
from typing import TYPE_CHECKING

from engine.i18n import _
from engine.sanitize import one_line
from engine.shell import continued
from tui.words import kept_words

from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:  # it imports MLX
    from engine.export.exporter import Exported

_LONGEST = 4_000
"""Characters of a command that are shown."""


class ExportResult(Static):
    """Breaks the command for its width in a way that it can still be pasted."""

    def __init__(self, root: Path) -> None:
        """Prepare the text.

        Args:
            root: of the project; what lies in it is named from there.
        """
        super().__init__(id="export-result", markup=False)
        self._root = root
        self._done: Exported | None = None

    def show(self, done: "Exported") -> None:
        """Draw what was written."""
        self._done = done
        self._draw()

    def on_resize(self) -> None:
        """Break the command anew."""
        self._draw()

    def _draw(self) -> None:
        if self._done and self.content_size.width:
            self.update(_words(self._done, self._root, self.content_size.width))


def _words(done: "Exported", root: Path, width: int) -> Content:
    folder = done.folder.relative_to(root) if done.folder.is_relative_to(root) else done.folder
    lines = [Content.assemble(("✓ ", "bold $success"), one_line(str(folder), 1000))]
    if done.gain:
        lines.append(Content(f"  {kept_words(done.gain)}"))
    lines += [Content.assemble(("! ", "bold $warning"), f"{one_line(note, 600)}.") for note in done.notes]
    lines += [Content(""), Content.styled(_("Try it with this command; c copies it:"), "$muted")]
    lines += [Content.styled(part, "$accent") for part in continued(one_line(done.command, _LONGEST), width)]
    return Content("\n").join(lines)
