"""A picture of answers about places: what was claimed in green, what was changed in red, with both texts below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from facewitness.bench.grounded import Bools
from facewitness.errors import InputError
from facewitness.types import Pixels

RED, GREEN, YELLOW = (220, 40, 40), (40, 190, 70), (230, 200, 40)  # changed, claimed, both


def _at(mask: Bools, side: int) -> Bools:
    """A mask at another size, by its nearest samples."""
    return np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize((side, side), Image.Resampling.NEAREST)) > 0


def _grown(mask: Bools, steps: int) -> Bools:
    """A mask and what lies within so many pixels of it, up and down, left and right."""
    for _ in range(steps):
        wide = np.pad(mask, 1)
        mask = mask | wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
    return mask


def sheet(items: Sequence[tuple[Pixels, Bools | None, Bools, str, str]], path: Path, side: int = 256) -> Path:
    """A picture of answers: what was claimed in green, what was changed in red, with both texts below.

    Of each mask a thin wash and its outline are drawn, green just inside its edge and red just outside of its own, so
    that neither hides the other: where both lie it is yellow, and masks that agree have both outlines side by side.

    Args:
        items: (pixels, claimed mask or None, changed mask, the answer, the reference).
        path: PNG or JPEG to write.
        side: Pixels of a picture.

    Raises:
        InputError: there is nothing to show.
    """
    if not items:
        raise InputError("sheet: expected at least one picture, got none")
    columns = min(3, len(items))
    tall = side + 150
    page = Image.new("RGB", (columns * side, -(-len(items) // columns) * tall), "white")
    pen = ImageDraw.Draw(page)
    for number, (pixels, claimed, changed, answer, reference) in enumerate(items):
        left, top = number % columns * side, number // columns * tall
        picture = Image.fromarray(pixels).convert("RGB").resize((side, side))
        shown = np.asarray(picture).astype(np.float32)
        masks = [_at(mask, side) if mask is not None and mask.shape == changed.shape else np.zeros((side, side), bool)
                 for mask in (changed, claimed)]  # fmt: skip
        both = masks[0] & masks[1]
        for there, colour in ((masks[0] & ~both, RED), (masks[1] & ~both, GREEN), (both, YELLOW)):
            shown[there] = 0.75 * shown[there] + 0.25 * np.array(colour, np.float32)
        shown[_grown(masks[0], 2) & ~masks[0]] = RED
        beyond = np.pad(~masks[1], 1, constant_values=True)  # a mask that ends with the picture has an edge there
        shown[masks[1] & _grown(beyond, 2)[1:-1, 1:-1]] = GREEN
        page.paste(Image.fromarray(shown.astype(np.uint8)), (left, top))
        text = "\n".join([*_wrapped(f"said: {answer}", side), *_wrapped(f"true: {reference}", side)][:13])
        pen.text((left + 4, top + side + 2), text, fill="black", spacing=1)
    page.save(path)
    return path


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(" ".join(text.split())[:400], max(10, width // 6))[:6]
