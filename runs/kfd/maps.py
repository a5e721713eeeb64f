"""Draws KFD's consistency maps (figure 3), and Grad-CAM of several detectors on the same faces (figure 5).

    python runs/kfd/maps.py runs/kfd/kfd.safetensors photo.jpg other.jpg --out maps.png
    python runs/kfd/maps.py gradcam KFD=out/ffpp/kfd.safetensors SBI=out/ffpp-sbi/sbi.safetensors --pack PACK
        --out gradcam.png [--sources ffpp_c23 …] [--label fake] [--split val] [--most 2]

Consistency maps are the map of forgery, and each layer's maps of "real" and "fake": C_text of equation 1 by layer, from
the lowest to the highest value of the picture (its scale differs from layer to layer and by `unit_scale`), so compare
shapes. The picture itself stands beside them only with --picture. Of a photograph the first face is cropped as the
witness crops it.

`gradcam` puts a pack's face and, over it, each detector's Grad-CAM (`models/gradcam`) of its score into a row: of KFD
at its last layer's features as the text meets them, of SBI (`models/sbi`) at its backbone's last. Each map goes from
nothing to its own highest value, so compare where it is high and not how high.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from facewitness import geometry, media, plugins
from facewitness.apps.script import script
from facewitness.builders.pack import Pack
from facewitness.errors import InputError
from facewitness.formats import heat
from facewitness.models import _saved
from facewitness.models.gradcam import heatmap
from facewitness.models.kfd import KFD
from facewitness.models.sbi import SBI
from facewitness.witnesses import _places

MARGIN = 1.3  # of a detector whose card does not say how it crops


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


# ------------------------------------------------------------------------------------------------ Grad-CAM, figure 5


class Detector(NamedTuple):
    """A detector as a row's title has it, and how it crops."""

    name: str
    model: KFD | SBI
    margin: float


class _OfSBI(nn.Module):
    """SBI's logit with its last features passing a module of their own, where Grad-CAM can take hold of them."""

    def __init__(self, model: SBI):
        super().__init__()
        self.model, self.last = model, nn.Identity()

    def forward(self, pixels: Tensor) -> Tensor:
        features, _ = self.model.encoders.visual(pixels)
        return self.model.full(self.last(features[-1]).mean((2, 3)))[:, 0]


def detectors(given: Sequence[str]) -> list[Detector]:
    """Two or more, of NAME=FILE. Raises InputError, and WeightsError for a file that is none."""
    out: dict[str, Detector] = {}
    for each in given:
        name, equals, file = each.partition("=")
        if not (name and equals and file) or name in out:
            raise InputError(f"expected NAME=FILE, each name once, as SBI=out/ffpp-sbi/sbi.safetensors, got '{each}'")
        path = Path(file)
        model = SBI.load(path) if _saved.kind_of(path) == "sbi" else KFD.load(path)
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        out[name] = Detector(name, model, float(card.get("crop", {}).get("margin", MARGIN)))
    if len(out) < 2:
        raise InputError(f"expected two or more detectors to hold beside each other, NAME=FILE each, got {len(out)}")
    return list(out.values())


def faces(data: Pack, sources: Sequence[str], split: str, label: str, most: int) -> list[int]:
    """The first rows of each source (none named: of all) with a mesh. Raises InputError where there is none."""
    counted: dict[str, int] = {}
    out = []
    for i, row in enumerate(data.rows):
        source = row["source"]
        if (row["split"], row["label"]) != (split, label) or (sources and source not in sources):
            continue
        if counted.get(source, 0) < most and data.landmarks(i) is not None:
            counted[source] = counted.get(source, 0) + 1
            out.append(i)
    if not out:
        raise InputError(
            f"expected {label} faces of the split {split} of {', '.join(sources) or 'any source'} in the pack, got "
            "none; name others with --sources, --label, --split"
        )
    return out


def attention(model: KFD | SBI, crop: NDArray[np.uint8]) -> tuple[float, NDArray[np.float32]]:
    """The score of a crop (S, S, 3), and Grad-CAM of it, (S, S) in [0, 1]."""
    pixels = torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1)))[None].float()
    with torch.inference_mode():
        score = float(model.eval()(pixels).score[0])
    if isinstance(model, KFD):
        return score, heatmap(model, model.linear[-1], pixels, lambda output: output.logit)
    network = _OfSBI(model)
    return score, heatmap(network, network.last, pixels, lambda logit: logit)


def beside(those: Sequence[Detector], data: Pack, rows: Sequence[int]) -> Figure:
    """A row for each face: as the first detector's crop shows it, and each detector's Grad-CAM over its own crop."""
    columns = 1 + len(those)
    figure = Figure(figsize=(1.9 * columns, 2.3 * len(rows)))
    for line, i in enumerate(rows):
        row, shown = data.rows[i], list[tuple[str, NDArray[np.uint8]]]()
        for each in those:
            size = int(each.model.encoders.size)
            crop = geometry.crop(data.pixels(i), geometry.align(data.landmarks(i), size, each.margin), size)
            score, values = attention(each.model, crop)
            over = Image.fromarray(crop).convert("RGBA")
            over.alpha_composite(Image.fromarray(heat(values)))
            nothing = "" if values.max() > 0 else "\nno place raises it"
            if not shown:
                shown.append((f"{row['source']}, {row.get('method') or row['label']}", crop))
            shown.append((f"{each.name}, score {score:.2f}{nothing}", np.asarray(over.convert("RGB"))))
        for place, (title, picture) in enumerate(shown):
            axes = figure.add_subplot(len(rows), columns, line * columns + place + 1)
            axes.imshow(picture)
            axes.set_title(title, fontsize=7)
            axes.set_axis_off()
    figure.tight_layout()
    return figure


def _gradcam(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="maps.py gradcam", description="Grad-CAM of detectors on the same faces.")
    parser.add_argument("detectors", nargs="+", metavar="NAME=FILE", help="kfd.safetensors or sbi.safetensors of runs")
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--sources", nargs="+", default=[], help="of the pack (all)")
    parser.add_argument("--label", choices=("fake", "real"), default="fake")
    parser.add_argument("--split", default="val")
    parser.add_argument("--most", type=int, default=2, metavar="N", help="faces of each source (2)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    given = parser.parse_args(arguments)
    those, data = detectors(given.detectors), Pack(given.pack)
    rows = faces(data, given.sources, given.split, given.label, given.most)
    FigureCanvasAgg(beside(those, data, rows)).print_png(given.out)
    print(given.out)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, detect, draw."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["gradcam"]:
        _gradcam(arguments[1:])
        return
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
