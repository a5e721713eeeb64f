"""What a network says of a crop, the heads that say it, and how it reads one: what the default networks share."""

from __future__ import annotations

import contextlib
import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewitness.regions import CELEBAMASK, MARE
from facewitness.types import KINDS


class Answers(NamedTuple):
    """All answers for a batch of N crops of S × S pixels, as logits."""

    fake: Tensor  # (N,)
    kind: Tensor  # (N, 4)
    mask: Tensor  # (N, S/4, S/4)
    regions: Tensor  # (N, 12)
    parsing: Tensor | None  # (N, 19, S/4, S/4)


class Answering(nn.Module):
    """A network with the five heads. It has `pooled`, which gives what `answers` takes."""

    def add_heads(self, width: int, features: int, parsing: bool, dropout: float) -> None:
        """Heads on a map of `width` channels and on `features` numbers.

        Args:
            width: Channels of what the mask's head reads.
            features: How many numbers the linear heads see.
            parsing: Add the face parsing head.
            dropout: Before the linear heads.
        """
        self.to_mask = nn.Conv2d(width, 1, 1)
        self.to_parsing = nn.Conv2d(width, len(CELEBAMASK), 1) if parsing else None
        self.to_region_map = nn.Conv2d(width, len(MARE), 1)
        self.dropout = nn.Dropout(dropout)
        self.to_fake = nn.Linear(features, 1)
        self.to_kind = nn.Linear(features, len(KINDS))
        self.to_regions = nn.Linear(features, len(MARE))

    def forward(self, x: Tensor) -> Answers:
        """The answers about N crops.

        Args:
            x: RGB crops (N, 3, S, S) in 0..255.

        Returns:
            Raw outputs; see `Answers`.
        """
        return self.answers(*self.pooled(x))

    def answers(self, pooled: Tensor, d: Tensor, mask: Tensor) -> Answers:
        """The answers from what `pooled` gives.

        Args:
            pooled: What the linear heads see (N, F).
            d: What the mask's head reads (N, W, S/4, S/4).
            mask: Logits (N, S/4, S/4).

        Returns:
            Raw outputs.
        """
        pooled = self.dropout(pooled)
        region_map = self.to_region_map(F.avg_pool2d(d, 2))
        # a smooth maximum (log of the mean exponential): a region counts as forged where any part of it does
        local = torch.logsumexp(region_map.flatten(2), dim=2) - math.log(region_map.shape[2] * region_map.shape[3])
        return Answers(
            fake=self.to_fake(pooled)[:, 0],
            kind=self.to_kind(pooled),
            mask=mask,
            regions=self.to_regions(pooled) + local,
            parsing=None if self.to_parsing is None else self.to_parsing(d),
        )


def exactly(x: Tensor) -> contextlib.AbstractContextManager[Any]:
    """A context without autocast: bfloat16 has eight bits, and the traces that matter lie in the last ones of a pixel.

    Args:
        x: What is computed on.
    """
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else contextlib.nullcontext()
