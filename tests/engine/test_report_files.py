"""The report to hand on: what is in it, that it is harmless, the same bytes again, whose files it takes."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

from engine.errors import UserError
from engine.evaluation.kept import KnownEvaluation
from engine.project import Project
from engine.report.write import HTML, MARKDOWN, write_report
from engine.training.run_folder import archive_run
from tests.support.evaluations import evaluation
from tests.support.fake_run import toy_project, write_run
from tests.support.portuguese import pass_in_portuguese

import pytest

HOSTILE = "<script>alert(1)</script> <img src=x onerror=y> | `code` **bold** $x$ [a](http://b) \x1b[31m\nnext"
_OWN = re.compile(r'xmlns(:\w+)?="[^"]+"')
"""Names of XML's vocabularies look like addresses, and are none."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = toy_project(tmp_path / "farense")
    write_run(project, "finished")
    return project


def known(monkeypatch: pytest.MonkeyPatch, found: KnownEvaluation | None) -> None:
    monkeypatch.setattr("engine.report.evaluation.known_evaluation", lambda _project: found)


class Page(HTMLParser):
    """Takes note of what a browser would."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close it: the last one that was opened."""
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an empty element."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Take note of text."""
        self.text += data


def test_all_of_a_run_is_in_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdict, next command, figures, settings, evaluation and answers, in both forms; the charts, too."""
    known(monkeypatch, KnownEvaluation(evaluation(), True))
    page = write_report(project)
    assert page == project.report_dir / HTML
    html, markdown = Page(page.read_text()), (project.report_dir / MARKDOWN).read_text()
    assert not html.open
    for part in (
        "Good, but not finished learning.",
        "mqlora-tui train --restart --set num_epochs=4",
        "validation 4.20 before training, then 1.34 at best",
        "step size of the optimizer after warm-up",
        "better than the base model on 22 of 24 rows, -1.93 ± 0.11 nats a token",
        "it forgot some of what the base model knew",
        "How much is 3 and 1?",
        "It depends.",
    ):
        assert part in " ".join(html.text.split()), part
        assert part in markdown.replace("\\", ""), part
    charts = {path.name for path in project.report_dir.glob("*.svg")}
    assert charts == set(re.findall(r"\]\((\w+\.svg)\)", markdown)) and len(charts) == 8
    assert html.tags.count("svg") == len(charts)
    assert str(project.root) not in page.read_text() + markdown


def test_what_others_wrote_does_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """No element, attribute or address comes from a row or an answer; Markdown shows it as it is."""
    known(monkeypatch, KnownEvaluation(evaluation(), True))
    plain = Page(write_report(project).read_text())
    known(monkeypatch, KnownEvaluation(evaluation(answer=HOSTILE), True))
    text = write_report(project).read_text()
    page = Page(text)
    assert page.tags == plain.tags and "<script>alert(1)</script>" in page.text
    assert {"script", "img", "link", "iframe", "a", "object"}.isdisjoint(page.tags)
    assert not [name for name, _value in page.attributes if name.startswith("on") or name == "src"]
    outside = [
        value
        for name, value in page.attributes
        if name.endswith("href") and not (value or "").startswith("#")
    ]
    assert not outside and "url(http" not in text
    addresses = {address for address in re.findall(r"https?://[^\s\"<)]+", _OWN.sub("", text))}
    assert addresses == {"http://b"}, "only what is shown of the answer"
    markdown = (project.report_dir / MARKDOWN).read_text()
    assert "\x1b" not in text + markdown
    (line, *_more) = [line for line in markdown.split("\n") if "alert" in line]
    assert r"\<script\>alert(1)\</script\>" in line and r"\|" in line and r"\*\*bold\*\*" in line
    assert len(re.findall(r"(?<!\\)\|", line)) == 7, "six cells, whatever is in them"


def test_the_same_run_has_the_same_report(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte; the identifiers of its charts are all different, as one page needs them."""
    known(monkeypatch, KnownEvaluation(evaluation(), True))
    write_report(project)
    first = {path.name: path.read_bytes() for path in project.report_dir.iterdir()}
    write_report(project)
    assert {path.name: path.read_bytes() for path in project.report_dir.iterdir()} == first
    for name, text in first.items():
        if name.endswith(".svg"):
            ET.fromstring(text)
    clips = [set(re.findall(rb'<clipPath id="(\w+)"', text)) for name, text in first.items() if "svg" in name]
    assert sum(map(len, clips)) == len(set().union(*clips)) > 0


def test_charts_are_read_without_colours(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars of models and of better and worse rows differ by their hatching, points by their shape."""
    known(monkeypatch, KnownEvaluation(evaluation(), True))
    write_report(project)
    answers = (project.report_dir / "evaluation_answers.svg").read_text()
    assert len(set(re.findall(r'<pattern id="(\w+)"', answers))) == 2, "the third model's bars are plain"
    loss = (project.report_dir / "evaluation_loss.svg").read_text()
    assert ">1.27<" in loss and ">best, step 40<" in loss, "text is text"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "It has not been evaluated yet"),
        (KnownEvaluation(evaluation(), False), "have changed since this was evaluated"),
    ],
    ids=["none", "of before"],
)
def test_without_figures_that_hold_it_says_how_to_get_them(
    project: Project, monkeypatch: pytest.MonkeyPatch, found: KnownEvaluation | None, said: str
) -> None:
    """Figures of other rows or adapters are not shown as those of this run."""
    known(monkeypatch, found)
    text = Page(write_report(project).read_text()).text
    assert said in text and "mqlora-tui eval" in text and "-1.93" not in text


def test_a_run_of_one_step_has_no_charts(tmp_path: Path) -> None:
    """And all else; without a run there is no report."""
    project = toy_project(tmp_path / "one")
    with pytest.raises(UserError, match="train"):
        write_report(project)
    write_run(project, "paused", 1)
    page = Page(write_report(project).read_text())
    assert "svg" not in page.tags and "Paused at step 1" in page.text


def test_what_somebody_else_wrote_stays(project: Project, tmp_path: Path) -> None:
    """A folder, a file and a link of that name are refused; a report of ours goes with its run."""
    own = project.report_dir
    own.mkdir()
    (own / HTML).write_text("<!DOCTYPE html><title>mine</title>")
    for _kind in range(3):
        with pytest.raises(UserError, match="is no report that mqlora-tui wrote"):
            write_report(project)
        if own.is_dir() and not own.is_symlink():
            assert (own / HTML).read_text().endswith("mine</title>")
            own.rename(tmp_path / "mine")
            own.write_text("a file")
        elif own.is_file():
            own.unlink()
            own.symlink_to(tmp_path / "mine")
    own.unlink()
    write_report(project)
    archive_run(project)
    assert not own.exists() and len(list(project.archive_dir.glob("*/report/report.html"))) == 1


@pytest.mark.slow
def test_it_speaks_portuguese(tmp_path: Path) -> None:
    """In a process that does."""
    pass_in_portuguese(tmp_path, f"{__file__}::{test_portuguese_page.__name__}")


def test_portuguese_page(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page names its language; numbers and words are that language's."""
    from engine.i18n.languages import language

    known(monkeypatch, KnownEvaluation(evaluation(), True))
    text = write_report(project).read_text()
    if language() == "pt":
        assert (
            'lang="pt-PT"' in text
            and "1,27" in text
            and ">Definições<" in text
            and "1.27" not in Page(text).text
        )
    else:
        assert 'lang="en"' in text and "1.27" in text and ">Settings<" in text
