"""What an export can be asked for, and which choices go together; light."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.errors import WrongUsage
from engine.i18n import _
from engine.sanitize import one_line

Target = Literal["ollama", "llama.cpp", "lmstudio", "mlx", "peft", "gguf"]
TARGETS: tuple[Target, ...] = ("ollama", "llama.cpp", "lmstudio", "mlx", "peft", "gguf")
Bits = Literal[4, 6, 8, 16]
OnProgress = Callable[[str, float], None]
"""Called with what is being done, and which share of it is."""

_OF_GGUF: tuple[Target, ...] = ("ollama", "llama.cpp", "gguf")
BITS: dict[Target, tuple[Bits, ...]] = {
    **dict.fromkeys(_OF_GGUF, (4, 8, 16)),
    **dict.fromkeys(("lmstudio", "mlx"), (4, 6, 8, 16)),
    "peft": (),
}
"""Widths that base and adapter can be merged to."""


@dataclass(frozen=True)
class ExportRequest:
    """What is to be written."""

    target: Target
    bits: Bits | None = None
    """Of base and adapter merged into one; None for what keeps most: in GGUF the base as it is with the
    adapter beside it, else 16."""
    checkpoint: str = ""
    """Name of a checkpoint's folder; empty for the best adapter."""
    adapter: Path | None = None
    """Folder of another adapter."""
    out: Path | None = None
    """Folder to make; None for one in the project's `exports/`."""
    base_name: str = ""
    """The base model's name on the hub, for PEFT's form; empty for the one that its folder knows."""

    def __post_init__(self) -> None:
        """Refuse choices that do not go together.

        Raises:
            WrongUsage: the target has no such width, or needs no name of a base model, or that is none.
        """
        known = BITS[self.target]
        if self.bits is not None and self.bits not in known:
            if not known:
                raise WrongUsage(
                    _("--bits says nothing about {target}: the base model is not part of it").format(
                        target=self.target
                    ),
                    _("leave it out"),
                )
            raise WrongUsage(
                _("{target} cannot be written with {bits} bits").format(target=self.target, bits=self.bits),
                _("choose one of: {bits}").format(bits=", ".join(map(str, known))),
            )
        if self.base_name and self.target != "peft":
            raise WrongUsage(
                _("--base-name is for --to peft: what is written for {target} names no base model").format(
                    target=self.target
                ),
                _("leave it out"),
            )
        from engine.model_folder.source import is_repository  # pydantic takes its time

        if self.base_name and not is_repository(self.base_name):
            raise WrongUsage(
                _("'{name}' is no name of a model on the hub").format(name=one_line(self.base_name, 200)),
                _("write --base-name ORGANISATION/MODEL"),
            )
        if self.checkpoint and self.adapter:
            raise WrongUsage(_("--checkpoint and --adapter both name an adapter"), _("leave one of them out"))

    @property
    def is_gguf(self) -> bool:
        """Whether the files are llama.cpp's."""
        return self.target in _OF_GGUF

    @property
    def is_merged(self) -> bool:
        """Whether base and adapter become one."""
        return self.target in ("lmstudio", "mlx") or (self.is_gguf and self.bits is not None)

    @property
    def width(self) -> Bits:
        """Bits of the merged weights."""
        return self.bits or 16

    @property
    def label(self) -> str:
        """How the form is called in tables and names of folders, such as "gguf-4" or "mlx-16"."""
        return f"{self.target}-{self.width}" if self.is_merged else self.target


def compared() -> tuple[ExportRequest, ...]:
    """Return the forms that a comparison tries, the largest first."""
    forms: tuple[tuple[Target, Bits | None], ...] = (
        *(("mlx", bits) for bits in (16, 8, 6, 4)),
        *(("gguf", bits) for bits in (16, 8, 4)),
        ("gguf", None),
    )
    return tuple(ExportRequest(target, bits) for target, bits in forms)
