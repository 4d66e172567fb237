"""What the owner of a run tells the other processes at first, and how they prove to be like it."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError
from typing import Annotated, Any

from engine.cluster.team import Team
from engine.dataset.batches.cut import BatchShape
from engine.errors import UserError
from engine.fingerprint import installed_versions
from engine.i18n import _
from engine.training.checkpoint import RunIdentity
from engine.training.parts import Parts
from engine.training.resume import RunStart

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

_COMPARED = {
    "data": "the data files", "model": "the base model", "template": "the chat template or the tokenizer"
}  # fmt: skip


@dataclass(frozen=True)
class RunMessage:
    """A run, as another process is told of it."""

    __pydantic_config__ = ConfigDict(extra="ignore")

    rank: Annotated[int, Field(ge=1, le=4096)]
    """Of the process that is told."""
    project: Annotated[str, Field(max_length=4096)]
    addresses: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=8)]
    """Where it listens."""
    speeds: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=4096)]
    """Of all processes."""
    sharing_memory: Annotated[int, Field(ge=1, le=4096)]
    """How many processes take their memory from the same as it."""
    divisor: Annotated[int, Field(ge=1)]
    """How many times fewer tokens than usual a micro-batch has."""
    config: dict[str, Any]
    prints: dict[str, str]
    """Fingerprints of data, model and template."""
    versions: dict[str, str]
    """Of the libraries that compute."""
    is_resumed: bool

    @classmethod
    def parse(cls, message: dict[str, Any]) -> "RunMessage":
        """Read what `greet` sent.

        Raises:
            UserError: it is something else.
        """
        try:
            return TypeAdapter(cls).validate_python(message)
        except ValidationError:
            raise UserError(
                _("What the owner of the run sent cannot be read"),
                _("use the same version of mqlora-tui on all machines"),
            ) from None


def greet(team: Team, start: RunStart) -> None:
    """Tell the other processes what the run is, so that they can prepare."""
    identity = start.identity
    for rank in range(1, team.world.size):
        host = team.world.hosts[rank]
        team.others.tell_one(
            rank,
            "run",
            project=host.project or team.folder,
            addresses=list(team.world.addresses[rank]),
            rank=rank,
            speeds=list(team.world.speeds),
            sharing_memory=team.world.sharing_memory if host.is_here else 1,
            divisor=start.micro_batch_divisor,
            config=identity.config.model_dump(mode="json"),
            prints=_prints(identity),
            versions=installed_versions(),
            is_resumed=start.checkpoint is not None,
        )


def join(team: Team, parts: Parts) -> None:
    """Let the other processes load the model as this one did, connect, and give them its adapter.

    Raises:
        PeerLost: one of them is gone, or is not as this one.
        UserError: they cannot be connected.
    """
    plan = parts.assembled.plan
    team.others.tell("plan", plan=plan.as_dict(), shapes=shapes_digest(parts.shapes))
    team.connect()
    parts.assembled.step.sum_over = team.sum
    parts.begin_together()


def require_versions(run: RunMessage) -> None:
    """Compare what computes a run with what is installed here; called in the other processes.

    Raises:
        UserError: with what differs.
    """
    try:
        installed = installed_versions()
    except PackageNotFoundError as error:
        raise UserError(
            _("{name} is not installed").format(name=error.name), _("install mqlora-tui there as here")
        ) from None
    for name, version in run.versions.items():
        if installed.get(name) != version:
            raise UserError(
                _("{name} {here} is installed, the owner of the run has {there}").format(
                    name=name, here=installed.get(name), there=version
                ),
                _("install the same version on all machines"),
            )


def require_alike(run: RunMessage, own: RunIdentity) -> None:
    """Compare a run's files with those of this machine; called in the other processes.

    Raises:
        UserError: with what differs.
    """
    prints = _prints(own)
    for name, text in _COMPARED.items():
        if prints[name] != run.prints.get(name):
            raise UserError(
                _("{what} of {project} differ from the owner's").format(what=_(text), project=run.project),
                _("copy the project and the model to this machine again"),
            )


def shapes_digest(shapes: Sequence[BatchShape]) -> str:
    """Return a digest of what micro-batches are padded to."""
    return hashlib.sha256(repr([asdict(shape) for shape in shapes]).encode()).hexdigest()


def _prints(identity: RunIdentity) -> dict[str, str]:
    return {name: getattr(identity, name) for name in _COMPARED}
