"""transformers, imported here and nowhere else.

Its package is half there while a thread imports it, and another thread that asks it for a name then
gets an error. Of this module Python makes the second thread wait. mlx-lm imports transformers
too, so `engine.model` imports this module first.
"""

from transformers import AutoTokenizer
from transformers.utils.chat_template_utils import _compile_jinja_template as compile_template

__all__ = ["AutoTokenizer", "compile_template"]
