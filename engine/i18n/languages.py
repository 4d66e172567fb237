"""Which language the user reads: the one that is asked for, else the locale's, else English.

It is settled with the first text, and many are made while modules are imported: whoever asks for another
language sets the variable before that. Processes that are started inherit it.
"""

import os
import re
from functools import cache

VARIABLE = "MQLORA_LANG"
"""Environment variable that names the language."""
LOCALES = {"en": "en_GB", "pt": "pt_PT"}
"""The languages there are texts in, and the locale whose forms of numbers and dates go with each."""
_SYSTEM = ("LC_ALL", "LC_MESSAGES", "LANG")
"""Where the system's locale is said; the first that says something counts."""


@cache
def language() -> str:
    """Return the code of the language that texts are in, such as "en"."""
    asked = os.environ.get(VARIABLE, "")
    if asked in LOCALES:
        return asked
    locale = next((said for name in _SYSTEM if (said := os.environ.get(name))), "")
    code = re.split("[_.@-]", locale.lower())[0]
    return code if code in LOCALES else "en"
