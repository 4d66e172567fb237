"""Figures with units, the same way on every screen."""

from engine.i18n import _


def duration(seconds: float) -> str:
    """Return seconds as "41 s", "12 min" or "2 h 10"."""
    if seconds < 60:
        return _("{s} s").format(s=round(seconds))
    minutes = round(seconds / 60)
    if minutes < 60:
        return _("{m} min").format(m=minutes)
    return _("{h} h {m:02}").format(h=minutes // 60, m=minutes % 60)
