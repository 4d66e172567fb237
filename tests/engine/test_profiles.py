"""The rule table at its boundaries, and the price of each profile."""

from dataclasses import replace
from typing import Literal

from engine.config import TrainingConfig
from engine.dataset.report import DataReport, FileReport, TokenFigures
from engine.hardware.report import HardwareReport
from engine.memory.predict import predict_peak
from engine.model_folder.dimensions import ModelDimensions
from engine.profiles import (
    NAMES,
    PROFILES,
    ProfileName,
    plain_profile,
    profile_config,
    profile_name,
    recommend,
)

import pytest

GB = 1_000_000_000
SMALL = ModelDimensions(
    hidden=64, layers=2, heads=4, kv_heads=2, head_dim=16, intermediate=128, vocab=500, tied=True, bits=4
)
MISTRAL_7B = ModelDimensions(
    hidden=4096,
    layers=32,
    heads=32,
    kv_heads=8,
    head_dim=128,
    intermediate=14336,
    vocab=32000,
    tied=False,
    bits=4,
)


def machine(
    gb: float, accelerator: Literal["metal", "cuda", "cpu"] = "metal", gpu_memory: int | None = None
) -> HardwareReport:
    free = round(gb * GB)
    return HardwareReport((), 64 * GB, free, 100 * GB, accelerator, "a machine", gpu_memory)


def figures(total: int, longest: int = 300, trained: int | None = None, examples: int = 10) -> TokenFigures:
    """Return figures of examples that are all about as long as the longest."""
    carried = total if trained is None else trained
    histogram = (*[0] * 23, examples)
    return TokenFigures(10, 60, longest, total, carried, 0, histogram, histogram, histogram, (), ())


def data_report(examples: int, tokens: int, valid_tokens: int = 0, longest: int = 300) -> DataReport:
    train = FileReport("train.jsonl", examples, examples, (), figures(tokens, longest, examples=examples))
    valid = FileReport("valid.jsonl", 10, 10, (), figures(valid_tokens, longest))
    return DataReport(train, valid, steps_per_epoch=0, model="small")


@pytest.mark.parametrize(
    ("gb", "accelerator", "expected"),
    [
        (0.9, "metal", "SAFE"),
        (5.999, "metal", "SAFE"),
        (6.0, "metal", "SAFE"),
        (7.999, "metal", "SAFE"),
        (8.0, "metal", "BALANCED"),
        (10.0, "metal", "BALANCED"),
        (10.001, "metal", "BALANCED"),
        (12.0, "metal", "BALANCED"),
        (12.001, "metal", "PERFORMANCE"),
        (12.001, "cuda", "PERFORMANCE"),
        (12.001, "cpu", "BALANCED"),
        (500.0, "cpu", "BALANCED"),
        (7.0, "cpu", "SAFE"),
    ],
)
def test_free_memory_and_gpu_decide(
    gb: float, accelerator: Literal["metal", "cuda", "cpu"], expected: ProfileName
) -> None:
    """The guide's table; in its gaps the lower profile wins."""
    chosen = recommend(machine(gb, accelerator), SMALL, None)
    assert chosen.name == expected
    assert "GB" in chosen.reason or "MB" in chosen.reason


@pytest.mark.parametrize(
    ("gb", "accelerator", "measured", "expected"),
    [
        (7.0, "cpu", {"BALANCED": 5 * GB}, "BALANCED"),
        (7.0, "cpu", {"BALANCED": 7 * GB}, "SAFE"),
        (5.0, "cpu", {"BALANCED": 2 * GB}, "SAFE"),
        (11.0, "metal", {"PERFORMANCE": 9 * GB}, "PERFORMANCE"),
        (11.0, "metal", {"PERFORMANCE": 11 * GB}, "BALANCED"),
        (11.0, "cpu", {"PERFORMANCE": 2 * GB}, "BALANCED"),
        (7.0, "metal", {"PERFORMANCE": 2 * GB}, "SAFE"),
    ],
)
def test_a_measured_peak_decides_in_the_gaps(
    gb: float,
    accelerator: Literal["metal", "cuda", "cpu"],
    measured: dict[ProfileName, int],
    expected: ProfileName,
) -> None:
    """Between 6 and 8 and between 10 and 12 GB a measurement that fits takes the higher profile."""
    assert recommend(machine(gb, accelerator), SMALL, None, measured=measured).name == expected


def test_a_profile_that_does_not_fit_gives_way_to_one_that_does() -> None:
    """Memory for PERFORMANCE is not enough where its measured peak is higher still."""
    measured: dict[ProfileName, int] = {"SAFE": 6 * GB, "BALANCED": 9 * GB, "PERFORMANCE": 20 * GB}
    chosen = recommend(machine(16), SMALL, None, measured=measured)
    assert chosen.name == "BALANCED"
    assert [offer.fits for offer in chosen.offers] == [True, True, False]
    assert chosen.reason == "PERFORMANCE would need 20.5 GB, and 16.0 GB of memory is free."


def test_a_profile_that_ran_out_of_memory_is_not_taken() -> None:
    """Whatever was predicted of it; the reason says that it was tried."""
    chosen = recommend(machine(16), SMALL, None, failed={"PERFORMANCE"})
    assert (chosen.name, chosen.reason) == ("BALANCED", "PERFORMANCE was tried and ran out of memory.")
    assert [offer.fits for offer in chosen.offers] == [True, True, False]
    nothing = recommend(machine(16), SMALL, None, failed=set(NAMES))
    assert nothing.name == "SAFE" and "take a smaller model" in nothing.reason


def test_an_offer_says_whether_its_peak_was_measured() -> None:
    """A prediction is not passed off as a measurement."""
    offers = recommend(machine(16), SMALL, None, measured={"BALANCED": 3 * GB}).offers
    assert [(offer.is_measured, offer.peak_memory == 3 * GB) for offer in offers] == [
        (False, False),
        (True, True),
        (False, False),
    ]


def test_safe_is_named_even_where_nothing_fits() -> None:
    """A 7B model in float32 (29 GB) on a CPU with 10 GB: the reason says what it needs."""
    chosen = recommend(machine(10, "cpu"), MISTRAL_7B, None)
    assert chosen.name == "SAFE"
    assert not any(offer.fits for offer in chosen.offers)
    assert chosen.reason.startswith("Even SAFE needs")


def test_auto_checkpointing_lowers_the_price_where_memory_is_short() -> None:
    """The predicted peak is that of the run as it would be made."""
    config = profile_config("SAFE", TrainingConfig())
    without = predict_peak(MISTRAL_7B, config, "gpu")
    roomy = recommend(machine(64), MISTRAL_7B, None).offers[0]
    tight = recommend(machine(6), MISTRAL_7B, None).offers[0]
    assert roomy.peak_memory == without
    assert tight.peak_memory < without
    assert tight.fits


def test_checkpointing_that_was_turned_off_stays_off() -> None:
    """`base` brings the settings that a profile leaves alone."""
    base = TrainingConfig(gradient_checkpointing="off")
    assert not recommend(machine(6), MISTRAL_7B, None, base=base).offers[0].fits


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (machine(100, "cuda", gpu_memory=7 * GB), "SAFE"),
        (machine(4, "cuda", gpu_memory=80 * GB), "PERFORMANCE"),
        (machine(30, "metal", gpu_memory=9 * GB), "BALANCED"),
        (machine(9, "metal", gpu_memory=30 * GB), "BALANCED"),
    ],
)
def test_the_memory_that_the_gpu_may_use_counts(report: HardwareReport, expected: ProfileName) -> None:
    """A CUDA card has its own memory; Metal shares the machine's up to a limit."""
    assert recommend(report, SMALL, None).name == expected


def test_nothing_is_promised_without_model_and_data() -> None:
    """Peak 0, no steps and no duration stand for unknown."""
    for offer in recommend(machine(16), None, None).offers:
        assert (offer.peak_memory, offer.steps, offer.seconds, offer.fits) == (0, None, None, True)


def test_steps_count_the_last_smaller_one_of_each_epoch() -> None:
    """850 examples in steps of 4 are 213 steps an epoch."""
    offers = recommend(machine(16), SMALL, data_report(850, 50_000)).offers
    assert [offer.steps for offer in offers] == [213, 639, 639]


def test_duration_counts_training_and_validation() -> None:
    """SAFE: 1 epoch of 50,000 tokens and 6 validations of 1,000 at 0.4 of the price, at 100 tokens/s."""
    data = data_report(850, 50_000, 1_000, longest=250)
    offer = recommend(machine(16), SMALL, data, speeds=dict.fromkeys(NAMES, 100.0)).offers[0]
    assert offer.seconds == pytest.approx((50_000 + 0.4 * 6 * 1_000) / 100)


def test_duration_is_bounded_by_truncation() -> None:
    """SAFE cuts at 256 tokens whatever length the data report counted with."""
    offer = recommend(
        machine(16), SMALL, data_report(10, 10_000, longest=1000), speeds=dict.fromkeys(NAMES, 10.0)
    ).offers[0]
    assert offer.seconds == pytest.approx(10 * 256 / 10)


def test_no_duration_while_tokens_are_not_counted() -> None:
    """Without a model the data report has rows but no tokens."""
    data = data_report(850, 50_000)
    uncounted = replace(data, train=replace(data.train, tokens=None))
    offer = recommend(machine(16), SMALL, uncounted, speeds=dict.fromkeys(NAMES, 100.0)).offers[0]
    assert (offer.steps, offer.seconds) == (213, None)


def test_prompts_cost_less_memory_than_completions() -> None:
    """Logits are only computed where there is loss."""
    data = data_report(850, 50_000)
    assert data.train.tokens is not None
    prompts = replace(data, train=replace(data.train, tokens=replace(data.train.tokens, trained=5_000)))
    wordy = replace(SMALL, vocab=200_000)
    cheap = recommend(machine(16), wordy, prompts).offers[2].peak_memory
    assert cheap < recommend(machine(16), wordy, data).offers[2].peak_memory


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_recognised_by_all_its_values(name: ProfileName) -> None:
    """Any value of one's own makes it custom, but not what says which model is trained, and where."""
    own = TrainingConfig(
        model="toy", init_adapter="given", max_memory_gb=4, max_steps=12, answers_percent=100
    )
    assert (profile_config(name, own).max_steps, profile_name(profile_config(name, own))) == (12, None)
    plain = plain_profile(name, own)
    assert plain == profile_config(name, TrainingConfig(model="toy", init_adapter="given", max_memory_gb=4))
    assert profile_name(plain) == name


def test_an_offer_cannot_change_the_profile() -> None:
    """`values` is a copy."""
    recommend(machine(16), None, None).offers[0].values["batch_size"] = 99
    assert PROFILES["SAFE"]["batch_size"] == 1
