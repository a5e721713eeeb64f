"""Many reports at a glance: a table in CSV, and pages with a thumbnail and the verdict of each, sorted by each column.

Every order is a page of its own (index.html, index-verdict.html, …), linked from its columns' heads: nothing needs a
script, and the pages open from a disk, a mail or any server. A row is written down as soon as its picture is done, in
`summary.jsonl`, so that a run that was broken off and goes on has all rows in the end.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element

import numpy as np
from PIL import Image

from facewitness import media
from facewitness.errors import InputError
from facewitness.files import each_once, open_bounded, write_whole
from facewitness.markup import document
from facewitness.markup import element as _e
from facewitness.phrases import WORDS, cell, chance, headline, is_film, json_line, places_of, someone, visible
from facewitness.types import Clip, Report

ROWS = "summary.jsonl"
THUMBS = "thumbs"  # the folder of small pictures below the table's
_MOST = 2_000_000_000  # bytes of rows
PER_PAGE = 500
_THUMB = 144  # pixels, the longer side
_LABELS = ("fake", "inconclusive", "real", "no_face", "failed")  # from what is to be looked at first


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What the table says of one file."""

    source: str
    sha256: str | None
    status: str  # ok | no_face | failed
    verdict: str | None  # fake | inconclusive | real
    fake: float | None
    low: float | None
    high: float | None
    faces: int
    fake_faces: int
    places: str
    problem: str
    reports: tuple[str, ...] = ()  # files, below the folder of the table
    thumb: str | None = None  # the same
    odds: str = ""  # the probability as reports word it
    film: bool = False

    @property
    def label(self) -> str:
        return self.verdict or self.status


def row_of(report: Report, reports: Iterable[str] = (), thumb: str | None = None) -> Row:
    """The row of one report; its files are named below the folder of the table."""
    verdict = report.verdict
    low, high = (None, None) if verdict is None or verdict.interval is None else verdict.interval
    fake, judged = None if verdict is None else verdict.probability, verdict
    if (
        verdict is not None and verdict.fake is None and len(report.people) > 0
    ):  # of several people: the most suspicious that could be judged
        judged = max((person.verdict for person in report.people), key=lambda each: each.probability or 0.0)
        fake, (low, high) = judged.probability, judged.interval or (None, None)
    places = dict.fromkeys(places_of(finding) for person in report.people for finding in person.findings)
    return Row(
        source=report.source,
        sha256=report.sha256,
        status=report.status,
        verdict=None if verdict is None else headline(report)[0],
        fake=fake,
        low=low,
        high=high,
        faces=len(report.people),
        fake_faces=sum(person.verdict.label == "fake" for person in report.people),
        places=", ".join(places),
        problem=" ".join(problem.message for problem in report.problems),
        reports=tuple(reports),
        thumb=thumb,
        odds="" if fake is None or judged is None else chance(fake, judged.interval, judged.thresholds),
        film=is_film(report),
    )


def twins(files: Iterable[tuple[str, str | None]]) -> list[list[str]]:
    """The sources that are the same file, byte by byte, in groups of at least two; pages of one file are no twins.

    Args:
        files: Sources and their SHA-256.
    """
    alike: dict[tuple[str, str], dict[str, None]] = {}
    for source, digest in files:
        if digest is not None:
            file = str(media.file_of(source))
            part = "" if file == str(Path(source)) else source.rpartition("#")[2]
            alike.setdefault((digest, part), {})[source] = None
    return [[*group] for group in alike.values() if len(group) > 1]


def thumbnail(clip: Clip) -> bytes:
    """A small JPEG of a picture, of a film its first judged frame."""
    pixels = clip.frame.pixels
    step = max(1, min(pixels.shape[:2]) // (3 * _THUMB))
    image = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
    image.thumbnail((_THUMB, _THUMB), Image.Resampling.BILINEAR)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=78)
    return out.getvalue()


class Rows:
    """The rows of a folder, written down one by one. `goes_on` keeps those that stand there already.

    Attributes:
        dropped: The sources of an earlier run's rows that are not kept.
    """

    def __init__(self, folder: Path, goes_on: bool):
        self.folder = folder
        self._rows: dict[str, Row] = {}
        self.dropped: frozenset[str] = frozenset()
        path = folder / ROWS
        if path.is_file():
            try:
                earlier = {row.source: row for row in _read(path)}
            except OSError as error:
                raise InputError(
                    f"'{path}': expected the rows of an earlier run, got none that can be read ({error.strerror}). "
                    "Delete the file, or name another --out."
                ) from error
            self._rows, self.dropped = (earlier, frozenset[str]()) if goes_on else ({}, frozenset(earlier))
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, b"".join(map(_line, self._rows.values())))  # without a last line that was cut off
        self._file = path.open("ab")

    def add(self, row: Row) -> None:
        """Write a row down; it takes the place of one about the same source."""
        self._rows[row.source] = row
        self._file.write(_line(row))
        self._file.flush()

    def holds(self, source: str, sha256: str, reports: Iterable[str], thumb: str) -> bool:
        """Whether a source has its row, of these bytes and reports, and the thumbnail that the row names is there."""
        row = self._rows.get(source)
        return (
            row is not None
            and row.sha256 == sha256
            and set(reports) <= set(row.reports)
            and (row.thumb is None or (row.thumb == thumb and (self.folder / thumb).is_file()))
        )

    def close(self, order: Iterable[str] | None = None) -> list[Path]:
        """Write the table and its pages, in the order of these sources, and return the first of them."""
        self._file.close()
        if order is not None:
            at = {source: number for number, source in enumerate(order)}
            rows = sorted(self._rows.values(), key=lambda row: at.get(row.source, len(at)))
        else:
            rows = list(self._rows.values())
        return [write_csv(self.folder / "summary.csv", rows), *write_pages(self.folder, rows)[:1]]


def _line(row: Row) -> bytes:
    return (json_line(dataclasses.asdict(row)) + "\n").encode("utf-8", "surrogatepass")


def _read(path: Path) -> Iterator[Row]:
    """The rows that we could have written. Any other line is as if it were not there: its picture is analysed again."""
    names = {field.name for field in dataclasses.fields(Row)}
    with open_bounded(path, _MOST) as file:
        for line in file:
            try:
                value = json.loads(line, object_pairs_hook=each_once)
            except (ValueError, RecursionError):  # the last line of a run that was killed
                continue
            if isinstance(value, dict) and set(value) == names and _is_ours(value):
                yield Row(**{**value, "reports": tuple(value["reports"])})


def _is_ours(value: Mapping[str, Any]) -> bool:
    """Whether a row's values are what rows hold, and its files lie below the table's folder."""
    label = value["status"] if value["verdict"] is None else value["verdict"]
    return (
        all(isinstance(value[name], str) for name in ("source", "status", "places", "problem", "odds"))
        and isinstance(value["film"], bool)
        and (value["sha256"] is None or isinstance(value["sha256"], str))
        and isinstance(label, str)
        and label in _LABELS
        and value["status"] in ("ok", "no_face", "failed")
        and all(type(value[name]) is int and 0 <= value[name] < 10**6 for name in ("faces", "fake_faces"))
        and all(
            value[name] is None or (type(value[name]) in (int, float) and 0 <= value[name] <= 1)
            for name in ("fake", "low", "high")
        )
        and isinstance(value["reports"], list)
        and all(_is_name(name) for name in value["reports"])
        and (value["thumb"] is None or _is_name(value["thumb"], THUMBS))
    )


def _is_name(name: object, folder: str = "") -> bool:
    """Whether it is a file's name in the table's folder, or in one in it: no address, no path that leads elsewhere."""
    if not isinstance(name, str):
        return False
    above, _, last = name.rpartition("/")
    return above == folder and last not in ("", ".", "..") and not set(last) & set("\\\0")


def write_csv(path: Path, rows: Iterable[Row]) -> Path:
    """The table, a line a file, safe for spreadsheets."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    names = [field.name for field in dataclasses.fields(Row) if field.name not in ("thumb", "odds", "film")]
    writer.writerow(names)
    for row in rows:
        values = ("; ".join(value) if isinstance(value, tuple) else value for value in (getattr(row, n) for n in names))
        writer.writerow([cell("" if value is None else value) for value in values])
    return write_whole(path, out.getvalue().encode("utf-8-sig", "replace"))


# ------------------------------------------------------------------------------------------------------------- pages

_Key = Callable[[Row], Any]
# column → (its head, how it is sorted); the first is the order in which the files were given
_ORDERS: dict[str, tuple[str, _Key | None]] = {
    "": ("", None),
    "file": ("File", lambda row: row.source.casefold()),
    "verdict": ("Answer", lambda row: (_LABELS.index(row.label), -(row.fake or 0.0))),
    "probability": ("Probability", lambda row: (row.fake is None, -(row.fake or 0.0))),
    "faces": ("Faces", lambda row: (-row.faces, -row.fake_faces)),
}


def write_pages(
    folder: Path, rows: list[Row], *, total: int | None = None, tally: Mapping[str, int] | None = None
) -> list[Path]:
    """Pages of at most PER_PAGE rows in every order; the first is index.html.

    Args:
        folder: for the pages.
        rows: what they show.
        total: how many files there are, where these are only the most suspicious ones of them.
        tally: how many have which answer, then.
    """
    counted = tally or {label: sum(row.label == label for row in rows) for label in _LABELS}
    top = _top(len(rows) if total is None else total, len(rows), counted)
    written = []
    first = {source: group[0] for group in twins((row.source, row.sha256) for row in rows) for source in group[1:]}
    for order, (_, key) in _ORDERS.items():
        ordered = rows if key is None else sorted(rows, key=key)
        pages = [ordered[at : at + PER_PAGE] for at in range(0, len(ordered), PER_PAGE)] or [[]]
        for number, part in enumerate(pages, start=1):
            page = _page(part, top, order, number, len(pages), first)
            written.append(write_whole(folder / _name(order, number), document(page).encode("utf-8", "replace")))
    return written


def _name(order: str, number: int) -> str:
    return "-".join(["index", *([order] if order else []), *([str(number)] if number > 1 else [])]) + ".html"


def _page(part: list[Row], top: list[str], order: str, number: int, count: int, first: Mapping[str, str]) -> Element:
    from importlib.resources import files

    style = (files(__package__) / "summary.css").read_text(encoding="utf-8")
    heads = [_e("th", _e("span", "Picture", class_="unseen"), scope="col")]
    heads += [_head(name, order) for name in ("file", "verdict", "probability", "faces")]
    heads += [_e("th", "Places", scope="col"), _e("th", "Reports", scope="col")]
    table = _e("table", _e("thead", _e("tr", *heads)), _e("tbody", *(_row(row, first.get(row.source)) for row in part)))
    pages = [
        _e("a", str(n), href=_name(order, n), aria_current="page" if n == number else None) for n in range(1, count + 1)
    ]
    return _e(
        "html",
        _e(
            "head",
            _e("meta", charset="utf-8"),
            _e("meta", name="viewport", content="width=device-width, initial-scale=1"),
            _e("meta", name="color-scheme", content="light dark"),
            _e("meta", name="referrer", content="no-referrer"),
            _e("meta", name="robots", content="noindex"),
            _e("title", f"{top[0]} (facewitness)"),
            _e("style", style),
        ),
        _e(
            "body",
            _e(
                "header", _e("p", "facewitness"), _e("h1", top[0]), *(_e("p", line, class_="tally") for line in top[1:])
            ),
            _e("main", _e("div", table, class_="wide")),
            _e("nav", *pages, aria_label="Pages") if count > 1 else None,
            _e(
                "footer",
                _e("p", "The probability is that of the most suspicious face."),
                _e("p", "“{}” means: {}".format(*WORDS["real"])),  # by itself it would be told of the folder
                _e("p", "The same as a table: ", _e("a", "summary.csv", href="summary.csv")),
            ),
        ),
        lang="en",
    )


def _top(total: int, shown: int, tally: Mapping[str, int]) -> list[str]:
    """What stands above the table: how many files, with which answers, and which of them are shown."""
    lines = ["1 file" if total == 1 else f"{total:,} files"]
    lines.append(", ".join(f"{tally.get(label, 0):,} {_SHORT[label]}" for label in _LABELS))
    if shown < total:
        lines.append(f"Shown are the {shown:,} that are most suspicious; summary.csv has all.")
    return lines


_SHORT = {
    "fake": "fake", "inconclusive": "inconclusive", "real": "without a sign of forgery", "no_face": "without a face",
    "failed": "not analysed",
}  # fmt: skip


def _head(name: str, order: str) -> Element:
    here = name == order
    link = _e("a", _ORDERS[name][0], href=_name("" if here else name, 1))
    return _e("th", link, scope="col", aria_sort=("ascending" if name == "file" else "descending") if here else None)


def _row(row: Row, first: str | None = None) -> Element:
    """A row of the table; `first` is the source above it that is the same file."""
    picture = (
        _e("img", src=quote(row.thumb), alt="", loading="lazy", width=72, height=72) if row.thumb is not None else None
    )
    faces = f"{row.faces} {someone(row.film, row.faces)}"
    faces += f", {row.fake_faces} fake" if row.fake_faces and row.faces > 1 else ""
    links: list[Element | str] = []
    for report in row.reports:
        links += [_e("a", report.rpartition(".")[2], href=quote(report)), " "]
    place, _, name = visible(row.source).replace("\\", "/").rpartition("/")
    return _e(
        "tr",
        _e("td", picture),
        _e(
            "th",
            _e("bdi", name or "picture"),
            _e("span", place, class_="quiet") if place else None,
            _e("span", f"the same file as {visible(first)}", class_="quiet") if first is not None else None,
            scope="row",
        ),
        _e("td", WORDS[row.label][0], class_=row.label),
        _e("td", visible(row.odds)),
        _e("td", faces if row.status == "ok" else ""),
        _e("td", visible(row.places) or visible(row.problem)),
        _e("td", *links),
    )
