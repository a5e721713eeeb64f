"""Draws KFD's consistency maps (figure 3) of pictures: the map of forgery, and each layer's maps of "real" and "fake".

    python runs/kfd/maps.py runs/kfd/kfd.safetensors photo.jpg other.jpg --out maps.png

C_text of equation 1 by layer, from the lowest to the highest value of the picture (its scale differs from layer to
layer and by `unit_scale`), so compare shapes. The picture itself stands beside them only with --picture. Of a
photograph the first face is cropped as the witness crops it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from facewitness import geometry, media, plugins
from facewitness.apps.script import script
from facewitness.errors import InputError
from facewitness.models.kfd import KFD
from facewitness.witnesses import _places


def crop_of(path: Path, size: int, margin: float) -> NDArray[np.uint8]:
    """The largest face of a photograph, upright, RGB (size, size, 3). Raises InputError where there is none."""
    frame = media.read(path).frame
    face = next((f for f in plugins.get("finders", "facemesh").load().find(frame) if f.landmarks is not None), None)
    if face is None:
        raise InputError(f"'{path}': expected a face with landmarks, found none")
    return geometry.crop(frame.pixels, _places.crop_map(face, size, margin), size)


def drawn(detector: KFD, crops: Sequence[NDArray[np.uint8]], names: Sequence[str], picture: bool = True) -> Figure:
    """A row for each crop: itself where it is wanted, the map, and for each layer C_text of real and of fake."""
    with torch.inference_mode():
        pixels = torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy()).float()
        seen = detector.eval()(pixels)
    maps = seen.consistency.unflatten(1, (-1, 2)).numpy()  # (B, layers, real and fake, h, w)
    columns = picture + 1 + 2 * maps.shape[1]
    figure = Figure(figsize=(1.5 * columns, 1.7 * len(crops)))
    for line, crop in enumerate(crops):
        caption = f"{names[line]}, score {float(seen.score[line]):.2f}"
        shown = [
            *([(caption, crop, None)] if picture else []),
            ("map" if picture else caption, seen.map[line, 0], (0, 1)),
        ]
        for layer in range(maps.shape[1]):
            shown += [
                (f"layer {layer + 1}, {what}", maps[line, layer, k], None) for k, what in enumerate(("real", "fake"))
            ]
        for place, (title, values, limits) in enumerate(shown):
            axes = figure.add_subplot(len(crops), columns, line * columns + place + 1)
            low, high = limits or (None, None)
            axes.imshow(np.asarray(values), cmap="viridis", vmin=low, vmax=high)
            axes.set_title(title, fontsize=6)
            axes.set_axis_off()
    figure.tight_layout()
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, detect, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("weights", type=Path, help="kfd.safetensors of a run, its .json beside it")
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--picture", action="store_true", help="show the picture itself, too")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    given = parser.parse_args(arguments)
    detector = KFD.load(given.weights)
    margin = json.loads(given.weights.with_suffix(".json").read_text(encoding="utf-8"))["crop"]["margin"]
    crops = [crop_of(path, detector.encoders.size, float(margin)) for path in given.photos]
    FigureCanvasAgg(drawn(detector, crops, [path.stem for path in given.photos], given.picture)).print_png(given.out)
    print(given.out)


if __name__ == "__main__":
    script(main)
