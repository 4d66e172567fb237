"""What a GGUF file says about itself: metadata by key and the table of its tensors."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line


@dataclass(frozen=True)
class GgufTensor:
    """One line of the tensor table."""

    kind: str
    """Name of the tensor type, such as "Q4_1"."""
    shape: tuple[int, ...]
    """Rows first, as MLX and NumPy count; the file has them the other way round."""


@dataclass(frozen=True)
class GgufHeader:
    """Everything in a GGUF file but the tensors' data.

    The typed look-ups refuse a missing or odd value with a `UserError`, because
    the metadata is as little to be trusted as the rest of the file.
    """

    path: Path
    metadata: dict[str, Any]
    """Numbers, texts, and tuples of either."""
    tensors: dict[str, GgufTensor]

    def integer(self, key: str, default: int | None = None) -> int:
        """Return the whole number from 0 up under `key`; without default it has to be there."""
        value: int = self._value(key, int, default)
        return value if value >= 0 else self._refuse_value(key)

    def number(self, key: str, default: float | None = None) -> float:
        """Return the positive, finite number under `key`; without default it has to be there."""
        value = float(self._value(key, (int, float), default))
        return value if 0 < value < math.inf else self._refuse_value(key)

    def flag(self, key: str, default: bool) -> bool:
        """Return the yes or no under `key`."""
        value: bool = self._value(key, bool, default)
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """Return the text under `key`; without default it has to be there."""
        value: str = self._value(key, str, default)
        return value

    def items(self, key: str, kind: type) -> tuple[Any, ...]:
        """Return the list under `key`, all of whose items are of `kind`."""
        values: tuple[Any, ...] = self._value(key, tuple, None)
        return values if all(isinstance(value, kind) for value in values) else self._refuse_value(key)

    def refuse(self, problem: str, fix: str = "") -> NoReturn:
        """Raise a `UserError` about this file; without `fix` it advises to fetch it again."""
        raise refusal(self.path, problem, fix)

    def _value(self, key: str, kind: type | tuple[type, ...], default: Any) -> Any:
        value = self.metadata.get(key, default)
        if value is None:
            self.refuse(_("it has no {key}").format(key=key))
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self._refuse_value(key)
        return value

    def _refuse_value(self, key: str) -> NoReturn:
        value = one_line(repr(self.metadata.get(key)), 40)
        self.refuse(_("its {key} is {value}").format(key=key, value=value))


def refusal(path: Path, problem: str, fix: str = "") -> UserError:
    """Return the error that names the file `path`; without `fix` it advises to fetch it again."""
    return UserError(
        _("Cannot import {path}: {problem}").format(path=one_line(str(path), 200), problem=problem),
        fix or _("fetch the file again or choose another one"),
    )
