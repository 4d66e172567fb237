"""Refusing what cannot fit before it is loaded, and naming the nearest configuration that does."""

import json
from pathlib import Path

from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.errors import UserError
from engine.memory.predict import MemoryBudget, predict_peak
from engine.memory.suggest import (
    PREDICTION_ERROR,
    SHORTEST,
    as_options,
    nearest_fitting,
    nearest_predicted,
    refuse_if_too_large,
)
from engine.model_folder.dimensions import ModelDimensions
from tests.support.model_sizes import MISTRAL_7B

import pytest

WANTED = TrainingConfig(batch_size=8, gradient_accumulation=3, max_seq_length=2048, lora_rank=16)
LARGEST = BatchShape(8, 2048, 8 * 2048, 8 * 2048)


@pytest.fixture
def mistral(tmp_path: Path) -> Path:
    """A model folder with nothing but its description."""
    (tmp_path / "config.json").write_text(json.dumps(MISTRAL_7B))
    return tmp_path


def need(folder: Path, config: TrainingConfig) -> int:
    """Return the predicted peak on a GPU, packed and with gradient checkpointing."""
    saving = config.updated({"gradient_checkpointing": "on", "frozen_weights": "packed"})
    sizes = ModelDimensions.read(folder)
    assert sizes is not None
    return predict_peak(sizes, saving, "gpu")


def refuse(
    folder: Path, config: TrainingConfig, budget: MemoryBudget, shape: BatchShape | None = None
) -> str:
    """Call `refuse_if_too_large` with the largest micro-batch that `config` allows, all of it trained."""
    rows, length = config.batch_size, config.max_seq_length
    return refuse_if_too_large(
        folder, config, budget, shape or BatchShape(rows, length, rows * length, rows * length)
    )


def tried(config: TrainingConfig) -> list[TrainingConfig]:
    """Return the candidates in their order."""
    seen: list[TrainingConfig] = []

    def never_fits(candidate: TrainingConfig) -> bool:
        seen.append(candidate)
        return False

    assert nearest_fitting(config, never_fits) is None
    return seen


def test_what_fits_is_its_own_nearest() -> None:
    """Nothing is given up without need."""
    assert nearest_fitting(WANTED, lambda _config: True) == WANTED


def test_what_costs_least_is_given_up_first() -> None:
    """Time first, then rows at once, then long examples' ends, then rank; each stays given up."""
    states = [(c.gradient_checkpointing, c.batch_size, c.max_seq_length, c.lora_rank) for c in tried(WANTED)]
    assert states[:7] == [
        ("auto", 8, 2048, 16),
        ("on", 8, 2048, 16),
        ("on", 6, 2048, 16),
        ("on", 4, 2048, 16),
        ("on", 3, 2048, 16),
        ("on", 2, 2048, 16),
        ("on", 1, 2048, 16),
    ]
    assert states[7] == ("on", 1, 1536, 16)
    assert states[-5:] == [("on", 1, SHORTEST, rank) for rank in (16, 8, 4, 2, 1)]
    assert [length for _on, _rows, length, _rank in states] == sorted((s[2] for s in states), reverse=True)


def test_the_optimizer_step_keeps_its_examples_and_the_adapter_its_scale() -> None:
    """Only memory changes: 24 examples a step, alpha / rank as it was."""
    for config in tried(WANTED):
        assert config.examples_per_step == 24
        assert config.lora_scale == WANTED.lora_scale


def test_the_rank_of_an_adapter_to_go_on_from_is_not_given_up() -> None:
    """It could not go on with another one."""
    assert {config.lora_rank for config in tried(WANTED.updated({"init_adapter": "a"}))} == {16}


def test_accumulation_stays_in_its_range() -> None:
    """At most 1024 batches are summed, so fewer rows at once may not go."""
    wide = TrainingConfig(batch_size=4, gradient_accumulation=1024)
    assert {config.batch_size for config in tried(wide)} == {4}


def test_weights_written_out_are_given_up_before_anything_else() -> None:
    """Packed ones cost a little time."""
    first, second, *_rest = tried(WANTED.updated({"frozen_weights": "resident"}))
    assert (first.frozen_weights, second.frozen_weights) == ("resident", "auto")
    assert second == WANTED


def test_many_short_rows_are_counted_by_their_tokens(mistral: Path) -> None:
    """A micro-batch holds as many tokens as the settings allow, so halving the batch halves it."""
    short = BatchShape(64, 256, 64 * 256, 64 * 256)
    assert short.tokens == LARGEST.tokens
    half = WANTED.updated({"batch_size": 4, "gradient_accumulation": 6})
    budget = MemoryBudget("gpu", round(need(mistral, half) * PREDICTION_ERROR) + 1, 64_000_000_000)
    near = nearest_predicted(mistral, WANTED, budget, short)
    assert near is not None and (near.batch_size, near.max_seq_length) == (4, 2048)


def test_dropout_forbids_recomputing() -> None:
    """A second forward pass would drop other units."""
    config = WANTED.updated({"lora_dropout": 0.1})
    assert {candidate.gradient_checkpointing for candidate in tried(config)} == {"auto"}


def test_dropout_is_given_up_before_rows_are_cut() -> None:
    """Without it activations can be recomputed; "auto" stays, "off" becomes "on"."""
    for asked, then in (("auto", "auto"), ("off", "on")):
        config = WANTED.updated({"lora_dropout": 0.1, "gradient_checkpointing": asked})
        *_with_it, last = (one for one in tried(config) if one.lora_dropout)
        first, *rest = (one for one in tried(config) if not one.lora_dropout)
        assert (last.batch_size, last.gradient_checkpointing) == (1, asked)
        assert (first.max_seq_length, first.gradient_checkpointing) == (last.max_seq_length, then)
        assert all(one.max_seq_length < 2048 for one in rest)


def test_a_limit_of_ones_own_is_named_in_place_of_the_machine(mistral: Path) -> None:
    """Closing other programs would change nothing; where less is free than it allows, that is said."""
    few = WANTED.updated({"max_memory_gb": 3.0})
    with pytest.raises(UserError) as refused:
        refuse(mistral, few, MemoryBudget("gpu", 3_000_000_000, 3_000_000_000))
    assert refused.value.problem.endswith("there is 3.0 GB under max_memory_gb")
    assert refused.value.fix == "raise max_memory_gb or take a smaller base model"
    needed = need(mistral, WANTED)
    limited = WANTED.updated({"max_memory_gb": (needed - 10_000_000) / 1e9})
    limit = int(limited.max_memory_gb * 1e9)
    assert "and max_memory_gb is" in refuse(mistral, limited, MemoryBudget("gpu", limit, limit))
    assert "is free" in refuse(mistral, limited, MemoryBudget("gpu", limit - 1_000_000_000, limit))


def test_the_way_there_can_be_typed() -> None:
    """The options turn one configuration into the other."""
    near = nearest_fitting(WANTED, lambda config: config.batch_size == 2)
    assert near is not None
    options = as_options(WANTED, near)
    assert options == "--set batch_size=2 --set gradient_accumulation=12 --set gradient_checkpointing=on"
    typed = dict(part.split("=") for part in options.replace("--set ", "").split())
    assert WANTED.updated(typed) == near


def test_a_run_beyond_all_memory_is_refused_with_what_fits(mistral: Path) -> None:
    """The refusal has the need, the memory there is, and settings that find room in what is free."""
    budget = MemoryBudget("gpu", 11_000_000_000, 12_000_000_000)
    with pytest.raises(UserError) as refused:
        refuse(mistral, WANTED, budget)
    assert f"about {need(mistral, WANTED) / 1e9:.1f} GB" in refused.value.problem
    assert "there is 12.0 GB" in refused.value.problem
    near = nearest_predicted(mistral, WANTED, budget, LARGEST)
    assert near is not None and as_options(WANTED, near) in refused.value.fix
    assert need(mistral, near) * PREDICTION_ERROR <= budget.free


def test_nothing_is_proposed_where_even_the_smallest_is_too_large(mistral: Path) -> None:
    """The weights alone take 4 GB."""
    with pytest.raises(UserError) as refused:
        refuse(mistral, WANTED, MemoryBudget("gpu", 3_000_000_000, 3_000_000_000))
    assert "smaller base model" in refused.value.fix


def test_a_wrong_prediction_refuses_nothing(mistral: Path) -> None:
    """Within its error a run that might fit is warned of, not refused."""
    needed = need(mistral, WANTED)
    near_miss = MemoryBudget("gpu", needed // 2, round(needed / PREDICTION_ERROR) + 1)
    assert "and if it fails" in refuse(mistral, WANTED, near_miss).replace("; if", ", and if")
    with pytest.raises(UserError):
        refuse(mistral, WANTED, MemoryBudget("gpu", needed // 2, round(needed / PREDICTION_ERROR) - 1))


def test_other_programs_memory_is_a_warning_only(mistral: Path) -> None:
    """They may be closed: the run begins, and says what is free."""
    warning = refuse(mistral, WANTED, MemoryBudget("gpu", 6_000_000_000, 64_000_000_000))
    assert "6.0 GB is free" in warning and "--set" in warning


def test_what_fits_is_not_talked_about(mistral: Path) -> None:
    """Neither a refusal nor a warning; the data's own lengths count, whatever the limit allows."""
    needed = need(mistral, WANTED)
    assert refuse(mistral, WANTED, MemoryBudget("gpu", needed, needed)) == ""
    assert refuse(mistral, WANTED, MemoryBudget("gpu", needed - 1, needed), BatchShape.full(8, 96, 300)) == ""


def test_a_model_of_another_kind_is_not_judged(tmp_path: Path) -> None:
    """Its need is not known, so it is tried."""
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    assert refuse(tmp_path, WANTED, MemoryBudget("gpu", 1, 1)) == ""
    assert nearest_predicted(tmp_path, WANTED, MemoryBudget("gpu", 1, 1), LARGEST) is None


def test_auto_is_not_refused_for_what_checkpointing_saves(mistral: Path) -> None:
    """ "off" is what the user asked for; "auto" saves memory where it must."""
    budget = MemoryBudget("gpu", 2 * need(mistral, WANTED), 2 * need(mistral, WANTED))
    assert refuse(mistral, WANTED, budget) == ""
    with pytest.raises(UserError) as refused:
        refuse(mistral, WANTED.updated({"gradient_checkpointing": "off"}), budget)
    assert refused.value.fix == "use: --set gradient_checkpointing=on"
