"""Scoring an export beside the base model and the adapter as it was trained, on the validation rows."""

from dataclasses import dataclass, field
from pathlib import Path

from engine.backend import is_cpu
from engine.config import TrainingConfig
from engine.dataset.batches.tokenize import Example
from engine.dataset.inspect.load import load_file
from engine.dataset.inspect.model_tokens import example_tokenizer
from engine.export import llama_cpp
from engine.export.gguf_export import ADAPTER_FILE, MODEL_FILE, in_gguf
from engine.export.read_back import as_trained, score_adapter, score_folder, score_gguf
from engine.export.score import KeptGain, Scores, folder_bytes, kept_gain
from engine.export.targets import ExportRequest, OnProgress
from engine.i18n import _
from engine.model.adapter_file import AdapterFile
from engine.model_folder.dimensions import Device, ModelDimensions
from engine.training.memory_limits import read_budget
from engine.units import sizes_apart

_BESIDE = 1.1
"""Memory of activations and of what is read, as a factor of the weights."""


class NotScored(Exception):
    """Why an export is not scored, in a sentence."""


@dataclass
class Scorer:
    """One adapter on its base model, with the rows that forms of it are scored on."""

    base: Path
    config: TrainingConfig
    adapter: AdapterFile
    valid_file: Path
    progress: OnProgress
    _reference: dict[int, tuple[Scores, Scores]] = field(default_factory=dict)
    """Scores of base and adapter by how many rows they are of."""

    def score(self, request: ExportRequest, folder: Path) -> KeptGain:
        """Read an export's files again and score them.

        Raises:
            NotScored: there are no rows, or too little memory.
            UserError: the files cannot be read.
        """
        examples = self._examples()
        by_llama = request.is_gguf and llama_cpp.is_installed()
        self._require_memory(request, by_llama)
        rows = llama_cpp.few_rows(examples) if by_llama else examples
        base, adapter = self._scores(rows)
        if by_llama:
            found, by = self._by_llama(request, folder, rows), "llama.cpp"
        else:
            found, by = self._read_back(request, folder, rows), "gguf" if request.is_gguf else "MLX"
        self.progress(_("Scoring what was written"), 1.0)  # the last chance to end it
        return kept_gain(request.label, folder_bytes(folder), base, adapter, found, by)

    def _require_memory(self, request: ExportRequest, by_llama: bool) -> None:
        """Refuse to hold a model that does not fit: the base model, or the export where it is larger."""
        sizes = ModelDimensions.read(self.base)
        if sizes is None:
            return
        device: Device = "cpu" if is_cpu() else "gpu"
        needed = sizes.weight_bytes(device, resident=is_cpu())
        if not is_cpu() and (request.is_merged or (request.is_gguf and not by_llama)):
            width = 16 if request.is_gguf else request.width
            needed = max(needed, sizes.parameters * width // 8)
        free = read_budget().free
        if needed * _BESIDE > free:
            needs, has = sizes_apart(int(needed * _BESIDE), free)
            text = _("Nothing is scored: it takes {needed} of memory, and {free} are free")
            raise NotScored(text.format(needed=needs, free=has))

    def _by_llama(self, request: ExportRequest, folder: Path, rows: list[Example]) -> Scores:
        def told(done: int, total: int) -> None:
            self.progress(_("Scoring what was written, with llama.cpp"), done / total)

        told(0, 1)
        adapter = None if request.is_merged else folder / ADAPTER_FILE
        tokens = in_gguf(self.base)[1].tokens
        files = llama_cpp.LlamaCppFiles(folder / MODEL_FILE, adapter)
        return llama_cpp.log_probabilities(files, rows, len(tokens), tokens.index("a"), told)

    def _read_back(self, request: ExportRequest, folder: Path, rows: list[Example]) -> Scores:
        def told(done: int, total: int) -> None:
            self.progress(_("Scoring what was written"), done / total)

        if request.target == "peft":
            return score_adapter(self.base, folder, rows, told)
        if not request.is_gguf:
            return score_folder(folder, rows, told)
        architecture, _vocabulary = in_gguf(self.base)
        adapter = None if request.is_merged else folder / ADAPTER_FILE
        return score_gguf(self.base, architecture, folder / MODEL_FILE, adapter, rows, told)

    def _scores(self, rows: list[Example]) -> tuple[Scores, Scores]:
        if len(rows) not in self._reference:

            def told(done: int, total: int) -> None:
                self.progress(_("Scoring base and adapter"), done / total)

            self._reference[len(rows)] = as_trained(self.adapter, self.base, rows, told)
        return self._reference[len(rows)]

    def _examples(self) -> list[Example]:
        if not self.valid_file.exists():
            raise NotScored(_("Nothing is scored: there is no {file}").format(file=self.valid_file))
        tokenize = example_tokenizer(self.base, self.config)
        examples = list(load_file(self.valid_file, tokenize, self.config).examples)
        if not examples:
            raise NotScored(_("Nothing is scored: {file} has no rows").format(file=self.valid_file))
        return examples
