"""What does not look Portuguese is found, and the pictures of the screens have none of it."""

from tests.support.fake_engine import CHECKS
from tests.support.pictures import FOLDER
from tests.support.portuguese_looks import not_portuguese
from tests.support.situations import FAULTS

import pytest

QUOTED = [
    *(text for check in CHECKS for text in (check.label, check.value, check.detail, check.fix)),
    *(text for fault in FAULTS for text in (fault.message, fault.fix)),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("depois cosine", "English: 'cosine'"),
        ("steps 8", "English: 'steps'"),
        ("taxa 2.0e-4", "a point: 2.0e-4"),
        ("no máximo 0.1.", "a point: 0.1"),
        ("perda 2.637  0,86 GB", "a point: 2.637"),
        ("213 passos, 50\ntokens", "a unit alone: 'tokens'"),
        ("cosine (cosseno), learning_rate, num_epochs 3, mlx-lm 0.32.2, data/train.jsonl", ""),
        ("0,83 s · 213 pass│ Ajuda │", ""),
        ("lr_schedule: taxa 2,0e-4, 213 passos\numa época", ""),
    ],
)
def test_what_is_not_portuguese_is_found(text: str, expected: str) -> None:
    """Settings, files, versions and choices are the same in every language."""
    assert list(not_portuguese(text)) == ([expected] if expected else [])


def test_the_pictures_are_portuguese() -> None:
    """At every size; the others look at them as they are drawn."""
    found = [
        f"{path.name}: {fault}"
        for path in sorted(FOLDER.glob("*-pt.txt"))
        for fault in not_portuguese(path.read_text(encoding="utf-8").partition("\nstyles:")[0], QUOTED)
    ]
    assert found == []
