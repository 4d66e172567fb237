"""What the command line prints: text that cannot steer the terminal, JSON, and refusals."""

import json
import math
import sys
import traceback
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.i18n import _
from engine.text import printable

from rich.console import Console
from rich.text import Text

SYMBOLS = {"ok": "✓", "warning": "!", "error": "✗"}
STYLES = {"ok": "green", "warning": "yellow", "error": "red"}

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str, console: Console = out) -> None:
    """Print text as it is: no markup, no control codes."""
    console.print(Text(printable(text)))


def status_mark(status: str) -> Text:
    """Return the symbol of ok, warning or error in its colour."""
    return Text(SYMBOLS[status], STYLES[status])


def print_json(value: Any) -> None:
    """Print one JSON object on one line; null stands for a number that is not finite."""
    sys.stdout.write(json.dumps(_finite(value), ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def _finite(value: Any) -> Any:
    """Return `value` with None for NaN and infinities, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def refuse(error: UserError) -> int:
    """Print a refusal on stderr and return its exit code."""
    say(str(error), err)
    return 1


def report_defect(error: BaseException) -> int:
    """Tell of an unexpected exception in one sentence; its traceback goes to a log file."""
    import platformdirs

    path = Path(platformdirs.user_log_dir("mqlora-tui")) / "errors.log"
    reason = f"{type(error).__name__}: {error}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now().isoformat()} {' '.join(sys.argv)}\n")
            traceback.print_exception(error, file=log)
        where = _("details are in {path}").format(path=path)
    except OSError as failure:
        where = _("its details could not be written: {reason}").format(reason=failure)
    say(_("Something unexpected happened ({reason}); {where}.").format(reason=reason, where=where), err)
    return 1
