"""The other side: Hugging Face PEFT on PyTorch, with its own model, LoRA layers, loss and AdamW.

The loop around them is the usual one: rows in the order of their file, padded to the longest of
their batch, labels of -100 where nothing is trained, gradients summed over the batches of a step and
divided by all its trained tokens (`num_items_in_batch`, which transformers' loss takes). The tokens
and which of them are trained are those that this engine makes of the rows, so that both sides do the
same work and begin at the same loss.

Weights are not quantised: float32 on a CPU, bfloat16 on a GPU with the adapter in float32, as PEFT
has it. With `compile` the model is compiled by `torch.compile` and rows are padded to a multiple of
64, which leaves few shapes to compile. A step's time is the wall clock from its first batch to the
end of its update, the GPU's work included. Needs the extra `peers`.
"""

import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.job import ALPHA, LEARNING_RATE, RANK, Job, Record, read_job, write_record
from benchmarks.workload import examples_of
from engine.dataset.batches.tokenize import Example

_COMPILED_MULTIPLE = 64
_UNTRAINED = -100
"""Label that PyTorch's cross-entropy leaves out."""
_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Peft:
    """A model with an adapter and its optimizer, on the GPU where there is one."""

    def __init__(self, job: Job) -> None:
        """Load the model; float32 on a CPU, bfloat16 on a GPU.

        Raises:
            ImportError: the extra `peers` is not installed.
        """
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        self._torch = torch
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        base = AutoModelForCausalLM.from_pretrained(job.model, dtype=dtype, local_files_only=True)
        base.config.use_cache = False
        torch.manual_seed(0)
        adapter = LoraConfig(
            task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=list(_TARGETS)
        )
        model = get_peft_model(base, adapter).to(self.device).train()
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.AdamW(
            trained, lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0
        )
        self._compiled = bool(job.settings.get("compile"))
        self._model: Any = torch.compile(model) if self._compiled else model

    def step(self, batches: list[list[Example]]) -> float:
        """Make one optimizer step and return its loss before the update, nats per trained token."""
        trained = sum(int(example.trained.sum()) for batch in batches for example in batch)
        loss = 0.0
        for batch in batches:
            part = self._model(**self._inputs(batch), num_items_in_batch=trained).loss
            part.backward()
            loss += float(part.detach())
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            self._torch.cuda.synchronize()
        return loss

    def _inputs(self, batch: list[Example]) -> dict[str, Any]:
        """Return tokens, mask and labels, each of shape (rows, length), padded on the right."""
        torch, multiple = self._torch, _COMPILED_MULTIPLE if self._compiled else 1
        length = max(len(example.tokens) for example in batch)
        length += -length % multiple
        tokens = torch.zeros((len(batch), length), dtype=torch.long)
        mask = torch.zeros_like(tokens)
        labels = torch.full_like(tokens, _UNTRAINED)
        for row, example in enumerate(batch):
            end = len(example.tokens)
            found = torch.from_numpy(example.tokens).long()
            tokens[row, :end], mask[row, :end] = found, 1
            labels[row, :end] = found.where(torch.from_numpy(example.trained), _UNTRAINED)
        inputs = {"input_ids": tokens, "attention_mask": mask, "labels": labels}
        return {name: tensor.to(self.device) for name, tensor in inputs.items()}

    def memory_gb(self) -> tuple[float, float]:
        """Return peak and held memory, GB: of PyTorch's tensors on a GPU, of the whole process on a CPU."""
        if self.device.type == "cuda":
            cuda = self._torch.cuda
            return cuda.max_memory_allocated() / 1e9, cuda.memory_reserved() / 1e9
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        return peak, peak


def steps_of(job: Job) -> Iterator[list[list[Example]]]:
    """Yield the batches of each optimizer step, in the order of the file."""
    examples = examples_of(job.lines(), Path(job.model))
    rows = job.batch_size * job.accumulation
    for first in range(0, job.steps * rows, rows):
        step = examples[first : first + rows]
        yield [step[start : start + job.batch_size] for start in range(0, rows, job.batch_size)]


def measure(job: Job) -> Record:
    """Make the job's steps."""
    side = Peft(job)
    tokens, seconds, losses = [], [], []
    for batches in steps_of(job):
        since = time.perf_counter()
        losses.append(side.step(batches))
        seconds.append(time.perf_counter() - since)
        tokens.append(sum(len(example.tokens) for batch in batches for example in batch))
    peak, held = side.memory_gb()
    return Record(tokens, seconds, losses, peak, held, str(side.device))


if __name__ == "__main__":
    write_record(Path(sys.argv[1]), measure(read_job(Path(sys.argv[1]))))
