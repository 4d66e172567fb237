"""Lists the texts that a catalogue has no translation of; run by `make texts`."""

import sys
from pathlib import Path

from babel.messages.pofile import read_po

CATALOGUES = Path(__file__).parents[1] / "engine" / "locale"


def untranslated(path: Path) -> list[str]:
    """Return the English texts (those for one) that have no translation, or one that is in doubt."""
    with path.open("rb") as file:
        return [
            message.id if isinstance(message.id, str) else message.id[0]
            for message in read_po(file)
            if message.id and (message.fuzzy or not all(_forms(message.string)))
        ]


def _forms(string: str | tuple[str, ...]) -> tuple[str, ...]:
    return (string,) if isinstance(string, str) else string


def main() -> int:
    """Print them, by catalogue; return 1 if there are any."""
    left = 0
    for path in sorted(CATALOGUES.rglob("*.po")):
        for text in untranslated(path):
            print(f"{path.relative_to(CATALOGUES).parts[0]}: {text!r}")
            left += 1
    print(f"{left} untranslated")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
