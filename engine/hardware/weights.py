"""What was measured here of the ways to multiply by frozen weights: which is fastest, and by how much."""

from engine.calibrations import read_calibrations
from engine.hardware.report import Check
from engine.i18n import _
from engine.text import one_line


def check_weights() -> Check | None:
    """Report the newest measurement; None before the first run, which makes it."""
    known = read_calibrations()
    if not known:
        return None
    name, times = list(known.items())[-1]
    fastest = min(times, key=lambda way: times[way])
    others = ", ".join(f"{way} {seconds * 1e3:.1f} ms" for way, seconds in sorted(times.items()))
    value = _("{way} is fastest ({times})").format(way=fastest, times=others)
    return Check("weights", _("Frozen weights"), value, "ok", one_line(name, 120))
