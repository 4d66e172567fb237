"""The command line: what each command reads, does and prints.

Typer asks the standard library's gettext for its texts, or for some: that has this program's catalogue from here on.
"""

import gettext

from engine.i18n import _, ngettext

gettext.gettext, gettext.ngettext = _, ngettext
