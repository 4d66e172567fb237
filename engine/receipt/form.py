"""The receipt of a run: hashes of what it rests on, versions, machine and losses.

It holds no time and no name of a host or user, so that the same run has the same receipt.
Whoever reads one got it from anybody: every value is bounded, and none is taken for a path.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from engine.config import TrainingConfig
from engine.errors import UserError, system_reason
from engine.files import read_given, write_json
from engine.i18n import _
from engine.model_folder.source import read_source
from engine.sanitize import one_line

from pydantic import BaseModel, ConfigDict, Field, ValidationError

FILE = "receipt.json"
FORMAT: Literal[1] = 1
"""Of receipts."""
_MOST_BYTES = 1 << 18
"""Of a receipt; real ones have a hundredth."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Short = Annotated[str, Field(max_length=260)]
Loss = Annotated[float, Field(ge=-3.5e38, le=3.5e38)]
Count = Annotated[int, Field(ge=0, le=10**12)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Data(_Part):
    """The data files."""

    both: Sha256
    """Of the two hashes below, one after the other, as bytes."""
    train: Sha256 | None
    """Of `train.jsonl`; None where it was changed while the run went on."""
    valid: Sha256 | None

    @property
    def joined(self) -> str | None:
        """What `both` has to be; None where a file was changed."""
        if self.train is None or self.valid is None:
            return None
        return joined_sha256((self.train, self.valid))


class Base(_Part):
    """The base model."""

    name: Short
    fingerprint: Sha256
    """See `engine.fingerprint.model_fingerprint`."""
    repository: Short | None = None
    revision: Short | None = None


class Machine(_Part):
    """Where the run was made, in words."""

    chip: Short
    computes: Short
    """Device, dtype and BLAS."""
    system: Short


class Losses(_Part):
    """In nats per trained token; None where nothing finite was measured."""

    base: Loss | None
    """Of the validation before the first step."""
    best: Loss | None
    """Lowest validation."""
    best_step: Count | None
    last: Loss | None
    """Of the last validation."""
    last_training: Loss | None
    """Of the last step."""
    steps: Count


class Receipt(_Part):
    """What a finished run was made of, and what came out."""

    format: Literal[1] = FORMAT
    data: Data
    base: Base
    template: Sha256
    """Of what turns rows into tokens, see `engine.fingerprint.template_fingerprint`."""
    config: dict[Short, Any]
    configuration: Sha256
    """Of `config` as JSON with sorted keys."""
    seed: int
    adapter: Sha256 | None
    """Of the best adapter's weights; None where no validation was finite."""
    last_adapter: Sha256 | None
    """Of the weights after the last step."""
    versions: Annotated[dict[Short, Short], Field(max_length=20)]
    machine: Machine
    losses: Losses
    ended: Literal["completed", "early_stopping"]

    @property
    def settings(self) -> TrainingConfig:
        """The configuration.

        Raises:
            UserError: a value is none that this version takes.
        """
        return TrainingConfig.parse(self.config, FILE)

    def save(self, path: Path) -> None:
        """Write it, harmless for a terminal.

        Raises:
            OSError: it cannot be written.
        """
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def load(cls, path: Path) -> "Receipt":
        """Read one that anybody may have written.

        Raises:
            UserError: it is none, or was changed by hand.
        """
        fix = _("take the receipt.json of a finished run as it was written")
        try:
            receipt = cls.model_validate_json(read_given(path, _MOST_BYTES))
        except UserError:
            raise
        except OSError as error:
            raise UserError(
                _("Cannot read {path}: {reason}").format(path=path, reason=system_reason(error)), fix
            ) from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            if first["type"] == "json_invalid":
                raise UserError(_("{path} is no receipt: it is no JSON").format(path=path), fix) from None
            if first["loc"] == ("format",):
                raise UserError(
                    _("{path} is of another version of this program").format(path=path),
                    _("update this program, or take a receipt that it wrote"),
                ) from None
            where = ".".join(one_line(str(part), 40) for part in first["loc"][:4]) or path.name
            raise UserError(
                _("{path} is no receipt: '{field}' is wrong").format(path=path, field=where), fix
            ) from None
        if config_sha256(receipt.config) != receipt.configuration:
            raise UserError(_("The configuration in {path} was changed by hand").format(path=path), fix)
        is_torn = receipt.data.joined not in (None, receipt.data.both)
        if is_torn or receipt.settings.seed != receipt.seed or receipt.settings.model != receipt.base.name:
            raise UserError(_("{path} contradicts itself").format(path=path), fix)
        return receipt


def joined_sha256(hashes: Sequence[str]) -> str:
    """Return the SHA-256 of some hashes, one after the other as bytes."""
    return hashlib.sha256(b"".join(map(bytes.fromhex, hashes))).hexdigest()


def config_sha256(config: dict[str, Any]) -> str:
    """Return the SHA-256 of a configuration."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def base_of(name: str, folder: Path, fingerprint: str) -> Base:
    """Return what is known of a base model.

    Args:
        name: of it.
        folder: of it.
        fingerprint: of its files.
    """
    source = read_source(folder)
    if source is None or not source.repository:
        return Base(name=name, fingerprint=fingerprint)
    revision = source.revision or None
    return Base(name=name, fingerprint=fingerprint, repository=source.repository, revision=revision)
