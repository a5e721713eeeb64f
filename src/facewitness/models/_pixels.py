"""The one check of what goes into a network that reads square pictures of one size."""

from __future__ import annotations

from torch import Tensor

from facewitness.errors import InputError


def check(pixels: Tensor, size: int) -> None:
    """Refuse all but a batch of square pictures. Raises InputError."""
    if pixels.ndim != 4 or pixels.shape[1:] != (3, size, size):
        raise InputError(f"pixels: expected RGB (B, 3, {size}, {size}) in 0..255, got {tuple(pixels.shape)}")
