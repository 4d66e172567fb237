"""What is wrong with a screen by its looks: cut, overlapping, outside, untranslated."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from typing import Any

from engine.i18n import language
from engine.i18n.catalogue import path_of, read
from tests.support.fake_engine import REFUSED, shown
from tests.support.portuguese_looks import not_portuguese
from tui.app.app import MqloraApp
from tui.app.screens.shared.footer import KeyFooter

from textual.app import App
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

_WORD = re.compile(r"[^\W\d_]+")
_AT_THE_EDGE = re.compile(r"(?<![\w{}%/.-])([^\W\d_]{3,})$")
_LONG = 14
"""Characters of an English text that stand by chance in no Portuguese one."""


@cache
def english() -> list[str]:
    """Return the sentences that would tell of a text that nobody translated."""
    return [
        text
        for text, forms in read(path_of("pt")).items()
        if len(text) > _LONG and "{" not in text and text != forms[0]
    ]


@cache
def _words() -> frozenset[str]:
    """Return every word that this program says, in either language."""
    texts = (text for english, forms in read(path_of("pt")).items() for text in (english, *forms))
    return frozenset(word for text in texts for word in _WORD.findall(text))


@cache
def _is_beginning(word: str) -> bool:
    """Whether something is no word of the program but the beginning of one."""
    return word not in _words() and any(other.startswith(word) for other in _words())


def faults_of(app: App[Any]) -> Iterator[str]:
    """Yield what is wrong with the screen as it is drawn now."""
    yield from _outside(app)
    yield from _overlapping(app)
    yield from _cut(app)
    yield from _touching(app)
    if language() == "pt":
        yield from not_portuguese(shown(app), _quoted(app))
        text = " ".join(shown(app).split())
        yield from (f"not translated: {sentence!r}" for sentence in english() if sentence in text)


def _quoted(app: App[Any]) -> list[str]:
    """Return what tests let the machine and the data say, in their own language."""
    if not isinstance(app, MqloraApp):
        return []
    checks = app.hardware.checks if app.hardware else ()
    faults = app.data.faults if app.data else ()
    said = [text for check in checks for text in (check.label, check.value, check.detail, check.fix)]
    said += [*REFUSED, str(app.project.root).replace("/", " ")]
    return said + [text for fault in faults for text in (fault.kind, fault.message, fault.fix)]


def _touching(app: App[Any]) -> Iterator[str]:
    """Yield labels that leave no gap before what stands to the right of them."""
    for label in app.screen.query(".field-name, .chat-speaker, Label").results(Static):
        content = label.visual
        if label.region.area and isinstance(content, Content) and content.cell_length >= label.size.width:
            yield f"no gap after {content.plain!r}"


def _outside(app: App[Any]) -> Iterator[str]:
    for footer in app.screen.query(KeyFooter):
        content = footer.content
        if isinstance(content, Content) and content.cell_length > footer.size.width:
            yield f"the footer is too long: {content.plain!r}"
    for box in app.screen.query(".dialog"):
        if box.display and not app.screen.region.contains_region(box.region):
            yield f"{box} is not on the screen: {box.region}"


def _overlapping(app: App[Any]) -> Iterator[str]:
    """Yield widgets that lie on others of the same container."""
    for parent in (app.screen, *app.screen.query("*").results()):
        shown_now = [child for child in parent.children if child.display and child.region.area]
        flowing = [child for child in shown_now if _flows(child)]
        for one, other in combinations(flowing, 2):
            if one.layer == other.layer and one.region.overlaps(other.region):
                yield f"{one} lies on {other}"


def _flows(widget: Widget) -> bool:
    styles = widget.styles
    return styles.overlay == "none" and styles.position == "relative" and styles.dock == "none"


def _cut(app: App[Any]) -> Iterator[str]:
    """Yield lines of widgets that end, at the widget's own edge, within a word and without an ellipsis."""
    lines = shown(app).split("\n")
    for widget in app.screen.query("*").results():
        if list(widget.children) or isinstance(widget, Input | TextArea) or not widget.visible:
            continue
        region = widget.content_region.intersection(app.screen.region)
        for parent in widget.ancestors:
            if isinstance(parent, Widget):
                region = region.intersection(parent.content_region)
        for line in lines[region.y : region.bottom]:
            ends = _AT_THE_EDGE.search(line[region.x : region.right]) if len(line) == app.size.width else None
            if ends and _is_beginning(ends[1]):
                yield f"cut at {ends[1]!r}: {line!r}"


def too_long(app: App[Any]) -> Iterator[str]:
    """Yield texts that have more lines than room, where nothing scrolls."""
    for widget in app.screen.query(Static).results():
        width, height = widget.content_size
        if not (width and height and widget.visible) or list(widget.children) or widget.is_scrollable:
            continue
        lines = widget.get_content_height(widget.size, app.size, width)
        if lines > height:
            yield f"{widget} has {lines} lines in {height}: {widget.visual!r}"
