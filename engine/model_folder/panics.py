"""The border to libraries in Rust: their panics are no `Exception` and would pass every handler."""

from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line


@contextmanager
def refused_panics(work: str) -> Iterator[None]:
    """Turn what is no `Exception`, and no request to end, into a refusal.

    Args:
        work: what is done in the block, such as "Splitting a text into tokens".

    Raises:
        UserError: the library in the block panicked.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as panic:
        raise UserError(
            _("{work} broke off in the model's tokenizer: {reason}").format(
                work=work, reason=one_line(str(panic), 200)
            ),
            _("use the tokenizer.json of the model's publisher, or another base model"),
        ) from None
