"""Predictions on disk: a row an item and perturbation, written in whole parts, so that a killed run loses minutes.

    RUN/meta.json              what was run on what: enough to run it again, and to refuse to mix two systems
    RUN/parts/00000.parquet    rows so far; gone when the run is finished
    RUN/predictions.parquet    all rows; there only when the run is finished
    RUN/shard-2-of-4/          a run of its own, the same three names; `gather` makes RUN's files of all four

An item without a face and one that failed are rows with a status. Nothing is dropped. Where a dataset asks
questions about an item, each is a row too, with `question` set; `items` leaves them out.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.types import Box

SCHEMA = "facewitness.predictions/1"
STATUSES = ("ok", "no_face", "failed")

_STRINGS = pa.list_(pa.string())
COLUMNS = pa.schema(
    [
        # the item
        ("dataset", pa.string()), ("file", pa.string()), ("frame", pa.int32()), ("box", pa.list_(pa.float32())),
        ("video", pa.string()), ("group", pa.string()), ("split", pa.string()), ("label", pa.string()),
        ("method", pa.string()), ("compression", pa.string()), ("kind", pa.string()),
        ("perturbation", pa.string()), ("strength", pa.int8()),
        # what became of it
        ("status", pa.string()), ("problem", pa.string()), ("faces", pa.int16()),
        ("score", pa.float64()), ("fake", pa.float64()), ("verdict", pa.string()),
        # where
        ("mask_iou", pa.float32()), ("mask_precision", pa.float32()), ("mask_recall", pa.float32()),
        ("mask_f1", pa.float32()), ("mask_ap", pa.float32()),
        ("regions_true", _STRINGS), ("regions_said", _STRINGS), ("box_iou", pa.float32()), ("text_box", pa.float32()),
        ("side", pa.float32()),
        # in words
        ("question", pa.string()), ("text", pa.string()), ("references", _STRINGS),
        ("claims", pa.int16()), ("claims_right", pa.int16()),
        # on the side
        ("seconds", pa.float32()), ("thumbnail", pa.binary()),
    ]
)  # fmt: skip
Key = tuple[Any, ...]


class Row(TypedDict, total=False):
    """One prediction before it is written: COLUMNS with Python's types; what is left out is null."""

    dataset: str
    file: str
    frame: int | None
    box: Box | None
    video: str | None
    group: str
    split: str
    label: str
    method: str | None
    compression: str | None
    kind: str | None
    perturbation: str
    strength: int
    status: str
    problem: str | None
    faces: int
    score: float | None
    fake: float | None
    verdict: str | None
    mask_iou: float | None
    mask_precision: float | None
    mask_recall: float | None
    mask_f1: float | None
    mask_ap: float | None
    regions_true: list[str] | None
    regions_said: list[str] | None
    box_iou: float | None
    text_box: float | None
    side: float | None
    question: str | None
    text: str | None
    references: list[str] | None
    claims: int | None
    claims_right: int | None
    seconds: float | None
    thumbnail: bytes | None


class Coverage(TypedDict):
    """What became of a run's items."""

    rows: int
    ok: int
    no_face: int
    failed: int
    missing: int
    examples: list[str]


def key(row: Row) -> Key:
    """What makes a row the same item under the same perturbation."""
    box = row.get("box")
    return (
        row["dataset"], row["file"], row["frame"], None if box is None else tuple(round(float(v), 1) for v in box),
        row["perturbation"], row["strength"], row.get("question"),
    )  # fmt: skip


class Writer:
    """Adds rows to a run and finishes it. Rows are on disk after `every` of them."""

    def __init__(self, run: Path, meta: Mapping[str, Any], every: int = 256):
        """Begin a run, or go on with one that was made the same way. Raises InputError where it was not."""
        self.run, self.meta, self._every = run, dict(meta), every
        before = read_meta(run) if (run / "meta.json").exists() else None
        if before is not None:
            differing = [k for k in _IDENTITY if before.get(k) != _plain(self.meta.get(k))]
            if differing:
                raise InputError(
                    f"{run} holds a run with other {', '.join(differing)} (there: "
                    f"{_short({k: before.get(k) for k in differing})}; now: "
                    f"{_short({k: self.meta.get(k) for k in differing})}). Give another --out."
                )
        self.finished = (run / "predictions.parquet").exists()
        self._rows: list[dict[str, Any]] = []
        self.done: set[Key] = set()
        parts = sorted((run / "parts").glob("*.parquet"))
        self._next = 1 + max((int(p.stem) for p in parts), default=-1)
        columns = ["dataset", "file", "frame", "box", "perturbation", "strength", "question"]
        for part in parts:
            self.done.update(key(row) for row in pq.read_table(part, columns=columns).to_pylist())
        if before is None:
            self._write_meta({**self.meta, "coverage": None, "finished": False})

    def add(self, *rows: Row) -> None:
        """The rows of one item, which stay together; what a row lacks of COLUMNS is null. Raises InputError."""
        for row in rows:
            unknown = set(row) - set(COLUMNS.names)
            if unknown:
                raise InputError(f"predictions: unknown columns {', '.join(sorted(unknown))}")
            self._rows.append({name: row.get(name) for name in COLUMNS.names})
        if len(self._rows) >= self._every:
            self.flush()

    def flush(self) -> None:
        """Write what was added as a part."""
        if self._rows:
            _write_table(pa.Table.from_pylist(self._rows, COLUMNS), self.run / "parts" / f"{self._next:05}.parquet")
            self._next += 1
            self._rows = []

    def finish(self, missing: list[str]) -> Coverage:
        """Make one table of all parts, write the coverage, and return it. `missing` says what the dataset lacked."""
        self.flush()
        parts = sorted((self.run / "parts").glob("*.parquet"))
        table = pa.concat_tables([pq.read_table(p, schema=COLUMNS) for p in parts]) if parts else COLUMNS.empty_table()
        covered = coverage(table, missing)
        _write_table(table, self.run / "predictions.parquet")
        self._write_meta({**self.meta, "coverage": covered, "finished": True})
        shutil.rmtree(self.run / "parts", ignore_errors=True)
        self.finished = True
        return covered

    def _write_meta(self, meta: Mapping[str, Any]) -> None:
        write_whole(self.run / "meta.json", (json.dumps(meta, indent=1, default=str) + "\n").encode())


# two runs that agree on these may be continued or gathered; libraries and dates may differ
_IDENTITY = (
    "schema", "dataset", "split", "frames", "finder", "witnesses", "options", "perturbations", "reencode", "seed",
    "shard", "profile", "keep", "limit", "difference_masks", "questions",
)  # fmt: skip


def coverage(table: pa.Table, missing: list[str]) -> Coverage:
    """Rows by status, and what was missing."""
    table = items(table)
    counts = dict.fromkeys(STATUSES, 0)
    for entry in table.column("status").value_counts().to_pylist():
        counts[entry["values"]] = entry["counts"]
    return {
        "rows": table.num_rows,
        "ok": counts["ok"],
        "no_face": counts["no_face"],
        "failed": counts["failed"],
        "missing": len(missing),
        "examples": missing[:20],
    }


def items(table: pa.Table) -> pa.Table:
    """The rows that stand for an item, not for a question about one."""
    return table.filter(pc.is_null(table.column("question")))


def gather(run: Path, total: int) -> Coverage | None:
    """One run from `total` shards, once all are finished; None while some are not. Shards stay where they are."""
    shards = [run / f"shard-{i}-of-{total}" for i in range(1, total + 1)]
    if not all((shard / "predictions.parquet").exists() for shard in shards):
        return None
    metas = [read_meta(shard) for shard in shards]
    for shard, meta in zip(shards, metas, strict=True):
        differing = [k for k in _IDENTITY if k != "shard" and meta.get(k) != metas[0].get(k)]
        if differing:
            raise InputError(f"{shard} was run with other {', '.join(differing)} than {shards[0]}; run it again.")
    table = pa.concat_tables([read(shard)[0] for shard in shards])
    missing = sorted({sentence for meta in metas for sentence in meta["coverage"]["examples"]})
    covered = coverage(table, missing)
    covered["missing"] = max(meta["coverage"]["missing"] for meta in metas)
    _write_table(table, run / "predictions.parquet")
    meta = {**metas[0], "shard": None, "coverage": covered, "finished": True}
    write_whole(run / "meta.json", (json.dumps(meta, indent=1, default=str) + "\n").encode())
    return covered


def read(run: Path | str, columns: list[str] | None = None) -> tuple[pa.Table, dict[str, Any]]:
    """A finished run's table and meta. Raises InputError that says what is wrong with it and what mends it."""
    run = Path(run)
    meta = read_meta(run)
    path = run / "predictions.parquet"
    if not path.exists():
        done = "parts" if (run / "parts").exists() else "nothing"
        raise InputError(f"{run} is not finished: it holds {done}. Give the same `facewitness bench run` again.")
    try:
        names = pq.read_schema(path).names
        lacking = [name for name in columns or COLUMNS.names if name not in names]
        if lacking:
            raise InputError(f"{path}: expected the columns of {SCHEMA}; {', '.join(lacking)} missing. Run it again.")
        return pq.read_table(path, columns=columns), meta
    except pa.ArrowException as error:
        raise InputError(f"{path} is not a Parquet table ({error}). Run it again.") from error


def read_meta(run: Path) -> dict[str, Any]:
    """A run's meta.json. Raises InputError where it is missing, broken, or of another version."""
    path = run / "meta.json"
    try:
        meta = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{run} is no run: expected meta.json in it. Make one with `facewitness bench run`.") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}). Run it again.") from error
    if not isinstance(meta, dict) or meta.get("schema") != SCHEMA:
        came = meta.get("schema") if isinstance(meta, dict) else type(meta).__name__
        raise InputError(
            f"{path}: expected the schema {SCHEMA}, got {came!r}. Predictions of another version: run it again with "
            "this one, or read them with the version that made them."
        )
    return meta


def rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows as dicts, a batch at a time."""
    for batch in table.to_batches(max_chunksize=4096):
        yield from batch.to_pylist()


def _write_table(table: pa.Table, path: Path) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())


def _plain(value: Any) -> Any:
    """A value as it comes back from JSON."""
    return json.loads(json.dumps(value, default=str))


def _short(value: Any, most: int = 300) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= most else text[: most - 1] + "…"
