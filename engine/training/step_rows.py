"""Which micro-batches each optimizer step has, and which process of a run computes which of them."""

from collections.abc import Sequence

from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.divide import divide
from engine.dataset.batches.micro_batch import MicroBatch, epoch_steps, micro_batches
from engine.dataset.batches.tokenize import Example

import numpy as np
from numpy.typing import NDArray


class StepRows:
    """The rows of every step, a function of data, configuration and step alone."""

    def __init__(
        self,
        train: Sequence[Example],
        shapes: Sequence[BatchShape],
        config: TrainingConfig,
        speeds: Sequence[float] = (1.0,),
    ) -> None:
        """Cut nothing yet.

        Args:
            train: the training examples.
            shapes: what micro-batches are padded to.
            config: the run's configuration.
            speeds: of each process that takes part, in any one unit.
        """
        self._train, self._shapes, self._speeds = train, shapes, speeds
        self._prompt_weight = config.lower_prompt_weight
        self._per_step, self._seed = config.examples_per_step, config.seed
        self._lengths = [len(example.tokens) for example in train]
        self._steps_per_epoch = -(-len(train) // self._per_step)
        self._order: tuple[int, list[NDArray[np.int64]]] = (-1, [])

    def shares(self, number: int) -> list[list[MicroBatch]]:
        """Return the micro-batches of step `number` (from 1) for each process; one may have none."""
        epoch, index = divmod(number - 1, self._steps_per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, epoch_steps(self._lengths, self._per_step, self._seed, epoch))
        chosen = [self._train[i] for i in self._order[1][index]]
        groups = divide([len(example.tokens) for example in chosen], self._speeds)
        return [self._cut([chosen[i] for i in group]) if group else [] for group in groups]

    def _cut(self, examples: Sequence[Example]) -> list[MicroBatch]:
        return micro_batches(examples, self._shapes, self._prompt_weight)


def random_key(seed: int, number: int, rank: int) -> int:
    """Return what process `rank` seeds its random numbers with for step `number`: each draws others.

    A run of several processes goes on as it would have without a checkpoint of each one's state.
    """
    return int(np.random.SeedSequence([seed, number, rank]).generate_state(1, np.uint64)[0])
