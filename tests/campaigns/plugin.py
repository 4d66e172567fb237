"""Campaigns as tests: their options, and the tables of what they did.

`pytest -m campaign -k kill --tries 200` makes one, for as long as the options say. A test that takes `tries`,
`seed` or `minutes` is parametrised (`indirect`) with what each of its forms takes where no option is given;
the options are for campaigns, so that a short form stays as short as it is.
"""

import json
import math
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MARKER = "campaign"
"""Of tests that attack, and name in the report of a test of what it did."""
_FIXTURES = {"tries": "tries", "seed": "seed", "minutes": "minutes", "json": "show"}
"""What a test takes that uses an option."""
Row = dict[str, Any]
Show = Callable[[str, "Sequence[DataclassInstance]"], None]
"""Called with the title of a table and with its rows."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what campaigns take."""
    group = parser.getgroup("campaigns", "attacks on what the program promises, chosen with -m campaign")
    group.addoption(
        "--tries", type=_count, metavar="N", help="of each case; else as many as each has of its own"
    )
    group.addoption("--seed", type=int, metavar="N", help="of what is drawn by chance")
    group.addoption("--minutes", type=_minutes, metavar="M", help="of a campaign that goes on for a time")
    group.addoption(
        "--json", type=Path, metavar="FILE", help="write the rows of the tables, one JSON object a line"
    )


def _count(text: str) -> int:
    with suppress(ValueError):
        if (number := int(text)) > 0:
            return number
    raise ArgumentTypeError(f"{text!r} is not a whole number from 1 on")


def _minutes(text: str) -> float:
    with suppress(ValueError):
        if 0 < (number := float(text)) < math.inf:
            return number
    raise ArgumentTypeError(f"{text!r} is not a time in minutes")


def pytest_configure(config: pytest.Config) -> None:
    """Keep what campaigns will tell."""
    file: Path | None = config.getoption("json")
    if file and not file.absolute().parent.is_dir():
        raise pytest.UsageError(f"--json: there is no folder {file.absolute().parent}")
    config.pluginmanager.register(_Tables(file))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a campaign take its time; one that is a slow test too is short."""
    for item in items:
        if item.get_closest_marker(MARKER) and not item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(0))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse an option that no chosen test uses."""
    chosen = [item for item in session.items if item.get_closest_marker(MARKER)]
    used = {name for item in chosen for name in getattr(item, "fixturenames", ())}
    for option, fixture in _given(session.config).items():
        if fixture not in used:
            raise pytest.UsageError(
                f"--{option} is used by none of the chosen tests; it is for campaigns (-m campaign)"
            )


def _given(config: pytest.Config) -> dict[str, str]:
    return {option: name for option, name in _FIXTURES.items() if config.getoption(option) is not None}


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> int | None:
    """How often to try each case; None makes all there are."""
    number: int | None = _chosen(request, "tries")
    return number


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What chance begins with; a campaign that has none of its own draws another each time."""
    number: int | None = _chosen(request, "seed")
    return int(time.time()) if number is None else number


@pytest.fixture
def minutes(request: pytest.FixtureRequest) -> float:
    """How long to go on."""
    number: float = _chosen(request, "minutes")
    return number


def _chosen(request: pytest.FixtureRequest, option: str) -> Any:
    given = request.config.getoption(option) if request.node.get_closest_marker(MARKER) else None
    return request.param if given is None else given


@pytest.fixture
def show(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Show:
    """Return what puts rows into a table at the end; tables are of campaigns, not of their short forms."""

    def record(title: str, rows: "Sequence[DataclassInstance]") -> None:
        if request.node.get_closest_marker(MARKER):
            given = _given(request.config).items()
            unused = [f"--{option}" for option, name in given if name not in request.fixturenames]
            record_property(MARKER, {"title": title, "rows": [*map(asdict, rows)], "unused": unused})

    return record


class _Tables:
    """What the campaigns of this session told, as their reports come in."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._rows: dict[str, list[Row]] = {}
        self._unused: dict[str, list[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the rows out of a report, which may come from another process."""
        for name, told in report.user_properties if report.when == "call" else ():
            if name == MARKER and isinstance(told, dict):
                self._rows.setdefault(told["title"], []).extend(told["rows"])
                self._unused[told["title"]] = told["unused"]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print a table for each title, and write the file."""
        if self._rows:
            terminalreporter.section("campaigns")
            terminalreporter.write(self._drawn())
        if self._file:
            self._file.write_text("".join(self._lines()), encoding="utf-8")

    def _drawn(self) -> str:
        console = Console(highlight=False, markup=False)
        with console.capture() as drawn:
            for title, rows in self._rows.items():
                console.print(_table(title, rows))
                for option in self._unused[title]:
                    console.print(f"{option} had no effect on it.")
        return drawn.get()

    def _lines(self) -> Iterator[str]:
        for title, rows in self._rows.items():
            yield from (json.dumps({"campaign": title, **row}) + "\n" for row in rows)


def _table(title: str, rows: list[Row]) -> Table:
    """Draw rows of the same columns; those that are empty throughout are left out."""
    table = Table(title=title, title_justify="left")
    names = [name for name in rows[0] if any(row[name] not in (None, "") for row in rows)] if rows else []
    for name in names:
        is_text = any(isinstance(row[name], str) for row in rows)
        table.add_column(name.replace("_", " "), justify="left" if is_text else "right")
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in names))
    return table


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return "" if value is None else str(value)
