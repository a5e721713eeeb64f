"""Any table of pictures from the Hugging Face hub: Parquet files, or a folder that `datasets` saved to disk.

Paper, licence: those of the data set; its card says them. How to obtain: clone it from the hub, or
`load_dataset(…).save_to_disk(ROOT)`. The package `datasets` is not needed to read it.

    ROOT/data/train-00000-of-00002.parquet         ROOT/dataset_dict.json           {"splits": ["train", "test"]}
    ROOT/data/validation-00000-of-00001.parquet    ROOT/train/data-00000-of-00001.arrow
    ROOT/{train,test}/0000.parquet                 ROOT/data-00000-of-00001.arrow   one split only: "train"

Documented on huggingface.co/docs/datasets (structure your repository; save_to_disk). Columns:

    image     a struct {bytes, path}, as the feature Image is stored, or the encoded bytes; a path below ROOT where
              bytes are null. Also called img or picture
    label     a ClassLabel, whose names are read from the schema, or text. Names such as real, human, fake, generated
              (in `_LABEL_OF`); numbers without names mean nothing and are refused. Also called labels
    method, group, split, mask (as image), text or caption    optional

validation is called val here; a file without a split in its name has the split "train". Without a column `group` a
picture is its own group; where such a column puts a group into two splits, that is told, and it is named by split.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from facewitness import media
from facewitness.datasets._disk import (
    MAX_LIST,
    Tell,
    apart,
    below,
    encoded,
    folder,
    mask_in,
    natural,
    not_empty,
    silent,
    wanted,
)
from facewitness.errors import InputError
from facewitness.files import each_once, ordinary, read_bounded
from facewitness.types import Sample, Truth

SPLITS = ("train", "val", "test")

_SPLIT_OF = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
             "test": "test", "testing": "test"}  # fmt: skip
_LABEL_OF = dict.fromkeys(
    ("real", "pristine", "authentic", "original", "genuine", "human", "0_real"), "real"
) | dict.fromkeys(
    ("fake", "forged", "manipulated", "tampered", "generated", "synthetic", "deepfake", "ai", "ai-generated", "1_fake"),
    "fake",
)
_ROWS = 256  # read at a time: pictures are large


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """All rows, a file after the other; `image` holds the encoded picture, `file` is the table's name and the row.

    `split` keeps one of train, val, test or of the names in a column `split`. Tells of rows without a picture.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.

    Raises:
        InputError: For a folder without tables, a table without pictures or labels, and a label that means neither.
    """
    path = Path(root)
    if path.is_file():
        tables, base = [path], path.parent
    else:
        base = folder(path, "huggingface", ("**/*.parquet", "**/*.arrow"), any_of=True)
        # arrow files with "cache-" before are what `datasets` remembers of computations
        files = [*base.rglob("*.parquet"), *(p for p in base.rglob("*.arrow") if not p.name.startswith("cache-"))]
        tables = sorted(files, key=natural)
    name = (path.parent if path.is_file() else path).resolve().name
    columns = {table: _Columns(table, _schema(table)) for table in tables}
    groups = [pair for table, column in columns.items() for pair in _groups(table, column, _split_of(table, base))]
    wanted(split, dict.fromkeys(each for _, each in groups), name)
    return not_empty(_samples(base, name, columns, apart(_named(groups), name, tell), split, tell), name, split, base)


def _split_of(table: Path, base: Path) -> str:
    parts = [re.split(r"[-_.]", table.name)[0], *reversed(table.relative_to(base).parts[:-1])]
    return next((_SPLIT_OF[p.lower()] for p in parts if p.lower() in _SPLIT_OF), "train")


class _Columns:
    """Which column of a table is what, and what its label's numbers are called."""

    def __init__(self, table: Path, schema: pa.Schema):
        lower = {n.lower(): n for n in schema.names}
        image = next((lower[n] for n in ("image", "img", "picture") if n in lower), None)
        label = next((lower[n] for n in ("label", "labels") if n in lower), None)
        if image is None or label is None:
            raise InputError(
                f"{table}: expected a column image and a column label, got {', '.join(schema.names)}; rename them"
            )
        self.table, self.image, self.label = table, image, label
        self.method, self.group, self.split, self.mask = (lower.get(n) for n in ("method", "group", "split", "mask"))
        self.text = lower.get("text", lower.get("caption"))
        self.names = _class_names(table, schema, self.label)

    def used(self) -> list[str]:
        each = (self.image, self.label, self.method, self.group, self.split, self.mask, self.text)
        return [c for c in each if c is not None]

    def label_of(self, row: int, value: Any) -> str:
        label_name = (
            self.names[value] if isinstance(value, int) and self.names and 0 <= value < len(self.names) else value
        )
        label = _LABEL_OF.get(label_name.strip().lower()) if isinstance(label_name, str) else None
        if label is None:
            how = (
                ""
                if isinstance(label_name, str)
                else " (a number without a name; save the column as ClassLabel or text)"
            )
            raise InputError(
                f"{self.table}, row {row}: expected a label that says real or fake, got {label_name!r}{how}"
            )
        return label


def _class_names(table: Path, schema: pa.Schema, label: str) -> list[str]:
    """The names of a ClassLabel, from the schema or from dataset_info.json beside an Arrow file."""
    features: Any = {}
    try:
        if b"huggingface" in (schema.metadata or {}):
            features = json.loads(schema.metadata[b"huggingface"], object_pairs_hook=each_once)["info"]["features"]
        elif (beside := table.with_name("dataset_info.json")).is_file():
            features = json.loads(ordinary(beside, MAX_LIST).read_text(encoding="utf-8"), object_pairs_hook=each_once)[
                "features"
            ]
        names = features.get(label, {}).get("names") or []
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{table}: expected features as `datasets` writes them, could not read them ({error!r})"
        ) from error
    return [str(n) for n in names]


def _schema(table: Path) -> pa.Schema:
    try:
        if table.suffix == ".parquet":
            return pq.read_schema(ordinary(table))
        with pa.memory_map(str(ordinary(table))) as source:
            return _arrow(source).schema
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{table}: expected a table in the format {table.suffix[1:]}, could not read it ({error}); copy it again"
        ) from error


def _arrow(source: pa.NativeFile) -> Any:
    """`datasets` writes the stream format; other tools the file format under the same suffix."""
    try:
        return pa.ipc.open_stream(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_file(source)


def _rows(table: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of a table, read a few at a time. Raises InputError that names it where it is broken."""
    try:
        for batch in _batches(table, columns):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{table}: could not be read to its end ({error}); copy it again") from error


def _groups(table: Path, column: _Columns, here: str) -> list[tuple[str | None, str]]:
    """Each (group, split) in a table once, from those two columns alone; without a group's name it is None."""
    named = [c for c in (column.group, column.split) if c is not None]
    if not named:
        return [(None, here)]
    return list(dict.fromkeys(_place(column, values, here) for values in _rows(table, named)))


def _place(column: _Columns, values: dict[str, Any], here: str) -> tuple[str | None, str]:
    group = values[column.group] if column.group else None
    split = str(values[column.split]) if column.split else here
    return None if group is None else str(group), _SPLIT_OF.get(split.lower(), split)


def _named(places: Iterable[tuple[str | None, str]]) -> Iterator[tuple[str, str]]:
    return ((group, split) for group, split in places if group is not None)


def _batches(table: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    if table.suffix == ".parquet":
        with pq.ParquetFile(ordinary(table)) as file:
            yield from file.iter_batches(batch_size=_ROWS, columns=columns)
        return
    with pa.memory_map(str(ordinary(table))) as source:
        reader = _arrow(source)
        streamed = isinstance(reader, pa.ipc.RecordBatchStreamReader)
        for batch in reader if streamed else map(reader.get_batch, range(reader.num_record_batches)):
            for start in range(0, batch.num_rows, _ROWS):
                yield batch.select(columns).slice(start, _ROWS)


def _samples(
    base: Path,
    name: str,
    columns: dict[Path, _Columns],
    group_of: Mapping[tuple[str, str], str],
    split: str | None,
    tell: Tell,
) -> Iterator[Sample]:
    for table, column in columns.items():
        here = _split_of(table, base)
        if split is not None and column.split is None and split != here:
            continue
        for row, values in enumerate(_rows(table, column.used())):
            group, each = _place(column, values, here)
            if split not in (None, each):
                continue
            image = _encoded(base, values[column.image])
            file = f"{table.relative_to(base).as_posix()}#{row}"
            if image is None:
                tell(f"{name}: {file} has neither a picture nor the path of one that is there; it is left out")
                continue
            yield Sample(
                file=file,
                truth=_truth(base, column, row, values),
                split=each,
                group=file if group is None else group_of[group, each],
                dataset=name,
                image=image,
            )


def _encoded(base: Path, value: Any) -> bytes | None:
    """The bytes of a cell: its own, or those of the file it names. Raises InputError where that cannot be read."""
    path = value.get("path") if isinstance(value, dict) else value
    file = below(base, path) if isinstance(path, str) and not encoded(value) else None
    if file is None:
        return encoded(value)
    try:
        return read_bounded(file, media.MAX_BYTES)
    except OSError as error:
        raise InputError(f"{file}: expected a picture that can be read ({error.strerror})") from error


def _truth(base: Path, column: _Columns, row: int, values: dict[str, Any]) -> Truth:
    real = column.label_of(row, values[column.label]) == "real"
    method = values[column.method] if column.method else None
    mask = _encoded(base, values[column.mask]) if column.mask and not real else None
    text = values[column.text] if column.text else None
    texts = (text,) if isinstance(text, str) else tuple(text or ())
    return Truth(
        label="real" if real else "fake",
        method="pristine" if real else None if method is None else str(method),
        kind="pristine" if real else None,
        mask=None if mask is None else partial(mask_in, mask, f"{column.table}, mask of row {row}"),
        regions=frozenset() if real else None,
        texts=tuple(str(t) for t in texts if t),
    )
