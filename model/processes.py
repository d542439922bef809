"""Data-parallel training: which process of how many this is, and how they agree.

`torchrun` starts the processes and sets the environment that `torch.distributed` reads; alone, nothing is set up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from service.core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Processes:
    """This process is number `rank` of `count`."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes files and talks."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """This process's part of a global batch. Raises `InvalidInput` when it cannot be divided evenly."""
        if batch % self.count:
            raise InvalidInput("training.batch", f"must be a multiple of the {self.count} processes", batch)
        size = batch // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def parallel(self, net: nn.Module) -> nn.Module:
        """The net, its gradients averaged over all processes on the way back.

        Batch norms see their own process's share (a smaller batch); their running statistics are those of rank 0.
        """
        return net if self.count == 1 else DistributedDataParallel(net)

    def total(self, values: Tensor) -> Tensor:
        """The element-wise sum over all processes."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.count > 1:
            distributed.barrier()


def leads() -> bool:
    """Whether this process is the first that `torchrun` started, or the only one; known before and after `join`."""
    return not distributed.is_torchelastic_launched() or os.environ["RANK"] == "0"


@contextmanager
def join() -> Iterator[Processes]:
    """Join the other processes that `torchrun` started, over gloo; leave on exit. Alone outside `torchrun`."""
    if not distributed.is_torchelastic_launched():
        yield Processes()
        return
    distributed.init_process_group("gloo")
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def use_threads(threads: int, processes: Processes) -> None:
    """Give this process its part of the recipe's threads."""
    torch.set_num_threads(max(threads // processes.count, 1))
