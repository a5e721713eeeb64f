"""What a table over a million predictions costs: python perf/table.py [--rows 1000000]; the goal is 60 s and 2 GB.

Predictions of painted scores: two data sets of videos by six methods, 32 frames a video, some of them under two
perturbations at five strengths, with masks, regions and a few hundred thumbnails. `bench table` runs in a process of
its own; seconds and its greatest memory are printed. Ends with 1 where it misses the goal.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from facewitness.bench import predictions

SECONDS, BYTES = 60.0, 2e9
METHODS = ("pristine", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter", "FSGAN")
DATASETS = ("FaceForensics++", "Celeb-DF-v2")
PERTURBATIONS = tuple((name, s) for name in ("jpeg", "blur") for s in range(1, 6))
FRAMES = 32
PERTURBED = 0.25  # share of the rows that are perturbed
REGIONS = np.array(["nose", "mouth", "eyes", "eyebrows", "cheek"])


def predicted(rows: int, seed: int = 0) -> pa.Table:
    """A table as `bench run` writes it."""
    rng = np.random.default_rng(seed)
    plain = round(rows * (1 - PERTURBED) / FRAMES)
    each = (rows // FRAMES - plain) // len(PERTURBATIONS)
    videos = np.concatenate([np.arange(plain), np.tile(np.arange(each), len(PERTURBATIONS))])
    strength = np.repeat([0, *(s for _, s in PERTURBATIONS)], [plain, *[each] * len(PERTURBATIONS)])
    name = np.repeat(["none", *(n for n, _ in PERTURBATIONS)], [plain, *[each] * len(PERTURBATIONS)])
    method = videos // len(DATASETS) % len(METHODS)
    hard = np.random.default_rng(seed).normal(0, 0.12, plain)[videos]
    base = np.where(method == 0, 0.32, 0.58 + 0.03 * method) * (1 - 0.05 * strength) + hard
    video = np.repeat(np.arange(videos.size), FRAMES)
    n = video.size
    p = np.clip(base[video] + rng.normal(0, 0.13, n), 0, 1)
    no_face = rng.random(n) < 0.01
    fake = method[video] > 0
    masked = fake & (strength[video] == 0) & ~no_face

    def words(values: Any, codes: Any) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(values)).cast(pa.string())

    def some(values: Any, mask: Any, kind: pa.DataType) -> pa.Array:
        return pa.array(values, kind, mask=~mask)

    dataset = videos % len(DATASETS)
    names = [f"{DATASETS[d]}/{METHODS[m]}/c23/{v:05}" for d, m, v in zip(dataset, method, videos, strict=True)]
    files = [f"{METHODS[m]}/c23/videos/{v:05}.mp4" for m, v in zip(method, videos, strict=True)]
    verdict = np.where(p >= 0.6, "fake", np.where(p < 0.4, "real", "inconclusive"))
    ends = np.arange(n + 1, dtype=np.int32)
    columns: dict[str, pa.Array] = {
        "dataset": words(DATASETS, dataset[video]), "file": words(files, video),
        "frame": pa.array(np.tile(np.arange(FRAMES, dtype=np.int32), videos.size)), "video": words(names, video),
        "group": words([f"{v // (2 * len(METHODS)):05}" for v in videos], video),
        "split": words(["test"], np.zeros(n)), "label": words(["real", "fake"], fake),
        "method": words(METHODS, method[video]),
        "compression": words(["c23"], np.zeros(n)), "perturbation": words(name, video),
        "strength": pa.array(strength[video].astype(np.int8)), "status": words(["ok", "no_face"], no_face),
        "faces": pa.array((~no_face).astype(np.int16)), "score": some(p, ~no_face, pa.float64()),
        "fake": some(p, ~no_face, pa.float64()), "verdict": some(verdict, ~no_face, pa.string()),
        **{c: some(rng.random(n).astype(np.float32), masked, pa.float32())
           for c in ("mask_precision", "mask_recall", "mask_f1", "mask_ap")},
        "regions_true": pa.ListArray.from_arrays(pa.array(ends), words(REGIONS, rng.integers(5, size=n))),
        "regions_said": pa.ListArray.from_arrays(pa.array(ends), words(REGIONS, rng.integers(5, size=n))),
        "speaker": words(["explanation"], np.zeros(n)),
        "seconds": pa.array(np.full(n, 0.1, np.float32)), "thumbnail": thumbnails(p, fake, strength[video], no_face),
    }  # fmt: skip
    arrays = [columns.get(f.name, pa.nulls(n, f.type)).cast(f.type) for f in predictions.COLUMNS]
    return pa.Table.from_arrays(arrays, schema=predictions.COLUMNS)


def thumbnails(p: Any, fake: Any, strength: Any, without: Any) -> pa.Array:
    """A small picture for the 300 most wrong rows."""
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(256, size=(96, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save(out, "JPEG", quality=80)
    off = np.where(fake, 1 - p, p) * (strength == 0) * ~without
    kept: list[bytes | None] = [None] * p.size
    for i in np.argsort(-off)[:300]:
        kept[i] = out.getvalue()
    return pa.array(kept, pa.binary())


def paint(run: Path, rows: int) -> None:
    """Write a finished run."""
    table = predicted(rows)
    pq.write_table(table, run / "predictions.parquet", compression="zstd")
    meta = {
        "schema": predictions.SCHEMA, "name": "painted", "dataset": "painted", "split": "test", "frames": FRAMES,
        "thresholds": {"real": 0.4, "fake": 0.6}, "perturbations": [["none", 0], *map(list, PERTURBATIONS)],
        "coverage": predictions.coverage(table, []), "finished": True,
    }  # fmt: skip
    (run / "meta.json").write_text(json.dumps(meta))


def main() -> int:
    """Write the predictions, make the table in another process, print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, help="keep the table here")
    parser.add_argument("--paint", type=Path, help="only write a run into this folder")
    given = parser.parse_args()
    if given.paint:
        paint(given.paint, given.rows)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        run, out = Path(folder), given.out or Path(folder) / "out"
        # a process's greatest memory counts what the one that started it held: so the painter is another one, too
        subprocess.run([sys.executable, __file__, "--rows", str(given.rows), "--paint", folder], check=True)
        load = os.getloadavg()[0]
        code = "from facewitness.bench import table; table.write([Path(sys.argv[1])], Path(sys.argv[2]))"
        command = f"import sys; from pathlib import Path; {code}"
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", command, folder, str(out)])
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        rows, size = (
            pq.read_metadata(run / "predictions.parquet").num_rows,
            (run / "predictions.parquet").stat().st_size,
        )
    memory = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(
        f"{rows:,} rows ({size / 1e6:.0f} MB): {seconds:.1f} s ({used.ru_utime + used.ru_stime:.1f} s of processor), "
        f"{memory / 1e9:.2f} GB (goal: under {SECONDS:.0f} s and {BYTES / 1e9:.0f} GB); load before: {load:.1f} on "
        f"{os.cpu_count()} cores"
    )
    return int(process.returncode != 0 or seconds > SECONDS or memory > BYTES)


if __name__ == "__main__":
    sys.exit(main())
