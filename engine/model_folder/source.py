"""`source.json` inside a model's folder: where the model came from, for whoever needs its name on the hub."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from engine.files import read_own, write_json
from engine.find_models import SOURCE_NAME

from pydantic import BaseModel, ConfigDict, Field, ValidationError

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
"""How a model is called on the hub: ORGANISATION/NAME."""
COMMIT = re.compile(r"[0-9a-f]{40}")
Way = Literal["hub", "folder", "link", "gguf", "converted"]
"""How a model came into `models/`; a "link" is a folder whose files are links."""
_MOST_BYTES = 1 << 16
_Short = Annotated[str, Field(max_length=4096)]


class ModelSource(BaseModel):
    """Where a model in `models/` came from."""

    # Pydantic's own regular expressions take 0.2 s to make so many letters of any script.
    model_config = ConfigDict(frozen=True, extra="ignore", regex_engine="python-re")

    way: Way
    repository: Annotated[str, Field(pattern=rf"^({REPOSITORY.pattern})?\Z")] = ""
    """ORGANISATION/NAME on the hub; empty where it is not known."""
    revision: Annotated[str, Field(pattern=rf"^({COMMIT.pattern})?\Z")] = ""
    """The commit of it; empty where it is not known."""
    asked: _Short = ""
    """The branch, tag or commit that was asked for; empty for the default branch."""
    origin: _Short = ""
    """Address of the hub, or path of the folder or file."""
    bits: int | None = None
    """To which the weights were quantised here; None if they were taken as they are."""
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))
    """When it came."""


def write_source(folder: Path, source: ModelSource) -> None:
    """Write down in a model's folder where it came from.

    Raises:
        OSError: it cannot be written.
    """
    write_json(folder / SOURCE_NAME, source.model_dump(mode="json"))


def read_source(folder: Path) -> ModelSource | None:
    """Return where a model came from; None where its folder does not say it in a form that is known."""
    try:
        return ModelSource.model_validate_json(read_own(folder / SOURCE_NAME, _MOST_BYTES))
    except (OSError, ValidationError):
        return None


def is_repository(text: str) -> bool:
    """Whether a text can be the name of a model on the hub, ORGANISATION/NAME."""
    return bool(REPOSITORY.fullmatch(text)) and "--" not in text and ".." not in text
