"""Names of checkpoint folders, for those who write them and those who only list them."""

import re
from pathlib import Path

_NUMBER = "(0|[1-9][0-9]{0,11})"
"""As this program writes one: other digits, leading zeros and steps beyond any run are no name of ours."""
_NAME = re.compile(f"checkpoint_epoch{_NUMBER}_step{_NUMBER}")


def checkpoint_name(epoch: int, step: int) -> str:
    """Return the folder name of the checkpoint after `step` steps, the last of them in `epoch`."""
    return f"checkpoint_epoch{epoch}_step{step}"


def checkpoint_folders(run_dir: Path) -> list[Path]:
    """Return the checkpoint folders, newest step first; they may be damaged."""
    found = [path for path in run_dir.glob("checkpoint_epoch*_step*") if _NAME.fullmatch(path.name)]
    return sorted(found, key=checkpoint_step, reverse=True)


def checkpoint_epoch(folder: Path) -> int:
    """Return the epoch in a checkpoint folder's name."""
    return _numbers(folder)[0]


def checkpoint_step(folder: Path) -> int:
    """Return the step in a checkpoint folder's name."""
    return _numbers(folder)[1]


def _numbers(folder: Path) -> tuple[int, int]:
    match = _NAME.fullmatch(folder.name)
    return (int(match[1]), int(match[2])) if match else (-1, -1)
