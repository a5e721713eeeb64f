"""The whole picture is one face: for crops that are ready, and for tests; no network, no landmarks."""

from __future__ import annotations

import numpy as np

from facewitness.finders import SHARPNESS_SIDE, rate, sharpness
from facewitness.geometry import align, crop
from facewitness.types import Face, Frame

_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601 luma, as JPEG has it


class Whole:
    """Takes every frame for one face."""

    name = "whole"

    def made_by(self) -> dict[str, object]:
        """Nothing to choose and nothing loaded.

        Returns:
            JSON-ready.
        """
        return {"options": {}, "weights": {}}

    def find(self, frame: Frame) -> tuple[Face, ...]:
        """One face whose box is the frame; size and sharpness are measured, pose and mesh are not (None).

        Args:
            frame: One frame, RGB.
        """
        box = (0.0, 0.0, float(frame.width), float(frame.height))
        size = min(frame.width, frame.height)
        side = min(SHARPNESS_SIDE, size)
        # the shorter side gives the scale; what lies beyond the centred square is no part of the measure
        left, top = (frame.width - size) / 2, (frame.height - size) / 2
        square = crop(frame.pixels, align((left, top, left + size, top + size), side, 1.0), side)
        return (Face(frame.at, box, None, rate(size=float(size), sharpness=sharpness(square @ _GREY))),)


def load() -> Whole:
    """The finder for ready crops. It has no options."""
    return Whole()
