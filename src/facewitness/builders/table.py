"""Puts labelled pictures of any dataset into one Parquet table, which is what packs and training begin with.

    facewitness build table my-photos out/photos.parquet          my-photos/real/…, my-photos/fake/METHOD/…
    facewitness build table list.csv out/photos.parquet --dataset manifest

Columns, as `datasets/parquet` reads them:

    file, image    its name below the dataset's folder, and its bytes as they are on the disk
    label          real or fake
    source         the dataset's name; recipes give shares of draws by it
    group          the person or video: one group stays in one split
    original       the file of the pristine counterpart, or null
    method         what forged it, "pristine" for real pictures, "unknown" where nobody says
    split          train or val; where the dataset has no splits, one group in eight is `val`, by a hash of its name
    parsing        PNG of CelebAMask-HQ's class ids, or null
"""

from __future__ import annotations

import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from facewitness import media
from facewitness.builders import _disk
from facewitness.errors import InputError
from facewitness.files import read_bounded
from facewitness.types import Sample

VAL = 8  # one group in so many is `val` where a dataset has no splits
SCHEMA = pa.schema(
    [
        ("file", pa.string()), ("image", pa.binary()), ("label", pa.string()), ("source", pa.string()),
        ("group", pa.string()), ("original", pa.string()), ("method", pa.string()), ("split", pa.string()),
        ("parsing", pa.binary()),
    ]
)  # fmt: skip


class Row(NamedTuple):
    """One picture, as the head of this file lists its columns."""

    file: str
    image: bytes
    label: str
    source: str
    group: str
    original: str | None
    method: str
    split: str
    parsing: bytes | None


def rows(samples: Iterable[Sample], root: Path | None, source: str | None, tell: Callable[[str], Any]) -> Iterator[Row]:
    """The samples as rows of a table.

    Args:
        samples: What a leaf of `datasets/` gives.
        root: The folder that their files are below; not needed where samples hold their pictures.
        source: The name for all of them; by default each keeps its dataset's.
        tell: Is told, in one sentence, of each picture that cannot be put into the table, and why.

    Yields:
        A row for each picture; frames of videos are left out, take them out of their videos first.
    """
    for sample in samples:
        if sample.frame is not None:
            tell(f"{sample.file}: a video; take frames out of it first")
            continue
        try:
            image = sample.image or _encoded((root or Path()) / sample.file)
        except OSError as error:
            tell(f"{sample.file}: it cannot be read ({error.strerror or error})")
            continue
        except InputError as error:
            tell(str(error))
            continue
        label = sample.truth.label
        method = "pristine" if label == "real" else sample.truth.method or "unknown"
        name = source or sample.dataset
        yield Row(
            sample.file, image, label, name, sample.group, sample.original, method, _split(sample), sample.truth.parsing
        )


def _encoded(file: Path) -> bytes:
    """A file's bytes; of scan.tif#2, a page of a file, a PNG of its pixels."""
    if media.file_of(file) == file:
        return read_bounded(file, media.MAX_BYTES)
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(media.read(file).frame.pixels)).save(out, "PNG")
    return out.getvalue()


def _split(sample: Sample) -> str:
    """`train` or `val`, as the recipes know them."""
    if sample.split in ("train", "val"):
        return sample.split
    if sample.split == "test":
        return "val"
    return "val" if zlib.crc32(f"table {sample.group}".encode()) % VAL == 0 else "train"


def build(
    samples: Iterable[Sample],
    root: Path | None,
    path: Path,
    source: str | None = None,
    tell: Callable[[str], Any] = print,
) -> Counter[tuple[str, str, str]]:
    """Writes a table, and says how many pictures of each (source, split, label) are in it.

    Args:
        samples: Pictures with their labels.
        root: Where the samples' files lie.
        path: Of the table to write.
        source: What the pictures are filed under; None for each sample's own dataset.
        tell: Is called with each sentence that the user should read.

    Returns:
        (source, split, label) → pictures.

    Raises:
        InputError: There is no picture.
    """
    count: Counter[tuple[str, str, str]] = Counter()
    lacking = 0

    def lost(sentence: str) -> None:
        nonlocal lacking
        lacking += 1
        tell(sentence)

    nothing = f"{path.name}: expected at least one labelled picture, got none"
    with _disk.table(SCHEMA, path, nothing) as add:
        for row in rows(samples, root, source, lost):
            count[row.source, row.split, row.label] += 1
            add(row)
    if lacking:
        n = lacking + count.total()
        tell(f"{lacking:,} of {n:,} files could not be put into {path.name}, as said above; the others are in it")
    if not {"real"} <= {label for _, split, label in count if split == "train"}:
        tell("no genuine picture is in the split 'train'; training needs some")
    return count


def of(dataset: str, root: Path, split: str | None, path: Path, source: str | None, tell: Callable[[str], Any]) -> Any:
    """`build` for a leaf of `datasets/`, by its name.

    Args:
        dataset: A leaf of datasets/.
        root: Where the samples' files lie.
        split: Of the dataset; None for all.
        path: Of the table to write.
        source: What the pictures are filed under; None for each sample's own dataset.
        tell: Is called with each sentence that the user should read.
    """
    if not root.exists() and dataset != "painted":
        raise InputError(f"'{root}' does not exist. Name a folder of pictures, or a list with --dataset manifest.")
    samples, below = _disk.samples_of(dataset, root, split, tell)
    return build(samples, below, path, source, tell)
