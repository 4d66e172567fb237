"""Translation of user-facing text.

Every sentence a user may read passes through `_`. The source language is
English; catalogues live in `engine/locale/<language>/LC_MESSAGES/mqlora.mo`.
Values are filled in after translation: `_("{n} rows").format(n=3)`.
"""

import gettext
from pathlib import Path

_catalogue = gettext.translation("mqlora", Path(__file__).parent / "locale", fallback=True)
_ = _catalogue.gettext
ngettext = _catalogue.ngettext
