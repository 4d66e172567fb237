"""Numbers with their units as people read them: durations, sizes, rates, and numbers of things."""

from datetime import datetime

from engine.i18n import _, ngettext, number
from engine.i18n.numbers import unit_gap, with_separators


def duration(seconds: float) -> str:
    """Return a length of time with at most two units, such as "2 h 10 min", "41 min" or "8 s"."""
    whole = round(seconds)
    if whole < 60:
        return _("{s} s").format(s=whole)
    minutes = round(seconds / 60)
    if minutes < 60:
        return _("{m} min").format(m=minutes)
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return _("{h} h {m} min").format(h=hours, m=rest) if rest else _("{h} h").format(h=hours)
    days, hours = divmod(round(minutes / 60), 24)
    return _("{d} d {h} h").format(d=days, h=hours)


def moment(written: str) -> str:
    """Return day and time of an ISO 8601 text, such as "2026-11-27 01:07"; what is none as it is."""
    try:
        when = datetime.fromisoformat(written)
    except ValueError:
        return written
    return _("{day} {clock}").format(day=when.strftime(_("%Y-%m-%d")), clock=f"{when:%H:%M}")


def size(count: int) -> str:
    """Return a number of bytes in the decimal unit that fits, such as "29.4 MB" (1e6 bytes) or "3.8 GB"."""
    return _size(count, 1)


def _size(count: int, decimals: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            is_whole = unit == "B" or (value >= 99.95 and decimals == 1)
            return f"{number(value, '.0f' if is_whole else f'.{decimals}f')}{unit_gap()}{unit}"
        value /= 1000
    return f"{number(value, f'.{decimals}f')}{unit_gap()}GB"


def sizes_apart(one: int, other: int) -> tuple[str, str]:
    """Return two sizes as `size` does, with up to three decimals where those tell them apart."""
    for decimals in (1, 2, 3):
        texts = _size(one, decimals), _size(other, decimals)
        if texts[0] != texts[1]:
            return texts
    return size(one), size(other)


def rate(value: float) -> str:
    """Return a learning rate, such as "3e-4" or "1.5e-4"."""
    return with_separators(typed_rate(value))


def typed_rate(value: float) -> str:
    """Return a learning rate as it is typed after `--set` in every language, such as "1.5e-4"."""
    digits, _e, power = f"{value:.2e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


def nats(loss: float) -> str:
    """Return a loss with two decimals, such as "1.49"; one beyond any reading as "3.40e+38"."""
    return number(loss, ".2f" if abs(loss) < _MANY_DIGITS else ".2e")


_MANY_DIGITS = 1e5


def signed(value: float, decimals: int) -> str:
    """Return a change with its sign, such as "-50" or "+0.31"; one that rounds to nothing has none."""
    if abs(value) >= _MANY_DIGITS:
        return number(value, "+.2e")
    rounded = round(value, decimals)
    return number(rounded, f"+.{decimals}f") if rounded else number(0, f".{decimals}f")


def rows(n: int) -> str:
    """Return a number of rows, such as "1 row" or "1,200 rows"."""
    return ngettext("{n} row", "{n} rows", n).format(n=number(n))


def examples(n: int) -> str:
    """Return a number of examples, such as "1 example" or "8 examples"."""
    return ngettext("{n} example", "{n} examples", n).format(n=number(n))


def steps(n: int) -> str:
    """Return a number of optimizer steps, such as "1 step" or "1,200 steps"."""
    return ngettext("{n} step", "{n} steps", n).format(n=number(n))


def epochs(n: int) -> str:
    """Return a number of epochs, such as "1 epoch" or "3 epochs"."""
    return ngettext("{n} epoch", "{n} epochs", n).format(n=number(n))


def tokens(n: int) -> str:
    """Return a number of tokens, such as "1 token" or "1,200 tokens"."""
    return ngettext("{n} token", "{n} tokens", n).format(n=number(n))
