"""Your own list of pictures: a CSV file with one line a picture.

Paper, licence: none; the pictures are yours. How to obtain: nothing to obtain. `root` is the CSV file, or a folder
with manifest.csv or one CSV file.

    file,label,split,group,method,mask
    a/001.jpg,real,train,person 1,,
    b/001.jpg,fake,train,person 1,StyleGAN2,masks/001.png

Needed columns: `file` (below the folder of the CSV) and `label` (real or fake; not 0 and 1, which mean one thing here
and the other there). A path from another machine is found by its end (`lists`). A file that is listed twice is read
once, and one with two labels not at all: both are told. `scan.tif#2` is the second page of scan.tif. Others, all
optional, empty where unknown:

    split        any name; "all" where the column is missing
    group        the source video or identity. One group stays in one split; without it a picture is its own group
    method       what forged it; real pictures have "pristine"
    kind         identity_exchange, attribute_manipulation or entire_synthesis
    mask         a picture of the forged pixels, white where forged, below the same folder
    original     the pristine counterpart's file
    compression  raw, c23, …
    video        the video a frame is of; frames of one video are scored together
    box          x1 y1 x2 y2 in pixels: which face is meant, where there are several
    regions      MARE's names of what is forged, with blanks between: nose left_eye
    text         what somebody wrote about it

Commas, semicolons or tabs between the columns; what Excel adds is passed over.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from facewitness import lists
from facewitness.datasets._disk import Tell, folder, mask_of, not_empty, silent, wanted
from facewitness.errors import InputError
from facewitness.files import absence, is_there
from facewitness.media import file_of
from facewitness.regions import MARE
from facewitness.types import KINDS, Box, Sample, Truth

SPLITS: tuple[str, ...] = ()  # whatever the file names

_NEEDED = ("file", "label")
_OPTIONAL = ("split", "group", "method", "kind", "mask", "original", "compression", "video", "box", "regions", "text")
_Row = tuple[int, dict[str, str]]  # line of the file, its values


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """The pictures in the order of the lines; `split` keeps one split. The list is checked as a whole first.

    Tells of files and masks that are absent (such lines are left out) and of columns nobody reads.

    Args:
        root: The CSV file, or the folder that holds it.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.

    Raises:
        InputError: With the line, for a label that is neither real nor fake, a file that is listed twice and a group in
            two splits.
    """
    table = _table(Path(root))
    name = table.stem if table.stem != "manifest" else table.resolve().parent.name
    rows = _rows(table, tell)
    wanted(split, dict.fromkeys(row["split"] for _, row in rows), name)
    return not_empty(_samples(table, name, rows, split, tell), name, split, table)


def _table(root: Path) -> Path:
    if root.is_file():
        return root
    if root.suffix and not root.exists():
        raise InputError(f"manifest: expected a list, or the folder with it, at {root}, found none. Check the path.")
    root = folder(root, "manifest", ())
    if (root / "manifest.csv").is_file():
        return root / "manifest.csv"
    tables = sorted(root.glob("*.csv"))
    if len(tables) != 1:
        names = ", ".join(t.name for t in tables) or "none"
        raise InputError(f"Expected manifest.csv or one CSV file in {root}, found {names}. Give the file itself.")
    return tables[0]


def _rows(table: Path, tell: Tell) -> list[_Row]:
    """All lines, checked; their files as the disk has them. Raises InputError that names the line."""
    listed = lists.read(table)
    _check_columns(table, listed.columns, tell)
    if not listed.lines:
        raise InputError(f"{table}: expected a line for each picture, found none below the column names")
    rows: dict[tuple[str, str], _Row] = {}
    disputed: set[tuple[str, str]] = set()
    splits_of: dict[str, tuple[str, int]] = {}
    for line in listed.lines:
        row = dict(line.values)
        _check(table, line.number, row, splits_of)
        key = (row["file"], row.get("box", ""))
        if key not in rows:
            rows[key] = (line.number, row)
            continue
        first, before = rows[key]
        if before["label"] != row["label"]:
            disputed.add(key)
            tell(
                f"{table}: {row['file']} is {before['label']} in line {first} and {row['label']} in line "
                f"{line.number}: one of the two is wrong, so both are left out"
            )
        else:
            tell(
                f"{table}, line {line.number}: {row['file']} is already in line {first}; it is read once. Keep one, "
                "or give each a box"
            )
    return [row for key, row in rows.items() if key not in disputed]


def _check_columns(table: Path, columns: Sequence[str], tell: Tell) -> None:
    known = (*_NEEDED, *_OPTIONAL)
    missing = [c for c in _NEEDED if c not in columns]
    if missing:
        raise InputError(
            f"{table}: expected the columns {', '.join(_NEEDED)} in its first line, {', '.join(missing)} missing; "
            f"came {', '.join(columns) or 'nothing'}"
        )
    for column in columns:
        if column not in known:
            near = difflib.get_close_matches(column, known, n=1)
            tell(f"{table}: nobody reads the column '{column}'." + (f" Did you mean {near[0]}?" if near else ""))


def _check(
    table: Path,
    line: int,
    row: dict[str, str],
    splits_of: dict[str, tuple[str, int]],
) -> None:
    """One line's values, against themselves and against the lines before; fills in split and group."""
    here = f"{table}, line {line}"
    file, label = row["file"], row["label"].lower()
    if not file:
        raise InputError(f"{here}: expected a file, found an empty value")
    for column in ("file", "mask", "original"):
        given = row.get(column, "")
        if ".." in re.split(r"[\\/]+", given):
            raise InputError(
                f"{here}: expected {column} below {table.parent}, got {given}; move the list above its pictures"
            )
        if given and (located := lists.located(table.parent, given)) is not None:
            row[column] = located
    file = row["file"]
    if label not in ("real", "fake"):
        if not label:
            raise InputError(
                f"{here}: {file}: expected label real or fake, got an empty cell. Of merged cells only the first has a "
                "value: write it into each line."
            )
        raise InputError(f"{here}: {file}: expected label real or fake, got {row['label']!r}")
    row["label"] = label
    row["split"] = row.get("split") or "all"
    row["group"] = row.get("group") or row.get("video") or file
    before, where = splits_of.setdefault(row["group"], (row["split"], line))
    if before != row["split"]:
        raise InputError(
            f"{here}: the group {row['group']!r} is in the split '{row['split']}' and, in line {where}, in '{before}'; "
            f"what is learnt from one would be tested on the other. Keep a group in one split"
        )
    kind = row.get("kind", "")
    if kind and kind not in KINDS:
        raise InputError(f"{here}: {file}: expected kind to be one of {', '.join(KINDS)}, got {kind!r}")
    unknown = [r for r in row.get("regions", "").split() if r not in MARE]
    if unknown:
        raise InputError(f"{here}: {file}: expected regions among {', '.join(MARE)}, got {unknown[0]!r}")
    if row.get("box"):
        _box(here, row["box"])


def _box(here: str, value: str) -> Box:
    try:
        x1, y1, x2, y2 = (float(v) for v in value.split())
    except ValueError:
        raise InputError(f"{here}: expected box as four numbers x1 y1 x2 y2, got {value!r}") from None
    if not (x1 < x2 and y1 < y2 and all(map(math.isfinite, (x1, y1, x2, y2)))):
        raise InputError(f"{here}: expected a finite box with x1 < x2 and y1 < y2, got {value!r}")
    return (x1, y1, x2, y2)


def _samples(table: Path, name: str, rows: list[_Row], split: str | None, tell: Tell) -> Iterator[Sample]:
    root = table.parent
    for line, row in rows:
        if split is not None and row["split"] != split:
            continue
        if not is_there(file_of(root / row["file"])):
            if lists.is_address(row["file"]):
                tell(f"{name}: {row['file']} of line {line} is an address; nothing is fetched. Save it below the list")
                continue
            if row["file"].startswith("="):
                tell(f"{name}: {row['file']} of line {line} is a formula; save the list with its values")
                continue
            absent = absence(root / row["file"])
            tell(f"{name}: {root / row['file']} of line {line} {absent}; copy it or take the line out")
            continue
        mask = None
        if row.get("mask"):
            if is_there(root / row["mask"]):
                mask = partial(mask_of, root / row["mask"])
            else:
                absent = absence(root / row["mask"])
                tell(f"{name}: the mask {root / row['mask']} of line {line} {absent}; its picture has none")
        truth, compression = _truth(row, mask), row.get("compression") or None
        video = "/".join((name, truth.method or truth.label, compression or "-", row.get("video", "")))
        yield Sample(
            file=row["file"],
            truth=truth,
            split=row["split"],
            group=row["group"],
            dataset=name,
            original=row.get("original") or None,
            video=video if row.get("video") else None,
            compression=compression,
            box=_box(f"{table}, line {line}", row["box"]) if row.get("box") else None,
        )


def _truth(row: dict[str, str], mask: Any) -> Truth:
    real = row["label"] == "real"
    named = frozenset(row.get("regions", "").split())
    return Truth(
        label="real" if real else "fake",
        method="pristine" if real else row.get("method") or None,
        kind="pristine" if real else row.get("kind") or None,
        mask=None if real else mask,
        regions=frozenset() if real else named or None,
        texts=(row["text"],) if row.get("text") else (),
    )
