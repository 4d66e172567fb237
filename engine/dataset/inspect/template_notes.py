"""What the chat template does to many rows of a file, said once."""

from collections import Counter
from collections.abc import Iterator, Sequence

from engine.dataset.batches.tokenize import Example
from engine.dataset.report import Fault
from engine.i18n import _, ngettext
from engine.sanitize import one_line


class TemplateRemarks:
    """Is shown the examples of each row."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._split_rows = self._split_examples = 0
        self._added: Counter[str] = Counter()
        self._opened: Counter[str] = Counter()
        self._endless: list[int] = []

    def see_endless(self, line: int) -> None:
        """Take note of a row without an end token, although other rows may have one."""
        self._endless.append(line)

    def see(self, examples: Sequence[Example]) -> None:
        """Look at the examples of a row."""
        if len(examples) > 1:
            self._split_rows += 1
            self._split_examples += len(examples)
        for example in examples:
            if example.added:
                self._added[example.added] += 1
            if example.opened:
                self._opened[example.opened] += 1

    def faults(self, file: str) -> Iterator[Fault]:
        """Yield what is to be said about the file as a whole.

        Args:
            file: its name.
        """
        if self._split_rows:
            text = ngettext(
                "{rows} conversation becomes {examples} examples, one for each answer: the chat template "
                "writes earlier turns otherwise once it goes on",
                "{rows} conversations become {examples} examples, one for each answer: the chat template "
                "writes earlier turns otherwise once they go on",
                self._split_rows,
            ).format(rows=self._split_rows, examples=self._split_examples)
            fix = _("nothing; mask_history=true trains on the last answers only")
            yield Fault(file, 0, None, "conversation_split", "note", text, fix)
        for added, count in self._added.most_common(1):
            text = ngettext(
                "the chat template puts {text} before {count} answer: the model sees it and is not "
                "trained to write it",
                "the chat template puts {text} before {count} answers: the model sees it and is not "
                "trained to write it",
                count,
            ).format(text=_quoted(added), count=count)
            fix = _("nothing; train_on_template_text=true has it learned")
            yield Fault(file, 0, None, "template_text", "note", text, fix)
        for opened, count in self._opened.most_common(1):
            text = ngettext(
                "the model is made to begin answers with {text}, and {count} answer here does not have it",
                "the model is made to begin answers with {text}, and {count} answers here do not have it",
                count,
            ).format(text=_quoted(opened), count=count)
            fix = _("begin them so, or use a base model whose chat template does not")
            yield Fault(file, 0, None, "answer_begins_otherwise", "warning", text, fix)
        if self._endless:
            text = ngettext(
                "{count} row has no end token after an answer: the model will not learn to stop there",
                "{count} rows, of which this is the first, have no end token after an answer: "
                "the model will not learn to stop there",
                len(self._endless),
            ).format(count=len(self._endless))
            fix = _("use a base model whose chat template ends each turn")
            yield Fault(file, self._endless[0], None, "no_end_of_turn", "warning", text, fix)


def _quoted(text: str) -> str:
    return one_line(repr("".join(text.split())), 60)
