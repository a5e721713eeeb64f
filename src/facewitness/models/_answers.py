"""What a network says of a crop, and how it reads one: what the default witness's networks share."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Answers(NamedTuple):
    """All answers for a batch of N crops of S × S pixels, as logits."""

    fake: Tensor  # (N,)
    kind: Tensor  # (N, 4)
    mask: Tensor  # (N, S/4, S/4)
    regions: Tensor  # (N, 12)
    parsing: Tensor | None  # (N, 19, S/4, S/4)


def exactly(x: Tensor) -> contextlib.AbstractContextManager[Any]:
    """A context without autocast: bfloat16 has eight bits, and the traces that matter lie in the last ones of a pixel.

    Args:
        x: What is computed on.
    """
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else contextlib.nullcontext()
