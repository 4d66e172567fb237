"""A process that trains with the owner of a run: it does what it is told, and writes no file.

Started by `engine.cluster.peer`; what it is told comes on its standard input, and its answers go to
its standard output. It ends with the owner.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path

from engine.backend import mx
from engine.cluster.channel import AT_SUM, FAILED, SCORED, Channel, Message, channel_to_owner
from engine.cluster.collective import Ring, free_ports
from engine.cluster.link import is_own
from engine.cluster.unreached import copy_of_the_project
from engine.cluster.watch import IN_SUM, PREPARING, SILENCE_S, WAITING
from engine.config import TrainingConfig
from engine.dataset.batches.micro_batch import MicroBatch, micro_batches
from engine.dataset.inspect.load import load_file
from engine.dataset.inspect.model_tokens import example_tokenizer
from engine.errors import UserError, system_reason
from engine.i18n import _
from engine.project import Project
from engine.training.execution_plan import Plan
from engine.training.failures import out_of_memory
from engine.training.identity import identity_of
from engine.training.init_adapter import read_init_adapter
from engine.training.introduction import RunMessage, require_alike, require_versions, shapes_digest
from engine.training.setup import Assembled, assemble, lay_out
from engine.training.step import PendingStep
from engine.training.step_rows import StepRows, random_key
from engine.training.together import digest, same_everywhere, scores, training_state, validation_shares

_OWNER_S = SILENCE_S + 5.0
"""Seconds after a lost connection in which the owner finds out who is gone."""


class Rank:
    """One of the processes that train with the owner."""

    def __init__(self, channel: Channel) -> None:
        """Wait for the owner's first messages and prepare what they ask for.

        Raises:
            UserError: this machine is not as the owner's, or the model does not fit.
        """
        self._channel = channel
        self.phase = PREPARING
        """What is being done, told with each sign of life."""
        self._memory: tuple[TrainingConfig, int] | None = None

    def serve(self) -> None:
        """Do what the owner says, until it ends.

        Raises:
            UserError: this machine is not as the owner's, or cannot do it.
        """
        run = RunMessage.parse(self._expect("run"))
        require_versions(run)
        _require_own(run.addresses)
        project = Project(Path(run.project))
        config = TrainingConfig.parse(run.config)
        self._memory = config, run.divisor
        with copy_of_the_project(project.root):
            identity = identity_of(project, config)
        require_alike(run, identity)
        folder = project.model_dir(config.model)
        tokenize = example_tokenizer(folder, config)
        train = load_file(project.train_file, tokenize, config)
        valid = load_file(project.valid_file, tokenize, config)
        layout = lay_out(
            train.examples, valid.examples, config, folder, run.divisor, run.speeds, run.sharing_memory
        )
        init = None if run.is_resumed else read_init_adapter(project, identity)

        told = self._expect("plan")
        if told.get("shapes") != shapes_digest(layout.shapes):
            raise UserError(
                _("This machine would divide the rows into other batches than the owner of the run"),
                _("use machines whose chips compute alike, or train on one of them"),
            )
        plan = Plan.parse(told.get("plan"))
        made = assemble(folder, config, layout.largest, layout.budget, plan, run.divisor, init)
        made.step.warm_up(layout.shapes, threading.Event(), config.lower_prompt_weight)
        ring = self._connect(run)
        rows = StepRows(train.examples, layout.shapes, config, run.speeds)
        batches = micro_batches(valid.examples, layout.shapes)
        work = _Work(self, made, ring, run, rows, batches, config.seed)
        while (message := self._next())["kind"] not in ("end", "closed"):
            work.do(message)

    def _connect(self, run: RunMessage) -> Ring:
        try:
            self.answer("ready", ports=free_ports(run.addresses))
        except OSError as error:
            raise UserError(
                _("{addresses} is no address of this machine: {reason}").format(
                    addresses=", ".join(run.addresses), reason=system_reason(error)
                ),
                _("correct ips in the host file"),
            ) from None
        told = self._expect("connect")
        ring = Ring(told["backend"], run.rank, told["ports"], told["devices"])
        self.answer("connected")
        return ring

    def answer(self, kind: str, **values: object) -> None:
        """Tell the owner something."""
        self._channel.send(kind, **values)

    def _next(self) -> Message:
        message = self._channel.receive()
        assert message is not None
        return message

    def _expect(self, kind: str) -> Message:
        message = self._next()
        if message["kind"] in ("end", "closed"):
            raise SystemExit(0)
        if message["kind"] != kind:
            raise UserError(
                _("The owner of the run sent {kind} where {wanted} was due").format(
                    kind=message["kind"], wanted=kind
                ),
                _("use the same version of mqlora-tui on all machines"),
            )
        return message

    def wait_for_all(self) -> None:
        """Return when all processes have what they add to the sum; see `Conversation.meet`."""
        self.phase = WAITING
        self.answer(AT_SUM)
        self._expect(AT_SUM)

    @property
    def has_more(self) -> bool:
        """Whether the owner has said something else meanwhile."""
        return self._channel.has_message

    def explain(self, error: Exception) -> UserError | None:
        """Return what to tell of an error that a person can do something about; None for others."""
        if isinstance(error, UserError):
            return error
        if isinstance(error, OSError) and error.filename:
            return UserError(
                _("Cannot read {path}: {reason}").format(path=error.filename, reason=system_reason(error)),
                _("copy the project and the model to this machine again, readable for this user"),
            )
        return out_of_memory(error, *self._memory) if self._memory else None


def _require_own(addresses: Sequence[str]) -> None:
    """Refuse before anything is read what would fail once all is loaded.

    Raises:
        UserError: with an address that is not this machine's.
    """
    for address in addresses:
        if not is_own(address):
            raise UserError(
                _("{address} is no address of this machine").format(address=address),
                _("correct ips in the host file"),
            )


class _Work:
    """The messages of a run that is under way."""

    def __init__(
        self,
        rank: Rank,
        made: Assembled,
        ring: Ring,
        run: RunMessage,
        rows: StepRows,
        valid: Sequence[MicroBatch],
        seed: int,
    ) -> None:
        self._rank, self._made, self._ring, self._run = rank, made, ring, run
        self._rows, self._seed = rows, seed
        self._valid, self._share = valid, validation_shares(valid, run.speeds)[run.rank]
        self._before: PendingStep | None = None
        made.step.sum_over = self._sum
        made.model.train()

    def do(self, message: Message) -> None:
        """Do what a message says."""
        made, rank = self._made, self._rank
        match message["kind"]:
            case "step":
                self._step(int(message["number"]), float(message["rate"]))
            case "begin":
                rank.phase = IN_SUM
                same_everywhere(self._ring, made.model, made.step)
            case "score":
                self._score(int(message["begin"]))
            case "digest":
                rank.phase = "digest"
                rank.answer("digest", sha256=digest(training_state(made.model, made.step)))
            case kind:
                raise UserError(
                    _("The owner of the run sent what is not known here: {kind}").format(kind=kind)
                )
        rank.phase = WAITING

    def _step(self, number: int, rate: float) -> None:
        self._rank.phase = "step"
        shares = self._rows.shares(number)
        mx.random.seed(random_key(self._seed, number, self._run.rank))
        whole = [batch for share in shares for batch in share]
        pending = self._made.step.launch(shares[self._run.rank], rate, whole)
        # A GPU is handed the next step before this one is done; more than one ahead would only hold memory.
        if self._before:
            self._before.result()
        self._before = pending if self._ring.is_on_device else None
        if not self._ring.is_on_device:
            pending.result()

    def _sum(self, vector: mx.array) -> mx.array:
        if not self._ring.is_on_device:
            mx.eval(vector)
            self._rank.wait_for_all()
        self._rank.phase = IN_SUM
        return self._ring.sum(vector)

    def _score(self, begin: int) -> None:
        self._rank.phase = "scoring"
        share = [index for index in self._share if index >= begin]
        for index, losses in scores(self._made.model, self._made.score, self._valid, share):
            self._rank.answer(SCORED, index=index, losses=losses)
            if self._rank.has_more:  # a pause
                return


def main() -> int:
    """Serve the owner that started this process; return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the owner tells of it: nobody needs a stack
    rank: Rank | None = None
    channel = channel_to_owner(lambda: rank.phase if rank else PREPARING)
    rank = Rank(channel)
    try:
        rank.serve()
    except SystemExit:  # in the middle of a step too: somebody else is gone
        return 0
    except Exception as error:  # told to the owner, who ends the run and names this process
        if "[ring]" in str(error):  # somebody else is gone: the owner finds out who, and ends this process
            threading.Event().wait(_OWNER_S)
        if told := rank.explain(error):
            channel.send(FAILED, problem=told.problem, fix=told.fix)
        else:
            traceback.print_exc()
            channel.send(FAILED, problem=f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # a backend may wait for the others at exit
