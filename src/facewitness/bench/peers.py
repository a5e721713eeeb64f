"""Another system's scores, as a CSV, on the items of a run of ours: so that peers stand in the same table.

    file,score[,frame][,label]        a header; score in [0, 1], 1 means fake; frame where items are frames of videos

Semicolons and tabs part cells, too, and numbers may then have a comma.

Without the column frame a row scores all items of its file: a system that gives a video one score gives it to every
frame, and the mean over the video is that score. With it a score belongs to one item, and a row that fits several
scores none. Two rows for the same are not chosen between. Items without a score stay, and are counted.

Files of DeepfakeBench and DeepSafe are read, too (`foreign`); their paths mean the items that they end like.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facewitness.bench import foreign
from facewitness.errors import InputError
from facewitness.files import open_bounded

_SOME = 5  # unknown files that are named


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """A CSV's rows: which item, the score, the label if there is one, and the line each stands on."""

    path: Path
    framed: bool
    items: pa.Array  # of str: file, or file and frame
    scores: pa.Array  # of float64; null where the cell is empty
    labels: list[str]  # empty where there is no such column
    lines: list[int]
    elsewhere: bool = False  # the items are paths of another machine


def read(path: Path, name: str = "") -> Said:
    """A file of scores: a CSV of ours, of DeepSafe, or predictions of DeepfakeBench.

    Args:
        path: of the file.
        name: of the system, which chooses among the methods of a file that holds several.

    Raises:
        InputError: says the line of a score that is no number in [0, 1], or of another label.
    """
    if foreign.is_deepfakebench(path):
        return _elsewhere(path, foreign.deepfakebench(path))
    files: list[str] = []
    scores: list[float | None] = []
    labels: list[str] = []
    lines: list[int] = []
    try:
        with io.TextIOWrapper(open_bounded(path, foreign.MAX_BYTES), newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            separator = max(",;\t", key=first.count)  # a spreadsheet writes semicolons where numbers have commas
            file.seek(0)
            rows = csv.reader(file, delimiter=separator)
            head = [cell.strip().lower() for cell in next(rows, [])]
            if foreign.is_deepsafe(head):
                numbered = [(rows.line_num, row) for row in rows if row]
                if short := next((line for line, row in numbered if len(row) < len(head)), None):
                    raise InputError(f"{path}, line {short}: expected {len(head)} cells, as in the first line")
                return _elsewhere(path, foreign.deepsafe(path, head, numbered, name))
            if "file" not in head or "score" not in head:
                raise InputError(f"{path}: expected a first line that names file and score, got {','.join(head)!r}")
            if twice := next((name for name in ("file", "score", "frame", "label") if head.count(name) > 1), None):
                raise InputError(f"{path}: expected one column {twice}, got {head.count(twice)}. Leave the others out.")
            at = {name: head.index(name) for name in ("file", "score", "frame", "label") if name in head}
            for row in rows:
                if not row:
                    continue
                where = f"{path}, line {rows.line_num}"
                if len(row) != len(head):
                    raise InputError(f"{where}: expected {len(head)} cells, as in the first line, got {len(row)}")
                file_name = row[at["file"]]
                if "frame" in at:
                    file_name = _key(file_name, _frame(row[at["frame"]], where))
                files.append(file_name)
                cell = row[at["score"]].strip()
                scores.append(_score(cell if separator == "," else cell.replace(",", "."), where))
                lines.append(rows.line_num)
                if "label" in at:
                    if row[at["label"]] not in ("real", "fake"):
                        raise InputError(f"{where}: expected the label real or fake, got {row[at['label']]!r}")
                    labels.append(row[at["label"]])
    except OSError as error:
        raise InputError(f"{path}: expected a CSV of scores ({error.strerror}). Give --scores NAME=FILE.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: expected a CSV in UTF-8 ({error})") from error
    return Said(path, "frame" in at, pa.array(files, pa.string()), pa.array(scores, pa.float64()), labels, lines)


def _elsewhere(path: Path, rows: Sequence[foreign.Row]) -> Said:
    scores = [_score(row.score, f"{path}, line {row.line}") for row in rows]
    return Said(
        path,
        False,
        pa.array([row.file for row in rows], pa.string()),
        pa.array(scores, pa.float64()),
        [row.label for row in rows],
        [row.line for row in rows],
        elsewhere=True,
    )


def _score(cell: str, where: str) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:  # NaN is not
        raise InputError(f"{where}: expected a score in [0, 1], 1 means fake, got {cell!r}; leave it empty for none")
    return value


def _frame(cell: str, where: str) -> str:
    if cell.strip() and not cell.strip().isdecimal():
        raise InputError(f"{where}: expected a frame's index or nothing, got {cell!r}")
    return str(int(cell)) if cell.strip() else ""


def _key(file: str, frame: str) -> str:
    return f"{file}\0{frame}"


def join(peer: Said, tables: Sequence[pa.Table]) -> tuple[list[pa.Array], list[str]]:
    """A column of scores for each table (with the columns file, frame and label), and what did not fit, in sentences.

    Args:
        peer: The file's scores.
        tables: Predictions of ours, each with the columns file, frame and label.

    Returns:
        A column for each table, and sentences on what did not fit.

    Raises:
        InputError: Where no row fits any item, or where a label is another than the item's.
    """
    keys = [_keys(table, peer.framed) for table in tables]
    items = pa.concat_arrays(keys)
    if peer.elsewhere:
        files = foreign.matched(peer.items.to_pylist(), items.to_pylist())
        peer = replace(peer, items=pa.array(files, pa.string()))
    labels = pa.concat_arrays([table.column("label").combine_chunks() for table in tables])
    shared = _several(items)
    several = shared if peer.framed else shared.slice(0, 0)  # faces of one frame: whose score it is can't be told
    twice = _several(peer.items)
    where = pc.index_in(items, peer.items)
    fits = pc.and_not(pc.is_valid(where), pc.or_(pc.is_in(items, several), pc.is_in(items, twice)))
    if not pc.any(fits).as_py():
        example = items[0].as_py().split("\0")[0] if len(items) else "none"
        raise InputError(
            f"{peer.path}: none of its {len(peer.items)} rows fits an item. Expected the column file to be as in "
            f"predictions.parquet, such as {example!r}."
        )
    if peer.labels:
        stated = pc.take(pa.array(peer.labels), where)
        other = np.flatnonzero(
            pc.and_(fits, pc.not_equal(stated, labels)).fill_null(False).to_numpy(zero_copy_only=False)
        )
        if other.size:
            i = int(other[0])
            raise InputError(
                f"{peer.path}, line {peer.lines[where[i].as_py()]}: says {stated[i].as_py()} where the run says "
                f"{labels[i].as_py()}. They are not about the same data."
            )
    scores = pc.if_else(fits, pc.take(peer.scores, where), pa.scalar(None, pa.float64()))
    notes = _notes(peer, items, where, fits, scores)
    if not peer.framed and (of_files := pc.sum(pc.and_(fits, pc.is_in(items, shared))).as_py()):
        notes.append(f"{peer.path.name}: {of_files} items share their file, and its score, with others.")
    columns, start = [], 0
    for table in tables:
        columns.append(scores.slice(start, table.num_rows))
        start += table.num_rows
    return columns, notes


def _keys(table: pa.Table, framed: bool) -> pa.Array:
    file = table.column("file")
    if framed:
        file = pc.binary_join_element_wise(file, pc.fill_null(table.column("frame").cast(pa.string()), ""), "\0")
    return file.combine_chunks()


def _several(keys: pa.Array) -> pa.Array:
    counts = pc.value_counts(keys)
    return counts.field("values").filter(pc.greater(counts.field("counts"), 1))


def _notes(peer: Said, items: pa.Array, where: pa.Array, fits: pa.Array, scores: pa.Array) -> list[str]:
    notes = []
    absent = where.null_count
    ambiguous = len(items) - absent - pc.sum(fits).as_py()
    empty = scores.null_count - absent - ambiguous
    for count, why in (
        (absent, "not in it"),
        (ambiguous, "not told apart from others"),
        (empty, "with an empty score"),
    ):
        if count:
            notes.append(f"{peer.path.name}: {count} of {len(items)} items have no score: {why}.")
    unknown = peer.items.filter(pc.invert(pc.is_in(peer.items, items)))
    if len(unknown):
        named = ", ".join(dict.fromkeys(key.split("\0")[0] for key in unknown[:_SOME].to_pylist()))
        notes.append(f"{peer.path.name}: {len(unknown)} of its rows are about no item of the run, such as {named}.")
    return notes
