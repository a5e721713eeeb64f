"""What `builders/fifa` wrote: genuine and forged faces, with questions whose answers carry masks.

    ROOT/fifa.parquet, or ROOT is the table itself

Fake-in-Facext's own data (Qin et al., arXiv 2510.20531; 1.38 million questions) were announced and not published when
this was written. A sample is a picture with all its questions; `Truth.texts` are the explanations of the picture as a
whole, without tags, `Truth.regions` MARE's names of what they name, `Truth.mask` what was changed. The split is the
table's, the group that of the genuine picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from facewitness import regions
from facewitness.datasets._disk import as_built, mask_in, not_empty, table_of, wanted
from facewitness.errors import InputError
from facewitness.types import Sample, Truth

SPLITS = ("train", "val", "test")
NAME = "fifa"

_NEEDED = (
    "file",
    "image",
    "mask",
    "label",
    "kind",
    "family",
    "group",
    "split",
    "task",
    "question",
    "answer",
    "regions",
)
_TAGS = re.compile(r"</?p>| ?\[SEG\]")


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
    table = root / "fifa.parquet" if root.is_dir() else root
    if not table.is_file():
        raise InputError(f"{NAME}: expected the table {table}; builders/fifa writes it")
    return not_empty(_samples(table, split), NAME, split, root)


def _samples(table: Path, split: str | None) -> Iterator[Sample]:
    file = table_of(table)
    if missing := [name for name in _NEEDED if name not in file.schema_arrow.names]:
        raise InputError(f"{table.name}: expected a table of builders/fifa; {', '.join(missing)} missing")
    rows: list[dict[str, Any]] = []
    for batch in file.iter_batches(batch_size=64, columns=list(_NEEDED)):
        for row in batch.to_pylist():
            if split not in (None, row["split"]):
                continue
            if rows and rows[0]["file"] != row["file"]:  # a picture's rows stand together
                yield _sample(rows, table)
                rows = []
            rows.append(row)
    if rows:
        yield _sample(rows, table)


def _sample(rows: list[dict[str, Any]], table: Path) -> Sample:
    with as_built(table, NAME):
        return _of_rows(rows)


def _of_rows(rows: list[dict[str, Any]]) -> Sample:
    first = rows[0]
    questions: dict[str, tuple[str, ...]] = {}
    for row in rows:
        questions[row["question"]] = (*questions.get(row["question"], ()), _TAGS.sub("", row["answer"]))
    texts = [_TAGS.sub("", row["answer"]) for row in rows if row["task"].endswith("image_explanation")]
    return Sample(
        file=first["file"],
        truth=Truth(
            label=first["label"],
            method="pristine" if first["family"] is None else first["family"].replace("_", " "),
            kind=first["kind"],
            mask=None if first["mask"] is None else partial(mask_in, first["mask"], first["file"]),
            regions=frozenset(mare for name in first["regions"] for mare in regions.REGIONS[name].mare),
            texts=tuple(dict.fromkeys(texts)),
            questions=questions,
        ),
        split=first["split"],
        group=first["group"],
        dataset=NAME,
        original=None if first["family"] is None else f"{first['file'].rsplit('/', 1)[0]}/real.png",
        image=first["image"],
    )
