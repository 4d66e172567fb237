"""A disk that takes no more, at every write of a run.

The n-th request to the disk fails, for each n of a small run; a small file system
is filled at each event of one; the folder turns read-only. After each the run has
to end in one sentence, with its last checkpoint untouched, and to go on when there
is room. What the command line makes of it: `tests.campaigns.disk_commands`.
"""

import errno
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from threading import Event as StopEvent

from engine.project import Project
from engine.training.events import Event, Paused, StepDone
from tests.campaigns.bench import (
    Bench,
    Session,
    Strike,
    Try,
    sentence_faults,
    standing_faults,
    steps_to_redo,
    table,
)
from tests.campaigns.common import Result
from tests.campaigns.faults import FaultyDisk
from tests.campaigns.file_system import (
    LEFT_OUT,
    allow_changes,
    can_forbid,
    can_mount,
    fill,
    forbid_changes,
    small_file_system,
)
from tests.support.tiny import RUN

SMALL = RUN.updated({"num_epochs": 1, "keep_checkpoints": 1})
"""Six steps."""
_ROOMY = 4 << 20
"""Bytes of a file system that this run fits into."""
_TOO_SMALL = 1 << 20
_LEFT = (0, 4096, 30_000)
"""Bytes left free: nothing; room for a line; room for an adapter but not for a checkpoint."""


def campaign(tries: int | None, seed: int) -> list[Result]:
    """Make `tries` attacks of each kind, drawn at random; None makes all there are."""
    with tempfile.TemporaryDirectory(prefix="mqlora-disk-") as name:
        bench = Bench(Path(name).resolve(), SMALL)
        chance = random.Random(seed)
        made = [
            *_requests(bench, tries, chance),
            *_pauses(bench, tries, chance),
        ]
        results = []
        if can_mount():
            made += [*_full_file_system(bench, tries, chance), _too_small(bench)]
        else:
            results.append(Result("full file system", 0, 0, remark=LEFT_OUT))
        if can_forbid():
            made += _read_only(bench, tries, chance)
        else:
            results.append(Result("folder turned read-only", 0, 0, remark=LEFT_OUT))
    return table(made) + results


def _drawn(
    items: Sequence[tuple[int, ...]], tries: int | None, chance: random.Random
) -> Sequence[tuple[int, ...]]:
    return items if tries is None or tries >= len(items) else chance.sample(items, tries)


# The n-th request fails


def _requests(bench: Bench, tries: int | None, chance: random.Random) -> Iterator[Try]:
    project = bench.copy()
    with FaultyDisk(project.root).mounted() as disk:
        bench.sit(project)
    numbers = range(1, disk.asked + 1)
    for error, for_good in ((errno.ENOSPC, True), (errno.ENOSPC, False), (errno.EROFS, True)):
        for (number,) in _drawn([(n,) for n in numbers], tries, chance):
            yield _refused_request(bench, number, error, for_good)


def _refused_request(bench: Bench, number: int, error: int, for_good: bool) -> Try:
    project = bench.copy()
    with FaultyDisk(project.root, number, error, for_good).mounted() as disk:
        session = bench.sit(project)
    faults = judge(bench, project, session, is_struck=bool(disk.failed))
    case = f"{errno.errorcode[error]} at the n-th request, {'for good' if for_good else 'once'}"
    return Try(case, tuple(f"{disk.failed} {number}: {fault}" for fault in faults[0]), faults[1])


def judge(bench: Bench, project: Project, session: Session, is_struck: bool = True) -> tuple[list[str], int]:
    """Return the broken promises, and the steps that have to be made again."""
    lost = steps_to_redo(project, session)
    faults = [] if session.is_finished else standing_faults(project, session)
    if is_struck and session.is_finished:
        faults.append("a failed write went unnoticed")
    faults += bench.faults_of(project)
    shutil.rmtree(project.root)
    return faults, lost


# The checkpoint of a pause fails


def _pauses(bench: Bench, tries: int | None, chance: random.Random) -> Iterator[Try]:
    for (step,) in _drawn([(n,) for n in range(1, 6)], tries, chance):
        project = bench.copy()
        disk = FaultyDisk(project.root)

        def interrupt(event: Event, stop: StopEvent, step: int = step, disk: FaultyDisk = disk) -> None:
            if isinstance(event, StepDone) and event.metrics.step == step:
                stop.set()
                disk.fail_from_now()

        with disk.mounted():
            session = bench.sit(project, interrupt)
        claimed = any(isinstance(event, Paused) for event in session.events)
        faults, lost = judge(bench, project, session)
        yield Try("Ctrl+C on a full disk", tuple(faults + ["told a pause"] * claimed), lost)


# A small file system, filled at an event


def _full_file_system(bench: Bench, tries: int | None, chance: random.Random) -> Iterator[Try]:
    events = len(bench.sit(bench.copy()).events)
    for place, left in _drawn([(n, left) for n in range(events) for left in _LEFT], tries, chance):
        with small_file_system(bench.folder, _ROOMY) as folder:
            project = bench.copy(folder / "project")
            interrupt = _filler(folder / "filler", place, left)
            session = bench.sit(project, interrupt)
            (folder / "filler").unlink(missing_ok=True)
            faults, lost = judge(bench, project, session, is_struck=False)
        yield Try(f"full file system, {left} bytes left", tuple(f"event {place}: {f}" for f in faults), lost)


def _too_small(bench: Bench) -> Try:
    """A file system without room for two checkpoints: refused before anything is written."""
    with small_file_system(bench.folder, _TOO_SMALL) as folder:
        project = bench.copy(folder / "project")
        session = bench.sit(project)
        faults = sentence_faults(session.refusal) + ["left a folder"] * project.run_dir.exists()
        faults += [] if " need " in session.refusal and " are free" in session.refusal else [session.refusal]
    return Try("too small for two checkpoints: refused", tuple(faults))


def _filler(path: Path, place: int, left: int) -> Strike:
    """Return what fills the disk with the file `path` at the event number `place`."""
    numbers = count()

    def interrupt(_event: Event, _stop: StopEvent) -> None:
        if next(numbers) == place:
            fill(path, left)

    return interrupt


# Turned read-only in the middle


def _read_only(bench: Bench, tries: int | None, chance: random.Random) -> Iterator[Try]:
    for (step,) in _drawn([(n,) for n in range(1, 6)], tries, chance):
        project = bench.copy()

        def interrupt(event: Event, _stop: StopEvent, step: int = step, project: Project = project) -> None:
            if isinstance(event, StepDone) and event.metrics.step == step:
                forbid_changes(project.run_dir)

        try:
            session = bench.sit(project, interrupt)
        finally:
            allow_changes(project.run_dir)
        faults, lost = judge(bench, project, session, is_struck=False)
        yield Try("folder turned read-only", tuple(f"step {step}: {f}" for f in faults), lost)
