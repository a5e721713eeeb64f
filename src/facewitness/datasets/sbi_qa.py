"""What `builders/sbi_qa` wrote: faces with one to three regions edited, beside the pristine ones they were made from.

    ROOT/sbi_qa.parquet, or ROOT is the table itself

So the edits of one system are data of another: MARE's boxes and thoughts are put to them by
`facewitness build dma sbi_qa ROOT --out FOLDER --split train`.
A sample is a picture with the first verdict on it; what asks about one region is left out. `Truth.regions` are MARE's
names of what was edited (a cheek is skin), `Truth.mask` where pixels changed. A table is of one split and does not say
which: it is the one that is asked for, else "train". The group is that of the pristine picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness import regions
from facewitness.datasets._disk import as_built, mask_in, not_empty, table_of, wanted
from facewitness.errors import InputError
from facewitness.types import Sample, Truth

SPLITS = ("train", "val", "test")
NAME = "sbi_qa"

_NEEDED = ("file", "image", "mask", "label", "group", "regions", "question", "answer", "asked", "original")


def samples(root: str | Path, split: str | None = None) -> Iterator[Sample]:
    """All pictures in the order of the table.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.

    Raises:
        InputError: For what is no such table.
    """
    wanted(split, SPLITS, NAME)
    root = Path(root)
    table = root / "sbi_qa.parquet" if root.is_dir() else root
    if not table.is_file():
        raise InputError(f"{NAME}: expected the table {table}; builders/sbi_qa writes it")
    return not_empty(_samples(table, split or "train"), NAME, split, root)


def _samples(table: Path, split: str) -> Iterator[Sample]:
    file = table_of(table)
    if missing := [name for name in _NEEDED if name not in file.schema_arrow.names]:
        raise InputError(f"{table.name}: expected a table of builders/sbi_qa; {', '.join(missing)} missing")
    seen: set[str] = set()
    for batch in file.iter_batches(batch_size=64, columns=list(_NEEDED)):
        for row in batch.to_pylist():
            if row["asked"] is None and row["file"] not in seen:
                with as_built(table, NAME):
                    seen.add(row["file"])
                    sample = _sample(row, split)
                yield sample


def _sample(row: dict[str, Any], split: str) -> Sample:
    real = row["label"] == "real"
    return Sample(
        file=row["file"],
        truth=Truth(
            label=row["label"],
            method="pristine" if real else "region edit",
            kind="pristine" if real else "attribute_manipulation",
            mask=None if row["mask"] is None else partial(_mask, row["mask"]),
            regions=frozenset(mare for name in row["regions"] for mare in regions.REGIONS[name].mare),
            texts=(row["answer"],),
            questions={row["question"]: (row["answer"],)},
        ),
        split=split,
        group=row["group"],
        dataset=NAME,
        original=None if real else f"{row['original']}/real.png",
        image=row["image"],
    )


def _mask(content: bytes) -> NDArray[np.float32]:
    return mask_in(content, "a mask of the table")
