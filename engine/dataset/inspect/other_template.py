"""Marks of another program's chat template that came into the texts of a row with them."""

from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.turns import answers_of

OTHER_TEMPLATE = "other_template"
"""Kind of the warning of one."""
_ANYWHERE = ("<|im_start|>", "<|start_header_id|>", "<start_of_turn>", "[INST]", "[/INST]", "<<SYS>>")
_TOGETHER = (("### Instruction:", "### Response:"), ("\n\nHuman:", "\n\nAssistant:"))
"""Of these either alone may be a heading or a name."""
_THOUGHTS = (("<thinking>", "</thinking>"), ("<|channel|>analysis", ""))
"""Around what is thought in an answer, where the model would write otherwise."""
_ENDS = ("</s>", "<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "<end_of_turn>")
_STRUCK_OUT = "<s>"
"""Tag of HTML that the first of these closes."""


def foreign_mark(row: Row) -> str:
    """Return a mark of a template in the turns of a row; nothing where there is none.

    A row of plain text may well be a whole conversation with its marks.
    """
    said = "".join(f"\n\n{turn['content']}" for turn in row.messages)
    if mark := next((mark for mark in _ANYWHERE if mark in said), ""):
        return mark
    if mark := next((first for first, second in _TOGETHER if first in said and second in said), ""):
        return mark.strip()
    return next(
        filter(None, (_in_answer(row.messages[index]["content"]) for index in answers_of(row.messages))), ""
    )


def _in_answer(text: str) -> str:
    if mark := next((begin for begin, end in _THOUGHTS if begin in text and end in text), ""):
        return mark
    text = text.rstrip()
    mark = next((end for end in _ENDS if text.endswith(end)), "")
    return "" if mark == _ENDS[0] and _STRUCK_OUT in text else mark
