"""What the fields of a row and of a turn mean, besides those that hold its texts.

One list for reading, `validate`, `train` and `import`: a field that changes what a row means is honoured
or refused, never passed over. All others are named as not used.
"""

import re
from functools import lru_cache
from typing import Any, Literal

from engine.dataset.jsonl.field_names import SYSTEMS, part_of, plain, words_of

Sense = Literal[
    "system",
    "tools",
    "trained",
    "excluded",
    "masked",
    "weight",
    "label",
    "status",
    "preference",
    "media",
    "reasoning",
    "context",
    "options",
]
"""Instructions for the assistant; functions it may call; whether the row or turn is to be learned; whether it
is not to be; one of the two, and nobody can tell which; how much it counts; whether the answer is a good one;
what became of the row; answers to choose between; what is no text; thoughts before an answer; what belongs to
the question; answers that whoever is asked chooses from."""

_BETTER = ("corrected", "edited", "expected", "gold", "golden", "reference")
_ANSWER = ("answer", "completion", "output", "response")
"""Words of the names of answers that somebody wrote because of another one."""
_NAMES: dict[Sense, tuple[str, ...]] = {
    "system": SYSTEMS,
    "tools": ("tools", "functions", "available_tools"),
    "trained": (
        *("train", "training", "trainable", "trained", "is_trained", "train_on", "train_on_turn"),
        *("train_turn", "loss", "learn", "is_learned"),
    ),
    "excluded": (
        *("masked", "is_masked", "ignore", "ignored", "is_ignored", "ignore_loss", "ignore_turn"),
        *("skip", "skipped", "skip_turn", "exclude", "excluded", "no_train", "no_loss", "do_not_train"),
        *("wrong", "is_wrong", "incorrect", "is_incorrect", "is_bad", "deleted", "is_deleted"),
        *("flagged", "is_flagged"),
    ),
    "masked": (
        *("mask", "masks", "mask_loss", "loss_mask", "mask_turn", "turn_mask", "train_mask"),
        *("training_mask", "label_mask", "assistant_mask", "train_detail", "training_detail"),
    ),
    "weight": ("weight", "loss_weight", "sample_weight"),
    "label": (
        *("label", "kto_tag", "correct", "is_correct", "approved", "is_approved", "include", "enabled"),
        *("valid", "is_valid", "use"),
    ),
    "status": ("status", "review_status", "annotation_status", "estado"),
    "preference": (
        *("chosen", "rejected", "preferred", "dispreferred"),
        *("preferred_output", "non_preferred_output", "correction", "ground_truth", "gold"),
        *(f"{which}_{answer}" for which in _BETTER for answer in _ANSWER),
    ),
    # Words that as parts of other names mean too much else.
    "reasoning": ("think", "analysis", "analise", "reflection", "inner_voice", "deliberation"),
    "media": ("media", "pixel_values", "waveform", "spectrogram"),
    "options": (
        *("choices", "options", "alternatives", "endings", "answer_choices", "answer_options"),
        *("multiple_choice_options", "opcoes", "alternativas", "opciones", "optionen", "opzioni"),
    ),
}
_SENSES: dict[str, Sense] = {name: sense for sense, names in _NAMES.items() for name in names}
_WORDS: dict[Sense, frozenset[str]] = {
    "media": frozenset(
        (
            *("image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos"),
            *("screenshot", "screenshots", "audio", "audios", "video", "videos", "foto", "fotos"),
            *("fotografia", "fotografias", "imagem", "imagens", "imagen", "imagenes", "immagine", "immagini"),
            *("bild", "bilder", "afbeelding", "afbeeldingen"),
            *("attachment", "attachments", "anexo", "anexos"),
        )
    ),
    "reasoning": frozenset(
        (
            *("reasoning", "thinking", "thought", "thoughts", "rationale", "rationales", "scratchpad"),
            *("monologue", "cot", "raciocinio", "raciocinios", "pensamento", "pensamentos"),
            *("razonamiento", "pensamiento", "raisonnement", "ragionamento"),
        )
    ),
}
"""Words of names, of which any makes such a field of it."""
_ABOUT = frozenset(
    (
        *("count", "counts", "num", "number", "total", "length", "len", "tokens", "size", "width", "height"),
        *("px", "resolution", "duration", "seconds", "time", "format", "type", "mode", "level", "effort"),
        *("budget", "score", "rating", "quality", "model", "language", "lang", "category", "tag", "tags"),
        *("license", "licence", "credit", "hash", "title", "caption", "captions", "alt", "description"),
        *("transcript", "transcription", "prompt", "domain", "required", "enabled"),
    )
)
"""Words that at the end of such a name make a remark of it, such as `image_count`."""
_HOW_MANY = frozenset(("num", "number", "n", "count", "total", "max", "has", "is"))
"""Words that do so at its beginning."""
_ONE_OPTION = re.compile(
    r"(?:option|choice|alternative|opcao|alternativa|opcion|opt|op)_?([a-j]|\d)|(?:ending|sol)_?(\d)"
)
_PREFERENCE = re.compile(
    r"(chosen|rejected)_(?!score|rating|model)|(?!score|rating|reward|logp).*_(chosen|rejected)$"
)
"""Other names of answers to choose between, and not of what they are worth."""
LEARNING: frozenset[Sense] = frozenset(("trained", "excluded", "masked", "weight", "label", "status"))
"""Of fields that say whether their row or turn is to be learned."""
_NO = (
    *("false", "no", "n", "0", "off", "não", "nao", "bad", "rejected", "mau", "má"),
    *("wrong", "incorrect", "errado", "errada", "incorreto", "incorreta"),
)
_YES = (
    *("true", "yes", "y", "1", "on", "sim", "good", "chosen", "bom", "boa"),
    *("right", "correct", "certo", "certa", "correto", "correta"),
)
_NOTHING = frozenset(("nan", "none", "null", "n/a", "#n/a", "<noinput>"))
OF_QUESTION: frozenset[Sense] = frozenset(("context", "options"))
"""Of fields that the answer cannot be known without."""
YES_OR_NO: frozenset[Sense] = frozenset(("trained", "excluded", "label"))
"""Of those that have to answer this."""


@lru_cache(maxsize=1024)
def sense_of(name: str) -> Sense | None:
    """Return what a field of this name means; None where it changes nothing."""
    bare, words = plain(name), words_of(name)
    if sense := _SENSES.get(bare) or _SENSES.get("_".join(words)):
        return sense
    if part_of(name) in ("input", "context", "history"):
        return "context"
    if label_of(name):
        return "options"
    if _PREFERENCE.match(bare):
        return "preference"
    if not words or words[-1] in _ABOUT or words[0] in _HOW_MANY:
        return None
    return next((sense for sense, of_sense in _WORDS.items() if not of_sense.isdisjoint(words)), None)


def label_of(name: str) -> str:
    """Return the letter or number of the one option that a field of this name holds; nothing if none."""
    found = _ONE_OPTION.fullmatch(plain(name))
    return (found[1] or found[2]).upper() if found else ""


def says_nothing(value: Any) -> bool:
    """Whether a field is as good as not there: null, empty or blank."""
    return value is None or (isinstance(value, str | list | dict) and not value) or _is_blank(value)


def means_nothing(value: Any) -> bool:
    """Whether a field that belongs to a question has what is written where there is nothing, such as nan."""
    return isinstance(value, str) and value.strip().casefold() in _NOTHING


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


def is_remark(sense: Sense | None, value: Any) -> bool:
    """Whether a field only tells of something: a number, or where that is no text itself a yes or a no.

    Args:
        sense: of its name.
        value: of the field; numbers of tables are texts.
    """
    if sense is None or isinstance(value, bool | int | float):
        return True
    is_word = isinstance(value, str) and (value.strip().isdecimal() or answer_of(value) is not None)
    return is_word and sense in ("media", "reasoning")


def answer_of(value: Any) -> bool | None:
    """Return what a field answers that is a yes or a no; None where it is neither."""
    if isinstance(value, bool | int | float):
        return bool(value) if value in (0, 1) else None
    text = value.strip().lower() if isinstance(value, str) else ""
    return True if text in _YES else False if text in _NO else None
