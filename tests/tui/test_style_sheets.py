"""Style sheets that were parsed are kept, and only where nothing that counts differs."""

from tui.app.style_sheets import patch_style_sheets

from textual.css.stylesheet import Stylesheet

TEXT = "Screen { color: $ink; background: $paper; }"
PLAIN = {"ink": "red", "paper": "white"}


def sheet(text: str = TEXT, **variables: str) -> Stylesheet:
    made = Stylesheet(variables=PLAIN | variables)
    made.add_source(text, read_from=("a.tcss", ""))
    return made


def test_equal_sheets_are_parsed_once() -> None:
    """Another text, place or variable makes another sheet, whose rules are Textual's own."""
    patch_style_sheets()
    first = sheet().rules
    copied = sheet().copy()
    copied.parse()
    assert sheet().rules[0] is first[0] and copied.rules[0] is first[0]
    assert first[0].styles.color.rgb == (255, 0, 0)
    for other in (sheet(ink="blue"), sheet(TEXT + "\n"), sheet(paper="black")):
        assert other.rules[0] is not first[0]
    assert sheet(ink="blue").rules[0].styles.color.rgb == (0, 0, 255)
    assert sheet(paper="black").rules[0].styles.background.rgb == (0, 0, 0)
    default = Stylesheet(variables=PLAIN)
    default.add_source(TEXT, read_from=("a.tcss", ""), is_default_css=True)
    assert default.rules[0].is_default_rules and not first[0].is_default_rules
