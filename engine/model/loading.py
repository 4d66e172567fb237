"""Loading a base model folder and readying its frozen weights for training on this machine."""

import glob
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.backend import compute_dtype, is_cpu, mx, nn
from engine.errors import UserError
from engine.i18n import _, ngettext
from engine.model_folder.config_fields import misfits
from engine.model_folder.settings import again, read_settings
from engine.model_folder.stops import stop_tokens
from engine.model_folder.tokenizer import chat_template, refuse_config, refused_tokenizer
from engine.model_folder.trust import names_code, wants_code
from engine.model_folder.usable import require_usable, wrong_value
from engine.model_folder.weights import embedding_rows
from engine.sanitize import one_line
from engine.transformers_import import AutoTokenizer  # noqa: F401  # before mlx-lm

from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.models.switch_layers import QuantizedSwitchLinear
from mlx_lm.tokenizer_utils import load as load_wrapped_tokenizer
from mlx_lm.utils import dequantize_model, load_model

# Without it transformers asks on the terminal whether to run a folder's code.
_UNTRUSTED = {"trust_remote_code": False, "local_files_only": True}
_MISSING = re.compile(
    r"missing \d+ (?:parameters|required positional arguments?): *\n*'?([\w.]+)", re.IGNORECASE
)
_EXTRA = re.compile(r"Received (\d+) parameters not in model")
_NORM = re.compile(r"(norm|(^|\.)ln_\w+)\.weight$")
"""What architectures call the factors of a norm."""
_OF_VALUES = (ArithmeticError, AssertionError, AttributeError, IndexError, TypeError)
"""What mlx-lm ends with where a value is not what it takes for granted: their words are of its code."""
_SHAPE = re.compile(r"Expected shape|shape|dimension", re.IGNORECASE)


@dataclass(frozen=True)
class BaseModel:
    """A frozen base model with its tokenizer."""

    model: nn.Module
    folder: Path
    _tokenizer: Future[Any]

    @property
    def tokenizer(self) -> Any:
        """mlx-lm's TokenizerWrapper, for generation.

        Raises:
            UserError: it cannot be read.
        """
        return self._tokenizer.result()

    def wait_for_tokenizer(self) -> None:
        """Return when the tokenizer is read.

        Raises:
            UserError: it cannot be read.
        """
        self._tokenizer.result()


def load_base(folder: Path, keep_packed: bool = False) -> BaseModel:
    """Load a model folder as mlx-lm writes it; no code in it is ever executed.

    On a CPU all numbers become float32: products of 4-bit and 16-bit weights run
    there at a few GFLOP/s. On a GPU they stay as they are.

    Args:
        folder: of the base model.
        keep_packed: leave quantised layers packed on a CPU too; `engine.model.replace_layers.make_fast`
            replaces them, and need not wait for the tokenizer.

    Raises:
        UserError: a file is missing or damaged, or the architecture is unknown.
    """
    model = open_model(folder)
    other = ThreadPoolExecutor(1)  # while MLX reads and unpacks weights
    tokenizer = other.submit(_load_tokenizer, folder)
    other.shutdown(wait=False)
    with _refusing(folder):
        if is_cpu():
            model.set_dtype(compute_dtype())
            model = _unpack_rest(model) if keep_packed else dequantize_model(model)
        mx.eval(model.parameters())
    model.freeze()
    base = BaseModel(model, folder, tokenizer)
    if not keep_packed:
        base.wait_for_tokenizer()
    return base


def open_model(folder: Path) -> nn.Module:
    """Build the model of a folder with its weights, whose numbers are read once they are needed.

    Many values of its configuration are only used with the first tokens. So what it makes
    of two is planned here; as that is never computed, no numbers are read for it. Only those
    of the norms are looked at.

    Raises:
        UserError: a file is missing or damaged, the architecture is unknown, or the weights are not its.
    """
    require_usable(folder)
    with _refusing(folder), _without_wildcards(folder) as plain:
        model, _config = load_model(plain, lazy=True, trust_remote_code=False)
        model(mx.zeros((1, 2), mx.int32))
    _require_sound_norms(folder, model)
    return model


def _require_sound_norms(folder: Path, model: nn.Module) -> None:
    """Refuse weights that are damaged, as far as those of the norms show it: they alone are quickly read.

    There are some in every layer, so a part of a file that was never written is seen by them.
    """
    for name, array in tree_flatten(model.parameters()):
        if not _NORM.search(name):
            continue
        problem = ""
        if not mx.isfinite(array).all().item():
            problem = _("The weights in {folder} are damaged: '{name}' holds numbers that are not finite")
        elif not array.any().item():
            problem = _("The weights in {folder} are damaged: '{name}' holds nothing but zeros")
        if problem:
            raise UserError(problem.format(folder=folder, name=one_line(name, 60)), again(folder))


def _load_tokenizer(folder: Path) -> Any:
    """Return mlx-lm's wrapper of the tokenizer, which knows the tokens to stop at."""
    with refused_tokenizer(folder, _("Cannot load the base model in {folder}: its tokenizer: {reason}")):
        tokenizer = load_wrapped_tokenizer(folder, _UNTRUSTED)
        tokenizer.chat_template = chat_template(folder, tokenizer.chat_template)
        tokenizer.eos_token_ids = stop_tokens(folder, tokenizer, embedding_rows(folder)).ids
    return tokenizer


@contextmanager
def _refusing(folder: Path) -> Iterator[None]:
    """Turn what MLX and mlx-lm raise for a damaged folder, of many types, into a refusal."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # its own words stand in the refusal
        if _is_unknown(error) and (name := names_code(folder)):
            raise wants_code(folder, name) from None
        reason = _known_reason(error)
        if not reason:
            for name, value in misfits(read_settings(folder / "config.json"), strict=True):
                raise wrong_value(folder, name, value) from None
            refuse_config(folder)
        raise UserError(
            _("Cannot load the base model in {folder}: {reason}").format(
                folder=folder, reason=reason or _other_reason(error)
            ),
            again(folder),
        ) from None


def _known_reason(error: Exception) -> str:
    """Say in our words what mlx-lm found wrong with the weights; nothing where its words are others."""
    text = str(error)
    missing, extra = _MISSING.search(text), _EXTRA.search(text)
    if missing or isinstance(error, KeyError):
        name = missing[1] if missing else text.strip("'\"")
        return _("'{name}' is missing").format(name=one_line(name, 60))
    if extra:
        return ngettext(
            "the weights hold {count} tensor that is none of its architecture",
            "the weights hold {count} tensors that are none of its architecture",
            int(extra[1]),
        ).format(count=extra[1])
    if _SHAPE.search(text) and not isinstance(error, _OF_VALUES):
        return _("its weights are not as large as its config.json says ({reason})").format(
            reason=one_line(text, 120)
        )
    return ""


def _other_reason(error: Exception) -> str:
    if isinstance(error, _OF_VALUES):
        return _("a value in its config.json is not what its architecture takes")
    return one_line(str(error), 200) or type(error).__name__


def _unpack_rest(model: nn.Module) -> nn.Module:
    """Write out what no layer of ours replaces: experts, and an embedding that is the output head too."""
    kinds = (
        (QuantizedSwitchLinear,)
        if hasattr(model, "lm_head")
        else (QuantizedSwitchLinear, nn.QuantizedEmbedding)
    )
    rest = [(path, module) for path, module in model.named_modules() if isinstance(module, kinds)]
    holder = nn.Module()
    holder.rest = [module for _path, module in rest]
    dequantize_model(holder)
    model.update_modules(
        tree_unflatten([(path, new) for (path, _old), new in zip(rest, holder.rest, strict=True)])
    )
    return model


@contextmanager
def _without_wildcards(folder: Path) -> Iterator[Path]:
    """Yield a path of `folder` whose `[`, `?` or `*` mlx-lm cannot take for a pattern of names."""
    if glob.escape(str(folder)) == str(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        link = Path(temporary) / "model"
        link.symlink_to(folder.resolve(), target_is_directory=True)
        yield link


def _is_unknown(error: Exception) -> bool:
    """Whether mlx-lm does not know the architecture without more code."""
    return "not supported" in str(error) or "trust_remote_code" in str(error)
