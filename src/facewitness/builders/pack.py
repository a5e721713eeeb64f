"""What training reads instead of tables: every picture as it came, with its face found once, in a few files on disk.

    facewitness build pack TABLES FOLDER        find the faces, write; four minutes for 28,000 pictures on one core

Pack(folder)             the same pictures, mapped into memory and decoded when asked for
jittered(affine, …)      the way to a crop, moved and perhaps mirrored as training wants it

Pictures keep their encoding: a pack is as large as its tables, and nothing is compressed twice.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from facewitness import geometry, media, plugins
from facewitness.builders import chats
from facewitness.errors import FacewitnessError, InputError
from facewitness.files import each_once, write_whole
from facewitness.processes import not_from_here
from facewitness.types import Frame, Landmarks, Pixels, Sample, Truth


def held_out(group: str) -> bool:
    """Whether a training group is kept for calibration: one in sixteen, by a hash that is the same everywhere.

    Args:
        group: Its name.
    """
    return zlib.crc32(group.encode()) % 16 == 0


class Pack:
    """Encoded pictures with their landmarks, on disk, mapped into memory: what every epoch reads.

    Attributes:
        rows: Dicts of file, label, source, group, original, method, kind, split ("train", "calibrate", "val" or
            "left_out"), in the tables' order; of an edit also `identity`, the source and group of the picture that it
            was made of.
        problems: The same of rows whose picture could not be read, each with a message.

    Raises:
        InputError: There is no pack in the folder, or it is one of an earlier form.
    """

    def __init__(self, folder: Path):
        if not (folder / "rows.json").exists():
            raise InputError(f"No pack in {folder}. Make it with: facewitness build pack TABLES {folder}")
        self.folder = folder
        problems = folder / "problems.json"
        try:
            self.rows: list[dict[str, Any]] = _rows(folder / "rows.json")
            self.problems: list[dict[str, Any]] = _rows(problems) if problems.exists() else []
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"'{folder}' holds no whole pack ({error}). Pack again.") from error
        if self.rows and "bytes" not in self.rows[0]:
            raise InputError(f"{folder}: expected a pack of encoded pictures, got an older one. Pack again.")
        try:
            self._landmarks = np.load(folder / "landmarks.npy", mmap_mode="r", allow_pickle=False)
            self._pictures = np.memmap(folder / "pictures.bin", np.uint8, "r")
        except (OSError, ValueError) as error:
            raise InputError(f"'{folder}' holds no whole pack ({error}). Pack again.") from error

    def pixels(self, i: int) -> Pixels:
        """Row i's picture, RGB uint8 (H, W, 3).

        Args:
            i: Number of the row.

        Returns:
            RGB uint8 (H, W, 3).
        """
        return media.read(self.encoded(i)).frame.pixels

    def encoded(self, i: int) -> bytes:
        """Row i's picture as its table has it, JPEG or PNG.

        Args:
            i: Number of the row.
        """
        return self._read(self.rows[i]["at"], self.rows[i]["bytes"])

    def square(self, i: int, size: int) -> Pixels:
        """The middle square of row i's picture, RGB uint8 (size, size, 3).

        Args:
            i: Number of the row.
            size: Side of the square crop, pixels.

        Returns:
            RGB uint8 (size, size, 3).
        """
        picture = self.pixels(i)
        height, width = picture.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        middle = np.ascontiguousarray(picture[top : top + side, left : left + side])
        how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(middle, (size, size), interpolation=how), np.uint8)

    def indices(self, split: str, sources: Iterable[str]) -> list[int]:
        """Which rows are of a split and of one of the sources.

        Args:
            split: Its name.
            sources: Their names.
        """
        wanted = set(sources)
        return [i for i, row in enumerate(self.rows) if row["split"] == split and row["source"] in wanted]

    def landmarks(self, i: int) -> Landmarks | None:
        """Row i's mesh in its pixels, float32 (468, 2); None where no face was found.

        Args:
            i: Number of the row.

        Returns:
            float32 (468, 2) in pixels of the row's picture; None where no face was found.
        """
        points = np.array(self._landmarks[i])
        return points if np.isfinite(points).all() else None

    def parsing(self, i: int) -> NDArray[np.uint8] | None:
        """Row i's CelebAMask-HQ ids, uint8 (H, W), or None.

        Args:
            i: Number of the row.

        Returns:
            uint8 (H, W); None where the row has none.
        """
        row = self.rows[i]
        if row["parsing_at"] is None:
            return None
        encoded = np.frombuffer(self._read(row["parsing_at"], row["parsing_bytes"]), np.uint8)
        ids = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
        return np.asarray(cv2.resize(ids, (row["width"], row["height"]), interpolation=cv2.INTER_NEAREST), np.uint8)

    def _read(self, at: int, length: int) -> bytes:
        return self._pictures[at : at + length].tobytes()


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=each_once)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path.name}: expected a list of rows")
    return rows


def pack(
    data: Path,
    folder: Path,
    finder: Any = None,
    groups: Mapping[str, str] | None = None,
    jobs: int | None = None,
    edits: Sequence[Path] = (),
    shows: Mapping[str, str] | None = None,
) -> Pack:
    """Find the face of every row of the tables in `data`, and write a `Pack` into `folder`.

    Faces of pictures that an earlier pack in `folder` holds are not searched for again.

    Args:
        data: A Parquet table, or a folder of them.
        folder: Where the pack goes.
        finder: Another finder than `finders/facemesh`; it then searches in this process.
        groups: "source/file" -> the group to file a row under instead of its own, where rows of one person stand in
            several groups. A `val` row whose group has a `train` row, too, is left out of both (split "left_out").
        jobs: Processes that search; None for one a core, at most eight.
        edits: Tables of `builders/dma` made of pictures in `data`, as `builders/sbi_qa` makes them; each is a source by
            the name in its column `dataset`.
        shows: "source/file" -> another group whose face the picture shows, as a swap shows its donor's. A `train` row
            that shows a face of a `val` group, or a held-out one, is left out: the face would be known as forged.

    Returns:
        The pack. A picture that cannot be read is among its problems.

    Raises:
        InputError: There is no table, one is not of the form named, or no picture at all can be read.
    """
    parquet = plugins.get("datasets", "parquet")
    folder.mkdir(parents=True, exist_ok=True)
    known = _known(folder)
    samples, identities = list(parquet.samples(data)), dict[int, str]()
    for sample, identity in _edits(edits, samples):
        identities[len(samples)] = identity
        samples.append(sample)
    named = [(groups or {}).get(f"{s.dataset}/{s.file}", s.group) for s in samples]
    trained = {f"{s.dataset}/{g}" for s, g in zip(samples, named, strict=True) if s.split == "train"}
    # one person may stand in several tables, FaceForensics++'s in c23 and c40: faces are compared by the group alone
    kept_apart = {g for s, g in zip(samples, named, strict=True) if s.split != "train" or held_out(g)}
    rows, problems, meshes, at = [], [], [], 0
    with progress() as bar, _whole(folder / "pictures.bin.part") as out:
        task = bar.add_task("packing", total=len(samples))
        finds = zip(samples, named, _faces(samples, known, finder, jobs), strict=True)
        for number, (sample, group, (digest, size, mesh, quality, trouble)) in enumerate(finds):
            bar.advance(task)
            split = sample.split
            if split == "val" and f"{sample.dataset}/{group}" in trained:
                split = "left_out"
            elif split == "train" and held_out(group):
                split = "calibrate"
            elif split == "train" and (shows or {}).get(f"{sample.dataset}/{sample.file}") in kept_apart:
                split = "left_out"
            image, parsing = _image(sample), sample.truth.parsing
            row: dict[str, Any] = {
                "file": sample.file, "label": sample.truth.label, "source": sample.dataset, "group": group,
                "original": sample.original, "method": sample.truth.method, "kind": sample.truth.kind, "split": split,
            }  # fmt: skip
            if number in identities:
                row["identity"] = identities[number]
            if trouble is not None:
                problems.append(row | {"message": trouble})
                continue
            row |= {"height": size[0], "width": size[1], "quality": quality, "sha256": digest}
            row |= {"at": at, "bytes": len(image), "parsing_at": None, "parsing_bytes": 0}
            at += out.write(image)
            if parsing is not None:
                row |= {"parsing_at": at, "parsing_bytes": len(parsing)}
                at += out.write(parsing)
            meshes.append(np.full((468, 2), np.nan, np.float32) if mesh is None else mesh)
            rows.append(row)
        with _whole(folder / "landmarks.npy.part") as beside:
            np.save(beside, np.asarray(meshes, np.float32).reshape(-1, 468, 2))
    if not rows:
        for name in ("pictures.bin.part", "landmarks.npy.part"):
            (folder / name).unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
        first = f" The first: {problems[0]['message']}" if problems else " The tables hold no rows."
        raise InputError(f"{data}: expected pictures, got none that can be read.{first}")
    for name in ("pictures.bin", "landmarks.npy"):
        (folder / f"{name}.part").replace(folder / name)
    write_whole(folder / "problems.json", json.dumps(problems).encode())
    write_whole(folder / "rows.json", json.dumps(rows).encode())
    return Pack(folder)


@contextmanager
def _whole(file: Path) -> Iterator[BinaryIO]:
    """A file to write into, of which nothing is left where that ends early; a full disk is told with its name."""
    try:
        with open(file, "wb") as out:
            yield out
    except BaseException as error:
        file.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            raise type(error)(error.errno, error.strerror, str(file)) from error
        raise


def _edits(tables: Sequence[Path], samples: Sequence[Sample]) -> Iterator[tuple[Sample, str]]:
    """Each picture of the edits' tables once, and the identity of the picture that it was made of."""
    made_of = {f"{s.group}/{s.file}": f"{s.dataset}/{s.group}" for s in reversed(samples)}
    for table in tables:
        pictures = {row["file"]: row for row in chats.read_dma(table)}  # with several questions it is one picture
        for name, row in pictures.items():
            original = name.rpartition("/")[0]  # as builders/sbi_qa names what it makes: ORIGINAL/real.png
            yield (
                Sample(name, Truth(row["label"]), row["split"], row["group"], row["dataset"], image=row["image"]),
                made_of.get(f"{row['group']}/{original}", f"{row['dataset']}/{row['group']}"),
            )


# SHA-256, (height, width), mesh, quality, and why the picture cannot be read
_Found = tuple[str, tuple[int, int], NDArray[np.float32] | None, float | None, str | None]
_tools: dict[str, Any] = {}


def _known(folder: Path) -> dict[str, _Found]:
    """What an earlier pack in this folder found, by the SHA-256 of the encoded picture."""
    if not (folder / "rows.json").exists() or not (folder / "pictures.bin").exists():
        return {}
    earlier = Pack(folder)
    return {
        row["sha256"]: (row["sha256"], (row["height"], row["width"]), earlier.landmarks(i), row["quality"], None)
        for i, row in enumerate(earlier.rows)
    }


def _faces(samples: Iterable[Sample], known: Mapping[str, _Found], finder: Any, jobs: int | None) -> Iterator[_Found]:
    pictures = (
        (sample.file, image, known.get(hashlib.sha256(image).hexdigest()))
        for sample, image in ((sample, _image(sample)) for sample in samples)
    )
    if finder is not None:
        _tools["finder"] = finder
        yield from map(_find, pictures)
        return
    count = jobs or min(8, os.cpu_count() or 1)
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _load)
    coming: deque[Future[list[_Found]]] = deque()
    try:
        while (some := list(islice(pictures, _TOGETHER))) or coming:
            if some:
                with not_from_here():  # the first brings the processes
                    coming.append(pool.submit(_find_each, some))
            if not some or len(coming) > 2 * count:
                yield from coming.popleft().result()
    except BrokenExecutor as error:  # multiprocessing's own pool would wait for ever for what died
        raise FacewitnessError(
            "pack: a process that looked for faces ended. Was there enough memory? Try again with fewer: --jobs 1."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_TOGETHER = 32  # pictures that go to a process at once


def _find_each(pictures: Sequence[tuple[str, bytes, _Found | None]]) -> list[_Found]:
    return [_find(picture) for picture in pictures]


def _image(sample: Sample) -> bytes:
    if sample.image is None:
        raise InputError(f"{sample.dataset}: expected a picture in the row of {sample.file}, got none; leave it out")
    return sample.image


def _load() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who ends this process
    _tools["finder"] = plugins.get("finders", "facemesh").load()


def _find(picture: tuple[str, bytes, _Found | None]) -> _Found:
    name, image, known = picture
    if known is not None:
        return known
    digest = hashlib.sha256(image).hexdigest()
    try:
        pixels = media.read(image, name=name).frame.pixels
    except InputError as error:
        return digest, (0, 0), None, None, str(error)
    face = next((f for f in _tools["finder"].find(Frame(pixels)) if f.landmarks is not None), None)
    size = (pixels.shape[0], pixels.shape[1])
    if face is None:
        return digest, size, None, None, None
    return digest, size, np.asarray(face.landmarks[:, :2], np.float32), face.quality.score, None


def jittered(affine: geometry.Affine, size: int, rng: np.random.Generator) -> tuple[geometry.Affine, bool]:
    """The way to a crop of `size` pixels, turned, scaled and moved a little, mirrored half of the time; whether it is.

    Turned by 4°, scaled by 7 % and moved by 2.5 % of the side, each a standard deviation.

    Args:
        affine: From the picture to an upright crop.
        size: Side of the square crop, pixels.
        rng: What everything is drawn from; the same state gives the same result.

    Returns:
        The map from the picture to the crop, and whether the crop is mirrored.
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
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), console=Console(stderr=True),
    )  # fmt: skip
