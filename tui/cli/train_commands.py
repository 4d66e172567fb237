"""The commands that train, try it beforehand or watch it; `tui.cli.main` registers them."""

from pathlib import Path
from typing import Annotated

from engine.errors import WrongUsage
from engine.i18n import _
from engine.project import Project
from engine.training.events import Mode, Resumption
from tui.cli.data_commands import Json
from tui.console import say_model

import typer

HalfMicroBatch = Annotated[
    bool,
    typer.Option(
        "--half-micro-batch",
        help=_("Go on with half as many examples in memory: the same steps, equal to rounding."),
    ),
]
Profile = Annotated[str | None, typer.Option(help=_("SAFE, BALANCED or PERFORMANCE."))]
ConfigFile = Annotated[Path | None, typer.Option(help=_("A configuration file (JSON)."))]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar=_("KEY=VALUE"), help=_("Change one value; may be repeated.")),
]

Resume = Annotated[bool, typer.Option("--resume", help=_("Go on with the unfinished run, or refuse."))]
Restart = Annotated[bool, typer.Option("--restart", help=_("Archive the old run and begin anew."))]
Background = Annotated[bool, typer.Option("--background", help=_("Train in a process of its own."))]
AcceptVersions = Annotated[
    bool,
    typer.Option("--accept-versions", help=_("Go on also where other versions of MLX computed so far.")),
]
Ranks = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help=_("Processes of this machine that train together; auto: one for each card, else one."),
    ),
]
Hosts = Annotated[Path | None, typer.Option(help=_("A host file: machines that train together."))]
GoOnWithFewer = Annotated[
    bool, typer.Option("--go-on-with-fewer", help=_("Go on without a process that is lost."))
]
AlthoughSlower = Annotated[
    bool,
    typer.Option("--although-slower", help=_("Train with these hosts where one alone would be faster.")),
]


def fit(
    context: typer.Context,
    profile: Profile = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    every: Annotated[
        bool, typer.Option("--all", help=_("Measure the three profiles and recommend one."))
    ] = False,
    json: Json = False,
) -> None:
    """Measure in a process of its own whether a configuration fits into memory; exit 1 if not."""
    from tui.cli.choose_config import chosen_config
    from tui.cli.fit import fit_one, fit_profiles

    if every and profile:
        raise WrongUsage(_("--all and --profile were both given"), _("give one of them"))
    chosen = chosen_config(context.obj, profile, config, assignments or [])
    raise typer.Exit((fit_profiles if every else fit_one)(context.obj, chosen, json))


def train(
    context: typer.Context,
    profile: Profile = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    resume: Resume = False,
    restart: Restart = False,
    background: Background = False,
    half_micro_batch: HalfMicroBatch = False,
    accept_versions: AcceptVersions = False,
    ranks: Ranks = None,
    hosts: Hosts = None,
    go_on_with_fewer: GoOnWithFewer = False,
    although_slower: AlthoughSlower = False,
    json: Json = False,
) -> None:
    """Train without the app. An unfinished run is resumed."""
    from tui.cli.choose_config import wanted_config
    from tui.cli.choose_world import chosen_world
    from tui.cli.getting_ready import getting_ready

    if resume and restart:
        raise WrongUsage(_("--resume and --restart were both given"), _("give one of them"))
    project: Project = context.obj
    world = chosen_world(ranks, hosts, go_on_with_fewer, although_slower)
    with getting_ready(world, json or background):
        wanted = wanted_config(project, profile, config, assignments or [], resume, restart)
    if wanted and not json:
        say_model(project, wanted.model)
    if background:
        flags = {
            "--resume": resume,
            "--restart": restart,
            "--half-micro-batch": half_micro_batch,
            "--accept-versions": accept_versions,
            "--go-on-with-fewer": go_on_with_fewer,
            "--although-slower": although_slower,
        }
        values = {"--profile": profile, "--config": config, "--ranks": ranks, "--hosts": hosts}
        raise typer.Exit(_in_background(project, _command_line(flags, values, assignments or []), json))
    from tui.cli.train import train as train_here

    mode: Mode = "resume" if resume else "restart" if restart else "auto"
    how = Resumption(half_micro_batch, accept_versions)
    raise typer.Exit(train_here(project, wanted, mode, json, how, world, go_on_with_fewer))


def _in_background(project: Project, options: list[str], json: bool) -> int:
    from tui.run.background import background_command

    return background_command(project, options, json)


def _command_line(
    flags: dict[str, bool], values: dict[str, str | Path | None], assignments: list[str]
) -> list[str]:
    """Return these options as another process takes them; paths are whole, wherever it starts."""
    options = [name for name, is_given in flags.items() if is_given]
    for name, value in values.items():
        if value:
            options += [name, str(value.resolve() if isinstance(value, Path) else value)]
    return options + [part for text in assignments for part in ("--set", text)]


def verify_resume(
    context: typer.Context,
    steps: Annotated[int, typer.Option(min=6, help=_("Optimizer steps, in two epochs."))] = 12,
    profile: Profile = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    json: Json = False,
) -> None:
    """Try on your model and data, in a temporary folder, whether interruptions leave a trace."""
    from tui.cli.choose_config import chosen_config
    from tui.cli.verify import verify_resume as try_it

    chosen = chosen_config(context.obj, profile, config, assignments or [])
    if not json:
        say_model(context.obj, chosen.model)
    raise typer.Exit(try_it(context.obj, chosen, steps, json))


def monitor(context: typer.Context, json: Json = False) -> None:
    """Watch a run from another terminal."""
    from tui.cli.monitor import watch

    watch(context.obj, json)
