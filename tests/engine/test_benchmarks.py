"""The comparison with mlx-lm: both sides do the same work, and figures follow from what was measured."""

import subprocess
import sys
from pathlib import Path

from benchmarks import growth, mlx_lm_lora, ours, random_model, speed
from benchmarks.comparison import write_copy
from benchmarks.flops import flops_per_token
from benchmarks.job import Job, Record, run_child
from benchmarks.results import Run, disagreement, ratios
from benchmarks.variants import COMPILED, INSTALLED, OURS, mlx_lm_variants, our_variant, peft_variants
from benchmarks.workload import WORKLOADS, Lengths, RowMaker, Workload, write_rows
from engine.backend import mx
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.model.loading import load_base
from engine.model_folder.dimensions import ModelDimensions
from tests.support.tiny import write_model, write_tokenizer

import pytest

SHAPE = ModelDimensions(8, 3, 2, 1, 4, 16, 32, False, 4)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny float32 model whose template ends with the end of the turn, for equal losses."""
    folder = write_model(tmp_path_factory.mktemp("models") / "tiny")
    write_tokenizer(folder, random_model.TEMPLATE)
    return folder


def job(model: Path, rows: Path, steps: int, batch_size: int, accumulation: int, longest: int) -> Job:
    return Job(str(model), str(rows), steps, batch_size, accumulation, longest)


def record(rate: float, peak: float) -> Record:
    """Four steps of which the first, with another rate, is to be left out, and one that is off."""
    seconds = [100.0, 100 / rate, 100 / rate, 90.0, 100 / rate]
    return Record([100] * 5, seconds, [5.0] * 5, peak, peak, "none")


@pytest.mark.slow
@pytest.mark.parametrize(("batch_size", "accumulation"), [(4, 1), (2, 2)])
def test_both_sides_begin_with_the_same_loss(
    model: Path, tmp_path: Path, batch_size: int, accumulation: int
) -> None:
    """On a step of equal rows: B is zero, so it is the base model's; nothing is padded or cut."""
    rows = tmp_path / "rows.jsonl"
    write_rows(rows, Workload("equal", 4, 65, 65), 1, model)
    work = job(model, rows, 1, batch_size, accumulation, 65)
    mine = ours.measure(work, tmp_path / "ours")
    theirs = mlx_lm_lora.measure(work, tmp_path / "mlx_lm")
    assert mine.tokens == theirs.tokens == [4 * 65]
    assert mine.losses == pytest.approx(theirs.losses, rel=1e-5)


@pytest.mark.slow
def test_both_sides_train_on_each_row_once(model: Path, tmp_path: Path) -> None:
    """One row a step: the steps' real tokens are the rows' lengths, in another order."""
    rows = tmp_path / "rows.jsonl"
    lengths = write_rows(rows, Workload("uneven", 1, 40, 64), 5, model)
    work = job(model, rows, 5, 1, 1, 64)
    mine = ours.measure(work, tmp_path / "ours")
    theirs = mlx_lm_lora.measure(work, tmp_path / "mlx_lm")
    assert sorted(mine.tokens) == sorted(theirs.tokens) == sorted(lengths.tokens)
    assert len(mine.seconds) == 4 and len(theirs.seconds) == 5
    assert min(mine.seconds + theirs.seconds) > 0
    assert min(mine.peak_gb, theirs.peak_gb, mine.held_gb) > 0


def test_peft_does_the_same_work(model: Path, tmp_path: Path) -> None:
    """The same tokens, and the same loss before anything is learned, however the rows are accumulated."""
    pytest.importorskip("peft")
    from benchmarks import peft_lora

    rows = tmp_path / "rows.jsonl"
    lengths = write_rows(rows, Workload("uneven", 4, 40, 64), 1, model)
    mine = ours.measure(job(model, rows, 1, 4, 1, 64), tmp_path / "ours")
    write_copy(model, tmp_path / "unpacked", True, "float32")
    for size in (4, 2):
        theirs = peft_lora.measure(job(tmp_path / "unpacked", rows, 1, size, 4 // size, 64))
        assert theirs.tokens == mine.tokens == [sum(lengths.tokens)]
        assert theirs.losses == pytest.approx(mine.losses, rel=1e-5)
        assert theirs.peak_gb > 0 and len(theirs.seconds) == 1


def test_rows_have_the_wanted_lengths(model: Path, tmp_path: Path) -> None:
    """In the model's own template, half of the tokens answer."""
    lengths = write_rows(tmp_path / "rows", Workload("rows", 8, 200, 220), 4, model)
    assert len(lengths.tokens) == 32 and 200 <= min(lengths.tokens) < max(lengths.tokens) <= 220
    assert lengths.trained == pytest.approx(0.5, abs=0.02)
    with pytest.raises(ValueError, match="no room in 20 tokens"):
        next(RowMaker(model).rows(Workload("rows", 1, 20, 20)))


@pytest.mark.slow
def test_a_comparison_prints_every_run_and_the_ratios(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One run of each side in a process of its own; a variant that is refused has its line."""
    command = f"speed {model} --workload tiny --steps 3 --skip 1 --repetitions 1 --mlx-lm-batches 2"
    variants = ["--ours", "auto:batch_size=2", "--ours", "wrong:lora_rnk=4"]
    monkeypatch.setattr(sys, "argv", [*command.split(), *variants])
    speed.main()
    printed = capsys.readouterr().out
    assert "auto / mlx_lm: " in printed and "its fastest: 2 x 2" in printed
    assert "Unknown key 'lora_rnk'" in printed and "WARNING" not in printed


def test_a_child_that_hangs_is_ended(model: Path) -> None:
    """Its line says so."""
    assert run_child("benchmarks.ours", job(model, model, 1, 1, 1, 64), 0.01) == "not done after 0 s"


@pytest.mark.parametrize(("module", "forbidden"), [("mlx_lm_lora", "engine"), ("speed", "mlx")])
def test_a_process_loads_no_more_than_it_may(module: str, forbidden: str) -> None:
    """mlx-lm as installed gets no BLAS of ours; what starts the runs leaves the device to them."""
    code = f"import sys, benchmarks.{module}; sys.exit({forbidden!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_growth_has_a_line_for_each_point(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also for one that fails."""
    command = f"growth {model} --tables length layers --lengths 20 64 --tokens 128 --length 64 --layers 1"
    monkeypatch.setattr(sys, "argv", [*command.split(), "--steps", "3", "--skip", "1"])
    growth.main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "64" in line or "20" in line]
    assert [line[:3] for line in lines] == [["6", "20", "all"], ["2", "64", "all"], ["2", "64", "1"]]
    assert lines[0][3] == "ValueError:" and all(float(line[3].replace(",", "")) > 0 for line in lines[1:])


def test_a_random_model_can_be_loaded(tmp_path: Path) -> None:
    """The weights fill the shape; an untied head, packed weights, its own tokenizer."""
    random_model.write_model(tmp_path / "tiny", "tiny")
    base = load_base(tmp_path / "tiny")
    logits = base.model(mx.array([base.tokenizer.encode("abc")]))
    assert logits.shape == (1, 3, 320) and bool(mx.isfinite(logits).all())
    assert "lm_head" in base.model and len(base.model.layers) == 2


def test_ratios_leave_the_first_steps_and_odd_ones_out() -> None:
    """Against the fastest setting; memory also against the leanest that is about as fast."""
    mine = [Run(OURS, "auto", n, record(400, 3.0), 1) for n in (1, 2)]
    fast = [Run(INSTALLED, "8 x 1", n, record(100, 10.0), 1) for n in (1, 2)]
    lean = [Run(INSTALLED, "4 x 2", n, record(95, 6.0), 1) for n in (1, 2)]
    slow = [Run(INSTALLED, "1 x 8", n, record(50, 1.0), 1) for n in (1, 2)]
    assert mine[0].rate == 400
    assert ratios(mine, [lean, fast, slow]) == [
        "auto / mlx_lm: 4.00x tok/s, 0.30x peak (its fastest: 8 x 1)",
        "auto / mlx_lm: 0.50x peak of 4 x 2, its leanest within 10% of the fastest",
    ]


def test_other_work_is_seen() -> None:
    """Two runs of as many steps must have had about the same tokens, though each draws its own."""
    same = [Run(OURS, "auto", 1, record(1, 1), 1), Run(INSTALLED, "8 x 1", 1, record(2, 1), 1)]
    assert disagreement(same) == ""
    drawn = Record([100, 100, 100, 100, 120], [1.0] * 5, [5.0] * 5, 1.0, 1.0, "none")
    assert disagreement([*same, Run(OURS, "b", 1, drawn, 1)]) == ""
    other = Record([100, 100, 100, 100, 300], [1.0] * 5, [5.0] * 5, 1.0, 1.0, "none")
    assert "[500, 700]" in disagreement([*same, Run(OURS, "b", 1, other, 1)])


def test_variants_keep_the_effective_batch() -> None:
    """Whole, in fours and one by one; a size that does not divide it is refused."""
    workload = WORKLOADS["long"]
    (whole,) = peft_variants(COMPILED, workload, [])
    assert (whole.batch_size, whole.accumulation, whole.settings) == (8, 1, {"compile": True})
    assert whole.module == "benchmarks.peft_lora"
    variants = mlx_lm_variants(INSTALLED, workload, [], True)
    assert [(v.batch_size, v.accumulation) for v in variants[::2]] == [(8, 1), (4, 2), (1, 8)]
    assert [v.settings.get("grad_checkpoint", False) for v in variants] == [False, True] * 3
    lean = our_variant("lean:batch_size=2,lora_rank=4", ["lora_rank=2", "seed=1"], workload)
    assert (lean.batch_size, lean.accumulation, lean.settings) == (2, 4, {"lora_rank": "4", "seed": "1"})
    with pytest.raises(ValueError, match="3 does not divide"):
        our_variant("odd:batch_size=3", [], workload)
    with pytest.raises(UserError):
        our_variant("odd:batch_size", [], workload)


def test_flops_are_four_a_weight_and_six_an_adapter_weight() -> None:
    """Counted by hand on a small shape, with two of three layers adapted."""
    weights = 8 * 8 + 2 * 8 * 4 + 8 * 8 + 3 * 8 * 16
    adapter = 2 * 2 * ((8 + 8) * 2 + (8 + 4) * 2 + 3 * (8 + 16))
    config = TrainingConfig(lora_rank=2, lora_layers=2)
    attention = 2 * 2 * 8 * 5  # two products, two operations, 8 wide, over 5 tokens
    expected = (3 + 2) * 2 * weights + (3 + 2 * 2) * attention + 6 * adapter + 4 * 8 * 32 * 0.5
    assert flops_per_token(SHAPE, config, Lengths((10, 10), 0.5)) == expected
