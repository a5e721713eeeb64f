"""How facewitness batch scales: two workers against one, overhead over a plain loop, a killed worker, the cost's shape.

    python perf/batch.py --files 2000                 the published sizes take an idle machine
    python perf/batch.py --files 60 --shape 30 60 120
    python perf/batch.py --only-shape --shape 1000 10000 --side 128

Painted pictures, each another. All numbers are ratios of times of one run on one machine. The start of Ray and of the
models is left out: what counts is the time from the end of each worker's first unit to the end of the last.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facewitness import regions
from facewitness.apps import batch
from facewitness.pipeline import Analyzer

OPTIONS: dict[str, Any] = {
    "finder": "whole", "witnesses": ("compact",), "options": {}, "profile": None, "reading": {},
}  # fmt: skip


def paint(folder: Path, count: int, side: int = 512) -> None:
    """So many pictures of one side, each with another grain."""
    folder.mkdir(parents=True)
    mesh = regions.average_landmarks()[:, :2] * 330
    base = np.full((512, 512, 3), (150, 140, 130), np.uint8)
    box = (mesh - mesh.min(axis=0) + 90).astype(int)
    base[box[:, 1].clip(0, 511), box[:, 0].clip(0, 511)] = (90, 60, 50)
    base = np.asarray(Image.fromarray(base).resize((side, side)))
    for number in range(count):
        grain = np.random.default_rng(number).normal(0, 9, base.shape)
        out = io.BytesIO()
        Image.fromarray((base + grain).clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
        (folder / f"{number:06}.jpg").write_bytes(out.getvalue())


def timed(source: Path, out: Path, workers: int, **more: Any) -> tuple[float, float, Counter[str]]:
    """Seconds a file from the end of the first units to that of the last; seconds of it all; the tally."""
    ends: list[tuple[float, int]] = []

    def tell(text: str) -> None:
        found = re.search(r"([\d,]+) files", text)
        ends.append((time.perf_counter(), int(found[1].replace(",", "")) if found else 0))

    begun = time.perf_counter()
    tally = batch.run([str(source)], out, workers=workers, thumbs=False, slim=True, tell=tell, **more, **OPTIONS)
    first, last = ends[workers - 1 if len(ends) > workers else 0], ends[-1]
    files = max(1, last[1] - first[1])
    return (last[0] - first[0]) / files, time.perf_counter() - begun, tally


def loop(source: Path) -> float:
    """Seconds a plain loop takes, the loading not counted."""
    from facewitness.formats import json as wire

    analyzer = Analyzer(**OPTIONS)
    files = sorted(source.iterdir())
    wire.render(analyzer.analyze(str(files[0])), slim=True)
    begun = time.perf_counter()
    for file in files:
        wire.render(analyzer.analyze(str(file)), slim=True)
    return time.perf_counter() - begun


@contextlib.contextmanager
def killer(after: float) -> Iterator[list[int]]:
    """Kills one actor of Ray's after so many seconds; the list says which processes it killed."""
    killed: list[int] = []

    def kill() -> None:
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                title = (entry / "cmdline").read_bytes()
                if b"ray::" in title and b"MapBatches" in title and os.getuid() == entry.stat().st_uid:
                    os.kill(int(entry.name), signal.SIGKILL)
                    killed.append(int(entry.name))
                    return

    timer = threading.Timer(after, kill)
    timer.start()
    try:
        yield killed
    finally:
        timer.cancel()


def main() -> None:
    """Print the numbers, a line each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--shape", type=int, nargs="*", default=[], help="numbers of files to time two workers on")
    parser.add_argument("--only-shape", action="store_true", help="that alone")
    parser.add_argument("--side", type=int, default=512, help="pixels of a picture of --shape")
    parser.add_argument("--no-kill", action="store_true", help="leave the run out in which a worker is killed")
    given = parser.parse_args()
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if not given.only_shape:
            _ratios(root, given.files, not given.no_kill)
        for count in given.shape:
            paint(root / f"s{count}", count, given.side)
            each, whole, tally = timed(root / f"s{count}", root / f"p{count}", 2)
            print(f"{count} files: {1e3 * each:.1f} ms a file, {whole:.0f} s with the start, {dict(tally)}", flush=True)
    ray.shutdown()


def _ratios(root: Path, files: int, kill: bool) -> None:
    """One worker against a plain loop, two against one, and what a killed one loses."""
    paint(root / "many", files)
    plain = loop(root / "many") / files
    one, whole, _ = timed(root / "many", root / "o1", 1)
    two, _, _ = timed(root / "many", root / "o2", 2)
    print(f"{files} files, ms a file: loop {1e3 * plain:.1f}, one worker {1e3 * one:.1f}, two {1e3 * two:.1f}")
    print(f"two workers are {one / two:.2f} times one (goal 1.7)")
    print(f"overhead a file against a plain loop {100 * (one / plain - 1):+.0f} % (goal at most 15 %)", flush=True)
    if not kill:
        return
    with killer(whole * 0.4) as killed:
        _, seconds, tally = timed(root / "many", root / "o3", 2)
    rows = [row for path in batch.parts(root / "o3") for row in _sources(path)]
    print(
        f"a worker killed half-way ({len(killed)} killed): {len(rows)} rows of {files} files, "
        f"{len(rows) - len(set(rows))} twice, {seconds:.1f} s, {dict(tally)}",
        flush=True,
    )


def _sources(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    sources: list[str] = pq.read_table(path, columns=["source"], partitioning=None)["source"].to_pylist()
    return sources


if __name__ == "__main__":
    main()
