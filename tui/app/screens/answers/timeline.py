"""The steps at which a question was answered, on one line around the one that is shown."""

from collections.abc import Sequence

from engine.i18n import number
from engine.training.answers import Answer
from tui.app.screens.data.pair_row import CLOSE, OPEN
from tui.app.screens.shared.lines import SteadyText

from rich.cells import cell_len
from textual.content import Content

SAME = "="
"""Before a step whose answer is that of the step before."""
_MORE = "…"


class Timeline(SteadyText):
    """Scrolls by itself: the chosen step is always to be seen."""

    _shown: tuple[list[str], int] = [], 0

    def show(self, base: Answer | None, answers: Sequence[Answer], chosen: int) -> None:
        """Draw a line through answers to one question, the one with the index `chosen` marked.

        Args:
            base: the base model's answer.
            answers: of the trained model, by step.
            chosen: index of the answer that is shown.
        """
        befores = [base, *answers]
        names = [
            (SAME if before and answer.answer == before.answer else "") + step_name(answer)
            for answer, before in zip(answers, befores, strict=False)
        ]
        self._shown = names, chosen
        self._draw()

    def on_resize(self) -> None:
        """Fill the new width."""
        self._draw()

    def _draw(self) -> None:
        names, chosen = self._shown
        self.say(_line(names, chosen, self.content_size.width or self.app.size.width))


def step_name(answer: Answer) -> str:
    """Return the step of an answer of the trained model."""
    return number(answer.step or 0)


def _line(steps: Sequence[str], chosen: int, width: int) -> Content:
    if not steps:
        return Content("")
    room = width - 2 * cell_len(f"{_MORE}  ")
    first, last = _window([cell_len(step) + 2 for step in steps], chosen, room - 2)
    parts: list[Content] = [Content.styled(_MORE, "$muted")] if first else []
    for index in range(first, last + 1):
        if index == chosen:
            parts.append(Content.styled(f"{OPEN}{steps[index]}{CLOSE}", "bold $accent"))
        else:
            parts.append(Content.styled(steps[index], "$muted" if steps[index][0] == SAME else ""))
    if last + 1 < len(steps):
        parts.append(Content.styled(_MORE, "$muted"))
    return Content("  ").join(parts)


def _window(widths: Sequence[int], chosen: int, room: int) -> tuple[int, int]:
    """Return the first and last index of what fits into `room` cells with `chosen` about in the middle."""
    first = last = chosen
    room -= widths[chosen]
    while True:
        grown = False
        for index in (first - 1, last + 1):
            if 0 <= index < len(widths) and widths[index] <= room:
                room -= widths[index]
                first, last, grown = min(first, index), max(last, index), True
        if not grown:
            return first, last
