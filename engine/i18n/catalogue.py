"""Reading a catalogue of translations in the form translators edit it, without a step that compiles it.

A text of a PO file is written as one of JSON is: in quotes, with the same escapes. Babel writes these files;
what this reader finds in them is held against what Babel finds (`tests/engine/test_catalogue.py`).
"""

import json
import re
from pathlib import Path

from engine.i18n.languages import LOCALES

_FOLDER = Path(__file__).parents[1] / "locale"
_FIELD = re.compile(r'^(msgid|msgid_plural|msgstr(?:\[\d\])?) (".*")$', re.MULTILINE)


def path_of(language: str) -> Path:
    """Return the file with the translations into a language, which need not be there."""
    return _FOLDER / LOCALES[language] / "LC_MESSAGES" / "mqlora.po"


def read(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the translations by their English text (that for one): one form, or two."""
    found: dict[str, tuple[str, ...]] = {}
    english = ""
    fields = _FIELD.findall(path.read_text(encoding="utf-8").replace('"\n"', ""))
    texts = json.loads(f"[{','.join(quoted for _field, quoted in fields)}]")  # at once: that is twice as fast
    for (field, _quoted), text in zip(fields, texts, strict=True):
        if field == "msgid":
            english = text
        elif field != "msgid_plural" and english and text:
            found[english] = (*found.get(english, ()), text)
    return found
