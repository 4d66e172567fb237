"""transformers, imported here and nowhere else.

Its package is half there while a thread imports it, and another thread that asks it for a name then
gets an error. Of this module Python makes the second thread wait. mlx-lm imports transformers
too, so `engine.model` imports this module first.
"""

from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, AutoTokenizer
from transformers.utils.chat_template_utils import _compile_jinja_template as compile_template

__all__ = ["AutoTokenizer", "compile_template", "field_at_fault"]


def field_at_fault(config: dict[str, Any]) -> str:
    """Return the field of a model's `config.json` without which transformers would take it.

    It reads that file before any tokenizer. Empty where it takes it as it is, or does not look at it.
    """
    if config.get("model_type") not in CONFIG_MAPPING or _is_taken(config):
        return ""
    rest = ({key: value for key, value in config.items() if key != name} for name in config)
    return next((name for name, others in zip(config, rest, strict=True) if _is_taken(others)), "")


def _is_taken(config: dict[str, Any]) -> bool:
    try:
        AutoConfig.for_model(**config)
    except Exception:  # of many types
        return False
    return True
