"""How many planted near-duplicates are found, what else is taken for one, and how long that takes.

    python -m benchmarks.duplicates [--rows 10000 90000]

Rows are questions of 15 and answers of 25 invented words. Every twentieth comes again at
the end with another word in its answer, and with a question mark. peak MB: of this process.
"""

import argparse
import random
import resource
import sys
import time
from collections.abc import Iterator

from engine.dataset.inspect.duplicates import DuplicateFinder
from engine.dataset.jsonl.row import Row

_WORDS = [
    f"{first}{vowel}{end}"
    for first in "brtplkmnsdfgv"
    for vowel in "aeiou"
    for end in ("na", "ri", "so", "mu", "te", "ca", "lo", "di")
]
_FILE = "train.jsonl"


def rows(count: int) -> Iterator[tuple[Row, int]]:
    """Yield `count` rows and their near-duplicates, each with the line it is a duplicate of, or 0."""
    draw = random.Random(0)
    made = [
        (" ".join(draw.choices(_WORDS, k=15)), " ".join(draw.choices(_WORDS, k=25))) for _ in range(count)
    ]
    for line, pair in enumerate(made, 1):
        yield _row(line, *pair), 0
    for extra in range(count // 20):
        source = draw.randrange(count)
        question, answer = made[source]
        words = answer.split()
        words[draw.randrange(len(words))] = "outra"
        yield _row(count + extra + 1, f"{question} ?", " ".join(words)), source + 1


def _row(line: int, question: str, answer: str) -> Row:
    return Row(line, ({"role": "user", "content": question}, {"role": "assistant", "content": answer}))


def main() -> None:
    """Print a line for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 90_000])
    print(f"{'rows':>8} {'seconds':>8} {'planted':>8} {'recall':>7} {'precision':>9} {'peak MB':>8}")
    for count in parser.parse_args().rows:
        finder, planted, spent = DuplicateFinder(_FILE, "valid.jsonl"), {}, 0.0
        for row, source in rows(count):
            if source:
                planted[row.line] = source
            begin = time.perf_counter()
            finder.see(_FILE, row)
            spent += time.perf_counter() - begin
        begin = time.perf_counter()
        found = {duplicates.row.line for duplicates in finder.duplicates()}
        spent += time.perf_counter() - begin
        hits = len(found & planted.keys())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
        recall, precision = hits / len(planted), hits / max(1, len(found))
        figures = f"{len(planted):>8,} {recall:>7.3f} {precision:>9.3f} {peak:>8.0f}"
        print(f"{count + len(planted):>8,} {spent:>8.1f} {figures}")


if __name__ == "__main__":
    main()
