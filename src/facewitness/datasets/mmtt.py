"""MMTT: CelebA-HQ and FFHQ portraits forged in four ways, each with its mask and a report somebody wrote.

Paper: Lian, Liu, Wang, Wu, Wu, Zhu, Zheng, Generating Attribution Reports for Manipulated Facial Images: A Dataset and
Baseline (ForgeryTalker), ACL 2026, arXiv 2412.19685. 152,217 samples, all of them forged.
Licence: the authors' code is BSD-3-Clause; the data's own terms could not be verified, and those of CelebA-HQ and FFHQ
hold as well. How to obtain: the data set LianJC/MMTT-Dataset on the Hugging Face hub; join its parts
(`cat dataset.tar.gz.part*`), unpack them and dataset_json.tar.gz in one folder, which is `root`.

    ROOT/train-mutilabel-simple.json     the spelling is theirs; also read without "-simple"
    ROOT/eval-mutilabel-simple.json      the split "val"
    ROOT/test-mutilabel-simple.json      named in their scripts, not in their list of what is distributed
    ROOT/dataset/{celeb512,FFHQ512,face_attribute_image}/…

Or the Parquet tables that the hub makes of a data set, in ROOT or ROOT/data, when ROOT has no list:

    ROOT/data/{train,validation,test}-00000-of-00001.parquet     image, mask, caption; image_id, img_path if there

Their columns are named as the lists' keys; that the hub's own table has no others could not be verified.

Documented in the authors' README and loader (github.com/NattyLianJc/Generating-Attribution-Reports: README.md,
lavis/datasets/datasets/caption_datasets.py, scripts/utils/count.py). A JSON file is a list of
{image_id, instance_id, img_path, mask_path, caption, multilabel}; the paths begin with "dataset/". The beginning of
`image_id` tells the method (count.py): sd (diffusion inpainting), mat (MAT inpainting), e4s (E4S face swap), else an
edited attribute; own_<family>_… is of `builders/mmtt`, which writes this layout. `multilabel` are 21 words looked up in
the caption (`regions.captioned`); we look MARE's regions up there ourselves, as ours know sides, so `Truth.regions` is
what the report speaks of, which need not be all that the mask covers.

Group: the portrait a forgery was made from, taken from the picture's file name (not documented; a name that is no
number is its own group). A face swap mixes two portraits and names one. The official split need not keep forgeries of
one portrait together: edited attributes were dealt out in the order of their list (scripts/data_preparation/
to_dataset_json.py). How many portraits are in two splits is told, and their groups are named by split.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness.datasets._disk import (
    Tell,
    apart,
    below,
    encoded,
    folder,
    mask_in,
    mask_of,
    natural,
    not_empty,
    read_json,
    silent,
    table_of,
    wanted,
)
from facewitness.errors import InputError
from facewitness.files import absence
from facewitness.regions import mentioned
from facewitness.types import Sample, Truth

SPLITS = ("train", "val", "test")
NAME = "MMTT"

_STEMS = {"train": "train", "val": "eval", "test": "test"}
_TABLES = {"train": "train", "validation": "val", "val": "val", "eval": "val", "test": "test"}
_BATCH = 64  # rows read at a time: pictures are large
OWN = "own_"  # begins the image_id of a forgery that builders/mmtt made
# beginning of image_id → method, kind
_METHODS = (
    ("sd", "diffusion inpainting", "attribute_manipulation"),
    ("mat", "MAT inpainting", "attribute_manipulation"),
    ("e4s", "E4S", "identity_exchange"),
    ("", "attribute editing", "attribute_manipulation"),
)


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """All pictures in the order of the lists; several reports of one picture become one sample with several texts.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.
    """
    wanted(split, SPLITS, NAME)
    tables = _tables(Path(root)) if root is not None else []
    if tables:
        return not_empty(_rows(Path(root), tables, split, tell), NAME, split, Path(root))
    root = folder(root, NAME, ("*-mutilabel*.json", "dataset"))
    return not_empty(_samples(root, split, tell), NAME, split, root)


def _tables(root: Path) -> list[Path]:
    """The hub's tables, in their order; none where the authors' lists are."""
    if not root.is_dir() or next(root.glob("*-mutilabel*.json"), None):
        return []
    tables = (*root.glob("*.parquet"), *root.glob("data/*.parquet"))
    order = [*_TABLES]
    return sorted(tables, key=lambda t: (order.index(b) if (b := t.stem.split("-")[0]) in order else 0, natural(t)))


def _rows(root: Path, tables: list[Path], split: str | None, tell: Tell) -> Iterator[Sample]:
    places = []
    for table in tables:
        file = table_of(table)
        missing = [name for name in ("image", "mask", "caption") if name not in file.schema_arrow.names]
        if missing:
            raise InputError(
                f"{NAME}: {table}: expected the columns image, mask and caption; {', '.join(missing)} missing, there "
                f"are {', '.join(file.schema_arrow.names)}"
            )
        each = _TABLES.get(table.stem.split("-")[0])
        if each is None:
            raise InputError(f"{NAME}: {table}: expected a name that begins with {', '.join(_TABLES)}")
        named = [name for name in ("img_path", "image_id") if name in file.schema_arrow.names]
        places.append((table, file, each, named))
    keys = [(_portrait(_key(root, table, number, row, named)), each) for table, file, each, named in places
            for number, row in enumerate(file.read(columns=named).to_pylist() if named else ())]  # fmt: skip
    group = apart(keys, NAME, tell)
    for table, file, each, named in places:
        if split not in (None, each):
            continue
        number = -1
        for batch in file.iter_batches(batch_size=_BATCH, columns=["image", "mask", "caption", *named]):
            for row in batch.to_pylist():
                number += 1
                key = _key(root, table, number, row, named)
                picture, mask = encoded(row["image"]), encoded(row["mask"])
                if picture is None:
                    tell(f"{NAME}: {key}: expected an encoded picture, got none; it is left out")
                    continue
                captions = tuple(filter(None, (str(row["caption"] or "").strip(),)))
                method, kind = _method(str(row.get("image_id") or key))
                reads_mask = None if mask is None else partial(_mask_in, mask, f"{key}, the mask")
                truth = Truth("fake", method=method, kind=kind, mask=reads_mask, texts=captions,
                              regions=frozenset(mentioned(" ".join(captions))) or None)  # fmt: skip
                yield Sample(
                    file=key, truth=truth, split=each, group=group.get((_portrait(key), each), key), dataset=NAME,
                    image=picture,
                )  # fmt: skip


def _key(root: Path, table: Path, number: int, row: dict[str, Any], named: list[str]) -> str:
    """What a row's picture is called: its path in the published layout, its id, or its place in the table."""
    name = next((str(row[column]).replace("\\", "/") for column in named if row[column]), None)
    return name or f"{table.relative_to(root).as_posix()}#{number}"


def _samples(root: Path, split: str | None, tell: Tell) -> Iterator[Sample]:
    listed: dict[str, tuple[str, Path, list[dict[str, Any]]]] = {}
    for each in SPLITS:
        names = [f"{_STEMS[each]}-mutilabel{end}.json" for end in ("-simple", "")]
        table = next((root / name for name in names if (root / name).is_file()), None)
        if table is None:
            if split in (None, each):
                tell(f"{NAME}: {root / names[0]}, the split '{each}', does not exist; unpack dataset_json.tar.gz")
            continue
        for picture, entries in _by_picture(table).items():
            if picture in listed:
                before = listed[picture][0]
                raise InputError(
                    f"{NAME}: {picture} is in the splits {before} and {each} ({table}); take it out of one"
                )
            listed[picture] = each, table, entries
    group = apart(((_portrait(picture), each) for picture, (each, _, _) in listed.items()), NAME, tell)
    for picture, (each, table, entries) in listed.items():
        if split in (None, each):
            yield from _sample(root, each, group[_portrait(picture), each], table, entries, tell)


def _by_picture(table: Path) -> dict[str, list[dict[str, Any]]]:
    entries = read_json(table, NAME)
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise InputError(f"{NAME}: expected a list of entries in {table}, got something else; download it again")
    entries_of: dict[str, list[dict[str, Any]]] = {}
    instances: set[str] = set()
    for number, entry in enumerate(entries):
        missing = [k for k in ("image_id", "img_path", "mask_path", "caption") if not isinstance(entry.get(k), str)]
        if missing:
            raise InputError(
                f"{NAME}: {table}, entry {number}: expected text for {', '.join(missing)}; download it again"
            )
        instance = entry.get("instance_id")
        if instance is not None and str(instance) in instances:
            raise InputError(f"{NAME}: {table}, entry {number}: instance_id {instance} is there twice; keep one")
        instances.add(str(instance))
        entries_of.setdefault(entry["img_path"].replace("\\", "/"), []).append(entry)
    return entries_of


def _sample(
    root: Path, split: str, group: str, table: Path, entries: list[dict[str, Any]], tell: Tell
) -> Iterator[Sample]:
    first = entries[0]
    picture = _file(root, first["img_path"])
    if picture is None:
        absent = root / first["img_path"]
        tell(f"{NAME}: {absent}, listed in {table.name}, {absence(absent)}; unpack all parts of dataset.tar.gz")
        return
    mask = _file(root, first["mask_path"])
    if mask is None:
        absent = root / first["mask_path"]
        tell(f"{NAME}: {absent}, the mask of {first['img_path']}, {absence(absent)}; the picture is used without it")
    captions = tuple(dict.fromkeys(e["caption"].strip() for e in entries if e["caption"].strip()))
    method, kind = _method(first["image_id"])
    yield Sample(
        file=picture.relative_to(root).as_posix(),
        truth=Truth(
            label="fake",
            method=method,
            kind=kind,
            mask=None if mask is None else partial(_mask, mask),
            regions=frozenset(mentioned(" ".join(captions))) or None,
            texts=captions,
        ),
        split=split,
        group=group,
        dataset=NAME,
    )


def _method(image_id: str) -> tuple[str, str]:
    """(method, kind) of a picture."""
    if image_id.startswith(OWN):
        family = image_id.removeprefix(OWN).rsplit("_", 2)[0]
        whole = family in ("swap", "self_blend", "resynthesise")
        return family.replace("_", " "), "identity_exchange" if whole else "attribute_manipulation"
    return next((m, k) for start, m, k in _METHODS if image_id.lower().startswith(start))


def _file(root: Path, listed: str) -> Path | None:
    return below(root, listed) or below(root / "dataset", listed)


def _portrait(picture: str) -> str:
    """celeb512/7 of dataset/celeb512/e4s/7.png; the whole path where the file's name is no number."""
    path = PurePosixPath(picture.removeprefix("dataset/"))
    number = path.stem.split("_")[0]
    return f"{path.parts[0]}/{number}" if number.isdigit() else picture


def _mask_in(content: bytes, name: str) -> NDArray[np.float32]:
    return np.asarray(mask_in(content, name) > 0, np.float32)


def _mask(path: Path) -> NDArray[np.float32]:
    """Whatever is not black is forged: the authors' loader reads masks so."""
    return np.asarray(mask_of(path) > 0, np.float32)
