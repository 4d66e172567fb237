"""What the columns of a table mean: as its names and first rows tell, or as the user says."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

from engine.dataset.fields import sense_of
from engine.dataset.mapping import Form, Mapping, list_names, list_of_turns
from engine.dataset.records import Record
from engine.dataset.tables import Table
from engine.errors import UserError
from engine.i18n import _
from engine.text import one_line

# In English, Portuguese, Spanish, French, Italian, German and Dutch; as `_plain` writes them.
_PROMPTS = (
    *("prompt", "instruction", "question", "query", "input", "user", "human", "q"),
    *("instrucao", "pergunta", "questao", "entrada", "utilizador", "usuario"),
    *("instruccion", "frage", "domanda", "vraag", "anweisung", "istruzione"),
)
_COMPLETIONS = (
    *("completion", "output", "response", "answer", "reply", "assistant", "a"),
    *("conclusao", "saida", "resposta", "assistente"),
    *("respuesta", "salida", "reponse", "antwort", "risposta", "antwoord", "ausgabe", "sortie"),
)
_PLURALS = {"domande": "domanda", "risposte": "risposta", "fragen": "frage", "antworten": "antwort"}
_INPUTS = ("input", "context", "passage", "entrada", "contexto", "contesto", "contexte", "kontext")
_HISTORIES = ("history", "historico", "historial")
_SYSTEMS = ("system", "system_prompt", "system_message", "sistema")
_TEXTS = ("text", "texto", "texte", "testo")
_LONG_NAME = 40
"""Characters of a name that nobody gives to a column."""
_TURNS = (
    *("messages", "conversations", "conversation", "interactions", "dialog", "dialogue"),
    *("mensagens", "conversas", "conversa"),
)


def detect(table: Table, answer: str = "") -> Mapping | None:
    """Return what the columns of a table seem to mean, None where no known names are among them.

    Args:
        table: whose columns are looked at.
        answer: name of the column with the answers to learn, where there are several.
    """
    known = {_plain(name): name for name in reversed(table.columns) if name != answer}
    if answer:
        known = {plain: name for plain, name in known.items() if sense_of(name) != "preference"}
    known = {_singular(plain): name for plain, name in known.items()} | known
    system = _among(_SYSTEMS, known)
    if found := _turns(table, known, answer):
        return replace(found, system=system)
    prompt = _among(_PROMPTS, known)
    completion = "" if answer else _among(_COMPLETIONS, known)
    if prompt and (completion or answer):
        extra = _among([name for name in _INPUTS if known.get(name) not in (prompt, completion)], known)
        history = _among(_HISTORIES, known)
        form: Form = "alpaca" if extra or history else "pair"
        return Mapping(form, prompt, extra, completion, system, history=history, answer=answer)
    text = _among(_TEXTS, known)
    return Mapping("text", text=text) if text and not answer else None


def choose(
    table: Table,
    prompt: str = "",
    completion: str = "",
    system: str = "",
    text: str = "",
    answer: str = "",
) -> Mapping:
    """Return the mapping that was asked for; what was not is found by the names of the columns.

    Args:
        table: whose columns are mapped.
        prompt: name of its column; `completion` then has to be named as well.
        completion: name of its column.
        system: name of the column with the instructions for the assistant, for all forms but `text`.
        text: name of the column with plain text, instead of the others.
        answer: name of the column with the answers to learn, where a row has several (chosen, rejected).

    Raises:
        UserError: there is no such column, one is to be two things, names contradict each other, or
            none tells what is meant.
    """
    for name in (prompt, completion, system, text, answer):
        _refuse_unknown(table, name)
    if answer and (completion or text):
        raise UserError(_("An answer was chosen, and another column named"), _("name one of them"))
    if bool(prompt) != bool(completion or (answer and prompt)):
        raise UserError(_("A prompt needs a completion, and the other way round"), _("name both columns"))
    if text and (prompt or system):
        raise UserError(
            _("Plain text has neither prompt nor system"), _("name the text column only, or the others")
        )
    if text:
        return Mapping("text", text=text)
    if not (table.source.has_header or prompt or text or answer) and len(table.columns) == 2:
        return Mapping("pair", table.columns[0], completion=table.columns[1])
    if prompt:
        found: Mapping | None = Mapping("pair", prompt, completion=completion, system=system, answer=answer)
    else:
        found = detect(table, answer)
    if not found or (system and found.form == "text"):
        raise _unclear(table)
    found = replace(found, system=system) if system else found
    refuse_twice(found)
    return found


def refuse_twice(mapping: Mapping) -> None:
    """Refuse a column that is to be two things at once.

    Raises:
        UserError: there is one; with its name.
    """
    roles = {
        _("prompt"): (mapping.prompt, mapping.input, mapping.history),
        _("completion"): (mapping.completion,),
        _("answer"): (mapping.answer,),
        _("turns"): (mapping.turns,),
        _("system"): (mapping.system,),
    }
    for name in mapping.columns:
        taken = [role for role, names in roles.items() if name in names]
        if len(taken) > 1:
            raise UserError(
                _("Column '{name}' is chosen for both {one} and {other}").format(
                    name=one_line(name, 40), one=taken[0], other=taken[1]
                ),
                _("choose another column for one of them"),
            )


def _plain(name: str) -> str:
    """Return a name as names are compared: small letters, no accents, no spaces."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    return bare.casefold().strip().replace(" ", "_").replace("-", "_")


def _among(wanted: Iterable[str], known: dict[str, str]) -> str:
    return next((known[name] for name in wanted if name in known), "")


def _singular(plain: str) -> str:
    """Return a name in the singular, where it is one of the usual plurals."""
    return _PLURALS.get(plain, plain.removesuffix("s"))


def _turns(table: Table, known: dict[str, str], answer: str) -> Mapping | None:
    """Return a mapping for the column that holds conversations, if one does.

    Of several it is the one with a usual name; where there is none, nobody but the user can tell which is
    meant. A chosen answer may be a whole conversation.
    """
    if answer and (whole := _form_of_turns(table, answer)) and _has_question(table, answer):
        return Mapping(whole, turns=answer)
    names = dict.fromkeys(known.values())
    found = {name: form for name in names if (form := _form_of_turns(table, name)) and _is_whole(name)}
    name = _among(_TURNS, {plain: name for plain, name in known.items() if name in found})
    if not name and len(found) == 1:
        name = next(iter(found))
    return Mapping(found[name], turns=name, answer=answer) if name else None


def _is_whole(name: str) -> bool:
    """Whether a column of turns is a conversation: not one side of it, nor one of several answers."""
    return _plain(name) not in (*_PROMPTS, *_COMPLETIONS, *_HISTORIES) and sense_of(name) is None


def _has_question(table: Table, name: str) -> bool:
    """Whether the first conversation of a column also has a turn of the user."""
    for item in table.sample:
        turns = list_of_turns(item.value.get(name)) if isinstance(item, Record) else []
        if turns:
            return any(
                isinstance(t, dict) and t.get("role", t.get("from")) in ("user", "human") for t in turns
            )
    return False


def _form_of_turns(table: Table, name: str) -> Form | None:
    """Return in which form the first conversation of a column is, None where there is none."""
    for item in table.sample:
        turns = list_of_turns(item.value.get(name)) if isinstance(item, Record) else []
        if turns and all(isinstance(turn, dict) for turn in turns):
            first = turns[0]
            if "role" in first or "from" in first:
                return "messages" if "role" in first else "sharegpt"
            return "interactions" if "is_user" in first or {"user", "assistant"} <= first.keys() else None
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
    if lacks_header(table):
        return UserError(
            _("The first line of {path} looks like a row, not like names of columns: {names}").format(
                path=table.source.path, names=list_names(table.columns)
            ),
            _("say that there is no header: --no-header"),
        )
    answers = answers_of(table)
    if chosen := next((name for name in answers if "chosen" in _plain(name)), "".join(answers[:1])):
        return UserError(
            _("{path} holds answers to choose between").format(path=table.source.path),
            _("say which are to be learned: --answer {name}").format(name=one_line(chosen, 40)),
        )
    return UserError(
        _("What the columns of {path} mean is not known: {names}").format(
            path=table.source.path, names=list_names(table.columns)
        ),
        fix,
    )


def lacks_header(table: Table) -> bool:
    """Whether the first line of a table, which is taken for the names of its columns, reads like a row."""
    source = table.source
    return source.format == "delimited" and source.has_header and _is_row(table.columns)


def answers_of(table: Table) -> list[str]:
    """Return the columns with several answers of a row, of which one may be learned (chosen, rejected)."""
    return [name for name in table.columns if sense_of(name) == "preference"]


def _is_row(columns: Sequence[str]) -> bool:
    """Whether names of columns read like what is said in a row."""
    return any(len(name) > _LONG_NAME or name.endswith((".", "?", "!")) for name in columns)
