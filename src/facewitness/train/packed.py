"""What training reads instead of files: every picture of the tables decoded once, with its face found once, on disk.

pack(tables, folder)     decode, find, write; minutes for 27,000 pictures
Pack(folder)             the same pictures, mapped into memory
jittered(affine, …)      the way to a crop, moved and perhaps mirrored as training wants it
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from facewitness import geometry, media, plugins
from facewitness.errors import InputError
from facewitness.types import Frame, Landmarks, Pixels


def held_out(group: str) -> bool:
    """Whether a training group is kept for calibration: one in sixteen, by a hash that is the same everywhere."""
    return zlib.crc32(group.encode()) % 16 == 0


class Pack:
    """Decoded pictures with their landmarks, on disk, mapped into memory: what every epoch reads and no one decodes.

    rows        dicts of file, label, source, group, original, method, kind, split ("train", "calibrate" or "val")
    pixels(i)   RGB uint8 (H, W, 3)     landmarks(i)   float32 (468, 2), or None where no face was found
    parsing(i)  uint8 (H, W) of CelebAMask-HQ ids, or None
    """

    def __init__(self, folder: Path):
        if not (folder / "rows.json").exists():
            raise InputError(f"No pack in {folder}. Make it with: python -m facewitness.train.compact pack RECIPE …")
        self.folder = folder
        self.rows: list[dict[str, Any]] = json.loads((folder / "rows.json").read_text())
        self._landmarks = np.load(folder / "landmarks.npy", mmap_mode="r", allow_pickle=False)
        self._pixels = np.memmap(folder / "pixels.bin", np.uint8, "r")
        self._parsing = np.memmap(folder / "parsing.bin", np.uint8, "r")

    def pixels(self, i: int) -> Pixels:
        h, w, at = self.rows[i]["height"], self.rows[i]["width"], self.rows[i]["at"]
        return np.array(self._pixels[at : at + h * w * 3]).reshape(h, w, 3)

    def landmarks(self, i: int) -> Landmarks | None:
        points = np.array(self._landmarks[i])
        return None if np.isnan(points[0, 0]) else points

    def parsing(self, i: int) -> NDArray[np.uint8] | None:
        h, w, at = self.rows[i]["height"], self.rows[i]["width"], self.rows[i]["parsing_at"]
        return None if at is None else np.array(self._parsing[at : at + h * w]).reshape(h, w)


def pack(data: Path, folder: Path, finder: Any = None) -> None:
    """Decode every row of the tables in `data` once, find its face, and write a `Pack` into `folder`."""
    parquet = plugins.get("datasets", "parquet")
    finder = finder or plugins.get("finders", "facemesh").load()
    folder.mkdir(parents=True, exist_ok=True)
    rows, meshes, at, parsing_at = [], [], 0, 0
    with progress() as bar, open(folder / "pixels.bin", "wb") as out, open(folder / "parsing.bin", "wb") as parsed:
        task = bar.add_task("packing", total=None)
        for sample in parquet.samples(data):
            picture = media.read(sample.image).frame.pixels
            faces = finder.find(Frame(picture))
            face = next((f for f in faces if f.landmarks is not None), None)
            meshes.append(np.full((468, 2), np.nan) if face is None else face.landmarks[:, :2])
            split = "calibrate" if sample.split == "train" and held_out(sample.group) else sample.split
            h, w = picture.shape[:2]
            row = {"file": sample.file, "label": sample.truth.label, "source": sample.dataset, "group": sample.group,
                   "original": sample.original, "method": sample.truth.method, "kind": sample.truth.kind,
                   "split": split,
                   "height": h, "width": w, "at": at, "parsing_at": None,
                   "quality": None if face is None else face.quality.score}  # fmt: skip
            out.write(picture.tobytes())
            at += h * w * 3
            if sample.truth.parsing is not None:
                ids = cv2.imdecode(np.frombuffer(sample.truth.parsing, np.uint8), cv2.IMREAD_GRAYSCALE)
                ids = cv2.resize(ids, (w, h), interpolation=cv2.INTER_NEAREST)
                parsed.write(ids.tobytes())
                row["parsing_at"] = parsing_at
                parsing_at += h * w
            rows.append(row)
            bar.advance(task)
        if not parsing_at:
            parsed.write(b"\0")  # an empty file cannot be mapped
    np.save(folder / "landmarks.npy", np.asarray(meshes, np.float32))
    (folder / "rows.json").write_text(json.dumps(rows))


def jittered(affine: geometry.Affine, size: int, rng: np.random.Generator) -> tuple[geometry.Affine, bool]:
    """The way to a crop of `size` pixels, turned, scaled and moved a little, mirrored half of the time; whether it is.

    Turned by 4°, scaled by 7 % and moved by 2.5 % of the side, each a standard deviation.
    """
    turn, grow = np.deg2rad(rng.normal(0, 4)), np.exp(rng.normal(0, 0.07))
    cos, sin = np.cos(turn) * grow, np.sin(turn) * grow
    shift = size / 2 - np.array([[cos, -sin], [sin, cos]]) @ (size / 2, size / 2) + rng.normal(0, 0.025, 2) * size
    affine = geometry.compose(np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]]), affine)
    mirrored = bool(rng.random() < 0.5)
    if mirrored:
        affine = geometry.compose(np.array([[-1.0, 0, size], [0, 1, 0]]), affine)
    return affine, mirrored


def progress() -> Progress:
    """A bar with what is done, the time it took and the time it will take."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )
