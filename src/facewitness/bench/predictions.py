"""Predictions on disk: what every speaker said of every item, in whole parts, so that a killed run loses minutes.

    RUN/meta.json              what was run on what: enough to run it again, and to refuse to mix two systems
    RUN/listing.parquet        the data by content: each item with a digest of its file and its truth (`listing`)
    RUN/parts/00000.parquet    rows so far; gone when the run is finished
    RUN/predictions.parquet    all rows; there only when the run is finished
    RUN/lock                   who writes; a second writer is refused
    RUN/shard-2-of-4/          a run of its own, the same names; `gather` makes RUN's files of all four

A row is one speaker about one item under one perturbation:

    explanation   the report's sentences. Each item has this row, also one without a face and one that failed: it is
                  the item's own (`items`), with its status, its score and where the forgery is
    witness       the words a witness stands by, with the grammar they were read by
    dialogue      the answer to a question that the dataset asks, from the evidence, or from the witness named

What a speaker said stands in `says`, `text`, `thought`, `refusals` and `findings`, what is true in `label`,
`regions_true`, `boxes_true` and `references`, so that every score that needs no pixels can be worked out again
(`speakers`). Every leaf of scores/ is a column `score/<name>`. Nothing is dropped.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facewitness.bench import edited
from facewitness.bench.listing import amiss
from facewitness.errors import InputError
from facewitness.files import held, read_text, write_whole
from facewitness.types import Box

SCHEMA = "facewitness.predictions/2"
BEFORE = "facewitness.predictions/1"  # is still read: it knows no witnesses' words, and other scores
TRUTH = "truth: "  # before a row's problem with what is known of the picture
STATUSES, SPEAKERS = edited.STATUSES, edited.SPEAKERS
SCORE = "score/"  # begins the name of a column of a score

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
        # where: the witness's mask against the truth's pixel by pixel, and the regions it covers
        ("mask_precision", pa.float32()), ("mask_recall", pa.float32()), ("mask_f1", pa.float32()),
        ("mask_ap", pa.float32()), ("mapped", pa.string()),
        ("regions_true", _STRINGS), ("boxes_true", pa.string()), ("regions_said", _STRINGS),
        # in words: who, asked what, and what was said
        ("speaker", pa.string()), ("witness", pa.string()), ("grammar", pa.string()), ("question", pa.string()),
        ("says", pa.string()), ("text", pa.string()), ("thought", pa.string()), ("refusals", _STRINGS),
        ("raw", pa.string()),  # as a model wrote it, where nobody but its grammar stood between
        ("findings", pa.string()), ("references", _STRINGS),
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
    mask_precision: float | None
    mask_recall: float | None
    mask_f1: float | None
    mask_ap: float | None
    mapped: str | None
    regions_true: list[str] | None
    boxes_true: str | None
    regions_said: list[str] | None
    speaker: str
    witness: str | None
    grammar: str | None
    question: str | None
    says: str | None
    text: str | None
    thought: str | None
    refusals: list[str] | None
    raw: str | None
    findings: str | None
    references: list[str] | None
    seconds: float | None
    thumbnail: bytes | None
    scores: Mapping[str, float | None]  # name of a score → its value: the columns score/<name>


class Coverage(TypedDict):
    """What became of a run's items."""

    rows: int
    ok: int
    no_face: int
    failed: int
    missing: int
    examples: list[str]
    notes: list[str]  # what is amiss with the data as a whole, such as one picture under two labels


def schema(scores: Iterable[str]) -> pa.Schema:
    """The columns of a run with these scores.

    Args:
        scores: Names of scores.
    """
    return pa.schema([*COLUMNS, *(pa.field(SCORE + name, pa.float32()) for name in scores)])


def key(row: Row) -> Key:
    """What makes a row the same item under the same perturbation, by the same speaker.

    Args:
        row: A row.
    """
    given = row.get("box")
    box = None if given is None else tuple(round(float(v), 1) for v in given)
    return (
        row["dataset"], _utf8(row["file"]), row["frame"], box,
        row["perturbation"], row["strength"], row.get("speaker") or "explanation", row.get("witness"),
        row.get("question"),
    )  # fmt: skip


_KEYED = ["dataset", "file", "frame", "box", "perturbation", "strength", "speaker", "witness", "question"]
_PART = re.compile(r"\d{5,}\.parquet")


class Writer:
    """Adds rows to a run and finishes it. Rows are on disk after `every` of them. Close it, or use it in `with`."""

    def __init__(self, run: Path, meta: Mapping[str, Any], every: int = 256, data: pa.Table | None = None):
        """Begin a run, or go on with one that was made the same way.

        Args:
            run: the folder.
            meta: what is run; "scores" names the scores that are columns.
            every: rows after which a part is written.
            data: the listing of the data by content (`listing.listed`); None where nobody knows it.

        Raises:
            InputError: the folder holds another run or the same one over other data, a part of it is foreign or
                broken, or another process writes there.
        """
        self.run, self._every = run, every
        self.meta = {**meta, "data": None if data is None else digest(data)}
        self.schema = schema(self.meta.get("scores") or ())
        self._held = held(run / "lock")
        self._held.__enter__()
        try:
            self._begin(data)
        except BaseException:
            self.close()
            raise

    def _begin(self, data: pa.Table | None) -> None:
        before = read_meta(self.run) if (self.run / "meta.json").exists() else None
        if before is not None:
            self._compare(before, data)
        elif strange := [p.name for p in (self.run / "parts", self.run / "predictions.parquet") if p.exists()]:
            raise InputError(
                f"{self.run} holds {' and '.join(strange)} but no meta.json that says of what. Give another --out, or "
                "take them away."
            )
        self.finished = bool(before and before.get("finished")) and (self.run / "predictions.parquet").exists()
        self._rows: list[dict[str, Any]] = []
        self.done: set[Key] = set()
        self._next = 0
        if self.finished:
            shutil.rmtree(self.run / "parts", ignore_errors=True)  # a kill may have come before this
            return
        if before is None:
            if data is not None:
                _write_table(data, self.run / "listing.parquet")
            self._write_meta({**self.meta, "coverage": None, "finished": False})
        self._mend()
        parts = self._parts()
        self._next = 1 + max((int(p.stem) for p in parts), default=-1)
        for part in parts:
            self.done.update(key(row) for row in self._part(part, _KEYED).to_pylist())

    def _compare(self, before: Mapping[str, Any], data: pa.Table | None) -> None:
        differing = [k for k in _IDENTITY if before.get(k) != _plain(self.meta.get(k))]
        if differing:
            raise InputError(
                f"{self.run} holds a run with other {', '.join(differing)} (there: "
                f"{_short({k: before.get(k) for k in differing})}; now: "
                f"{_short({k: self.meta.get(k) for k in differing})}). Give another --out."
            )
        if before.get("data") != self.meta["data"]:
            changed = _changes(self.run / "listing.parquet", data)
            raise InputError(
                f"{self.run} holds a run over other data: {changed}. Give another --out, or delete {self.run} to run "
                "all of it again."
            )

    def _mend(self) -> None:
        """A table without a finished meta.json: a kill came between the two, or the parts were lost since."""
        whole = self.run / "predictions.parquet"
        if not whole.exists():
            return
        if not self._parts():
            self._part(whole, _KEYED)  # says what is wrong with it
            (self.run / "parts").mkdir(exist_ok=True)
            whole.replace(self.run / "parts" / "00000.parquet")
        else:
            whole.unlink()

    def _parts(self) -> list[Path]:
        parts = sorted((self.run / "parts").glob("[!.]*"))
        if strange := [p for p in parts if not _PART.fullmatch(p.name)]:
            raise InputError(
                f"{strange[0]} is no part of this run: expected names such as 00000.parquet. Take it away, and give "
                "the same command again."
            )
        return parts

    def _part(self, path: Path, columns: list[str] | None = None) -> pa.Table:
        advice = f"Delete {path.name}, and give the same command again: what it held is worked out anew."
        try:
            there = pq.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            why = "is empty" if path.stat().st_size == 0 else f"is no whole Parquet table ({error})"
            raise InputError(f"{path} {why}. {advice}") from error
        of = (there.metadata or {}).get(b"run", b"").decode()
        if of != self.identity or there.names != self.schema.names:
            raise InputError(f"{path} is part of another run than {self.run}. {advice}")
        return pq.read_table(path, columns=columns)

    @property
    def identity(self) -> str:
        """What all parts of a run have in common, and no other run has."""
        value = {k: _plain(self.meta.get(k)) for k in (*_IDENTITY, "data")}
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]

    def add(self, *rows: Row) -> None:
        """The rows of one item, which stay together; what a row lacks is null.

        Args:
            *rows: The rows of one item.

        Raises:
            InputError: The run has no such column.
        """
        for row in rows:
            flat: dict[str, Any] = {name: value for name, value in row.items() if name != "scores"}
            flat |= {SCORE + name: value for name, value in row.get("scores", {}).items()}
            flat.setdefault("speaker", "explanation")
            unknown = set(flat) - set(self.schema.names)
            if unknown:
                raise InputError(f"predictions: unknown columns {', '.join(sorted(unknown))}")
            self._rows.append({name: _utf8(flat.get(name)) for name in self.schema.names})
        if len(self._rows) >= self._every:
            self.flush()

    def flush(self) -> None:
        """Write what was added as a part."""
        if self._rows:
            table = pa.Table.from_pylist(self._rows, self.schema).replace_schema_metadata({"run": self.identity})
            _write_table(table, self.run / "parts" / f"{self._next:05}.parquet")
            self._next += 1
            self._rows = []

    def finish(self, missing: list[str], notes: Iterable[str] = ()) -> Coverage:
        """Make one table of all parts, write the coverage, and return it.

        Args:
            missing: sentences on what the dataset lacked.
            notes: sentences on what is amiss with the data as a whole.
        """
        self.flush()
        parts = [self._part(p) for p in self._parts()]
        table = pa.concat_tables(parts) if parts else self.schema.empty_table()
        covered = coverage(table, missing)
        covered["notes"] = [*notes, *backwards(table), *without_truth(table)]
        _write_table(table, self.run / "predictions.parquet")
        self._write_meta({**self.meta, "coverage": covered, "finished": True})
        shutil.rmtree(self.run / "parts", ignore_errors=True)
        self.finished = True
        return covered

    def close(self) -> None:
        """Let others write here."""
        self._held.__exit__(None, None, None)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_meta(self, meta: Mapping[str, Any]) -> None:
        write_whole(self.run / "meta.json", (json.dumps(meta, indent=1, default=str) + "\n").encode())


def write(run: Path, meta: Mapping[str, Any], rows: Sequence[Row]) -> pa.Table:
    """A finished run at once, in the place of what is there: of a model that was asked outside of `bench run`.

    Args:
        run: Folder of the run.
        meta: What meta.json says of the run.
        rows: All rows of the run.
    """
    names = list(dict.fromkeys(name for row in rows for name in row.get("scores", ())))
    for name in ("predictions.parquet", "meta.json"):
        (run / name).unlink(missing_ok=True)
    shutil.rmtree(run / "parts", ignore_errors=True)
    with Writer(run, {**meta, "schema": SCHEMA, "scores": names}) as writer:
        writer.add(*rows)
        writer.finish([])
    return read(run)[0]


# two runs that agree on these may be continued or gathered; libraries and dates may differ
_IDENTITY = (
    "schema", "dataset", "split", "frames", "finder", "witnesses", "options", "perturbations", "reencode", "seed",
    "shard", "profile", "keep", "limit", "difference_masks", "questions", "films", "scores",
)  # fmt: skip


def coverage(table: pa.Table, missing: list[str]) -> Coverage:
    """Rows by status, and what was missing.

    Args:
        table: The rows of a run.
        missing: Sentences on what the dataset lacked.
    """
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
        "notes": [],
    }


_FEWEST = 10  # scored rows of each label from which a score that runs the wrong way round is told


def without_truth(table: pa.Table) -> list[str]:
    """A sentence where masks of fakes could not be used: their places are then not among what was measured.

    Args:
        table: The rows of a run.
    """
    why = {
        (row["dataset"], row["file"], row["frame"]): row["problem"].partition(TRUTH)[2]
        for row in table.select(["dataset", "file", "frame", "problem"]).to_pylist()
        if TRUTH in (row["problem"] or "")
    }
    if not why:
        return []
    one, (first, *_) = len(why) == 1, why.items()
    return [
        f"of {len(why)} {'picture' if one else 'pictures'} the mask cannot be used, so places are measured without "
        f"{'it' if one else 'them'} ({first[0][1]}: {first[1].rstrip('.')})"
    ]


def backwards(table: pa.Table) -> list[str]:
    """A sentence where the system ranks genuine pictures above fakes more surely than chance would: labels swapped?

    The AUC lies below one half by more than three standard errors (Hanley and McNeil 1982, for a true AUC of one half).

    Args:
        table: The rows of a run.
    """
    plain = items(table).filter(pc.equal(items(table).column("perturbation"), "none"))
    p = pc.coalesce(plain.column("fake"), plain.column("score"))
    scored = plain.append_column("p", p).filter(pc.is_valid(p))
    fakes = pc.equal(scored.column("label"), "fake")
    fake, real = (scored.filter(mask).column("p").to_pylist() for mask in (fakes, pc.invert(fakes)))
    if min(len(fake), len(real)) < _FEWEST:
        return []
    ranks = pc.rank(pa.array([*fake, *real]), tiebreaker="min").to_pylist()
    ties = pc.rank(pa.array([*fake, *real]), tiebreaker="max").to_pylist()
    above = sum(ranks[: len(fake)] + ties[: len(fake)]) / 2 - len(fake) * (len(fake) + 1) / 2
    auc = above / (len(fake) * len(real))
    error = ((len(fake) + len(real) + 1) / (12 * len(fake) * len(real))) ** 0.5
    if auc >= 0.5 - 3 * error:
        return []
    return [
        f"genuine pictures get higher scores than fakes (AUC {auc:.2f}, where one half is chance): are the labels the "
        "wrong way round?"
    ]


def items(table: pa.Table) -> pa.Table:
    """The rows that stand for an item: its explanation's.

    Args:
        table: The rows of a run.
    """
    return table.filter(pc.equal(table.column("speaker"), "explanation"))


_ITEM = ["dataset", "file", "frame", "perturbation", "strength"]


def repeated(table: pa.Table) -> int:
    """How many rows are about an item that an earlier row is about: a list that names it twice, or parts put together.

    Args:
        table: Rows that stand for items, with the columns of `_ITEM` and box.
    """
    corners = {f"box {i}": pc.list_element(table.column("box"), i) for i in range(4)}
    keys = pa.table({name: table.column(name) for name in _ITEM} | corners)
    return table.num_rows - keys.group_by(keys.column_names).aggregate([]).num_rows


def digest(data: pa.Table) -> dict[str, Any]:
    """What stands in meta.json of a listing: how many items, and one hash of them in any order.

    Args:
        data: A listing, as `bench.listing.listed` makes it.

    Returns:
        JSON-ready.
    """
    lines = sorted("\0".join(map(str, row.values())) for row in data.to_pylist())
    return {"items": data.num_rows, "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest()}


def _changes(before: Path, data: pa.Table | None) -> str:
    """What differs between the data of a run and those of now, in words."""
    if data is None:
        return "this run does not say which"
    try:
        old = {(r["item"]): r["digest"] for r in pq.read_table(before).to_pylist()}
    except (pa.ArrowException, OSError, KeyError):
        return f"{before.name} cannot be read, so it is not known which"
    new = {(r["item"]): r["digest"] for r in data.to_pylist()}
    kinds = {
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
    }
    sentences = []
    for word, names in kinds.items():
        if names:
            shown = ", ".join(name.split("\0")[0] for name in names[:3])
            sentences.append(f"{len(names)} {word} ({shown}{', …' if len(names) > 3 else ''})")
    return ", ".join(sentences) or "in another order"


def gather(run: Path, total: int) -> Coverage | None:
    """One run from `total` shards, once all are finished; None while some are not. Shards stay where they are.

    Args:
        run: Folder of the run.
        total: How many shards there are.
    """
    shards = [run / f"shard-{i}-of-{total}" for i in range(1, total + 1)]
    if not all((shard / "predictions.parquet").exists() for shard in shards):
        return None
    metas = [read_meta(shard) for shard in shards]
    if not all(meta.get("finished") for meta in metas):
        return None
    for shard, meta in zip(shards, metas, strict=True):
        differing = [k for k in _IDENTITY if k != "shard" and meta.get(k) != metas[0].get(k)]
        if differing:
            raise InputError(f"{shard} was run with other {', '.join(differing)} than {shards[0]}; run it again.")
    with held(run / "lock"):
        table = pa.concat_tables([read(shard)[0] for shard in shards])
        notes = []
        if all((shard / "listing.parquet").exists() for shard in shards):
            data = pa.concat_tables([pq.read_table(shard / "listing.parquet") for shard in shards])
            _write_table(data, run / "listing.parquet")
            notes = amiss(data)
        missing = sorted({sentence for meta in metas for sentence in meta["coverage"]["examples"]})
        covered = coverage(table, missing)
        covered["missing"] = max(meta["coverage"]["missing"] for meta in metas)
        covered["notes"] = [*notes, *backwards(table), *without_truth(table)]
        _write_table(table, run / "predictions.parquet")
        meta = {**metas[0], "shard": None, "coverage": covered, "finished": True}
        write_whole(run / "meta.json", (json.dumps(meta, indent=1, default=str) + "\n").encode())
    return covered


def read(run: Path | str, columns: list[str] | None = None) -> tuple[pa.Table, dict[str, Any]]:
    """A finished run's table and meta, those of `BEFORE` with today's columns.

    Args:
        run: the folder.
        columns: which to read; None for all that it has.

    Returns:
        The table, and what meta.json says.

    Raises:
        InputError: says what is wrong with the run and what mends it.
    """
    run = Path(run)
    meta = read_meta(run)
    path = run / "predictions.parquet"
    if not path.exists() or not meta.get("finished", True):
        done = "parts" if (run / "parts").exists() else "nothing"
        raise InputError(f"{run} is not finished: it holds {done}. Give the same `facewitness bench run` again.")
    try:
        if meta["schema"] == BEFORE:
            table = _from_before(pq.read_table(path))
            edited.check_rows(table, path)
            return table if columns is None else table.select(columns), meta
        there = pq.read_schema(path)
        lacking = [name for name in columns or COLUMNS.names if name not in there.names]
        if lacking:
            raise InputError(f"{path}: expected the columns of {SCHEMA}; {', '.join(lacking)} missing. Run it again.")
        for field in COLUMNS:
            if field.name in there.names and _sort(came := there.field(field.name).type) not in (_sort(field.type), ""):
                raise InputError(f"{path}: expected {field.type} in the column {field.name}, got {came}. Run it again.")
        table = pq.read_table(path, columns=columns)
        edited.check_rows(table, path)
        return table, meta
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a Parquet table ({error}). Run it again.") from error


def _sort(kind: pa.DataType) -> str:
    """Whether a column is of texts, numbers, lists …; nothing where it holds nulls alone."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    sorts = {
        "": pa.types.is_null,
        "text": lambda t: pa.types.is_string(t) or pa.types.is_large_string(t),
        "number": lambda t: pa.types.is_integer(t) or pa.types.is_floating(t),
        "list": lambda t: pa.types.is_list(t) or pa.types.is_large_list(t),
    }
    return next((name for name, holds in sorts.items() if holds(kind)), str(kind).partition("<")[0])


def _from_before(table: pa.Table) -> pa.Table:
    """A table of the schema before, with today's columns: what it does not know is null.

    Its `mask_iou` compared the witness's mask, and score/mask compares the claims: it is left out.
    """
    has_question = pc.is_valid(table.column("question"))
    there = {name: table.column(name) for name in table.column_names if name in COLUMNS.names}
    there["speaker"] = pc.if_else(has_question, "dialogue", "explanation")
    there["says"] = table.column("verdict")
    renamed = {"boxes": "box_iou", "alignment": "text_box", "side": "side"}
    arrays = [
        there[field.name].cast(field.type) if field.name in there else pa.nulls(table.num_rows, field.type)
        for field in COLUMNS
    ]
    arrays += [table.column(old).cast(pa.float32()) for old in renamed.values()]
    return pa.Table.from_arrays(arrays, schema=schema(renamed))


def read_meta(run: Path) -> dict[str, Any]:
    """A run's meta.json.

    Args:
        run: Folder of the run.

    Returns:
        As it stands in the file.

    Raises:
        InputError: Where it is missing, broken, of a version that is not read, or holds what it cannot.
    """
    path = run / "meta.json"
    try:
        meta = json.loads(read_text(path))
    except FileNotFoundError:
        raise InputError(f"{run} is no run: expected meta.json in it. Make one with `facewitness bench run`.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}). Run it again.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}). Run it again.") from error
    if not isinstance(meta, dict) or meta.get("schema") not in (SCHEMA, BEFORE):
        came = meta.get("schema") if isinstance(meta, dict) else type(meta).__name__
        raise InputError(
            f"{path}: expected the schema {SCHEMA}, got {came!r}. Predictions of another version: run it again with "
            "this one, or read them with the version that made them."
        )
    edited.check_meta(meta, path)
    return meta


def rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows as dicts, a batch at a time.

    Args:
        table: The rows of a run.
    """
    for batch in table.to_batches(max_chunksize=4096):
        yield from batch.to_pylist()


def score_columns(table: pa.Table) -> list[str]:
    """The names of the scores that are columns.

    Args:
        table: The rows of a run.
    """
    return [name.removeprefix(SCORE) for name in table.column_names if name.startswith(SCORE)]


def _write_table(table: pa.Table, path: Path) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())


def _utf8(value: Any) -> Any:
    """Text that can be written: a lone surrogate, as a file's name may hold, becomes its escape."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return [_utf8(each) for each in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    """A value as it comes back from JSON."""
    return json.loads(json.dumps(value, default=str))


def _short(value: Any, limit: int = 300) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"
