"""A trained network from its file onto a device of torch, for the witnesses that have one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from facewitness import weights
from facewitness.errors import InputError, WeightsError


def file_of(name: str, path: str | None, what: str, how: str) -> Path:
    """Where a witness's weights lie.

    Args:
        name: Of the file that `facewitness.weights` looks for.
        path: Of another file, by the user; None for that one.
        what: What it holds, for the message: "detector".
        how: A sentence on how to make or get it.

    Raises:
        WeightsError: There is none.
    """
    file = weights.with_card(name, how) if path is None else Path(path)
    if not file.is_file():
        raise WeightsError(f"There is no {what} at '{file}'. {how}")
    return file


def on(device: str, load: Callable[[], Any]) -> tuple[torch.device, Any]:
    """A network, on a device.

    Args:
        device: torch's name of one.
        load: Makes the network; its own errors go through.

    Returns:
        The device, and the network on it.

    Raises:
        InputError: torch cannot use the device here.
        WeightsError: The network does not fit it.
    """
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:  # torch raises either for a device it cannot use
        raise InputError(f"device: expected one that torch has here, such as cpu, got {device!r} ({error})") from None
    try:
        return place, load().to(place)
    except RuntimeError as error:
        why = str(error).splitlines()[0][:200]
        raise WeightsError(
            f"The network cannot be made on {device} ({why}). Is its JSON whole, and memory left?"
        ) from None
