"""Import of GGUF files: the same numbers and tokens as in the file, or a clear refusal."""

import random
from pathlib import Path
from typing import Any

from engine.backend import mx
from engine.errors import UserError
from engine.model.gguf import import_gguf
from tests.support.gguf_files import (
    GROUPS,
    HEAD,
    HEADS,
    HIDDEN,
    INNER,
    LAYERS,
    TOKENS,
    byte_level_tokenizer,
    refused,
    write_gguf,
)

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from mlx.utils import tree_flatten
from mlx_lm.models import llama
from mlx_lm.utils import dequantize_model, load_model
from transformers import AutoTokenizer


def imported(folder: Path) -> Any:
    """The imported model in float32, as mlx-lm loads it."""
    model, config = load_model(folder)
    model.set_dtype(mx.float32)
    return dequantize_model(model) if "quantization" in config else model


@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q4_1, Kind.Q8_0, Kind.F16])
@pytest.mark.parametrize("tied", [True, False])
def test_weights_and_logits_are_those_of_the_file(tmp_path: Path, kind: Kind, tied: bool) -> None:
    """Each tensor equals gguf's own dequantisation, rows back in order; so do the logits."""
    expected = write_gguf(tmp_path / "tiny.gguf", kind, tied=tied)
    import_gguf(tmp_path / "tiny.gguf", tmp_path / "model")
    model = imported(tmp_path / "model")
    found = dict(tree_flatten(model.parameters()))
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        np.testing.assert_allclose(np.array(found[name]), weight, rtol=1e-5, atol=1e-5, err_msg=name)

    reference = llama.Model(
        llama.ModelArgs(
            "llama", HIDDEN, LAYERS, INNER, HEADS, 1e-5, len(TOKENS), None, 512, GROUPS,
            rope_theta=20000.0, tie_word_embeddings=tied,
        )
    )  # fmt: skip
    reference.load_weights([(name, mx.array(weight)) for name, weight in expected.items()])
    text = mx.array([[1, 7, 90, 200, 33, 5, 0]])
    np.testing.assert_allclose(np.array(model(text)), np.array(reference(text)), rtol=1e-3, atol=1e-3)


def test_output_head_of_six_bits_keeps_its_values_in_sixteen(tmp_path: Path) -> None:
    """llama.cpp's usual 4-bit files have a Q6_K head: it is imported, within float16's precision."""
    draw = np.random.default_rng(2)
    blocks = draw.integers(0, 256, (len(TOKENS), 210), dtype=np.uint8)
    blocks[:, 208:] = draw.uniform(0, 1e-3, len(TOKENS)).astype(np.float16).view(np.uint8).reshape(-1, 2)
    write_gguf(
        tmp_path / "tiny.gguf",
        change=lambda w: w.add_tensor("output.weight", blocks, raw_dtype=Kind.Q6_K),
    )
    import_gguf(tmp_path / "tiny.gguf", tmp_path / "model")
    head = np.array(imported(tmp_path / "model").lm_head.weight)
    np.testing.assert_allclose(head, gguf.quants.dequantize(blocks, Kind.Q6_K), rtol=1e-3, atol=1e-6)


def test_listed_rotary_factors_change_the_positions_as_in_llama_cpp(tmp_path: Path) -> None:
    """A file with `rope_freqs` turns pair i by position / (base ** (2 i / size) * factor i)."""
    factors = np.linspace(1, 8, HEAD // 2).astype(np.float32)
    write_gguf(tmp_path / "tiny.gguf", change=lambda w: w.add_tensor("rope_freqs.weight", factors))
    import_gguf(tmp_path / "tiny.gguf", tmp_path / "model")
    rope = imported(tmp_path / "model").layers[0].self_attn.rope
    position = 11
    vector = np.random.default_rng(1).normal(size=HEAD).astype(np.float32)
    turned = np.array(rope(mx.array(vector)[None, None, None], offset=position))[0, 0, 0]
    angle = position / (20000.0 ** (np.arange(0, HEAD, 2) / HEAD) * factors)
    first, second = vector[: HEAD // 2], vector[HEAD // 2 :]
    wanted = [first * np.cos(angle) - second * np.sin(angle), first * np.sin(angle) + second * np.cos(angle)]
    np.testing.assert_allclose(turned, np.concatenate(wanted), atol=1e-4)


def test_tokenizer_splits_digits_keeps_specials_and_gives_texts_back(tmp_path: Path) -> None:
    """transformers reads the tokenizer: digits one by one, merges applied, specials whole, text intact."""
    write_gguf(tmp_path / "tiny.gguf")
    import_gguf(tmp_path / "tiny.gguf", tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert tokenizer.tokenize("the 12<|end|>") == ["t", "he", "Ġ", "1", "2", "<|end|>"]
    for text in ("Olá, coração: 1234 €", "emoji 👩‍👩‍👧 日本", "<|start|>a  b\n\tc<|end|>"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "he"}], tokenize=False)
    assert chat == "<|start|>he<|end|>"
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (1, 0)


def test_target_that_exists_is_left_alone(tmp_path: Path) -> None:
    """A folder of the user's is never written into."""
    write_gguf(tmp_path / "tiny.gguf")
    (tmp_path / "model").mkdir()
    with pytest.raises(UserError, match="exists already"):
        import_gguf(tmp_path / "tiny.gguf", tmp_path / "model")
    assert list((tmp_path / "model").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"architecture": "qwen2"}, "architecture is 'qwen2'"),
        ({"kind": Kind.Q5_0}, "type Q5_0"),
        ({"tokenizer": lambda w: byte_level_tokenizer(w, "poro-chat")}, "'poro-chat'"),
        ({"tokenizer": lambda w: w.add_tokenizer_model("bert")}, "tokenizer.ggml.tokens"),
        ({"change": lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)}, "rope.scaling.factor"),
        ({"change": lambda w: w.add_key_length(HEAD * 2)}, "has shape"),
        ({"change": lambda w: w.add_tensor("blk.0.attn_q.bias", np.zeros(4, np.float32))}, "not part of"),
    ],
)
def test_model_that_cannot_be_imported_is_refused_by_name(
    tmp_path: Path, options: dict[str, Any], match: str
) -> None:
    """Another architecture, type, tokenizer or shape: one sentence says which."""
    write_gguf(tmp_path / "tiny.gguf", **options)
    refused(tmp_path / "tiny.gguf", match)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"GGUF", b"GGUF\x01\0\0\0" + bytes(16)])
def test_file_that_is_no_gguf_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, another format, nothing but the magic, an old version."""
    (tmp_path / "odd.gguf").write_bytes(content)
    refused(tmp_path / "odd.gguf", "not a GGUF|cut short|version 1")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A wrong path is an ordinary mistake."""
    refused(tmp_path / "nowhere.gguf", "No such file")


@pytest.mark.parametrize("share", [0.001, 0.02, 0.2, 0.9, 0.9999])
def test_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    """A download that broke off anywhere is noticed before anything is read from it."""
    write_gguf(tmp_path / "tiny.gguf")
    content = (tmp_path / "tiny.gguf").read_bytes()
    (tmp_path / "tiny.gguf").write_bytes(content[: int(len(content) * share)])
    refused(tmp_path / "tiny.gguf", "cut short")


@pytest.mark.parametrize("seed", range(40))
def test_damaged_header_never_does_more_than_a_refusal(tmp_path: Path, seed: int) -> None:
    """Random bytes in the header: either still a model, or a refusal that leaves nothing behind."""
    source, models = tmp_path / "tiny.gguf", tmp_path / "models"
    write_gguf(source)
    content = bytearray(source.read_bytes())
    draw = random.Random(seed)
    for _change in range(draw.randint(1, 4)):
        content[draw.randrange(8000)] = draw.choice((0, 1, 0x7F, 0xFF, draw.randrange(256)))
    source.write_bytes(content)
    try:
        import_gguf(source, models / "new")
    except UserError:
        assert list(models.iterdir()) == []
    else:
        assert [path.name for path in models.iterdir()] == ["new"]
