"""Mistral 7B v0.1, v0.3 and Nemo, real vocabularies: token ids and spans of mistral_common itself."""

from pathlib import Path

from engine.dataset.batches.chat_template import TemplateError
from engine.project import Project
from engine.training.events import Finished
from tests.support.chat_forms import conversation, tokenize
from tests.support.mistral_forms import FILES, Family, Turns
from tests.support.tiny import RUN, train, write_model, write_rows

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.xdist_group("mistral")
ONE = (("user", "Quanto é 2 + 2?"), ("assistant", "São 4."))
TWO = (
    ("user", "Olá, tudo bem?"),
    ("assistant", "Sim, é ótimo: 😀"),
    ("user", "Em 2024, 1.234 pessoas pagaram 5,67 €.\n\n\tdef f(x):\n        return x"),
    ("assistant", "naïve façade — “quotes” … 日本語 Ελληνικά\n- a\n- b"),
)
SYSTEM = "Responde em português."
# What mistral_common gave once; a change of either library shows here.
GOLDEN = {
    "mistral_v1": [1, 733, 16289, 28793, 2332, 7733, 1233, 28705, 28750, 648, 28705, 28750, 28804, 733, 28748,
                   16289, 28793, 18615, 28705, 28781, 28723, 2],
    "mistral_v3": [1, 3, 3100, 8501, 2001, 29473, 29518, 1416, 29473, 29518, 29572, 4, 19383, 29473, 29549,
                   29491, 2],
    "mistral_nemo": [1, 3, 6605, 4842, 1782, 1032, 1050, 1867, 1032, 1050, 1063, 4, 95286, 1032, 1052, 1046,
                     2],
}  # fmt: skip


@pytest.fixture(scope="module", params=FILES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return Family(request.param, tmp_path_factory.mktemp(request.param) / "tokenizer")


def test_golden_tokens(family: Family) -> None:
    """One question and its answer, as written down."""
    assert tokenize(family.tokenizer, conversation(*ONE)).tokens.tolist() == GOLDEN[family.name]


@pytest.mark.parametrize("turns", [ONE, TWO])
def test_tokens_and_spans_are_those_of_mistrals_own_library(family: Family, turns: Turns) -> None:
    """Token by token, one begin token, each answer with its end token."""
    tokens, trained = family.reference(turns)
    example = tokenize(family.tokenizer, conversation(*turns))
    assert example.tokens.tolist() == tokens
    assert example.trained.tolist() == trained
    assert example.ends_turn and not example.shares_token


def test_a_system_turn_goes_where_the_library_puts_it(family: Family) -> None:
    """Into the question under Nemo's template; the older ones refuse it or lose it."""
    row = conversation(("system", SYSTEM), *ONE)
    if family.name == "mistral_nemo":
        tokens, trained = family.reference(ONE, SYSTEM)
        example = tokenize(family.tokenizer, row)
        assert (example.tokens.tolist(), example.trained.tolist()) == (tokens, trained)
    else:
        with pytest.raises(TemplateError):
            tokenize(family.tokenizer, row)


_text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(str.strip)


@settings(max_examples=60)
@given(_text, _text.map(str.rstrip))
def test_any_text_is_split_as_the_library_splits_it(family: Family, question: str, answer: str) -> None:
    """The library strips an answer's last spaces, these templates keep them: so there are none."""
    turns = (("user", question), ("assistant", answer))
    tokens, trained = family.reference(turns)
    example = tokenize(family.tokenizer, conversation(*turns))
    assert example.tokens.tolist() == tokens
    assert example.trained.tolist() == trained
    assert not example.shares_token


@pytest.mark.parametrize("family", ["mistral_v1", "mistral_v3"], indirect=True)
def test_a_mistral_model_trains_on_its_own_tokens(family: Family, tmp_path: Path) -> None:
    """Grouped key heads, no sliding window, the real vocabulary: two whole steps."""
    project = Project(tmp_path)
    folder = write_model(
        project.models_dir / "mistral",
        model_type="mistral",
        sliding_window=None,
        num_attention_heads=8,
        num_key_value_heads=4,
        vocab_size=len(family.tokenizer),
        tie_word_embeddings=False,
        eos_token_id=2,
    )
    for path in family.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    messages = [{"role": role, "content": text} for role, text in TWO]
    write_rows(project.train_file, [{"prompt": "Olá?", "completion": "Sim."}] * 7 + [{"messages": messages}])
    write_rows(project.valid_file, [{"prompt": "Como?", "completion": "Assim."}, {"text": "Olá!"}])
    end = train(project, RUN.updated({"model": "mistral", "num_epochs": 1}))[-1]
    assert isinstance(end, Finished) and end.step == 2 and end.best_val_loss is not None
