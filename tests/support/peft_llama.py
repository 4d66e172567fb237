"""A tiny Llama with an adapter as PEFT makes and computes them, and the folder `peft_llama` that was made so.

    python -m tests.support.peft_llama      (where torch, transformers and peft are; writes the folder anew)

The folder holds the base model, an adapter of it in PEFT's form, and the logits of both for `TOKENS`.
"""

import json
import shutil
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("peft_llama")
TOKENS = (5, 17, 2, 40, 9, 33)
SIZES = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 48,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}
SETTINGS: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj", "down_proj"]}


def write_with_peft(folder: Path, **changes: Any) -> None:
    """Draw a model and an adapter with torch and PEFT, and write both with their logits into `folder`.

    Args:
        folder: that is made.
        changes: of the `LoraConfig`; those of `SETTINGS` stand behind them.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    base = LlamaForCausalLM(LlamaConfig(**SIZES)).float().eval()
    with torch.no_grad():
        for parameter in base.parameters():
            if parameter.ndim > 1:  # as drawn, logits are all but equal
                parameter.mul_(8)
    base.save_pretrained(folder)
    for path in folder.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    (folder / "config.json").write_text(json.dumps(SIZES, indent=1) + "\n")
    tokens = torch.tensor([TOKENS])
    with torch.no_grad():
        plain = base(tokens).logits[0]
        config = LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **SETTINGS | changes)
        adapted = get_peft_model(base, config).eval()
        found = adapted(tokens).logits[0]
    adapted.save_pretrained(str(folder / "adapter"))
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    save_file({"base": plain.contiguous(), "adapted": found.contiguous()}, folder / "logits.safetensors")


def logits_with_peft(folder: Path, adapter: Path) -> Any:
    """Return the logits for `TOKENS` of the model in `folder` with an adapter of PEFT's form, by PEFT."""
    import torch
    from peft import PeftModel
    from transformers import LlamaForCausalLM

    base = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        return PeftModel.from_pretrained(base, str(adapter)).eval()(torch.tensor([TOKENS])).logits[0].numpy()


if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    write_with_peft(FOLDER)
