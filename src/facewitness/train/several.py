"""Several processes that train one network: those that `torchrun` started, who writes, and what they agree on.

`processes` joins them, `rank_and_world` says which one this is; `first` lets process 0 make what the others then find
made, and `mean` puts their gradients together behind the backward passes of a step.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

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
