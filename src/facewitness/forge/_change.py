"""Another camera's colours and another codec's sharpness: what self-blended images do to one of their two copies.

The colour, frequency and resize transforms of Shiohara & Yamasaki (CVPR 2022, section 3.2), for the leaves that paste a
face into itself (plugins skips names that start with an underscore).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from facewitness.forge import _face
from facewitness.types import Pixels

_SHARPNESS = ("sharpen", "blur", "downscale", "none")
_INTERPOLATIONS = {"nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}


def change(pixels: Pixels, size: float, rng: np.random.Generator) -> tuple[Pixels, dict[str, Any]]:
    """A changed copy and what was drawn. `size` is the face's in pixels: small faces are blurred less."""
    # one amount for all colour changes: as many forgeries are nearly matched as are plainly off
    amount = _face.number(rng.uniform(0.15, 1.0))
    hue, saturation = round(rng.uniform(-3, 3) * amount), _face.number(1 + rng.uniform(-0.18, 0.18) * amount)
    shift = [round(v) for v in rng.uniform(-16, 16, 3) * amount]
    gain, offset = _face.number(1 + rng.uniform(-0.14, 0.14) * amount), round(rng.uniform(-16, 16) * amount)
    ramp = np.arange(256, dtype=np.float32)

    if hue or saturation != 1:
        turn = np.stack([(ramp + hue) % 180, ramp * saturation, ramp], axis=-1)
        hsv = cv2.LUT(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV), _table(turn))
        pixels = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    pixels = cv2.LUT(pixels, _table((ramp[:, None] - 128) * gain + 128 + offset + np.array(shift, np.float32)))
    how: dict[str, Any] = {
        "hue": hue,
        "saturation": saturation,
        "gain": gain,
        "offset": offset,
        "rgb": shift,
        "amount": amount,
    }

    how["sharpness"] = sharpness = str(rng.choice(_SHARPNESS))
    if sharpness in ("sharpen", "blur"):
        # a face of 200 pixels stands a blur of one pixel; a face of 50 would be gone
        how["sigma"] = sigma = _face.number(rng.uniform(0.4, 1.3) * min(1.0, max(0.4, size / 180)))
        smooth = cv2.GaussianBlur(pixels, (0, 0), sigma)
        how["gain_of_detail"] = detail = _face.number(rng.uniform(0.4, 1.6)) if sharpness == "sharpen" else -1.0
        pixels = cv2.addWeighted(pixels, 1 + detail, smooth, -detail, 0)
    elif sharpness == "downscale":
        how["factor"] = factor = _face.number(rng.uniform(1.3, 1.3 + 2.2 * min(1.0, size / 180)))
        how["interpolation"] = kernel = str(rng.choice(list(_INTERPOLATIONS)))
        small = (max(2, round(pixels.shape[1] / factor)), max(2, round(pixels.shape[0] / factor)))
        few = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
        pixels = cv2.resize(few, pixels.shape[1::-1], interpolation=_INTERPOLATIONS[kernel])
    return pixels, how


def _table(columns: Any) -> Pixels:
    return _face.rounded(columns)[None]
