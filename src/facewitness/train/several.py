"""Several processes that train one network: those that `torchrun` started, who writes, and what they agree on.

`processes` joins them, `rank_and_world` says which one this is; `first` lets process 0 make what the others then find
made, and `mean` puts their gradients together behind the backward passes of a step. `shared` says what each does of a
batch, in how many parts, and `Share` gives it that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import Dataset

from facewitness.errors import InputError

T = TypeVar("T")
_WAITS = timedelta(hours=6)  # for the first one, which may be drawing edits; torchrun ends them all when one fails


@contextmanager
def processes() -> Iterator[None]:
    """What `torchrun` started joins here: NCCL on GPUs, gloo without; nothing where there is one process."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=_WAITS)
    try:
        yield
    finally:
        dist.destroy_process_group()


def rank_and_world() -> tuple[int, int]:
    """Which process this is, and of how many.

    Returns:
        The number of this process, from 0, and how many there are.
    """
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def device() -> torch.device:
    """This process's own GPU, or the CPU."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if torch.cuda.is_available() else _CPU


_CPU = torch.device("cpu")


def first(make: Callable[[], T]) -> T:
    """What `make` gives, called by process 0 before the others call it, too: it may write what they then read.

    Args:
        make: Finds what it makes made when it is called again.
    """
    rank, world = rank_and_world()
    if world == 1:
        return make()
    made = make() if rank == 0 else None
    dist.barrier()
    return make() if made is None else made


def agreed(value: float) -> float:
    """Process 0's value, everywhere: clocks differ, and a run ends at one step.

    Args:
        value: This process's own.
    """
    if rank_and_world()[1] == 1:
        return value
    held = torch.tensor([value], dtype=torch.float64, device=device())
    dist.broadcast(held, 0)
    return float(held.item())


def mean(parameters: Iterable[Tensor]) -> None:
    """Gradients become their mean over all processes; one that a process has none of counts as zeros there.

    Args:
        parameters: The same in every process, in the same order.
    """
    world = rank_and_world()[1]
    if world == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)
        parameter.grad /= world


def alike(buffers: Iterable[Tensor]) -> None:
    """Running means become their mean over all processes; counters are left, which count the same everywhere.

    Args:
        buffers: The same in every process, in the same order.
    """
    world = rank_and_world()[1]
    if world == 1:
        return
    for buffer in buffers:
        if buffer.is_floating_point():
            dist.all_reduce(buffer)
            buffer /= world


def gathered(own: Tensor) -> Tensor:
    """Every process's rows (n, …), in the processes' order; only this one's own have a gradient.

    Args:
        own: As many rows in every process.

    Returns:
        (n · processes, …).
    """
    rank, world = rank_and_world()
    if world == 1:
        return own
    rows = [torch.empty_like(own) for _ in range(world)]
    dist.all_gather(rows, own.detach().contiguous())
    rows[rank] = own
    return torch.cat(rows)


def shared(batch_size: int, processes: int, micro_batch_size: int | None) -> tuple[int, int]:
    """Pictures of each process in a step, and in how many parts it passes them.

    Args:
        batch_size: Of a step, of all processes together.
        processes: That share a batch.
        micro_batch_size: Pictures of a process at once; None for all.

    Returns:
        Pictures of each process, and parts.

    Raises:
        InputError: The batch cannot be shared so evenly.
    """
    own, left = divmod(batch_size, processes)
    parts, over = divmod(own, micro_batch_size or max(own, 1))
    if left or over or not own:
        micro = "" if micro_batch_size is None else f" and micro_batch_size = {micro_batch_size}"
        raise InputError(
            f"recipe: expected a batch_size that {processes} processes share evenly in whole parts, got "
            f"{batch_size}{micro}. Change one of them, or the number of processes."
        )
    return own, parts


class Share(Dataset[Mapping[str, Tensor]]):
    """One process's pictures of each step.

    Args:
        whole: What a step sees, in "rows".
        size: How many of them are this process's.
    """

    def __init__(self, whole: Dataset[Mapping[str, Tensor]], size: int):
        self.whole, self.size, self.rank = whole, size, rank_and_world()[0]

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        rows = self.whole[step]["rows"]
        return {"rows": rows[self.rank * self.size : (self.rank + 1) * self.size]}
