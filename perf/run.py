"""What a benchmark run costs beyond the analysis itself: `bench run` over bare `analyze`, the same files, in turns.

    python perf/run.py [--pictures 240] [--rounds 3]        the goal: under 5 % more

Photographs of 512 to 1,024 px with one face; no reading of weights is counted on either side.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from facewitness.bench.run import run
from facewitness.pipeline import Analyzer


def main() -> None:
    """Write the pictures, then time both ways in turns."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise SystemExit("This needs scikit-image's photograph: pip install '.[dev]', from a clone of the repository")
    photo = Image.open(Path(package.origin).parent / "data" / "astronaut.png").convert("RGB")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        for label in ("real", "fake"):
            (folder / label).mkdir(parents=True)
        for i in range(given.pictures):
            size = int(np.linspace(512, 1024, given.pictures)[i])
            photo.resize((size, size)).save(folder / ("real", "fake")[i % 2] / f"{i}.jpg", quality=90)
        paths = sorted(folder.rglob("*.jpg"))
        analyzer = Analyzer()
        analyzer.analyze(paths[0])
        bare, whole = [], []
        for i in range(given.rounds):
            started = time.perf_counter()
            for path in paths:
                analyzer.analyze(path)
            bare.append(time.perf_counter() - started)
            loading = time.perf_counter()
            Analyzer()
            loading = time.perf_counter() - loading
            started = time.perf_counter()
            run("folder", folder, Path(name) / f"run{i}")
            whole.append(time.perf_counter() - started - loading)
    a, b = statistics.median(bare), statistics.median(whole)
    print(f"{len(paths)} pictures: analyze {a:.2f} s, bench run {b:.2f} s, overhead {b / a - 1:+.1%} (goal: under 5 %)")


if __name__ == "__main__":
    main()
