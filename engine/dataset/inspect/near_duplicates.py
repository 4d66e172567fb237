"""Texts that are nearly the same, found by MinHash (Broder, 1997) with rensa."""

from engine.dataset.report import Place

from rensa import RMinHash, RMinHashLSH

LIKENESS = 0.85
"""Jaccard similarity from which on two texts are near-duplicates."""
_LETTERS = 5
"""Length of the parts of a text that are compared; capitals count as small letters."""
_BANDS, _NUMBERS = 21, 126
"""A pair as alike as `LIKENESS` shares one of 21 bands of 6 numbers with a probability of 99.99 %, one
of 0.6 with 63 %: such candidates are then compared by all 126 numbers, with an error of about 0.04."""
_SEED = 1


class NearDuplicates:
    """Remembers texts, and finds the most similar one before each."""

    def __init__(self) -> None:
        """No text was seen yet."""
        self._places: list[Place] = []
        self._sketches: list[RMinHash] = []
        self._index = RMinHashLSH(LIKENESS, _NUMBERS, _BANDS)

    def nearest(self, place: Place, text: str) -> tuple[Place, float] | None:
        """Remember a text; return the place of the most similar one before it and how alike they are.

        None where none reaches `LIKENESS`, and for a text shorter than the parts that are compared.
        """
        if len(text) < _LETTERS:
            return None
        sketch = _sketch(text.lower())
        found = [(self._sketches[number].jaccard(sketch), -number) for number in self._index.query(sketch)]
        self._index.insert(len(self._sketches), sketch)
        self._sketches.append(sketch)
        self._places.append(place)
        likeness, negative = max(found, default=(0.0, 0))
        return (self._places[-negative], likeness) if likeness >= LIKENESS else None


def _sketch(text: str) -> RMinHash:
    """Return the 126 numbers that stand for the parts of a text."""
    sketch = RMinHash(_NUMBERS, _SEED)
    sketch.update([text[start : start + _LETTERS] for start in range(len(text) - _LETTERS + 1)])
    return sketch
