"""A model folder's tokenizer with its chat template."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.i18n import _
from engine.model_folder.panics import refused_panics
from engine.model_folder.settings import again, optional_settings, read_settings
from engine.model_folder.trust import names_code, wants_code
from engine.model_folder.usable import require_tokenizer, wrong_value
from engine.sanitize import one_line

_DEFAULT = "default"
"""Name of the chat template that is taken where a model has several."""


def load_tokenizer(folder: Path) -> Any:
    """Load the fast tokenizer of a model folder; nothing in the folder is executed.

    Returns:
        A transformers tokenizer with offsets, and with the chat template that the folder keeps elsewhere.

    Raises:
        UserError: the folder has no usable tokenizer, one that is a program, or a chat template
            that cannot be used.
    """
    require_tokenizer(folder)
    from engine.transformers_import import AutoTokenizer  # takes a second

    with refused_tokenizer(folder, _("Cannot load the tokenizer in {folder}: {reason}")):
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, use_fast=True
        )
    if not tokenizer.is_fast:
        raise UserError(
            _("The tokenizer in {folder} cannot tell where a token lies in its text").format(folder=folder),
            _("add the model's tokenizer.json"),
        )
    tokenizer.chat_template = chat_template(folder, tokenizer.chat_template)
    return tokenizer


@contextmanager
def refused_tokenizer(folder: Path, text: str) -> Iterator[None]:
    """Turn what transformers and tokenizers raise for a damaged folder, of many types, into a refusal.

    Args:
        folder: of the model.
        text: what is said, with places for `folder` and `reason`.
    """
    try:
        with refused_panics(_("Loading it")):
            yield
    except UserError:
        raise
    except Exception as error:  # its own words stand in the refusal
        if "trust_remote_code" in str(error) and (name := names_code(folder)):
            raise wants_code(folder, name) from None
        refuse_config(folder)
        reason = one_line(str(error).strip().partition("\n")[0], 200) or type(error).__name__
        if isinstance(error, KeyError):
            reason = _("'{name}' is missing").format(name=reason.strip("'"))
        raise UserError(
            text.format(folder=folder, reason=reason),
            again(folder),
        ) from None


def refuse_config(folder: Path) -> None:
    """Refuse a `config.json` that transformers does not take: by the field without which it would.

    Raises:
        UserError: it is so.
    """
    from engine.transformers_import import takes_config

    config = read_settings(folder / "config.json")
    if takes_config(config):
        return
    for field, value in config.items():
        without = {key: other for key, other in config.items() if key != field}
        if "model_type" in without and takes_config(without):
            raise wrong_value(folder, field, value) from None
    raise UserError(
        _("The base model's {path} is broken: its values do not go together").format(
            path=folder / "config.json"
        ),
        again(folder),
    ) from None


def chat_template(folder: Path, found: Any) -> str | dict[str, str] | None:
    """Return a model's chat template: one, several by name with a default, or none.

    Args:
        folder: of the model.
        found: what transformers found in `tokenizer_config.json` or `chat_template.jinja`.

    Raises:
        UserError: it cannot be used.
    """
    if found is None:
        found = optional_settings(folder / "chat_template.json").get("chat_template")
    if found is None:
        _refuse_program(folder)
        return None
    if isinstance(found, dict) and found and all(isinstance(text, str) for text in found.values()):
        if _DEFAULT not in found:
            raise UserError(
                _("The chat templates in {path} have names, and none is the default").format(
                    path=template_file(folder)
                ),
                _("name one of them 'default' there: {names}").format(
                    names=one_line(", ".join(sorted(found)))
                ),
            )
        sources = list(found.values())
    else:
        sources = [found]
    for source in sources:
        _require_template(folder, source)
    return found  # type: ignore[no-any-return]  # as checked


def template_file(folder: Path) -> Path:
    """Return the file in which a model keeps its chat template."""
    if (folder / "chat_template.jinja").exists():
        return folder / "chat_template.jinja"
    for name in ("tokenizer_config.json", "chat_template.json"):
        if optional_settings(folder / name).get("chat_template") is not None:
            return folder / name
    return folder / "additional_chat_templates"


def template_fix() -> str:
    """Return what can be done about a chat template that cannot be used."""
    return _(
        "correct it there, copy that file from its publisher if it was changed, or use another base model"
    )


def _require_template(folder: Path, source: Any) -> None:
    from engine.model_folder.template_sandbox import MOST_SOURCE, TooMuch, render  # jinja takes its time
    from engine.model_folder.template_trial import comes_to_an_end

    from jinja2 import TemplateSyntaxError

    reason = _("it is no text")
    if isinstance(source, str):
        try:
            if len(source) > MOST_SOURCE or not comes_to_an_end(source):
                raise TooMuch
            render(source, [])
        except TemplateSyntaxError as error:
            reason = _("line {line}: {reason}").format(
                line=error.lineno, reason=one_line(str(error.message), 120)
            )
        except TooMuch as error:
            reason = str(error)
        except Exception:  # a template may well want a turn; each row is tried
            return
        else:
            return
    raise UserError(
        _("The chat template in {path} cannot be used: {reason}").format(
            path=template_file(folder), reason=reason
        ),
        template_fix(),
    )


def _refuse_program(folder: Path) -> None:
    """Refuse a model whose conversations only a program of mlx-lm's can write."""
    name = optional_settings(folder / "tokenizer_config.json").get("chat_template_type")
    if name:
        raise UserError(
            _("The base model in {folder} has no chat template to train with, only '{name}'").format(
                folder=folder, name=one_line(str(name), 40)
            ),
            _("use a base model with a chat template of its own"),
        )
