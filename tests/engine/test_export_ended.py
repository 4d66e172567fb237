"""An export that is ended where it tells how far it is: nothing of it stays."""

from dataclasses import replace
from pathlib import Path

from engine.errors import Cancelled
from engine.export.exporter import Exporter
from engine.export.targets import Bits, ExportRequest, Target
from tests.support.export_models import KINDS, exporter_of

import pytest


class Ending:
    """Progress that ends the export where it is told for the `last`th time."""

    def __init__(self, last: int = 0) -> None:
        self.last = last
        self.told: list[tuple[str, float]] = []

    def __call__(self, stage: str, share: float) -> None:
        self.told.append((stage, share))
        if len(self.told) == self.last:
            raise Cancelled


def told_to(exporter: Exporter, ending: Ending) -> Exporter:
    return replace(exporter, progress=ending, scorer=replace(exporter.scorer, progress=ending, _reference={}))


@pytest.mark.parametrize(("target", "bits"), [("mlx", 8), ("gguf", None), ("peft", None)])
def test_nothing_stays_wherever_it_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Target, bits: Bits | None
) -> None:
    """At the beginning of each stage and at the last word; the folder of exports goes again too."""
    monkeypatch.setattr("engine.export.llama_cpp.is_installed", lambda: False)  # its child takes seconds
    exporter, request = (
        exporter_of(tmp_path / "project", KINDS["llama-4bit-untied"]),
        ExportRequest(target, bits),
    )
    whole = Ending()
    told_to(exporter, whole).export(replace(request, out=tmp_path / "out"))
    stages = [stage for stage, _share in whole.told]
    assert len(set(stages)) >= 2 and all(0 <= share <= 1 for _stage, share in whole.told)
    before = sorted(exporter.project.root.rglob("*"))
    for last in sorted({*(stages.index(stage) + 1 for stage in stages), len(stages)}):
        with pytest.raises(Cancelled):
            told_to(exporter, Ending(last)).export(request)
        assert sorted(exporter.project.root.rglob("*")) == before
