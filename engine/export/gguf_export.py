"""The files of llama.cpp and Ollama: the base model with the adapter beside it, or both merged."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.dataset.batches.chat_template import ChatTemplate
from engine.errors import UserError
from engine.export.gguf_architecture import Architecture, architecture_of
from engine.export.gguf_file import Tensor, write_gguf
from engine.export.gguf_tensors import BaseTensors, Losses, adapter_tensors
from engine.export.gguf_vocabulary import Vocabulary, read_vocabulary
from engine.export.ollama import chat_pieces, modelfile
from engine.export.space import require_space
from engine.export.targets import ExportRequest, OnProgress
from engine.files import write_atomic
from engine.i18n import _, ngettext
from engine.model.adapter_file import AdapterFile
from engine.model.loading import open_model
from engine.model_folder.settings import read_settings
from engine.model_folder.tokenizer import load_tokenizer
from engine.model_folder.weights import embedding_rows
from engine.sanitize import one_line
from engine.units import size

from gguf import GGUFWriter

MODEL_FILE, ADAPTER_FILE, MODELFILE = "model.gguf", "adapter.gguf", "Modelfile"


def in_gguf(base: Path) -> tuple[Architecture, Vocabulary]:
    """Return what llama.cpp calls a base model's sizes and tokens.

    Raises:
        UserError: it has no such model or tokenizer.
    """
    architecture = architecture_of(read_settings(base / "config.json"))
    return architecture, read_vocabulary(base, embedding_rows(base) or 0)


def write_gguf_files(
    base: Path, adapter: AdapterFile, request: ExportRequest, folder: Path, progress: OnProgress
) -> tuple[str, ...]:
    """Write `MODEL_FILE`, without `request.bits` also `ADAPTER_FILE`, for Ollama also `MODELFILE`.

    Returns:
        What they cannot hold as it was, in sentences.

    Raises:
        UserError: llama.cpp has no such adapter, model or tokenizer, or the disk is too small.
        OSError: a file cannot be written.
    """
    if adapter.fine_tune_type == "dora" and not request.is_merged:
        raise UserError(
            _("A GGUF file cannot hold a DoRA adapter beside its base model: llama.cpp knows LoRA's alone"),
            _("merge both: export it with --bits 8 or --bits 16"),
        )
    architecture, vocabulary = in_gguf(base)
    name = one_line(base.name, 80)
    of_ollama, notes = "", list[str]()
    if request.target == "ollama":
        of_ollama, notes = _modelfile(base, adapter, request, vocabulary)
    weights = BaseTensors.of(open_model(base), architecture)
    tensors = weights.merged(adapter, request.width) if request.is_merged else weights.exact()

    def describe(writer: GGUFWriter) -> None:
        writer.add_type("model")
        writer.add_name(name)
        architecture.describe(writer)
        vocabulary.describe(writer)
        writer.add_quantization_version(2)

    def describe_adapter(writer: GGUFWriter) -> None:
        writer.add_type("adapter")
        writer.add_name(f"{name} adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", adapter.scale * adapter.rank)

    _stream(folder / MODEL_FILE, architecture, describe, tensors, progress)
    if not request.is_merged:
        factors = adapter_tensors(adapter, architecture)
        _stream(folder / ADAPTER_FILE, architecture, describe_adapter, factors, progress)
    if of_ollama:
        write_atomic(folder / MODELFILE, of_ollama)
    return (*notes, *_lost(weights.losses))


def _stream(
    path: Path,
    architecture: Architecture,
    describe: Callable[[GGUFWriter], None],
    tensors: list[Tensor],
    progress: OnProgress,
) -> None:
    total = sum(tensor.nbytes for tensor in tensors)
    require_space(path.parent, total)
    stage = _("Writing {file} ({size})").format(file=path.name, size=size(total))
    progress(stage, 0.0)
    write_gguf(path, architecture.name, describe, tensors, lambda done: progress(stage, done / total))


def _lost(losses: Losses) -> Iterator[str]:
    if losses.scales:
        yield ngettext(
            "{count} scale of a 4-bit group is rounded: float16 cannot hold it",
            "{count} scales of 4-bit groups are rounded: float16 cannot hold them",
            losses.scales,
        ).format(count=losses.scales)
    if losses.rounded:
        yield ngettext(
            "{count} matrix of another quantisation is written out in 16 bits",
            "{count} matrices of another quantisation are written out in 16 bits",
            losses.rounded,
        ).format(count=losses.rounded)


def _modelfile(
    base: Path, adapter: AdapterFile, request: ExportRequest, vocabulary: Vocabulary
) -> tuple[str, list[str]]:
    """Return the text of the Modelfile, and what Ollama does otherwise than the model's template."""
    pieces, notes = None, list[str]()
    if vocabulary.template:
        template = ChatTemplate(load_tokenizer(base))
        settings: dict[str, Any] = adapter.template_settings
        pieces, with_system = chat_pieces(
            lambda messages: template.render(messages, generation=True, **settings)
        )
        if pieces is None:
            raise UserError(
                _("The chat template of this model cannot be said in Ollama's language"),
                _("export it with --to llama.cpp, which runs the template itself"),
            )
        if not with_system:
            notes.append(_("Ollama writes system texts otherwise than this model's own template: use none"))
    name = None if request.is_merged else ADAPTER_FILE
    return modelfile(MODEL_FILE, name, pieces, vocabulary.stops), notes
