"""Prints how often a picture saved as JPEG once, and one saved twice, is called saved twice."""

from __future__ import annotations

import io
import sys

import numpy as np
from PIL import Image

from facewitness import media
from facewitness.apps.script import script
from facewitness.metadata import container, jpeg

QUALITIES = (60, 75, 85, 90, 95)
BEFORE = (50, 70, 80)


def saved(image: Image.Image, quality: int) -> bytes:
    """The picture as a JPEG."""
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return content.getvalue()


def measured(content: bytes) -> float | None:
    """What `provenance` measures of a JPEG."""
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.float32)[:1024, :1024]
    luminance = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    return jpeg.saved_twice(luminance, container.split(content).tables[0])


def pictures(folders: list[str]) -> list[Image.Image]:
    """Pictures of scikit-image and of the folders, scaled down."""
    from skimage import data

    found = [getattr(data, name)() for name in ("astronaut", "coffee", "chelsea", "rocket", "retina")]
    found += [media.read(path).frame.pixels for path in media.collect(folders)]
    images = [Image.fromarray(pixels) for pixels in found]
    return [i.resize((int(i.width * 0.73), int(i.height * 0.73)), Image.Resampling.LANCZOS) for i in images]


def main(folders: list[str]) -> None:
    """A line for each pair of qualities: pictures, share called saved twice, quantiles."""
    images = pictures(folders)
    for quality in QUALITIES:
        for before in (None, *BEFORE):
            firsts = images if before is None else [Image.open(io.BytesIO(saved(i, before))) for i in images]
            values = [v for i in firsts if (v := measured(saved(i, quality))) is not None]
            called = sum(v >= jpeg.LEVEL for v in values)
            quantiles = " ".join(f"{q:.1f}" for q in np.quantile(values, (0, 0.05, 0.5, 1)))
            print(f"{before or 'once':>4} then {quality}: {called} of {len(values)} called saved twice; {quantiles}")


if __name__ == "__main__":
    script(main, sys.argv[1:])
