"""SID-Set: photographs of COCO, pictures that FLUX made, and photographs in which something was replaced, with masks.

Paper: Huang, Hu, Li, He, Zhao, Peng, Wu, Huang, Cheng, SIDA: Social Media Image Deepfake Detection, Localization and
Explanation with Large Multimodal Model, CVPR 2025. 300,000 pictures. Licence: CC BY 4.0 (card). How to obtain: the data
set saberzl/SID_Set on the Hugging Face hub; its 60,000 test pictures are given out on request.

    ROOT/data/train-00000-of-*.parquet          columns img_id, image, mask, width, height, label
    ROOT/data/validation-00000-of-*.parquet     label 0 real, 1 fully synthetic, 2 tampered
    ROOT/data/test-*.parquet                    where you were given it in this form

Documented on the data set's card. The pictures are not only of faces: where there is none, a run's answer is "no_face".
`kind` is entire_synthesis for fully synthetic ones and unknown for tampered ones, whose objects are of any sort.

Group: the number of the COCO photograph where img_id has one of twelve digits (real pictures do, says the card; whether
tampered ones keep their photograph's is not documented), otherwise img_id. How many are in two splits is told, and
their groups are named by split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facewitness.datasets._disk import (
    PRISTINE,
    Tell,
    apart,
    encoded,
    folder,
    mask_in,
    natural,
    not_empty,
    silent,
    wanted,
)
from facewitness.errors import InputError
from facewitness.files import ordinary
from facewitness.types import Sample, Truth

SPLITS = ("train", "val", "test")
NAME = "SID-Set"

_FILES = {"train": "train-*.parquet", "val": "validation-*.parquet", "test": "test-*.parquet"}
_COLUMNS = ("img_id", "image", "mask", "label")


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """All pictures, in the order of the files; `image` holds the encoded one. Tells of absent splits and files.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(
        root, NAME, tuple(f"{place}{name}" for place in ("data/", "") for name in _FILES.values()), any_of=True
    )
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, tell), NAME, split, root)


def _samples(root: Path, split: str | None, tell: Tell) -> Iterator[Sample]:
    tables: dict[Path, str] = {}
    for each, name in _FILES.items():
        files = sorted([*root.glob(f"data/{name}"), *root.glob(name)], key=natural)
        if split in (None, each):
            _tell_absent(root, each, name, files, tell)
        tables |= dict.fromkeys(files, each)
    # one column of all tables: which group is in which splits must not depend on what is asked for
    ids = ((_group(values["img_id"]), each) for table, each in tables.items() for values in _rows(table, ("img_id",)))
    group = apart(ids, NAME, tell)
    for table, each in tables.items():
        if split not in (None, each):
            continue
        for row, values in enumerate(_rows(table, _COLUMNS)):
            sample = _sample(root, table, row, values, each, group[_group(values["img_id"]), each])
            if sample is None:
                tell(f"{NAME}: {table}, row {row} ({values['img_id']}) has no picture; download the file again")
                continue
            yield sample


def _tell_absent(root: Path, split: str, name: str, tables: list[Path], tell: Tell) -> None:
    if not tables:
        how = "ask the authors for it" if split == "test" else "download it"
        tell(f"{NAME}: {root / 'data' / name}, the split '{split}', is absent; {how}")
        return
    if numbered := re.search(r"-of-(\d+)", tables[0].name):
        there = {int(match[1]) for t in tables if (match := re.search(r"-(\d+)-of-", t.name))}
        absent = sorted(set(range(int(numbered[1]))) - there)
        if absent:
            tell(f"{NAME}: {len(absent)} of {int(numbered[1])} files {name}, number {absent[0]} first, are absent")


def _rows(table: Path, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The rows of a table, read a few at a time. Raises InputError that names it where it is broken."""
    try:
        with pq.ParquetFile(ordinary(table)) as file:
            missing = [c for c in _COLUMNS if c not in file.schema_arrow.names]
            if missing:
                raise InputError(
                    f"{NAME}: {table}: expected the columns {', '.join(_COLUMNS)}; {', '.join(missing)} missing"
                )
            for batch in file.iter_batches(batch_size=64, columns=list(columns)):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{NAME}: {table}: could not be read as Parquet ({error}); download it again") from error


def _group(img_id: Any) -> str:
    photograph = re.search(r"(?<!\d)\d{12}(?!\d)", str(img_id))
    return photograph[0] if photograph else str(img_id)


def _sample(root: Path, table: Path, row: int, values: dict[str, Any], split: str, group: str) -> Sample | None:
    image = encoded(values["image"])
    label = values["label"]
    if label not in (0, 1, 2):
        raise InputError(
            f"{NAME}: {table}, row {row}: expected label 0 (real), 1 (synthetic) or 2 (tampered), got {label!r}"
        )
    if image is None:
        return None
    mask = encoded(values["mask"]) if label == 2 else None
    if label == 0:
        truth = PRISTINE
    elif label == 1:
        truth = Truth("fake", "fully synthetic", "entire_synthesis")
    else:
        loaded = None if mask is None else partial(mask_in, mask, f"{table}, mask of row {row}")
        truth = Truth("fake", "tampered", mask=loaded)
    return Sample(
        file=f"{table.relative_to(root).as_posix()}#{row}",
        truth=truth,
        split=split,
        group=group,
        dataset=NAME,
        image=image,
    )
