"""The commands about base models: what is on this machine, getting one, converting one."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any

from engine.errors import UserError
from engine.hardware.probe import look_at_memory
from engine.hardware.report import HardwareReport
from engine.i18n import _
from engine.model_folder.dimensions import ModelDimensions
from engine.model_store.get import Brought, OnHub, get_model, parse
from engine.model_store.hub import command
from engine.model_store.inventory import find_all
from engine.model_store.look import FoundModel, advised_profile
from engine.model_store.shortlist import SHORTLIST, Offered
from engine.model_store.unfinished import Unfinished, unfinished
from engine.project import Project
from engine.sanitize import one_line
from engine.training.selected_config import selected_settings
from engine.units import size
from tui.console import cell, err, out, print_json, say, status_mark, table

_PLACES = {
    "huggingface": _("Hugging Face's cache"),
    "lm_studio": "LM Studio",
    "exo": "exo",
    "ollama": "Ollama",
}


def show_models(project: Project, as_json: bool) -> None:
    """Print what is in `models/`, what other programs have, and what was left unfinished."""
    report = look_at_memory(project)
    found, begun = find_all(project, report), unfinished(project.models_dir)
    if as_json:
        models = [_told(model) for model in found]
        print_json(
            {"models": models, "unfinished": [asdict(one) | {"command": one.command} for one in begun]}
        )
        return
    own = [model for model in found if model.place == "project"]
    _say_models(_("In {folder}:").format(folder=project.models_dir), own)
    if not own:
        say(_("  none; see what is offered with: mqlora-tui get"))
    for place, name in _PLACES.items():
        others = [model for model in found if model.place == place]
        if others:
            _say_models(_("{program} has:").format(program=name), others)
    for one in begun:
        _say_unfinished(one)


def _told(model: FoundModel) -> dict[str, Any]:
    source = model.source.model_dump(mode="json") if model.source else None
    return asdict(model) | {"source": source, "trainable": not model.obstacle}


def _say_models(title: str, models: Sequence[FoundModel]) -> None:
    if not models:
        say(title)
        return
    shown = table("", _("model"), _("architecture"), _("weights"), _("size"), _("fits"))
    for model in models:
        shown.add_row(
            status_mark("error" if model.obstacle else "ok"),
            cell(model.name),
            cell(model.architecture or "?"),
            cell(model.form or "?"),
            size(model.size),
            _("no: {word}").format(word=model.obstacle) if model.obstacle else fits(model.profile),
        )
    say(title)
    out.print(shown)
    for model in models:
        if model.command:
            say(f"   {model.command}")
        elif model.obstacle and model.place == "project":
            say(f"   {one_line(model.name, 80)}: {model.problem}; {model.fix}")


def _say_unfinished(one: Unfinished) -> None:
    text = _("! {name} is unfinished: {present} of {total}; go on with: {command}")
    present, total = size(one.present), size(one.total)
    say(text.format(name=one_line(one.name, 120), present=present, total=total, command=one.command))


def fits(profile: str | None) -> str:
    """Return the advised profile under which a model fits, for people."""
    return profile or _("none")


def show_shortlist(project: Project, as_json: bool) -> None:
    """Print the models to choose from, with what fits."""
    report = look_at_memory(project)
    if as_json:
        print_json({"models": [_offered(offer, report) for offer in SHORTLIST]})
        return
    shown = table(_("model"), _("size"), _("fits"))
    profiles = {offer: advised_profile(report, offer.dimensions) for offer in SHORTLIST}
    for offer, profile in profiles.items():
        shown.add_row(cell(offer.repository), size(offer.size), fits(profile))
    say(_("Models to choose from:"))
    out.print(shown)
    fitting = [offer for offer, profile in profiles.items() if profile]
    advised = fitting[0] if fitting else min(SHORTLIST, key=lambda offer: offer.size)
    text = _("Get one that fits with: {command}") if fitting else _("None fits; the smallest is: {command}")
    say(text.format(command=command(advised.repository)))
    say(_("Others by their name on the hub, from a folder or from a GGUF file: mqlora-tui get NAME"))


def _offered(offer: Offered, report: HardwareReport) -> dict[str, Any]:
    profile = advised_profile(report, offer.dimensions)
    told = {"repository": offer.repository, "size": offer.size, "profile": profile}
    return told | {"command": command(offer.repository)}


def get(project: Project, text: str, name: str, is_linked: bool, as_json: bool) -> None:
    """Bring a model into `models/` and say what came of it.

    Raises:
        UserError: it cannot be had.
    """
    wanted = parse(text, Path.cwd())
    try:
        brought = _get(project, wanted, name, is_linked, as_json)
    except (KeyboardInterrupt, SystemExit):
        if isinstance(wanted, OnHub):
            _say_how_to_go_on(project, wanted)
        raise
    _say_brought(project, brought, as_json)


def _get(project: Project, wanted: OnHub | Path, name: str, is_linked: bool, as_json: bool) -> Brought:
    if as_json:
        return get_model(project, wanted, name, is_linked, lambda _stage, _done, _total: None, Event())
    with err.status("") as status:

        def on_progress(stage: str, done: int, total: int) -> None:
            text = _("{stage}: {done} of {total}") if total else _("{stage} …")
            status.update(one_line(text.format(stage=stage, done=size(done), total=size(total)), 300))

        return get_model(project, wanted, name, is_linked, on_progress, Event())


def _say_how_to_go_on(project: Project, wanted: OnHub) -> None:
    for one in unfinished(project.models_dir):
        if one.repository == wanted.repository:
            text = _("Stopped at {present} of {total}; go on with: {command}")
            present, total = size(one.present), size(one.total)
            say(text.format(present=present, total=total, command=one.command), err)


def _say_brought(project: Project, brought: Brought, as_json: bool) -> None:
    if as_json:
        source = brought.source.model_dump(mode="json")
        print_json(asdict(brought) | {"source": source, "left_out": list(brought.left_out)})
        return
    if not brought.is_new:
        say(_("✓ {path} is there already, with the right checksums").format(path=brought.folder))
        return
    if brought.left_out:
        names = one_line(", ".join(brought.left_out), 300)
        say(_("  · not taken, for nothing here reads it: {names}").format(names=names))
    said = _("✓ {path} is there").format(path=brought.folder)
    if brought.source.repository:
        said += _(", {repository} at {revision}").format(
            repository=brought.source.repository, revision=brought.source.revision[:12] or "?"
        )
    say(said)
    shape = ModelDimensions.read(brought.folder)
    say(_("  fits: {profile}").format(profile=fits(advised_profile(look_at_memory(project), shape))))
    if (selected_settings(project).model or next(iter(project.models()), "")) != brought.name:
        options = f"--set model={shlex.quote(brought.name)}"
        say(_("  to train with it: mqlora-tui train {options}").format(options=options))


def convert(project: Project, text: str, bits: int, group_size: int, name: str, as_json: bool) -> None:
    """Quantise a model's weights into a new folder in `models/`.

    Raises:
        UserError: it cannot be converted.
    """
    from engine.model_store.convert import convert_model

    path = Path(os.path.expanduser(text)).absolute()
    folder = path if path.is_dir() else project.models_dir / text
    if not folder.is_dir():
        raise UserError(
            _("There is no folder {folder}").format(folder=one_line(text, 200)),
            _("name one of a model, or get it first: mqlora-tui get ORGANISATION/NAME"),
        )
    if as_json:
        _say_brought(project, convert_model(project, folder, bits, group_size, name), True)
        return
    with err.status("") as status:
        brought = convert_model(
            project, folder, bits, group_size, name, lambda stage: status.update(f"{stage} …")
        )
    _say_brought(project, brought, False)
