"""Damage to a run's files between two sessions.

Each file of the newest checkpoint, and each other file that a run writes, is
damaged in every way below. A damaged checkpoint has to be named and the one
before used; whatever else is damaged, the run has to go on from its checkpoint
and to end in the bytes it would have had.
"""

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders, checkpoint_step
from engine.training.events import Notice, Started
from tests.campaigns.bench import Bench, Session, Try, leftovers, pause_at, sentence_faults, table
from tests.campaigns.common import Result, outcome
from tests.support.tiny import RUN

CONFIG = RUN.updated({"keep_checkpoints": 9})
PAUSE = 7
"""The run is damaged after this step; its newest checkpoint is of it, the one before of step 6."""
Damage = Callable[[Path, random.Random], None]


def campaign(tries: int, seed: int) -> list[Result]:
    """Damage each file in each way, `tries` times where the way is a matter of chance."""
    with tempfile.TemporaryDirectory(prefix="mqlora-damage-") as name:
        bench = Bench(Path(name), CONFIG)
        paused = bench.copy()
        bench.sit(paused, pause_at(PAUSE))
        chance = random.Random(seed)
        made = [*_newest(bench, paused, tries, chance), *_others(bench, paused, tries, chance)]
        made += [*_folders(bench, paused), *_all(bench, paused)]
    return table(made)


# Ways to damage a file


def truncate(path: Path, chance: random.Random) -> None:
    """Cut the file off at a random place."""
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])


def flip(path: Path, chance: random.Random) -> None:
    """Turn one bit over at a random place."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def scramble(path: Path, chance: random.Random) -> None:
    """Write random bytes over a block, as long as the file goes."""
    content = bytearray(path.read_bytes())
    begin = chance.randrange(len(content))
    block = chance.randbytes(min(512, len(content) - begin))
    path.write_bytes(content[:begin] + block + content[begin + len(block) :])


def zero(path: Path, _chance: random.Random) -> None:
    """Leave a file of the same size that was never written, as after a power cut."""
    path.write_bytes(bytes(path.stat().st_size))


def empty(path: Path, _chance: random.Random) -> None:
    """Leave nothing in it."""
    path.write_bytes(b"")


def delete(path: Path, _chance: random.Random) -> None:
    """Take it away."""
    path.unlink()


def make_folder(path: Path, _chance: random.Random) -> None:
    """Put a folder in its place."""
    path.unlink()
    path.mkdir()


def nest(path: Path, _chance: random.Random) -> None:
    """Put JSON in its place that is deeper than any reader goes."""
    path.write_text("[" * 100_000)


DRAWN: tuple[Damage, ...] = (truncate, flip, scramble)
CERTAIN: tuple[Damage, ...] = (zero, empty, delete, make_folder, nest)


def _ways(tries: int) -> Iterator[Damage]:
    for way in DRAWN:
        yield from [way] * tries
    yield from CERTAIN


# What is damaged


def _newest(bench: Bench, paused: Project, tries: int, chance: random.Random) -> Iterator[Try]:
    """Each file of the newest checkpoint, also by the same file of the one before."""
    newest, before = checkpoint_folders(paused.run_dir)[:2]
    for name in sorted(path.name for path in newest.iterdir()):
        for way in _ways(tries):
            yield damage_checkpoint(bench, paused, name, way, chance)
        if (newest / name).read_bytes() != (before / name).read_bytes():  # the adapter's configuration is
            yield damage_checkpoint(bench, paused, name, of_another_step, chance)


def of_another_step(path: Path, _chance: random.Random) -> None:
    """Put the same file of the checkpoint before in its place."""
    shutil.copyfile(checkpoint_folders(path.parent.parent)[1] / path.name, path)


def damage_checkpoint(bench: Bench, paused: Project, name: str, way: Damage, chance: random.Random) -> Try:
    """Damage the file `name` of the newest checkpoint of a copy of `paused`, and go on."""
    project = bench.copy(source=paused)
    newest, before = checkpoint_folders(project.run_dir)[:2]
    way(newest / name, chance)
    faults = _went_back(bench, project, newest, checkpoint_step(before))
    lost = PAUSE - checkpoint_step(before)
    return Try(f"checkpoint: {way.__name__}", tuple(f"{name}: {fault}" for fault in faults), lost)


def _folders(bench: Bench, paused: Project) -> Iterator[Try]:
    """The newest checkpoint as a whole: another's content, empty, a file."""
    newest, before = checkpoint_folders(paused.run_dir)[:2]
    for number, case in enumerate(("another checkpoint's content", "an empty folder", "a file")):
        project = bench.copy(source=paused)
        target = project.run_dir / newest.name
        shutil.rmtree(target)
        if number == 0:
            shutil.copytree(project.run_dir / before.name, target)
        elif number == 1:
            target.mkdir()
        else:
            target.write_text("x")
        faults = _went_back(bench, project, newest, checkpoint_step(before))
        yield Try(f"checkpoint: {case}", tuple(faults), PAUSE - checkpoint_step(before))


def _went_back(bench: Bench, project: Project, damaged: Path, step: int) -> list[str]:
    session = bench.sit(project)
    told = " ".join(event.message for event in session.events if isinstance(event, Notice))
    faults = [] if damaged.name in told and f"step{step}" in told else ["the damage is not told"]
    begun = [event.step for event in session.events if isinstance(event, Started)]
    faults += [] if begun == [step] else [f"went on at {begun}"]
    return faults + _end(bench, project, session)


def _others(bench: Bench, paused: Project, tries: int, chance: random.Random) -> Iterator[Try]:
    """Each other file of the run; it goes on from its newest checkpoint."""
    spared = {*checkpoint_folders(paused.run_dir), paused.lock_file}
    files = [
        path for path in paused.run_dir.rglob("*") if path.is_file() and not {path, path.parent} & spared
    ]
    for path in sorted(files):
        name = path.relative_to(paused.run_dir)
        for way in _ways(tries):
            if way is flip and path in (paused.metrics_file, paused.metrics_csv):
                continue  # another digit is a number like any other: the metrics have no checksums
            yield damage_other(bench, paused, name, way, chance)


def damage_other(bench: Bench, paused: Project, name: Path, way: Damage, chance: random.Random) -> Try:
    """Damage the file `name` of the run folder of a copy of `paused`, and go on."""
    project = bench.copy(source=paused)
    way(project.run_dir / name, chance)
    session = bench.sit(project)
    begun = [event.step for event in session.events if isinstance(event, Started)]
    faults = [] if begun == [PAUSE] else [f"went on at {begun}: {session.refusal}"]
    faults += _end(bench, project, session)
    return Try(str(name), tuple(f"{way.__name__}: {fault}" for fault in faults), 0)


def _end(bench: Bench, project: Project, session: Session) -> list[str]:
    faults = [] if session.is_finished else [f"did not finish: {session.refusal}"]
    if session.is_finished:
        found = outcome(project)
        faults += [f"{key} differs" for key, value in bench.expected.items() if found[key] != value]
    faults += [f"left {path.name}" for path in leftovers(project)]
    shutil.rmtree(project.root)
    return faults


def _all(bench: Bench, paused: Project) -> Iterator[Try]:
    """Every checkpoint: the run is refused, and a restart archives it."""
    for name in ("adapters.safetensors", "adapter_config.json", "optimizer.safetensors", "state.json"):
        project = bench.copy(source=paused)
        for folder in checkpoint_folders(project.run_dir):
            empty(folder / name, random.Random(0))
        session = bench.sit(project)
        faults = sentence_faults(session.refusal)
        faults += [] if "--restart" in session.refusal else ["the way out is not named"]
        again = bench.sit(project, mode="restart")
        yield Try("every checkpoint: refused", (*faults, *_end(bench, project, again)), None)
