"""A frozen detector looks once at each picture, however often training draws it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import torch


def look_once(expert: Any, max_bytes: int = 4 << 30) -> None:
    """Let the frozen parts of an expert remember what they said of the latest pictures, in `max_bytes` of memory.

    An epoch shows each picture in several questions, and in GRPO the replies of a group share one, about which drawing,
    gradient and reference each ask: the detector's share of a step falls to a fraction. Pictures are looked at one by
    one, so that what is said of one never depends on the others, and a run that goes on sees what it would have seen.
    """
    for part in expert.children():
        if not any(p.requires_grad for p in part.parameters()) and any(True for _ in part.parameters()):
            part.forward = _Remembered(part.forward, max_bytes)


@contextlib.contextmanager
def answered_by(part: Any, other: Callable[..., Any]) -> Iterator[None]:
    """Let another network answer for a part that `look_once` made remember; what it says is kept for good.

    Args:
        part: Of the expert.
        other: Gives the same form of answer; asked about each picture that no other network was asked about before.
    """
    remembered = part.forward
    remembered.other = other
    try:
        yield
    finally:
        remembered.other = None


class _Remembered:
    """A network's forward, (B, …) → a tensor or a dataclass of tensors (B, …) or None, once for each of B pictures."""

    def __init__(self, forward: Callable[..., Any], max_bytes: int):
        self.forward, self.max_bytes, self.kept = forward, max_bytes, 0  # bytes
        self.answers: OrderedDict[bytes, Any] = OrderedDict()
        self.other: Callable[..., Any] | None = None
        self.others: dict[bytes, Any] = {}  # by another network

    def __deepcopy__(self, _: Any) -> _Remembered:
        return self  # a reference model's detector is the same one

    def __call__(self, pixels: torch.Tensor, *others: Any, **named: Any) -> Any:
        if others or named or torch.is_grad_enabled() or not len(pixels):
            return self.forward(pixels, *others, **named)
        keys = [hashlib.sha256(picture.detach().float().cpu().numpy().tobytes()).digest() for picture in pixels]
        for i, key in enumerate(keys):
            if self.other is not None and key not in self.others:
                self.others[key] = _each([self.other(pixels[i : i + 1])], lambda parts: parts[0].cpu())
            if key in self.others:
                continue
            if key not in self.answers:
                self.answers[key] = _each([self.forward(pixels[i : i + 1])], lambda parts: parts[0].cpu())
                self.kept += _bytes(self.answers[key])
            self.answers.move_to_end(key)
        each = [self.others[key] if key in self.others else self.answers[key] for key in keys]
        while self.kept > self.max_bytes:
            self.kept -= _bytes(self.answers.popitem(last=False)[1])
        return _each(each, lambda parts: torch.cat(parts).to(pixels.device))


def _each(outputs: list[Any], do: Callable[[list[torch.Tensor]], torch.Tensor]) -> Any:
    """`do` to the tensors of the same name in all that was said; to the tensors themselves where they have no names."""
    if not dataclasses.is_dataclass(outputs[0]):
        return do(outputs)
    first: Any = outputs[0]
    columns = {f.name: [getattr(one, f.name) for one in outputs] for f in fields(first)}
    return replace(first, **{name: None if parts[0] is None else do(parts) for name, parts in columns.items()})


def _bytes(output: Any) -> int:
    parts = [getattr(output, f.name) for f in fields(output)] if dataclasses.is_dataclass(output) else [output]
    return sum(part.nbytes for part in parts if part is not None)
