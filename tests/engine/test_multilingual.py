"""Text as people write it: accents in two forms, emoji, right to left, zero width, beyond 16 bits."""

import json
import unicodedata
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.batches.tokenize import ExampleTokenizer
from engine.dataset.convert.clean import clean_data
from engine.dataset.inspect.check import check_data
from engine.dataset.inspect.preview import preview_row
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.report import Fault
from engine.model.demo_source import find_demo_gguf
from engine.model.gguf_reader import read_header
from engine.model.gguf_tokenizer import build_tokenizer
from engine.model_folder.tokenizer import load_tokenizer
from engine.project import Project
from engine.sanitize import printable
from tests.campaigns.fuzz_row_checks import check_display
from tests.support.tiny import write_rows, write_tokenizer

import pytest

TEXTS = {
    "portuguese": "À época, a ação não lhes pôs ênfase: três pães, cinco órgãos, «aqui»… 5 €?",
    "portuguese, accents apart": unicodedata.normalize("NFD", "Não há pão à mão, avô: são três irmãs."),
    "vietnamese": "Tiếng Việt có nhiều dấu: ưỡn, ễ, ặ.",
    "family": "A família 👨‍👩‍👧‍👦 e a cientista 👩🏽‍🔬 chegaram.",
    "flags": "De 🇵🇹 para 🇧🇷 e 🏴󠁧󠁢󠁥󠁮󠁧󠁿, 🏳️‍🌈.",
    "skin tones and keycaps": "👋🏻👋🏿 1️⃣ ☎️ ❤️‍🔥",
    "arabic": "مرحبًا بالعالم! كم الساعة الآن؟ ١٢:٣٠",
    "persian": "می‌خواهم کتاب‌ها را بخوانم.",
    "hebrew": "שָׁלוֹם עוֹלָם! מה השעה? 12:30",
    "marks of direction": "a\u200fb\u200ec\u061cd \u202bשלום\u202c \u2066abc\u2069 \u202efdp.exe\u202c",
    "zero width": "pala\u200bvra, jun\u2060ta, mar\ufeffca, hí\u00adfen",
    "beyond 16 bits": "𝕏 = 𝔞 + 𝟙; 𠀀𠮷𩸽; 𝄞; 𐎀; 😀",
    "thai": "สวัสดีครับ น้ำแข็งอยู่ที่นี่",
    "devanagari": "क्षत्रिय ज्ञान श्री र्‍क हिन्दी",
    "korean": "안녕하세요, 세계!",
    "korean, letters apart": unicodedata.normalize("NFD", "한국어 띄어쓰기"),
    "line breaks of Windows": "linha um\r\nlinha dois\r\n\r\n\tfim\r.",
    "other separators": "um\u2028dois\u2029três\u0085quatro\u00a0cinco\u3000seis",
    "controls": "sino \a, escape \x1b[2J, \x9b1m, \x7f",
}
END = "<|im_end|>"
every_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


def pair(text: str) -> dict[str, str]:
    """A row that asks and answers with a text."""
    return {"prompt": f"{text}?", "completion": f"R: {text}"}


def rows_of(path: Path) -> list[Row]:
    rows = list(read_rows(path))
    faults = [row for row in rows if isinstance(row, Fault)]
    assert all(fault.kind == "control_character" for fault in faults), faults  # which some texts hold
    return [row for row in rows if isinstance(row, Row)]


@pytest.mark.parametrize("ascii_only", [True, False])
def test_texts_are_read_as_they_are_meant(tmp_path: Path, ascii_only: bool) -> None:
    """One row a line, whatever stands in its text, written as letters or as escapes."""
    path = tmp_path / "train.jsonl"
    content = "".join(json.dumps(pair(text), ensure_ascii=ascii_only) + "\n" for text in TEXTS.values())
    path.write_bytes(content.encode())
    rows = rows_of(path)
    assert [row.line for row in rows] == list(range(1, len(TEXTS) + 1))
    read = [tuple(turn["content"] for turn in row.messages) for row in rows]
    assert read == [tuple(pair(text).values()) for text in TEXTS.values()]


@every_text
def test_columns_count_characters_and_bytes_count_bytes(tmp_path: Path, text: str) -> None:
    """Where a line breaks after such a text."""
    path = tmp_path / "train.jsonl"
    begin = '{"prompt": ' + json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f") + " "
    path.write_bytes(f'{begin}"completion"}}\n{begin}, "x": "'.encode() + b'\xff"}\n')
    missing_comma, bad_byte = read_rows(path)
    assert isinstance(missing_comma, Fault) and isinstance(bad_byte, Fault)
    assert (missing_comma.line, missing_comma.column) == (1, len(begin) + 1)
    before = f'{begin}, "x": "'
    assert (bad_byte.line, bad_byte.column) == (2, len(before) + 1)
    assert f"byte {len(before.encode()) + 1} " in bad_byte.message


@every_text
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_duplicates_are_found_however_accents_are_written(tmp_path: Path, text: str, form: Any) -> None:
    """In one file and in both; the rows themselves are not changed."""
    project = Project(tmp_path)
    other = {key: unicodedata.normalize(form, value) for key, value in pair(text).items()}
    write_rows(project.train_file, [pair("Outra coisa"), pair(text), other])
    write_rows(project.valid_file, [other])
    faults = check_data(project, TrainingConfig()).faults
    found = [(f.file, f.line, f.kind) for f in faults if f.kind != "control_character"]
    assert found == [("train.jsonl", 3, "duplicate"), ("valid.jsonl", 1, "leak")]
    assert rows_of(project.train_file)[2].messages[0]["content"] == other["prompt"]


def byte_tokenizer(folder: Path) -> Any:
    """The tiny tokenizer of one token a byte, as a model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    write_tokenizer(folder)
    return load_tokenizer(folder)


@every_text
def test_a_row_has_a_token_a_byte(tmp_path: Path, text: str) -> None:
    """With the tiny tokenizer; its answer and end token are what is trained."""
    tokenizer = byte_tokenizer(tmp_path)
    question, answer = pair(text).values()
    row = Row(1, ({"role": "user", "content": question}, {"role": "assistant", "content": answer}))
    (example,) = ExampleTokenizer(tokenizer, TrainingConfig())(row)
    around = [len("user\n"), len("\n"), len("assistant\n"), len("\n"), 4]  # 4 control tokens
    assert len(example.tokens) == len(question.encode()) + len(answer.encode()) + sum(around)
    trained = example.tokens[example.trained].tolist()
    assert len(trained) == len(answer.encode()) + 1
    assert tokenizer.decode(trained, clean_up_tokenization_spaces=False) == answer + END


@every_text
def test_a_preview_shows_the_whole_text_and_steers_nothing(tmp_path: Path, text: str) -> None:
    """Its pieces are the text; as they are shown, no control and no change of direction is left."""
    project = Project(tmp_path)
    byte_tokenizer(project.models_dir / "tiny")
    write_rows(project.train_file, [pair(text)])
    assert_harmless_preview(project, text)


def assert_harmless_preview(project: Project, text: str) -> None:
    """Look at every piece of row 1, shown alone and after the one before it."""
    tokens = preview_row(project, TrainingConfig(), "train.jsonl", 1)
    trained = "".join(token.text for token in tokens if token.trained)
    assert trained == f"R: {text}{END}"
    assert f"{text}?{END}" in "".join(token.text for token in tokens)
    before = ""
    for token in tokens:
        check_display(token.text)
        shown = printable(token.text, before)
        assert not {char for char in shown if unicodedata.category(char) in ("Cc", "Zl", "Zp")} - {"\n", "\t"}
        assert not {char for char in shown if unicodedata.bidirectional(char)[:2] in ("LR", "RL", "PD", "FS")}
        before = token.text


@pytest.mark.parametrize(
    "name", ["portuguese", "family", "arabic", "persian", "hebrew", "thai", "devanagari"]
)
def test_real_words_are_shown_as_they_are(name: str) -> None:
    """Joiners inside words and families are no attack."""
    assert printable(TEXTS[name]) == TEXTS[name]


def test_a_cleaned_copy_has_the_same_bytes(tmp_path: Path) -> None:
    """Letters stay letters, escapes stay escapes, accents stay as they were written."""
    project = Project(tmp_path)
    project.data_dir.mkdir()
    lines = [
        json.dumps(pair(text), ensure_ascii=ascii_only).encode()
        for ascii_only, text in zip([True, False] * len(TEXTS), TEXTS.values(), strict=False)
    ]
    bad = [b'{"text": "\xff"}', b'{"text": "\\ud83d"}', b"{", b""]
    project.train_file.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join([*lines[:9], *bad, *lines[9:]]))
    write_rows(project.valid_file, [pair("Só para validar")])
    mended = clean_data(project, TrainingConfig())
    copied = (mended.folder / "train.jsonl").read_bytes().split(b"\n")
    assert copied.pop() == b"" and sorted(copied) == sorted(lines)


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the built-in model's own tokenizer and no data."""
    project = Project(tmp_path_factory.mktemp("smollm2"))
    folder = project.models_dir / "smollm2"
    folder.mkdir(parents=True)
    build_tokenizer(read_header(find_demo_gguf(lambda _stage: None))).save(folder)
    (folder / "config.json").write_text("{}")
    return project


@pytest.fixture(scope="module")
def smollm2_tokenizer(smollm2: Project) -> Any:
    return load_tokenizer(smollm2.models_dir / "smollm2")


@pytest.mark.model
@pytest.mark.xdist_group("model")
@every_text
def test_the_built_in_model_learns_exactly_the_answer(
    smollm2: Project, smollm2_tokenizer: Any, text: str
) -> None:
    """Its trained tokens are the answer and the end token; nothing is lost on the way."""
    write_rows(smollm2.train_file, [pair(text)])
    (row,) = rows_of(smollm2.train_file)
    (example,) = ExampleTokenizer(smollm2_tokenizer, TrainingConfig())(row)
    trained = smollm2_tokenizer.decode(example.tokens[example.trained], clean_up_tokenization_spaces=False)
    assert trained == f"R: {text}{END}" and example.ends_turn and not example.shares_token
    assert_harmless_preview(smollm2, text)
