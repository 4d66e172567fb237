"""One model on this machine: what its files say of it, and whether it can be trained here."""

import math
import shlex
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.errors import UserError
from engine.hardware.report import HardwareReport
from engine.i18n import _
from engine.model.gguf_config import BITS, GROUP_SIZE, check_tensors, llama_config, odd_types
from engine.model.gguf_header import GgufHeader
from engine.model.gguf_reader import read_header
from engine.model_folder.dimensions import ModelDimensions
from engine.model_folder.settings import read_settings
from engine.model_folder.source import ModelSource, read_source
from engine.model_folder.trust import refuse_code
from engine.model_folder.usable import require_known, require_tokenizer, require_usable
from engine.model_folder.weights import PATTERN
from engine.model_store.caches import Owner
from engine.profiles import ProfileName, recommend
from engine.sanitize import one_line

from safetensors import SafetensorError, safe_open

_FLOATS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16}
"""Bits of a number, by the names that safetensors files have for them."""
Place = Literal["project"] | Owner


@dataclass(frozen=True)
class FoundModel:
    """A model on this machine."""

    place: Place
    """Whose folder it is in."""
    name: str
    """What it is called there."""
    path: Path
    """Its folder, or its GGUF file."""
    architecture: str
    """As its files call it, such as "llama"; empty where they do not say."""
    form: str
    """In which its weights are kept: "4-bit", "16-bit" or types of GGUF, such as "Q4_K, Q6_K"."""
    size: int
    """Bytes of its weights."""
    obstacle: str
    """Why it cannot be trained here, in a word; empty if it can."""
    problem: str
    """The same in a sentence."""
    fix: str
    profile: ProfileName | None
    """That is advised for it here; None if it fits under none, as predicted, or that is not known."""
    source: ModelSource | None
    """Where it came from, if its folder says it."""
    command: str
    """What brings it into `models/`; empty if it is there, or of no use there."""


def look(place: Place, name: str, folder: Path, report: HardwareReport) -> FoundModel:
    """Look at a model's folder."""
    config: dict[str, Any] = {}
    word, problem, fix = "", "", ""
    for stage, check in (
        (_("incomplete"), lambda path: config.update(read_settings(path / "config.json"))),
        (_("code"), refuse_code),
        (_("architecture"), require_known),
        (_("tokenizer"), require_tokenizer),
        (_("incomplete"), require_usable),
    ):
        try:
            check(folder)
        except UserError as error:
            word, problem, fix = stage, error.problem, error.fix
            break
    command = "" if word or place == "project" else f"mqlora-tui get {shlex.quote(str(folder))} --link"
    return FoundModel(
        place=place,
        name=one_line(name, 200),
        path=folder,
        architecture=one_line(str(config.get("model_type") or ""), 40),
        form=_form(folder, config),
        size=sum(path.stat().st_size for path in folder.glob(PATTERN) if path.is_file()),
        obstacle=word,
        problem=problem,
        fix=fix,
        profile=None if word else advised_profile(report, ModelDimensions.of(config)),
        source=read_source(folder),
        command=command,
    )


def _form(folder: Path, config: dict[str, Any]) -> str:
    """Say in how many bits weights are kept."""
    for name in ("quantization", "quantization_config"):
        if isinstance(found := config.get(name), dict) and found:
            bits, method = found.get("bits"), found.get("quant_method", "?")
            return _("{n}-bit").format(n=bits) if isinstance(bits, int) else one_line(str(method), 20)
    return _float_form(folder)


def _float_form(folder: Path) -> str:
    """Say of how many bits weights are that are not quantised, as the first of them is."""
    for path in sorted(folder.glob(PATTERN)):
        if path.is_file():
            with suppress(OSError, SafetensorError), safe_open(path, framework="np") as file:
                kinds = [file.get_slice(name).get_dtype() for name in file.keys()]  # noqa: SIM118
                return _("{n}-bit").format(n=_FLOATS[kinds[0]]) if kinds and kinds[0] in _FLOATS else ""
    return ""


def look_into_gguf(place: Place, name: str, file: Path, report: HardwareReport) -> FoundModel:
    """Look into a GGUF file."""
    header: GgufHeader | None = None
    config: dict[str, Any] = {}
    word, problem, fix = "", "", ""
    try:
        header = read_header(file)
        config = llama_config(header)
        check_tensors(header, config)
    except UserError as error:
        word, problem, fix = _why_not(header, config), error.problem, error.fix
    shown = one_line(name, 200)
    command = "" if word else f"mqlora-tui get {shlex.quote(str(file))}"
    if command and place == "ollama":
        command += f" --name {shlex.quote(shown.replace(':', '-'))}"
    return FoundModel(
        place=place,
        name=shown,
        path=file,
        architecture=one_line(str(header.metadata.get("general.architecture", "")), 40) if header else "",
        form=_usual_type(header) if header else "",
        size=file.stat().st_size if file.is_file() else 0,
        obstacle=word,
        problem=problem,
        fix=fix,
        profile=None if word or header is None else advised_profile(report, _dimensions(header, config)),
        source=None,
        command=command,
    )


def _why_not(header: GgufHeader | None, config: dict[str, Any]) -> str:
    """Return in a word why a GGUF file cannot be imported."""
    if header is None:
        return _("damaged")
    if header.metadata.get("general.architecture") != "llama":
        return _("architecture")
    odd = odd_types(header)
    return odd[0] if config and odd else _("incomplete")


def _usual_type(header: GgufHeader) -> str:
    """Return the type of most of a file's tensors, by their weights."""
    weights: Counter[str] = Counter()
    for tensor in header.tensors.values():
        weights[tensor.kind] += math.prod(tensor.shape)
    return max(weights, key=lambda kind: weights[kind], default="")


def _dimensions(header: GgufHeader, config: dict[str, Any]) -> ModelDimensions | None:
    """Return the sizes of the model that a GGUF file becomes."""
    bits = BITS.get(_usual_type(header))
    quantization = {"quantization": {"bits": bits, "group_size": GROUP_SIZE}} if bits else {}
    return ModelDimensions.of(config | quantization)


def advised_profile(report: HardwareReport, model: ModelDimensions | None) -> ProfileName | None:
    """Return the profile that is advised for a model on this machine, under which it fits, as predicted.

    None if it fits under none, or if no prediction can be made of a model of its kind.
    """
    if model is None:
        return None
    advice = recommend(report, model, None)
    return next((offer.name for offer in advice.offers if offer.name == advice.name and offer.fits), None)
