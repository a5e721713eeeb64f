"""How many forgeries one core makes in a second, of each kind, at 256 pixels: `python perf/forge.py`.

The face is the portrait that comes inside scikit-image, cut to 256 x 256 with the average mesh laid on it, so nothing
is found and nothing downloaded. Every repeat draws from a seed of its own; the median repeat is what is printed, with
the slowest twentieth beside it. Time is the processor's, so that what else runs on the machine hardly matters.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from facewitness import plugins, regions
from facewitness.types import Landmarks, Pixels


def portrait(size: int) -> tuple[Pixels, Landmarks]:
    """The astronaut's head, RGB uint8 (size, size, 3), and the average mesh where her face is."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise SystemExit(
            "perf/forge.py needs scikit-image for its photograph: pip install '.[dev]', from a clone of the repository"
        )
    with Image.open(Path(package.origin).parent / "data" / "astronaut.png") as image:
        head = image.convert("RGB").crop((130, 24, 322, 216)).resize((size, size), Image.Resampling.LANCZOS)
    # her face is 109 of the 192 pixels high and centred at (96, 99)
    points = (regions.average_landmarks()[:, :2] - 0.5) * (109 / 192) + np.array([96, 99]) / 192
    return np.asarray(head), (points * size).astype(np.float32)


def seconds(work: Callable[[int], object], repeats: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Processor seconds of work(seed) for each repeat, after two that are thrown away."""
    taken = []
    for seed in range(-2, repeats):
        start = time.process_time()
        work(seed + 2)
        taken.append(time.process_time() - start)
    return np.array(taken[2:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="side of the picture in pixels (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=200, help="forgeries of each kind (default: %(default)s)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    pixels, points = portrait(options.size)
    donor = (np.ascontiguousarray(pixels[:, ::-1]), points)

    table = Table(title=f"Forgeries on one core, {options.size} x {options.size} pixels, {options.repeats} repeats")
    for column in ("forger", "images/s", "median ms", "95 % ms"):
        table.add_column(column, justify="left" if column == "forger" else "right")
    for name in plugins.names("forge"):
        leaf = plugins.get("forge", name)
        if name == "degrade":

            def work(seed: int) -> object:
                return leaf.degrade(pixels, np.random.default_rng(seed))  # noqa: B023 (called within this turn)
        else:
            more = {"donor": donor} if "donor" in inspect.signature(leaf.forge).parameters else {}

            def work(seed: int) -> object:
                return leaf.forge(pixels, points, np.random.default_rng(seed), **more)  # noqa: B023

        taken = seconds(work, options.repeats)
        median = float(np.median(taken))
        table.add_row(name, f"{1 / median:.0f}", f"{1e3 * median:.1f}", f"{1e3 * np.quantile(taken, 0.95):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
