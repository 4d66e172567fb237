"""What the names of columns and fields say that they hold, in the languages that data come in."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

FieldRole = Literal["question", "input", "context", "history", "answer", "turns", "text"]
"""What is asked; what it is asked about, which is the question where there is no other; what belongs to it;
earlier turns; what is learned; a whole conversation; plain text."""

# In English, Portuguese, Spanish, French, Italian, German and Dutch; as `plain` writes them.
_NAMES: dict[FieldRole, tuple[str, ...]] = {
    "question": (
        *("prompt", "instruction", "question", "query", "user", "human", "q"),
        *("instrucao", "pergunta", "questao", "solicitacao", "utilizador", "usuario"),
        *("instruccion", "pregunta", "solicitud", "consigne", "invite"),
        *("istruzione", "domanda", "richiesta", "anweisung", "instruktion", "frage", "aufforderung"),
        *("instructie", "vraag", "opdracht"),
    ),
    "input": ("input", "entrada", "entree", "ingresso", "eingabe", "invoer"),
    "context": (
        *("context", "passage", "document", "contexto", "contexte", "contesto", "kontext"),
        *("retrieved", "retrieved_context", "retrieved_document", "retrieved_passage", "knowledge"),
        *(
            "evidence",
            "reference_text",
            "article",
            "story",
            "schema",
            "doc",
            "ctx",
            "search_result",
            "source_document",
        ),
        *("fact", "chunk", "background"),
        *("documento", "dokument", "passagem", "pasaje", "passaggio", "textpassage"),
    ),
    "history": ("history", "historico", "historial", "historique", "cronologia", "verlauf", "geschiedenis"),
    "answer": (
        *("completion", "output", "response", "answer", "reply", "assistant", "a"),
        *("conclusao", "saida", "resposta", "assistente", "respuesta", "salida", "finalizacion"),
        *("reponse", "sortie", "risposta", "uscita", "completamento"),
        *("antwort", "ausgabe", "vervollstandigung", "antwoord", "uitvoer", "voltooiing"),
    ),
    "turns": (
        *("messages", "conversations", "conversation", "interactions", "dialog", "dialogue", "contents"),
        *("mensagens", "conversas", "conversa"),
    ),
    "text": ("text", "texto", "texte", "testo", "tekst"),
}
_PARTS: dict[str, FieldRole] = {name: part for part, names in _NAMES.items() for name in names}
SYSTEMS = (
    *("system", "system_prompt", "systemprompt", "system_message", "system_instruction", "systeminstruction"),
    *("sys", "sys_prompt", "preamble", "developer", "developer_message", "sistema", "systeme", "systeem"),
)
"""Instructions for the assistant."""
_SPEAKERS = frozenset(
    ("user", "human", "assistant", "utilizador", "usuario", "assistente"),
)
_WHO_SPEAKS = frozenset(("role", "sender", "from", "speaker", "remetente"))
_PLURALS = {
    **{"domande": "domanda", "risposte": "risposta", "fragen": "frage", "antworten": "antwort"},
    **{"anweisungen": "anweisung", "eingaben": "eingabe", "ausgaben": "ausgabe", "istruzioni": "istruzione"},
    **{"instrucoes": "instrucao", "questoes": "questao", "instrucciones": "instruccion"},
    **{"vragen": "vraag", "antwoorden": "antwoord", "queries": "query", "replies": "reply"},
}
_SHORT = 3
"""Letters of names that have no plural."""
_BORDER = re.compile(
    r"(?<=[^\W\dA-Z_])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d])(?=\d)|(?<=\d)(?=[^\W\d])"
)
"""Where a word ends inside a name such as imagePath2."""


@lru_cache(maxsize=1024)
def plain(name: str) -> str:
    """Return a name as names are compared: small letters, no accents, no spaces."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    return bare.casefold().strip().replace(" ", "_").replace("-", "_")


def words_of(name: str) -> list[str]:
    """Return the words of a name as names are compared, set apart by signs, capitals or digits."""
    return [plain(word) for word in re.split(r"[\W_]+", _BORDER.sub("_", name)) if word]


def is_speaker(name: str) -> bool:
    """Whether a column of this name holds what a speaker says, or beside what is said only who that was."""
    return plain(name) in _SPEAKERS


def is_who_speaks(name: str) -> bool:
    """Whether a column of this name says who speaks: what is said beside it is a message, and no text."""
    return plain(name) in _WHO_SPEAKS


def of_part(names: Iterable[str], part: FieldRole) -> list[str]:
    """Return the columns that hold a part; those named after a speaker only where there is no other."""
    found = [name for name in names if part_of(name) == part]
    return [name for name in found if not is_speaker(name)] or found


@lru_cache(maxsize=1024)
def part_of(name: str) -> FieldRole | None:
    """Return what a column of this name, also in the plural, holds; None where it does not say."""
    bare = plain(name)
    single = _PLURALS.get(bare, bare.removesuffix("s") if len(bare) > _SHORT else bare)
    return _PARTS.get(bare) or _PARTS.get(single)
