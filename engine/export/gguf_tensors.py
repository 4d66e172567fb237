"""The tensors of a base model, of an adapter and of both merged, as a GGUF file holds them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from engine.backend import mx, nn
from engine.errors import UserError
from engine.export.blocks import BLOCK, GROUP_SIZES, to_q4_1, to_q8_0
from engine.export.gguf_architecture import NAMES, Architecture
from engine.export.gguf_file import Kind, Tensor
from engine.export.merge import merged_rows
from engine.i18n import _
from engine.model.adapter_file import AdapterFile

import gguf
import numpy as np
from gguf.quants import quantize
from numpy.typing import NDArray

MERGED: dict[int, Kind] = {16: Kind.F16, 8: Kind.Q8_0, 4: Kind.Q4_1}
"""What a matrix becomes at each width."""
_DTYPES = {mx.float16: Kind.F16, mx.bfloat16: Kind.BF16, mx.float32: Kind.F32}
_WEIGHTED = (nn.Linear, nn.QuantizedLinear, nn.Embedding, nn.QuantizedEmbedding, nn.RMSNorm)
_ROPE_FACTORS = "rope_freqs.weight"


@dataclass
class Losses:
    """What a form cannot hold as it was; counted while a file is written."""

    scales: int = 0
    """Scales and biases of 4-bit groups that float16 rounds."""
    rounded: int = 0
    """Matrices of another quantisation that were written out in 16 bits."""


@dataclass(frozen=True)
class BaseTensors:
    """A base model's weights under llama.cpp's names."""

    architecture: Architecture
    modules: list[tuple[str, nn.Module]]
    """By their path, with unread weights; each is let go with its tensors."""
    losses: Losses = field(default_factory=Losses)

    @classmethod
    def of(cls, model: nn.Module, architecture: Architecture) -> "BaseTensors":
        """Take the weights of a model, which is not to be used any more."""
        named = [(path, module) for path, module in model.named_modules() if isinstance(module, _WEIGHTED)]
        return cls(architecture, named)

    def exact(self) -> list[Tensor]:
        """Return the tensors of the base model as it is: 4-bit groups as Q4_1, other matrices in 16 bits."""
        return self._all(self._exact_matrix)

    def merged(self, adapter: AdapterFile, bits: int) -> list[Tensor]:
        """Return the tensors of base and adapter as one, each matrix in `MERGED[bits]`.

        Below 16 bits a packed matrix without an adapter stays as it is, to the bit.
        """

        def matrix(path: str, module: nn.Module) -> Tensor:
            stays = f"{path}.lora_a" not in adapter.weights and (_is_q4_1(module) or _is_q8_0(module))
            if bits < 16 and stays:
                return self._exact_matrix(path, module)
            return self._merged_matrix(path, module, adapter, MERGED[bits])

        return self._all(matrix)

    def _all(self, matrix: Callable[[str, nn.Module], Tensor]) -> list[Tensor]:
        tensors = [] if self.architecture.rope.factors is None else [self._rope_factors()]
        while self.modules:
            path, module = self.modules.pop(0)
            if isinstance(module, nn.RMSNorm):
                tensors.append(self._vector(f"{path}.weight", module.weight, path))
                continue
            tensors.append(matrix(path, module))
            if "bias" in module:
                tensors.append(self._vector(f"{path}.bias", module.bias, path))
        return tensors

    def _rope_factors(self) -> Tensor:
        factors = self.architecture.rope.factors
        assert factors is not None
        return Tensor(_ROPE_FACTORS, factors.shape, Kind.F32, lambda: factors)

    def _vector(self, name: str, array: mx.array, path: str) -> Tensor:
        def make() -> NDArray[Any]:
            return self.architecture.permuted(_float32(array), path)

        return Tensor(self._name(name), array.shape, Kind.F32, make)

    def _exact_matrix(self, path: str, module: nn.Module) -> Tensor:
        name, shape = self._name(f"{path}.weight"), _shape(module)
        if _is_q4_1(module):
            return Tensor(name, shape, Kind.Q4_1, lambda: self._permuted_blocks(path, module))
        if not _is_packed(module):
            kind = _DTYPES[module.weight.dtype]
            return Tensor(name, shape, kind, lambda: self.architecture.permuted(_raw(module.weight), path))
        if _is_q8_0(module):
            blocks = partial(to_q8_0, np.array(module.weight), _float32(module.scales))
            return Tensor(name, shape, Kind.Q8_0, lambda: self.architecture.permuted(blocks(), path))
        self.losses.rounded += 1

        def make() -> NDArray[Any]:
            return self.architecture.permuted(rows_of(module), path).astype(np.float16)

        return Tensor(name, shape, Kind.F16, make)

    def _permuted_blocks(self, path: str, module: nn.Module) -> NDArray[Any]:
        packed = to_q4_1(
            np.array(module.weight), _float32(module.scales), _float32(module.biases), module.group_size
        )
        self.losses.scales += packed.inexact
        return self.architecture.permuted(packed.blocks, path)

    def _merged_matrix(self, path: str, module: nn.Module, adapter: AdapterFile, kind: Kind) -> Tensor:
        shape = _shape(module)
        kind = kind if shape[-1] % 32 == 0 else Kind.F16

        def make() -> NDArray[Any]:
            rows = self.architecture.permuted(merged_rows(rows_of(module), path, adapter), path)
            if kind == Kind.F16:
                rows = np.clip(rows, -65504, 65504)
            return quantize(rows, kind)

        return Tensor(self._name(f"{path}.weight"), shape, kind, make)

    def _name(self, name: str) -> str:
        return llama_cpp_name(name, self.architecture)


def adapter_tensors(adapter: AdapterFile, architecture: Architecture) -> list[Tensor]:
    """Return an adapter's matrices in float32: NAME.lora_a (rank, inputs) and NAME.lora_b (outputs, rank)."""
    return list(_adapter_tensors(adapter.weights, architecture))


def _adapter_tensors(weights: Mapping[str, mx.array], architecture: Architecture) -> Iterator[Tensor]:
    for name, array in weights.items():
        path, _dot, part = name.rpartition(".")
        rows = _float32(array).T
        if part == "lora_b":
            rows = architecture.permuted(rows, path)
        full = f"{llama_cpp_name(f'{path}.weight', architecture)}.{part}"
        yield Tensor(full, rows.shape, Kind.F32, lambda rows=rows: rows)  # type: ignore[misc]


def llama_cpp_name(name: str, architecture: Architecture) -> str:
    """Return llama.cpp's name of a weight, by the table of the `gguf` library.

    Raises:
        UserError: it has none.
    """
    kind = next(number for number, text in gguf.MODEL_ARCH_NAMES.items() if text == architecture.name)
    names = gguf.get_tensor_name_map(kind, architecture.layers)
    if found := names.get_name(name, try_suffixes=(".weight", ".bias")):
        return found
    raise UserError(
        _("llama.cpp's models of the architecture {architecture} have no {name}").format(
            architecture=architecture.name, name=name
        ),
        _("export to mlx or peft; GGUF takes plain models of {known}").format(known=", ".join(NAMES)),
    )


def rows_of(module: nn.Module) -> NDArray[np.float32]:
    """Return a matrix (outputs, inputs) in float32, scales and biases of a packed one in float32 too."""
    if not _is_packed(module):
        return _float32(module.weight)
    biases = module.get("biases")
    if module.mode == "affine":
        rows = mx.dequantize(
            module.weight,
            module.scales.astype(mx.float32),
            biases.astype(mx.float32),
            module.group_size,
            module.bits,
        )
    else:
        rows = mx.dequantize(
            module.weight, module.scales, biases, module.group_size, module.bits, module.mode
        )
    return _float32(rows)


def _is_packed(module: nn.Module) -> bool:
    return isinstance(module, (nn.QuantizedLinear, nn.QuantizedEmbedding))


def _is_q4_1(module: nn.Module) -> bool:
    return _is_packed(module) and (
        module.mode == "affine" and module.bits == 4 and module.group_size in GROUP_SIZES
    )


def _is_q8_0(module: nn.Module) -> bool:
    """Whether an 8-bit matrix came out of Q8_0, which has no bias: all its groups begin at -128 scale."""
    if not _is_packed(module) or (module.mode, module.bits, module.group_size) != ("affine", 8, BLOCK):
        return False
    scales, biases = module.scales.astype(mx.float32), module.biases.astype(mx.float32)
    return bool((biases == -128 * scales).all()) and bool((scales.astype(mx.float16) == scales).all())


def _shape(module: nn.Module) -> tuple[int, int]:
    rows, columns = module.weight.shape
    return (rows, columns * 32 // module.bits) if _is_packed(module) else (rows, columns)


def _float32(array: mx.array) -> NDArray[np.float32]:
    return np.array(array.astype(mx.float32))


def _raw(array: mx.array) -> NDArray[Any]:
    """Return a matrix as it lies in memory; NumPy has no bfloat16."""
    return np.array(array.view(mx.uint16) if array.dtype == mx.bfloat16 else array)
