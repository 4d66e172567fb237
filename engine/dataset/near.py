"""Texts that are nearly the same, found by MinHash (Broder, 1997) with gaoya."""

from engine.dataset.report import Place

from gaoya.minhash import MinHashStringIndex

LIKENESS = 0.85
"""Jaccard similarity from which on two texts are near twins."""
_LETTERS = 5
"""Length of the parts of a text that are compared; capitals count as small letters."""
_BANDS, _BAND = 21, 6
"""A pair as alike as `LIKENESS` shares one of 21 bands of 6 numbers with a probability of 99.99 %, one
of 0.6 with 63 %: such candidates are then compared by all 126 numbers, with an error of about 0.04."""


class NearTwins:
    """Remembers texts, and finds the most similar one before each."""

    def __init__(self) -> None:
        """No text was seen yet."""
        self._places: list[Place] = []
        self._index = MinHashStringIndex(
            hash_size=32,
            jaccard_threshold=LIKENESS,
            num_bands=_BANDS,
            band_size=_BAND,
            analyzer="char",
            lowercase=True,
            ngram_range=(_LETTERS, _LETTERS),
            id_container="smallvec",
        )

    def nearest(self, place: Place, text: str) -> tuple[Place, float] | None:
        """Remember a text; return the place of the most similar one before it and how alike they are.

        None where none reaches `LIKENESS`, and for a text shorter than the parts that are compared.
        """
        if len(text) < _LETTERS:
            return None
        found = self._index.query(text, return_similarity=True)
        self._index.insert_document(len(self._places), text)
        self._places.append(place)
        if not found:
            return None
        number, likeness = max(found, key=lambda pair: (pair[1], -pair[0]))
        return self._places[number], float(likeness)
