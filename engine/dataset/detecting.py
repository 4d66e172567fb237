"""What the columns of a table mean: as its names and first rows tell, or as the user says."""

import unicodedata
from collections.abc import Iterable
from dataclasses import replace

from engine.dataset.mapping import Form, Mapping, list_names, list_of_turns
from engine.dataset.records import Record
from engine.dataset.tables import Table
from engine.errors import UserError
from engine.i18n import _

_PROMPTS = (
    *("prompt", "instruction", "question", "query", "input", "user", "human"),
    *("instrucao", "pergunta", "questao", "entrada", "utilizador", "usuario"),
)
_COMPLETIONS = (
    *("completion", "output", "response", "answer", "reply", "assistant"),
    *("conclusao", "saida", "resposta", "assistente"),
)
_INSTRUCTIONS = {"instruction": ("input", "context"), "instrucao": ("entrada", "contexto")}
_SYSTEMS = ("system", "system_prompt", "sistema")
_TEXTS = ("text", "texto")
_TURNS = ("messages", "conversations", "conversation", "mensagens", "conversas", "conversa")


def detect(table: Table) -> Mapping | None:
    """Return what the columns of a table seem to mean, None where no known names are among them."""
    known = {_plain(name): name for name in reversed(table.columns)}
    system = _among(_SYSTEMS, known)
    if found := _turns(table, known):
        return replace(found, system=system)
    prompt, completion = _among(_PROMPTS, known), _among(_COMPLETIONS, known)
    if prompt and completion:
        extra = _among(_INSTRUCTIONS.get(_plain(prompt), ()), known)
        return Mapping("alpaca" if extra else "pair", prompt, extra, completion, system)
    text = _among(_TEXTS, known)
    return Mapping("text", text=text) if text else None


def choose(table: Table, prompt: str = "", completion: str = "", system: str = "", text: str = "") -> Mapping:
    """Return the mapping that was asked for; what was not is found by the names of the columns.

    Args:
        table: whose columns are mapped.
        prompt: name of its column; `completion` then has to be named as well.
        completion: name of its column.
        system: name of the column with the instructions for the assistant, for all forms but `text`.
        text: name of the column with plain text, instead of the others.

    Raises:
        UserError: there is no such column, names contradict each other, or none tells what is meant.
    """
    for name in (prompt, completion, system, text):
        _refuse_unknown(table, name)
    if bool(prompt) != bool(completion):
        raise UserError(_("A prompt needs a completion, and the other way round"), _("name both columns"))
    if text and (prompt or system):
        raise UserError(
            _("Plain text has neither prompt nor system"), _("name the text column only, or the others")
        )
    if text:
        return Mapping("text", text=text)
    if prompt:
        return Mapping("pair", prompt, completion=completion, system=system)
    found = detect(table)
    if not found or (system and found.form == "text"):
        raise _unclear(table)
    return replace(found, system=system) if system else found


def _plain(name: str) -> str:
    """Return a name as names are compared: small letters, no accents, no spaces."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    return bare.casefold().strip().replace(" ", "_").replace("-", "_")


def _among(wanted: Iterable[str], known: dict[str, str]) -> str:
    return next((known[name] for name in wanted if name in known), "")


def _turns(table: Table, known: dict[str, str]) -> Mapping | None:
    """Return a mapping for the column that holds conversations, if one does.

    Of several it is the one with a usual name; where there is none, nobody but the user can tell which is
    meant: chosen and rejected answers look the same.
    """
    found = {name: form for name in table.columns if (form := _form_of_turns(table, name))}
    name = _among(_TURNS, {plain: name for plain, name in known.items() if name in found})
    if not name and len(found) == 1:
        name = next(iter(found))
    return Mapping(found[name], turns=name) if name else None


def _form_of_turns(table: Table, name: str) -> Form | None:
    """Return in which form the first conversation of a column is, None where there is none."""
    for item in table.sample:
        turns = list_of_turns(item.value.get(name)) if isinstance(item, Record) else []
        if turns and all(isinstance(turn, dict) for turn in turns):
            return "messages" if "role" in turns[0] else "sharegpt" if "from" in turns[0] else None
    return None


def _refuse_unknown(table: Table, name: str) -> None:
    if name and name not in table.columns:
        raise UserError(
            _("{path} has no column '{name}'").format(path=table.source.path, name=name),
            _("name one of: {names}").format(names=list_names(table.columns)),
        )


def _unclear(table: Table) -> UserError:
    fix = _("name them: --prompt COLUMN --completion COLUMN [--system COLUMN], or --text COLUMN")
    if not table.columns:
        first = next(item for item in table.sample if not isinstance(item, Record))
        return UserError(
            _("No row of {path} can be read; {where}: {reason}").format(
                path=table.source.path, where=table.where(first.place), reason=first.reason
            ),
            first.fix,
        )
    return UserError(
        _("What the columns of {path} mean is not known: {names}").format(
            path=table.source.path, names=list_names(table.columns)
        ),
        fix,
    )
