"""transformers, imported here and nowhere else.

Its package is half there while a thread imports it, and another thread that asks it for a name then
gets an error. Of this module Python makes the second thread wait. mlx-lm imports transformers
too, so `engine.model` imports this module first.
"""

from typing import Any

from engine.importing import importing, run_when_asked, without

with importing(), without("torch"):
    run_when_asked("transformers.models")
    from transformers import CONFIG_MAPPING, AutoConfig, AutoTokenizer
    from transformers.utils.chat_template_utils import _compile_jinja_template as compile_template

__all__ = ["AutoTokenizer", "compile_template", "takes_config"]


def takes_config(config: dict[str, Any]) -> bool:
    """Whether transformers takes a model's `config.json`, which it reads before any tokenizer."""
    if config.get("model_type") not in CONFIG_MAPPING:  # then it does not look at it
        return True
    try:
        AutoConfig.for_model(**config)
    except Exception:  # of many types
        return False
    return True
