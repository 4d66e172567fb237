"""No column that may belong to question or answer is left out in silence: it is joined, or refused."""

import json
import shlex
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.convert.detect_columns import choose
from engine.dataset.convert.tables import open_table
from engine.dataset.inspect.check import check_data
from engine.dataset.jsonl.parse import RowError
from engine.dataset.jsonl.row import read_row
from engine.errors import UserError
from engine.hardware import project_checks
from engine.project import Project
from tests.support.import_files import became
from tests.support.tiny import write_rows

import pytest

SAID = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}]
PAIR = {"prompt": "q", "completion": "r"}


def given(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    write_rows(tmp_path / "t.jsonl", rows)
    return tmp_path / "t.jsonl"


def words(path: Path, **columns: str) -> str:
    table = open_table(path)
    return choose(table, **columns).words(table.columns)


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        (PAIR | {"documents": ["a", "b"]}, "q\n\na\n\nb"),
        (PAIR | {"context": "c", "input": "i"}, "q\n\nc\n\ni"),
        ({"instruction": "q", "passage": "p", "output": "r"}, "q\n\np"),
    ],
)
def test_what_belongs_to_the_question_is_joined(tmp_path: Path, row: dict[str, Any], prompt: str) -> None:
    """Under whatever names, and all of it."""
    rows, rejected = became(given(tmp_path, row), tmp_path / "p")
    assert (rows, rejected) == ([{"prompt": prompt, "completion": "r"}], [])


def test_rows_with_different_contexts_all_keep_theirs(tmp_path: Path) -> None:
    """In a file where one row has an input, and another a context."""
    path = given(
        tmp_path, PAIR | {"context": "c"}, PAIR | {"input": "i"}, PAIR | {"system": "s", "input": ""}
    )
    assert [row["messages"][-2]["content"] for row in became(path, tmp_path / "p")[0]] == [
        "q\n\nc",
        "q\n\ni",
        "q",
    ]
    assert "not used" not in words(path)


@pytest.mark.parametrize(
    "form", [{"messages": SAID}, {"text": "q r"}, {"prompt": SAID[:1], "completion": "r"}]
)
def test_a_context_that_has_no_place_is_refused(tmp_path: Path, form: dict[str, Any]) -> None:
    """As the check of the data refuses it; beside turns, the way that is named works."""
    path = given(tmp_path, form, form | {"context": "c"})
    assert became(path, tmp_path / "p")[1] == [(2, "unsupported_field")]
    if "messages" in form:
        rows, _rejected = became(path, tmp_path / "p", system="context")
        assert rows[1] == {"messages": [{"role": "system", "content": "c"}, *SAID]}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"query": "q", "response": "r", "instruction": "s"}, "may hold the question: query, instruction"),
        (PAIR | {"instruction": "s"}, "may hold the question: prompt, instruction"),
        (PAIR | {"short answer": "s"} | {"output": "s"}, "may hold the answer: completion, output"),
    ],
)
def test_of_two_questions_or_answers_none_is_dropped(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    """The options that are named work as they stand, and what they leave out is named."""
    path = given(tmp_path, row)
    with pytest.raises(UserError) as refused:
        choose(open_table(path))
    assert said in refused.value.problem
    options = shlex.split(refused.value.fix.partition(": ")[2])
    prompts, (completion,) = options[1:-2:2], options[-1:]
    found = choose(open_table(path), prompts[0], completion, inputs=prompts[1:])
    assert set(found.columns) == {*prompts, completion}
    assert "left out as you chose: " in words(path, prompt=prompts[0], completion=completion)


@pytest.mark.parametrize("form", [PAIR, {"messages": SAID}])
@pytest.mark.parametrize("extra", [{"instruction": "s"}, {"answer": "s"}, {"conversations": SAID[:1] * 2}])
def test_the_check_of_the_data_drops_none_either(form: dict[str, Any], extra: dict[str, Any]) -> None:
    """A name of a speaker beside it is no question, and what says the same once more does no harm."""
    with pytest.raises(RowError, match="two forms: it also has"):
        read_row(form | extra, 1)
    assert read_row(form | {"user": "ana", "question": "q", "answer": "r"}, 1)[2] == [
        "user",
        "question",
        "answer",
    ]


def test_the_name_of_a_speaker_is_not_used(tmp_path: Path) -> None:
    """Where somebody else's text is the question, or a conversation is there."""
    for form in (PAIR, {"messages": SAID}):
        path = given(tmp_path, form | {"user": "ana"})
        assert became(path, tmp_path / "p") == ([form], [])
        assert words(path).endswith("not used: user")
    assert became(given(tmp_path, {"user": "q", "assistant": "r"}), tmp_path / "p")[0] == [PAIR]


@pytest.mark.parametrize(
    "extra",
    [
        {"answer": "other"},
        {"question": "other"},
        {"text": "other"},
        {"messages": [*SAID, *SAID[:1]] * 2 + SAID},
    ],
)
def test_a_single_row_with_a_second_answer_is_refused(tmp_path: Path, extra: dict[str, Any]) -> None:
    """Also behind the rows that the columns were found by; unless it only says the same once more."""
    path = given(tmp_path, *[PAIR] * 60, PAIR | extra, PAIR | {"text": "Q: q A: r", "answer": "r"})
    rows, rejected = became(path, tmp_path / "p")
    if "messages" in extra:
        assert rejected == [] and rows[60] == {"messages": extra["messages"]}
        assert rows[-1] == {"messages": SAID}  # all rows of a file are written in one form
    else:
        assert rejected == [(61, "two_forms")] and rows[-1] == PAIR


@pytest.mark.parametrize(
    "header",
    [
        *("Anweisung;Eingabe;Ausgabe", "Istruzione;Ingresso;Uscita", "Consigne;Entrée;Sortie"),
        *("Instrucción;Entrada;Salida", "Instrução;Entrada;Saída", "Instructie;Invoer;Uitvoer"),
        *("Frage;Kontext;Antwort", "Pregunta;Contexto;Respuesta", "Question;Contexte;Réponse"),
        *("Domanda;Contesto;Risposta", "Vraag;Context;Antwoord", "Pergunta;Contexto;Resposta"),
    ],
)
def test_headers_of_other_languages_lose_no_column(tmp_path: Path, header: str) -> None:
    """Instruction, input and output, or question, context and answer."""
    path = tmp_path / "t.csv"
    path.write_text(f"{header}\nq;i;r\n", encoding="utf-8")
    assert became(path, tmp_path / "p")[0] == [{"prompt": "q\n\ni", "completion": "r"}]


@pytest.mark.parametrize(
    "header",
    ["Eingabe\tAusgabe", "Entrée\tSortie", "Invoer\tUitvoer", "Aufforderung\tSystem\tVervollständigung"],
)
def test_headers_of_two_columns(tmp_path: Path, header: str) -> None:
    """An input is the question where there is no other."""
    path = tmp_path / "t.tsv"
    path.write_text(f"{header}\nq\ts\tr\n" if "System" in header else f"{header}\nq\tr\n", encoding="utf-8")
    rows, _rejected = became(path, tmp_path / "p")
    assert rows == [{"messages": [{"role": "system", "content": "s"}, *SAID]} if "System" in header else PAIR]


def test_preferences_of_openai_are_read(tmp_path: Path) -> None:
    """The better answer is the one that is named, and what stands in the input goes with it."""
    row = {
        "input": {"messages": SAID[:1], "tools": [], "parallel_tool_calls": True},
        "preferred_output": SAID[1:],
        "non_preferred_output": [SAID[1] | {"content": "bad"}],
    }
    path = given(tmp_path, dict(reversed(row.items())))
    with pytest.raises(UserError, match=r"--answer preferred_output"):
        choose(open_table(path))
    assert became(path, tmp_path / "p", answer="preferred_output")[0] == [PAIR]
    assert "bad" not in (tmp_path / "p" / "data" / "train.jsonl").read_text("utf-8")


def test_turns_in_one_text_are_set_apart(tmp_path: Path) -> None:
    """As those of Anthropic's preferences; without them the question has to be named, not the answer."""
    text = "\n\nHuman: a\n\nand b\n\nAssistant: c\n\nHuman: q\n\nAssistant: r"
    path = given(tmp_path, {"chosen": text, "rejected": text + "x"})
    before = [{"role": "user", "content": "a\n\nand b"}, {"role": "assistant", "content": "c"}]
    assert became(path, tmp_path / "p", answer="chosen")[0] == [{"messages": before + SAID}]
    with pytest.raises(UserError, match=r"question to 'chosen' .* --prompt COLUMN --answer chosen"):
        choose(open_table(given(tmp_path, {"x": "a", "chosen": "b", "rejected": "c"})), answer="chosen")


def test_rows_of_several_forms_are_read_each_by_its_own(tmp_path: Path) -> None:
    """What the check of the data calls usable is never lost; conversations are written as one form."""
    path = given(
        tmp_path,
        PAIR,
        {"messages": SAID},
        {"text": "t"},
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "r"}]},
        {"instruction": "q", "input": "", "output": "r"},
        {"question": "q", "answer": "r"},
        {},
    )
    rows, rejected = became(path, tmp_path / "p")
    assert rows == [{"messages": SAID}, {"messages": SAID}, {"text": "t"}] + [{"messages": SAID}] * 3
    assert rejected == [(7, "missing_field")]
    assert "rows of other forms as their own fields say" in words(path)
    for row in (PAIR, {"messages": SAID}, {"text": "t"}):
        assert read_row(row, 1)


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
@pytest.mark.parametrize("kind", ["lines", "array"])
def test_json_of_other_encodings_is_read_as_tables_are(tmp_path: Path, encoding: str, kind: str) -> None:
    """And it is said what it was."""
    rows = [{"prompt": "Olá, é cá?", "completion": "Não."}] * 3
    text = json.dumps(rows, ensure_ascii=False)
    if kind == "lines":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows)
    path = tmp_path / ("t.json" if kind == "array" else "t.jsonl")
    path.write_bytes(text.encode(encoding))
    assert became(path, tmp_path / "p") == (rows, [])
    assert {"utf-16": "UTF-16", "cp1252": "Windows-1252"}[encoding] in open_table(path).source.words


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"question": "q", "answers": {"text": ["r", "r"], "answer_start": [0, 0]}}, PAIR),
        ({"prompt": "q", "responses": ["r"]}, PAIR),
        (
            {
                "systemInstruction": {"parts": [{"text": "s"}]},
                "contents": [
                    {"role": "user", "parts": [{"text": "q"}]},
                    {"role": "model", "parts": [{"text": "r"}]},
                ],
            },
            {"messages": [{"role": "system", "content": "s"}, *SAID]},
        ),
        ({"instruction": "q", "output": "r", "history": [SAID[0], SAID[1]]}, {"messages": SAID * 2}),
    ],
)
def test_answers_and_turns_of_other_programs(
    tmp_path: Path, row: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Of SQuAD, of samplers and of Gemini."""
    assert became(given(tmp_path, row), tmp_path / "p")[0] == [expected]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"prompt": "q", "responses": ["r", "x"]}, "several_answers"),
        ({"question": "q", "answers": {"text": ["r", "x"], "answer_start": [0, 1]}}, "several_answers"),
        ({"question": "q", "answers": {"text": [], "answer_start": []}}, "wrong_type"),
        ({"question": "q", "answer": "r", "history": "once upon"}, "wrong_type"),
        ({"question": "q", "answer": "r", "context": [["t", ["s"]]]}, "wrong_type"),
    ],
)
def test_what_cannot_be_learned_has_its_own_reason(tmp_path: Path, row: dict[str, Any], kind: str) -> None:
    """Several answers are not one, and a text is no history."""
    path = given(tmp_path, {"question" if "question" in row else "prompt": "q", "answer": "r"}, row)
    assert became(path, tmp_path / "p")[1] == [(2, kind)]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.json",
            '{"version": "1", "data": [{"question": "q", "answer": "a"}]}',
            "its list 'data'; save that",
        ),
        ("a.json", '[{"title": "t", "mapping": {"r": {"id": "r"}}}]', "export of ChatGPT"),
        ("a.txt", "[12/03/24, 10:01:02] Ana: Olá\n[12/03/24, 10:01:09] Rui: Tudo?\n", "an exported chat"),
        ("a.txt", "12/03/2024, 10:01 - Ana: Olá, tu\n12/03/2024, 10:02 - Rui: Tudo, e\n", "an exported chat"),
        ("a.csv", '"x, y",z\n1,2\n', "not known: 'x, y', z; name them"),
        ("a.csv", "lonely\nx\n", "one column only, 'lonely'; .* --text lonely"),
    ],
)
def test_files_that_are_no_rows_say_what_they_are(tmp_path: Path, name: str, content: str, said: str) -> None:
    """Also where it is said that they have no header; no column is asked for where there are none."""
    (tmp_path / name).write_text(content, encoding="utf-8")
    for has_header in (True, False) if name == "a.txt" else (True,):
        with pytest.raises(UserError, match=said):
            choose(open_table(tmp_path / name, has_header))


@pytest.mark.parametrize("mark", [{"label": False}, {"weight": 0}, {"train": False}])
def test_rows_that_ask_to_be_left_out_are_notes(tmp_path: Path, mark: dict[str, Any]) -> None:
    """They are no fault, and count as rows that are not used."""
    project = Project(tmp_path)
    project.data_dir.mkdir()
    write_rows(project.train_file, [PAIR, PAIR | mark])
    write_rows(project.valid_file, [PAIR | {"prompt": "other"}])
    found = check_data(project, TrainingConfig()).train
    assert [(fault.kind, fault.severity, fault.line) for fault in found.faults] == [("left_out", "note", 2)]
    assert (found.rows, found.usable_rows) == (2, 1)
    write_rows(project.train_file, [PAIR | mark])
    assert project_checks.check_data(project).status == "error"


def test_a_label_is_only_taken_into_account_where_it_is_understood(tmp_path: Path) -> None:
    """Good and bad are; what is neither in any row is not used, in a single one it is refused."""
    rows = [PAIR | {"label": "good"}, PAIR | {"label": "bad"}]
    path = given(tmp_path, *rows)
    assert became(path, tmp_path / "p") == ([PAIR], [(2, "left_out")])
    assert "taken into account: label" in words(path)
    assert became(given(tmp_path, *rows, PAIR | {"label": "sports"}), tmp_path / "p")[1][1:] == [
        (3, "unsupported_field")
    ]
    path = given(tmp_path, PAIR | {"label": "sports"}, PAIR | {"label": "music"})
    assert became(path, tmp_path / "p") == ([PAIR] * 2, [])
    assert "not used: label" in words(path)
