"""Numbers of things in words, each with the form that the number asks for."""

from engine.i18n import ngettext


def rows(n: int) -> str:
    """Return a number of rows, such as "1 row" or "1,200 rows"."""
    return ngettext("{n} row", "{n} rows", n).format(n=f"{n:,}")


def examples(n: int) -> str:
    """Return a number of examples, such as "1 example" or "8 examples"."""
    return ngettext("{n} example", "{n} examples", n).format(n=f"{n:,}")


def steps(n: int) -> str:
    """Return a number of optimizer steps, such as "1 step" or "1,200 steps"."""
    return ngettext("{n} step", "{n} steps", n).format(n=f"{n:,}")


def epochs(n: int) -> str:
    """Return a number of epochs, such as "1 epoch" or "3 epochs"."""
    return ngettext("{n} epoch", "{n} epochs", n).format(n=f"{n:,}")


def tokens(n: int) -> str:
    """Return a number of tokens, such as "1 token" or "1,200 tokens"."""
    return ngettext("{n} token", "{n} tokens", n).format(n=f"{n:,}")
