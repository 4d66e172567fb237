"""Model folders as people bring them: sound ones, broken ones with what is said of them, odd stop tokens.

Each is the tiny model with a change.
"""

import os
from pathlib import Path

from engine.backend import mx
from tests.support.folder_changes import (
    Change,
    both,
    config,
    copied,
    cut,
    file,
    header_of,
    index_of,
    into_cache,
    longer,
    moved,
    null,
    of_kind,
    renamed,
    sharded,
    template_file,
    tensors,
    tokenizer,
    without,
)
from tests.support.tiny import CHATML

import mistral_common

DATA = Path(mistral_common.__file__).parent / "data"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4113296\n"
FOUR = {"group_size": 64, "bits": 4}
SOUND: dict[str, Change] = {
    "as it is": lambda folder: None,
    "not quantised": of_kind("llama", None),
    "8 bits": of_kind("llama", {"group_size": 32, "bits": 8}),
    "6 bits": of_kind("llama", {"group_size": 64, "bits": 6}),
    "mxfp4": of_kind("llama", {"group_size": 32, "bits": 4, "mode": "mxfp4"}),
    "other bits than are said": config(quantization={"group_size": 32, "bits": 8}),
    "bits and groups that are not so": config(quantization={"group_size": 64, "bits": 3}),
    "null where there is a default": null("rope_scaling", "head_dim", "sliding_window"),
    "mistral": both(of_kind("llama", FOUR), config(model_type="mistral")),
    "a mixture of experts": of_kind("qwen3_moe", FOUR),
    "another mixture": of_kind("mixtral", FOUR),
    "gemma 3": of_kind("gemma3_text", FOUR),
    "phi 3": of_kind("phi3", FOUR),
    "qwen 3": of_kind("qwen3", FOUR),
    "in two files": sharded,
    "template in a file": template_file("chat_template.jinja", as_json=False),
    "template in chat_template.json": template_file("chat_template.json", as_json=True),
    "no template": tokenizer(chat_template=None),
    "templates with a default": tokenizer(chat_template=[{"name": "default", "template": CHATML}]),
    "other weights beside": both(file("pytorch_model.bin", b"\x80"), file("consolidated.safetensors", b"")),
    "code that is not needed": both(config(auto_map={"AutoModel": "evil.Evil"}), file("evil.py", "1/0")),
    "stops in a list": both(config(eos_token_id=[257, 256]), file("generation_config.json", "{}")),
    "stops in generation_config.json": both(
        config(eos_token_id=0), file("generation_config.json", '{"eos_token_id": [257, 3]}')
    ),
    "sentencepiece alone": both(
        of_kind("llama", FOUR, vocab_size=32000, tie_word_embeddings=True),
        without("tokenizer.json", "tokenizer_config.json"),
        copied(DATA / "tokenizer.model.v1", "tokenizer.model"),
    ),
    "in Hugging Face's cache": into_cache,
    "below an organisation": renamed("someone/tiny"),
    "a name with blanks": renamed("a [b] *c? é"),
}
BROKEN: dict[str, tuple[Change, str]] = {
    "no model_type": (config(model_type=None), "does not say what kind of model"),
    "unknown architecture": (config(model_type="quetzal9"), "'quetzal9', which mlx-lm"),
    "a module that is no model": (config(model_type="base"), "'base', which mlx-lm"),
    "a picture model": (config(model_type="clip"), "'clip', which mlx-lm"),
    "configuration cut": (cut("config.json", 0.5), "config.json is broken"),
    "configuration empty": (file("config.json", ""), "config.json is broken"),
    "configuration a list": (file("config.json", "[]"), "holds no JSON object"),
    "configuration a pointer": (file("config.json", POINTER), "only a git-lfs pointer"),
    "weights a pointer": (file("model.safetensors", POINTER), "only a git-lfs pointer"),
    "weights cut": (cut("model.safetensors", 0.6), "is not whole: its .* are not what its header lists"),
    "weights cut in the header": (cut("model.safetensors", 0.01), "no complete header"),
    "weights empty": (file("model.safetensors", b""), "empty or cut off"),
    "weights of a web page": (file("model.safetensors", b"<!DOCTYPE html><html>"), "no complete header"),
    "weights with a giant header": (header_of(2**62), "no complete header"),
    "weights with more behind": (
        longer("model.safetensors", by=9),
        "are not what its header lists",
    ),
    "weights a folder": (
        both(without("model.safetensors"), lambda folder: (folder / "model.safetensors").mkdir()),
        "no file that can be read",
    ),
    "weights a pipe": (
        both(without("model.safetensors"), lambda folder: os.mkfifo(folder / "model.safetensors")),
        "no file that can be read",
    ),
    "weights a link to nothing": (
        both(without("model.safetensors"), lambda f: (f / "model.safetensors").symlink_to("gone")),
        "no file that can be read",
    ),
    "no weights": (without("model.safetensors"), "lacks .*model.safetensors"),
    "only pickled weights": (moved("model.safetensors", "pytorch_model.bin"), "can run code"),
    "weights by another name": (
        moved("model.safetensors", "weights.safetensors"),
        "lacks .*model.safetensors",
    ),
    "only GGUF": (moved("model.safetensors", "model-q4.gguf"), "lacks .*model.safetensors"),
    "a file missing": (
        both(sharded, without("model-00002-of-00002.safetensors")),
        "lacks .*model-00002-of-00002.safetensors, which",
    ),
    "a file cut": (both(sharded, cut("model-00001-of-00002.safetensors", 0.9)), "is not whole"),
    "an index of nothing": (index_of(), "does not list the files"),
    "an index of another folder": (index_of("../tiny/model.safetensors"), "does not list the files"),
    "an index that is damaged": (file("model.safetensors.index.json", "{"), "index.json is broken"),
    "an index of other names": (
        both(moved("model.safetensors", "a.safetensors"), index_of("a.safetensors")),
        "mlx-lm reads model",
    ),
    "no tokenizer": (without("tokenizer.json"), "lacks .*tokenizer.json"),
    "tokenizer a pointer": (file("tokenizer.json", POINTER), "only a git-lfs pointer"),
    "tokenizer cut": (cut("tokenizer.json", 0.7), "tokenizer.json is broken"),
    "tokenizer of nothing": (file("tokenizer.json", "{}"), "Cannot load the tokenizer"),
    "tokenizer settings cut": (cut("tokenizer_config.json", 0.7), "tokenizer_config.json is broken"),
    "only tekken": (
        both(without("tokenizer.json"), file("tekken.json", "{}")),
        "only there as tekken.json",
    ),
    "only a vocabulary": (
        both(without("tokenizer.json"), file("vocab.json", "{}")),
        "only there as vocab.json",
    ),
    "sentencepiece a pointer": (
        both(without("tokenizer.json"), file("tokenizer.model", POINTER)),
        "only a git-lfs pointer",
    ),
    "stops damaged": (file("generation_config.json", "{"), "generation_config.json is broken"),
    "fewer vectors than tokens": (of_kind("llama", None, vocab_size=257), "not that of its model: token 257"),
    "templates without a default": (
        tokenizer(chat_template=[{"name": "rag", "template": CHATML}]),
        "none is the default",
    ),
    "template that is none": (tokenizer(chat_template="{% for m in %}"), "cannot be used: line 1"),
    "template of its own file": (
        file("chat_template.jinja", "{% for m in messages %}\n{{ m"),
        r"chat_template.jinja cannot be used: line 2.*; correct it there",
    ),
    "template of its own JSON": (
        both(tokenizer(chat_template=None), file("chat_template.json", '{"chat_template": "{% if %}"}')),
        r"chat_template.json cannot be used: line 1.*; correct it there",
    ),
    "template that draws": (
        tokenizer(chat_template="{{ ['Olá', 'Bom dia'] | random }}" + CHATML),
        "tokenizer_config.json writes the same conversation differently each time",
    ),
    "template that makes words up": (
        tokenizer(chat_template=CHATML + "{{ lipsum() if add_generation_prompt else '' }}"),
        "tokenizer_config.json writes the same conversation differently each time",
    ),
    "template that refuses all": (
        tokenizer(chat_template="{{ raise_exception('only for embeddings') }}"),
        "takes no row: the chat template refuses it: only for embeddings",
    ),
    "template without answers": (
        tokenizer(chat_template="{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"),
        "takes no row: turn 2: the chat template drops or changes a part of the answer",
    ),
    "template of a program": (
        tokenizer(chat_template=None, chat_template_type="deepseek_v32"),
        "no chat template to train with",
    ),
    "code for the model": (config(model_file="evil.py"), "code of its own"),
    "code for the tokenizer": (
        both(without("tokenizer.json"), tokenizer(auto_map=["evil.Evil", None])),
        "code of its own",
    ),
    "a tensor missing": (
        tensors(lambda arrays: arrays.pop("model.layers.1.mlp.up_proj.weight")),
        "'model.layers.1.mlp.up_proj",
    ),
    "a tensor too many": (
        tensors(lambda arrays: arrays.update({"model.layers.9.mlp.odd": mx.zeros(3)})),
        "1 tensor that is none of its architecture",
    ),
    "a tensor of another size": (
        tensors(lambda arrays: arrays.update({"model.norm.weight": mx.zeros(7)})),
        "not as large as its config.json says",
    ),
    "weights of zeros": (
        tensors(lambda arrays: arrays.update({name: mx.zeros_like(arrays[name]) for name in arrays})),
        "norm.weight' holds nothing but zeros",
    ),
    "weights that end in zeros": (
        tensors(lambda arrays: arrays.update({"model.norm.weight": mx.zeros(32)})),
        "'model.norm.weight' holds nothing but zeros",
    ),
    "weights that are no numbers": (
        tensors(lambda arrays: arrays.update({"model.norm.weight": mx.full(32, float("nan"))})),
        "'model.norm.weight' holds numbers that are not finite",
    ),
    "fewer layers": (config(num_hidden_layers=1), "tensors that are none of its architecture"),
    "more layers": (config(num_hidden_layers=3), "'model.layers.2"),
    "layers beyond reason": (config(num_hidden_layers=10**8), "num_hidden_layers is 100000000"),
    "experts beyond reason": (config(moe={"num_experts": 10**9}), "num_experts is 1000000000"),
    "a length beyond reason": (config(sliding_window=[2**40]), "sliding_window is 1099511627776"),
    "another width": (config(hidden_size=64), "not as large as its config.json says"),
    "no heads": (config(num_attention_heads=0), "num_attention_heads is 0"),
    "a size that is text": (config(hidden_size="wide"), "hidden_size is \"wide\""),
    "a width that its heads do not share": (config(hidden_size=33), "hidden_size is 33"),
    "widths and heads that do not share": (
        config(hidden_size=33, num_attention_heads=5), "its values do not go together"
    ),
    "no size": (config(hidden_size=None), "'hidden_size' is missing"),
    "a kind that is no name": (config(model_type=7), "model_type is 7, which is no name"),
    "architectures that are none": (config(architectures=7), "architectures is 7"),
    "a number as text": (config(rope_theta="1e5"), 'config.json is broken: rope_theta is "1e5"'),
    "a number that is null": (null("rms_norm_eps"), "config.json is broken: rms_norm_eps is null"),
    "another number that is null": (null("rope_theta"), "config.json is broken: rope_theta is null"),
    "a number that is a list": (config(rope_theta=[1]), "config.json is broken: rope_theta is .1."),
    "a number that is an object": (config(rope_theta={"of": 1}), "rope_theta is {"),
    "an object as text": (config(rope_scaling="linear"), 'config.json is broken: rope_scaling is "linear"'),
    "an object without its values": (
        config(rope_scaling={"type": "linear"}), "config.json is broken: rope_scaling is {"
    ),
    "text in an object": (
        config(rope_scaling={"type": "linear", "factor": "two"}),
        "a value in its config.json is not what its architecture takes",
    ),
    "a truth as text": (config(tie_word_embeddings="false"), 'tie_word_embeddings is "false"'),
    "a size of heads as text": (config(head_dim="64"), 'head_dim is "64"'),
    "a stop as text": (config(eos_token_id="2"), 'config.json is broken: eos_token_id is "2"'),
    "a value only transformers wants": (
        config(initializer_range="wide"), 'config.json is broken: initializer_range is "wide"'
    ),
    "heads that do not share": (config(num_key_value_heads=3), "not as large as its config.json says"),
    "quantised as text": (config(quantization="4bit"), 'config.json is broken: quantization is "4bit"'),
    "quantised otherwise as text": (config(quantization_config="4bit"), 'quantization_config is "4bit"'),
    "bits as text": (config(quantization={"group_size": 32, "bits": "4"}), 'quantization.bits is "4"'),
    "no size of groups": (config(quantization={"bits": 4}), "'group_size' is missing"),
    "bits of a layer that are not its": (
        config(quantization={"group_size": 32, "bits": 4,
                             "model.layers.0.mlp.up_proj": {"group_size": 32, "bits": 3}}),
        "not as large as its config.json says",
    ),
    "quantised by another program": (
        config(quantization=None, quantization_config={"quant_method": "hqq"}),
        "quantised by 'hqq', which mlx-lm does not read",
    ),
    "two sets of weights": (
        copied("model.safetensors", "model-00001-of-00002.safetensors"),
        "two sets of weights lie in one folder",
    ),
    "a template that is a pointer": (file("chat_template.jinja", POINTER), "only a git-lfs pointer"),
    "nothing to adapt": (of_kind("gpt2", None, n_embd=32, n_layer=2, n_head=4, n_positions=64, n_ctx=64,
                                 layer_norm_epsilon=1e-5), "No layer of this model has a projection"),
}  # fmt: skip


STOPS: dict[str, tuple[Change, str]] = {
    "text that is no token": (
        tokenizer(eos_token="</s>"),
        'eos_token "</s>" (tokenizer_config.json) is no token at which the model can stop;'
        " chat stops at '<|im_end|>'",
    ),
    "a number beyond the model": (
        config(eos_token_id=999999),
        "eos_token_id 999999 (config.json) is no token at which the model can stop;"
        " chat stops at '<|im_end|>'",
    ),
    "a number below all": (config(eos_token_id=-1), "eos_token_id -1 (config.json) is no token"),
    "text in a list": (
        file("generation_config.json", '{"eos_token_id": [0, "a"]}'),
        'eos_token_id "a" (generation_config.json) is no token at which the model can stop;'
        " chat stops at '!',",
    ),
    "nothing that is one": (
        both(
            config(eos_token_id=[400, 999]),
            tokenizer(eos_token="</s>", chat_template=None),
        ),
        "eos_token_id 400 (config.json), eos_token_id 999 (config.json),"
        ' eos_token "</s>" (tokenizer_config.json)'
        " are no tokens at which the model can stop; chat stops at nothing",
    ),
}
