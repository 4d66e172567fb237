"""The one command that tries an export."""

import json
import re
import shlex
from pathlib import Path

from engine.export.targets import ExportRequest
from engine.model.adapter_file import AdapterFile
from engine.shell import program

_VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as `--max-lora-rank`."""
_QUESTION = "What is the capital of Portugal?"


def try_command(
    request: ExportRequest, folder: Path, inner: Path, adapter: AdapterFile, base_name: str = ""
) -> str:
    """Return the command, ready to be pasted.

    Args:
        request: what was written.
        folder: of the export.
        inner: in which its files lie.
        adapter: that was exported; what its prompts need is told to the other program.
        base_name: the base model's name on the hub, for PEFT's form.
    """
    quoted = shlex.quote(str(inner))
    settings = shlex.quote(json.dumps(adapter.template_settings)) if adapter.template_settings else ""
    match request.target:
        case "ollama":
            name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-") or "tuned"
            modelfile = shlex.quote(str(inner / "Modelfile"))
            return f"ollama create {name} -f {modelfile} && ollama run {name}"
        case "llama.cpp" | "gguf":
            model = shlex.quote(str(inner / "model.gguf"))
            lora = "" if request.is_merged else f" --lora {shlex.quote(str(inner / 'adapter.gguf'))}"
            kwargs = f" --chat-template-kwargs {settings}" if settings else ""
            return f"llama-cli -m {model}{lora} --jinja{kwargs} --temp 0"
        case "lmstudio":
            source = shlex.quote(str(folder / "mqlora"))
            return f"cp -R {source} ~/.lmstudio/models/ && lms load mqlora/{shlex.quote(inner.name)}"
        case "peft":
            if adapter.fine_tune_type == "dora":
                return _by_peft(base_name, inner)
            base = shlex.quote(base_name)
            lora = f"--enable-lora --max-lora-rank {_vllm_rank(adapter.rank)} --lora-modules tuned={quoted}"
            return f"vllm serve {base} {lora}"
        case "mlx":
            kwargs = f" --chat-template-config {settings}" if settings else ""
            return f"{program('mlx_lm.generate')} --model {quoted}{kwargs} --prompt {shlex.quote(_QUESTION)}"


def _by_peft(base_name: str, inner: Path) -> str:
    """Return the command for what vLLM cannot load: PEFT itself."""
    code = (
        "from peft import AutoPeftModelForCausalLM as M; from transformers import AutoTokenizer as T; "
        f"t = T.from_pretrained({base_name!r}); m = M.from_pretrained({str(inner)!r}); "
        f"x = t.apply_chat_template([dict(role='user', content={_QUESTION!r})], "
        "add_generation_prompt=True, return_dict=True, return_tensors='pt'); "
        "print(t.decode(m.generate(**x, max_new_tokens=60)[0]))"
    )
    return f"python -c {shlex.quote(code)}"


def _vllm_rank(rank: int) -> int:
    return next((most for most in _VLLM_RANKS if most >= rank), rank)
