"""The command line: what each command reads, does and prints.

Typer asks the standard library's gettext for some of its texts; from here on that is this program's.
"""

import gettext

from engine.i18n import _, ngettext

gettext.gettext = _  # type: ignore[assignment]  # parameters have other names
gettext.ngettext = ngettext  # type: ignore[assignment]
