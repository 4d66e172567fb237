"""What a field means by its name: whether it is learned, thoughts, pictures, and remarks about these."""

from pathlib import Path
from typing import Any

from engine.dataset.jsonl.parse import RowError
from engine.dataset.jsonl.row import Row, row_of
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.report import Fault
from tests.support.tiny import write_rows

import pytest

TURNS = [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}]
PAIR: dict[str, Any] = {"prompt": "a?", "completion": "b"}
LEARNED: tuple[dict[str, Any], ...] = ({"train": 1}, {"masked": False}, {"ignore": 0}, {"label": True})


def read(folder: Path, value: dict[str, Any]) -> tuple[list[Row], list[Fault]]:
    write_rows(folder / "train.jsonl", [value])
    items = list(read_rows(folder / "train.jsonl"))
    return [i for i in items if isinstance(i, Row)], [i for i in items if isinstance(i, Fault)]


@pytest.mark.parametrize("mark", LEARNED)
def test_an_answer_that_is_marked_as_to_be_learned_is(tmp_path: Path, mark: dict[str, Any]) -> None:
    """Some names say that it is, and others that it is not."""
    rows, faults = read(tmp_path, {"messages": [TURNS[0], TURNS[1] | mark]})
    assert ([row.untrained for row in rows], faults) == ([()], [])


@pytest.mark.parametrize("key", ["train", "loss", "kto_tag", "is_correct"])
@pytest.mark.parametrize(
    ("value", "is_learned"),
    [(0, False), ("0", False), ("no", False), ("False", False), (1, True), ("yes", True), (0.3, None)],
)
def test_a_yes_or_no_of_a_row_is_understood_however_it_is_written(
    tmp_path: Path, key: str, value: Any, is_learned: bool | None
) -> None:
    """As numbers and words of tables too; what is neither is named as not used."""
    rows, faults = read(tmp_path, PAIR | {key: value})
    assert len(rows) == (0 if is_learned is False else 1)
    kinds = {False: ["left_out"], True: [], None: ["unused_fields"]}[is_learned]
    assert [fault.kind for fault in faults] == kinds


@pytest.mark.parametrize("key", ["mask", "loss_mask", "lossMask", "assistant_mask"])
@pytest.mark.parametrize("value", [True, 0, "1", [0, 1]])
def test_a_mask_is_refused_since_programs_read_it_both_ways(tmp_path: Path, key: str, value: Any) -> None:
    """Of a row and of a turn; what is written instead, as it is said, is read. A word is no mask."""
    marked = {"messages": [TURNS[0], TURNS[1] | {key: value}]}
    for row in (marked, PAIR | {key: value}):
        rows, faults = read(tmp_path, row)
        assert rows == [] and '"train": false' in faults[0].fix
        with pytest.raises(RowError, match="to learn it and in others not"):
            row_of(row, 1)
    rows, faults = read(tmp_path, PAIR | {key: "User"})
    assert [fault.kind for fault in faults] == ["unused_fields"] and len(rows) == 1


def test_what_a_turn_says_neither_way_is_named(tmp_path: Path) -> None:
    """A loss that was measured, and the label of a question."""
    turns = [TURNS[0] | {"label": False}, TURNS[1] | {"loss": 0.3}]
    rows, faults = read(tmp_path, {"messages": turns})
    assert len(rows) == 1 and "label (1), loss (1)" in faults[0].message


THOUGHTS = (
    *("thinking_process", "scratchpad", "inner_monologue", "analysis", "rationale", "chain_of_thought"),
    *("cot", "thoughtProcess", "model-reasoning", "Raciocínio passo a passo", "internal_thoughts"),
)
MEDIA = (
    *("picture", "img_path", "foto", "screenshot", "photo", "image_path", "audio_file", "video_url"),
    *("imagePath2", "IMG", "user-image", "imagens"),
)
REMARKS = (
    *("explanation", "analysis_id", "sentiment_analysis", "thought_count", "image_count", "numImages"),
    *(
        "reasoning_effort",
        "reasoning_model",
        "video_title",
        "photo_credit",
        "imaginary",
        "training_photometry",
        "imgur",
    ),
)


@pytest.mark.parametrize(("names", "kind"), [(THOUGHTS, "thoughts in"), (MEDIA, "cannot see or hear")])
def test_thoughts_and_pictures_are_known_by_the_words_of_a_name(names: tuple[str, ...], kind: str) -> None:
    """Of rows and of turns; numbers, and a yes or a no, are remarks about them."""
    for name in names:
        value = PAIR | {name: "um texto"}
        in_turn = {"messages": [TURNS[0], TURNS[1] | {name: "um texto"}]}
        for row in (value, in_turn):
            with pytest.raises(RowError, match=kind):
                row_of(row, 1)
        for remark in (3, True, "12", "off"):
            assert row_of(PAIR | {name: remark}, 1)[1] == [name]


@pytest.mark.parametrize("name", REMARKS)
def test_a_remark_is_no_thought_and_no_picture(name: str) -> None:
    """An explanation comes after its answer, and a count of images is none."""
    assert row_of(PAIR | {name: "um texto"}, 1)[1] == [name]


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        ("[IMG] Que vês?", True),
        ("[IMAGE_1]\nQue vês?", True),
        ("![](data:image/png;base64,iVBORw0KGgoAAAANSUhEUg)", True),
        ("Escreve data:image/png;base64, e depois os bytes.", False),
        ("Vê [Imagem] e [imglib] e a lista [IMPORTANTE].", False),
    ],
)
def test_a_mark_of_a_picture_in_a_question_is_refused(text: str, is_refused: bool) -> None:
    """In a pair and in a turn."""
    for row in (
        {"prompt": text, "completion": "b"},
        {"messages": [{"role": "user", "content": text}, TURNS[1]]},
    ):
        if is_refused:
            with pytest.raises(RowError, match="stands for what a text model cannot see"):
                row_of(row, 1)
        else:
            assert row_of(row, 1)[1] == []


def test_a_turn_in_the_channel_of_thoughts_is_refused() -> None:
    """As gpt-oss writes it; other channels are named."""
    for channel, is_refused in {"analysis": True, "final": False}.items():
        row = {"messages": [TURNS[0], TURNS[1] | {"channel": channel}, TURNS[1]]}
        if is_refused:
            with pytest.raises(RowError, match="turn 2 has thoughts in 'channel'"):
                row_of(row, 1)
        else:
            assert row_of(row, 1)[1] == ["channel"]


@pytest.mark.parametrize("number", [0, 1, 2, "0", "1", 0.5])
def test_a_label_that_is_a_number_is_refused_since_it_may_be_a_class(number: Any) -> None:
    """Of a row and of an answer; a word is understood or named, beside options it is the number of one."""
    for row in (PAIR | {"label": number}, {"messages": [TURNS[0], TURNS[1] | {"label": number}]}):
        with pytest.raises(RowError, match=f"'label' {number}: a class, or") as refused:
            row_of(row, 1)
        assert "write true or false" in refused.value.fix and "take it out" in refused.value.fix
    assert row_of(PAIR | {"label": "sports"}, 1)[1] == ["label"]
    asked = {"prompt": "A. x B. y?", "completion": "A", "choices": ["x", "y"], "label": number}
    assert row_of(asked, 1)[1] == ["choices", "label"]


CONTEXTS = (
    *("retrieved", "retrieved_context", "knowledge", "evidence", "reference_text", "article", "story"),
    *("schema", "docs", "ctxs", "search_results", "source_documents", "facts", "chunks", "background"),
)


@pytest.mark.parametrize("name", CONTEXTS)
def test_what_an_answer_was_taken_from_belongs_to_the_question(name: str) -> None:
    """As a context does; a number is a remark."""
    with pytest.raises(RowError, match="which belongs to the question"):
        row_of(PAIR | {name: "um texto"}, 1)
    assert row_of(PAIR | {name: 3}, 1)[1] == [name]


GOOD_IF_TRUE = ("approved", "include", "enabled", "valid", "is_valid", "use")


@pytest.mark.parametrize(
    "mark",
    [
        *({name: False} for name in GOOD_IF_TRUE),
        *({name: True} for name in ("deleted", "flagged", "is_bad")),
        *({"status": "rejected"}, {"status": "Deleted"}),
    ],
)
def test_a_row_that_somebody_sorted_out_is_left_out(tmp_path: Path, mark: dict[str, Any]) -> None:
    """Of a conversation the answer; what says otherwise, or nothing of that, changes nothing."""
    assert [fault.kind for fault in read(tmp_path, PAIR | mark)[1]] == ["left_out"]
    (row,), _faults = read(tmp_path, {"messages": [TURNS[0], TURNS[1] | mark, *TURNS]})
    assert row.untrained == (1,)
    (name,) = mark
    assert len(read(tmp_path, PAIR | {name: not mark[name]})[0]) == 1
    assert row_of(PAIR | {name: "published"}, 1)[1] == [name]
    assert row_of({"messages": [TURNS[0] | {name: True}, TURNS[1]]}, 1)


@pytest.mark.parametrize("name", ["sys", "sys_prompt", "preamble"])
def test_other_names_of_a_system_text(name: str) -> None:
    """It is that of the row."""
    assert row_of(PAIR | {name: "s"}, 1)[0].messages[0] == {"role": "system", "content": "s"}


@pytest.mark.parametrize("name", ["attachment", "attachments", "attachment_url"])
def test_what_is_attached_is_not_read(name: str) -> None:
    """How many there are is a remark."""
    with pytest.raises(RowError, match="cannot see or hear"):
        row_of(PAIR | {name: ["a.pdf"]}, 1)
    assert row_of(PAIR | {"attachment_count": "2 files", name: []}, 1)[1] == ["attachment_count"]
