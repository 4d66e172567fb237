"""The self-test: its parts, one after the other, none of which can fail or hang the others."""

import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from engine.errors import UserError
from engine.i18n import _
from engine.model.demo import MODEL_NAME, is_complete
from engine.project import Project
from engine.sanitize import one_line
from engine.selftest import machine_parts, mlx_parts, run_parts
from engine.selftest.bench import Bench
from engine.selftest.part import Begun, Part, Skipped, Trial, found
from engine.verify.child import Launcher

PARTS = (
    Part("mlx", lambda: _("MLX"), 30, mlx_parts.try_device),
    Part("matmul", lambda: _("Matrix product"), 60, mlx_parts.try_matmul),
    Part("memory", lambda: _("Memory figures"), 30, mlx_parts.try_memory),
    Part("awake", lambda: _("Keep awake"), 15, machine_parts.try_keep_awake),
    Part("power", lambda: _("Power"), 15, machine_parts.try_power),
    Part("display", lambda: _("Display"), 15, machine_parts.try_display),
    Part("model", lambda: _("Base model"), 240, run_parts.try_model),
    Part("run", lambda: _("Short run"), 120, run_parts.try_run),
    Part("pause", lambda: _("Ctrl+C"), 120, run_parts.try_pause),
    Part("resume", lambda: _("Resume"), 120, run_parts.try_resume),
    Part("verify", lambda: _("Interruptions"), 300, run_parts.try_interruptions),
    Part("modes", lambda: _("Matmul modes"), 180, mlx_parts.try_modes),
)
"""In this order: the later ones need the base model."""


def selftest(
    project: Project,
    launcher: Launcher,
    supervised: Launcher,
    model: str = "",
    parts: Sequence[Part] = PARTS,
) -> Generator[Begun | Trial, None, None]:
    """Try the parts in a temporary folder, which is gone at the end, however that comes.

    Args:
        project: whose base model may be used; nothing in it is changed.
        launcher: how this program is started without a supervisor around it.
        supervised: how it is started as a user does.
        model: name of one of the project's base models; empty takes the built-in one.
        parts: what to try.

    Yields:
        Each part as it begins and as it ends.

    Raises:
        UserError: the project has no such base model.
        OSError: the temporary folder cannot be made.
    """
    given = project.model_dir(model) if model else _built_in(project)
    with tempfile.TemporaryDirectory(prefix="mqlora-selftest-") as folder:
        bench = Bench(Path(folder), _inside(folder, launcher), _inside(folder, supervised), given)
        for number, part in enumerate(parts, start=1):
            yield Begun(part.label(), number, len(parts), part.limit_s)
            yield _tried(part, bench)


def _inside(folder: str, launcher: Launcher) -> Launcher:
    """Return a launcher whose processes make their temporary files in `folder`."""
    return replace(launcher, environment={**launcher.environment, "TMPDIR": folder})


def _built_in(project: Project) -> Path | None:
    folder = project.models_dir / MODEL_NAME
    return folder if is_complete(folder) else None


def _tried(part: Part, bench: Bench) -> Trial:
    """Try a part; what it raises is a finding too."""
    begin, is_skipped = time.monotonic(), False
    try:
        check = part.try_it(bench, part.limit_s)
    except Skipped as reason:
        check, is_skipped = found("", detail=str(reason)), True
    except UserError as error:
        check = found("", "error", error.problem, error.fix)
    except Exception as error:  # the other parts are tried all the same
        check = found("", "error", one_line(f"{type(error).__name__}: {error}", 200))
    seconds = time.monotonic() - begin
    if check.status == "error" and seconds >= part.limit_s:  # it was ended, whatever it said to that
        check = found("", "error", _("It did not end within {n:g} s").format(n=part.limit_s))
    return Trial(replace(check, id=part.id, label=part.label()), seconds, is_skipped)
