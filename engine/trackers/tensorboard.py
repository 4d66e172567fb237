"""TensorBoard's event files, written by tensorboardX, which needs neither TensorFlow nor PyTorch."""

from typing import Any

from engine.trackers.library import Row, RunInfo, figures, seconds

_FLUSH_S = 10
"""Seconds after which a step can be seen at the latest."""
_RESULTS = ("loss", "val_loss")
"""What the table of hyperparameters shows of each run."""


class TensorBoard:
    """One event file a session, and one more whenever the run goes back a few steps."""

    def __init__(self, info: RunInfo, first: int) -> None:
        from tensorboardX.summary import hparams

        self._info = info
        self._writer = self._open(first)
        settings = {name: _hyperparameter(value) for name, value in info.config.items()}
        experiment, began, self._ended = hparams(settings, dict.fromkeys(_RESULTS, 0.0))
        if first == 1:
            self._writer.file_writer.add_summary(experiment)
            self._writer.file_writer.add_summary(began)

    def _open(self, first: int) -> Any:
        """Begin a file whose readers leave out what earlier files have of step `first` and later ones.

        They read files in the order of their names, which begin with a time in whole seconds.
        """
        from tensorboardX import SummaryWriter

        number = sum(1 for _file in self._info.folder.glob("events.out.tfevents.*"))
        return SummaryWriter(
            str(self._info.folder), purge_step=first, flush_secs=_FLUSH_S, filename_suffix=f".{number:06d}"
        )

    def log(self, row: Row) -> None:
        """Take one step."""
        for name, value in figures(row).items():
            self._writer.add_scalar(name, value, row["step"], walltime=seconds(row))

    def rewind(self, step: int) -> None:
        """Forget this step and all after it."""
        self._writer.close()
        self._writer = self._open(step)

    def flush(self) -> None:
        """Have all that was taken on the disk."""
        self._writer.flush()

    def close(self, is_finished: bool) -> None:
        """End the session; the run too if it is finished."""
        if is_finished:
            self._writer.file_writer.add_summary(self._ended)
        self._writer.close()


def _hyperparameter(value: Any) -> bool | float | str:
    """Return a setting as the table of hyperparameters takes it: a list as its names."""
    return ", ".join(value) if isinstance(value, list) else value
