"""Verdicts that somebody found wrong, kept: what was said of which file then, and what is said of it now.

    entry = record(report, "real", note="press photo")     what a wrong verdict was, without the picture
    Kept(folder).add(entry)                                one JSON file, named by the picture's hash
    again(Kept(folder), analyzer, pictures)                the same files through today's weights

A folder of them is a regression set: a release says which of its misjudgements are mended, which stand, and which are
new. The record holds hashes and numbers, no picture unless whoever reports it asks for that; without it, the file is
looked for by its SHA-256 wherever the user says. A record is about a face or, where what the file says of itself
decided, about the file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from facewitness import media
from facewitness.errors import FacewitnessError, InputError
from facewitness.files import each_once, read_bounded, write_whole
from facewitness.phrases import percent
from facewitness.pipeline import Analyzer
from facewitness.types import Report, Testimony
from facewitness.version import __version__

SCHEMA = "facewitness.misjudged/1"
TRUTHS = ("real", "fake")
MAX_NOTE = 2000  # characters
_MAX_RECORD = 1 << 16  # bytes of a record


@dataclass(frozen=True, slots=True)
class Misjudged:
    """One verdict that somebody says is wrong."""

    sha256: str  # of the file
    person: int | None  # who on it, from 0 in reading order; None: the file, by what it says of itself
    truth: str  # "real" or "fake", by whoever reports it
    label: str  # what was said
    fake: float | None
    interval: tuple[float, float] | None
    scores: Mapping[str, float | None]  # witness -> its score before calibration
    weights: Mapping[str, str]  # file of weights -> SHA-256
    quality: float | None
    face: float | None  # shorter side of the face's box in pixels
    version: str  # of facewitness
    date: str
    note: str = ""
    picture: str | None = None  # name of the picture beside the record, where it was kept
    statement: str = ""  # by which the file was called fake; empty where a face was judged

    @property
    def wrong(self) -> bool:
        """Whether the verdict was the other one; an open verdict is not wrong."""
        return {self.label, self.truth} == {"real", "fake"}


def by_the_file(report: Report) -> tuple[Testimony, ...]:
    """The testimonies about the whole file that decided its verdict; none where its faces did.

    Args:
        report: Of one analysis.
    """
    verdict = report.verdict
    if verdict is None or verdict.label != "fake" or verdict.fake is not None:  # a statement has no probability
        return ()
    return tuple(t for t in report.inspections if t.fake and t.findings and t.findings[0].claim in verdict.reasons)


def record(report: Report, truth: str, note: str = "", person: int | None = None) -> Misjudged:
    """What was said of a file, beside what somebody knows of it.

    Args:
        report: Of one analysis.
        truth: "real" or "fake".
        note: In the reporter's words, at most MAX_NOTE characters.
        person: Who is meant, from 0; may be None where the report has one person. Where what the file says of itself
            decided, None means the file.

    Raises:
        InputError: The truth is another word, nothing was judged, or it is not said who of several is meant.
    """
    if truth not in TRUTHS:
        raise InputError(f"truth: expected real or fake, got {truth!r}.")
    if len(note) > MAX_NOTE:
        raise InputError(f"note: expected at most {MAX_NOTE:,} characters, got {len(note):,}.")
    decided = by_the_file(report)
    if report.sha256 is None or not (report.people or decided):
        raise InputError(
            f"{report.source}: expected a file with a face that was judged, or one whose verdict is by what it says of "
            "itself, got neither."
        )
    if person is None and decided and report.verdict is not None:
        return Misjudged(
            sha256=report.sha256, person=None, truth=truth, label=report.verdict.label, fake=None, interval=None,
            scores={t.witness: t.fake for t in decided}, weights=_weights(report.made_by), quality=None, face=None,
            version=__version__, date=_today(), note=note, statement=_statement(decided),
        )  # fmt: skip
    if person is None and len(report.people) > 1:
        raise InputError(f"{report.source} shows {len(report.people)} people. Say who is meant with --person 1, 2, …")
    if not 0 <= (person or 0) < len(report.people):
        raise InputError(f"{report.source}: expected a person from 1 to {len(report.people)}, got {(person or 0) + 1}.")
    judged = report.people[person or 0]
    verdict, box = judged.verdict, judged.face.box
    return Misjudged(
        sha256=report.sha256, person=person or 0, truth=truth, label=verdict.label, fake=verdict.fake,
        interval=verdict.interval, scores={t.witness: t.fake for t in verdict.testimonies},
        weights=_weights(report.made_by), quality=judged.face.quality.score,
        face=round(min(box[2] - box[0], box[3] - box[1]), 1), version=__version__, date=_today(), note=note,
    )  # fmt: skip


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _statement(decided: tuple[Testimony, ...]) -> str:
    return " ".join(testimony.findings[0].claim for testimony in decided)


def _weights(made_by: Mapping[str, Any]) -> dict[str, str]:
    hashes: dict[str, str] = {}
    parts = [part for value in made_by.values() for part in (value if isinstance(value, list | tuple) else [value])]
    for part in parts:
        if isinstance(part, Mapping):
            weights = part.get("weights")
            hashes.update(weights if isinstance(weights, Mapping) else {})
    return hashes


class Kept:
    """A folder of records, each named by its file's hash and person or `file`; a later one of the same replaces it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def add(self, entry: Misjudged, picture: bytes | None = None, suffix: str = "") -> Path:
        """Writes a record, and the picture beside it where that was asked for.

        Args:
            entry: The record.
            picture: The file's bytes; None keeps none.
            suffix: Of the picture's name.

        Raises:
            InputError: The bytes are not those of the file that was judged.
        """
        values = asdict(entry)
        if picture is None and (before := self.before(entry)) is not None:
            values["picture"] = before.picture  # the same file's: it is still there
        if picture is not None:
            if hashlib.sha256(picture).hexdigest() != entry.sha256:
                raise InputError("picture: expected the bytes that were judged, got others.")
            values["picture"] = f"{entry.sha256[:16]}{suffix}"
        self.folder.mkdir(parents=True, exist_ok=True)
        if picture is not None:
            write_whole(self.folder / values["picture"], picture)
        path = self._path(entry)
        write_whole(path, (json.dumps({"schema": SCHEMA, **values}, indent=1, ensure_ascii=False) + "\n").encode())
        return path

    def _path(self, entry: Misjudged) -> Path:
        what = "file" if entry.person is None else entry.person + 1
        return self.folder / f"{entry.sha256[:16]}-{what}.json"

    def before(self, entry: Misjudged) -> Misjudged | None:
        """The record of the same file and person that is there already, which `add` replaces.

        Args:
            entry: A record.

        Raises:
            InputError: It is damaged.
        """
        return _read(self._path(entry)) if self._path(entry).exists() else None

    def entries(self) -> list[Misjudged]:
        """All records, by name.

        Raises:
            InputError: The folder does not exist or holds none, or a record is damaged.
        """
        if not self.folder.is_dir():
            raise InputError(f"'{self.folder}' is no folder. Make records with facewitness misjudged … --into FOLDER.")
        entries = [_read(path) for path in sorted(self.folder.glob("*.json"))]
        if not entries:
            raise InputError(f"'{self.folder}' holds no record. Make some with facewitness misjudged … --into FOLDER.")
        return entries

    def picture_of(self, entry: Misjudged) -> Path | None:
        """The picture kept beside a record.

        Args:
            entry: The record.
        """
        path = None if entry.picture is None else self.folder / entry.picture
        return path if path is not None and path.is_file() and not path.is_symlink() else None


def _read(path: Path) -> Misjudged:
    try:
        values = json.loads(read_bounded(path, _MAX_RECORD), object_pairs_hook=each_once)
        if not isinstance(values, dict) or values.pop("schema", None) != SCHEMA:
            raise ValueError(f"expected the schema {SCHEMA}")
        if unknown := sorted(set(values) - {field.name for field in fields(Misjudged)}):
            raise ValueError(f"expected no field {unknown[0]!r}")
        entry = Misjudged(**values)
        kinds = (
            (entry.sha256, str), (entry.person, int | None), (entry.scores, dict), (entry.weights, dict),
            (entry.note, str), (entry.version, str), (entry.date, str), (entry.fake, float | int | None),
            (entry.picture, str | None), (entry.statement, str),
        )  # fmt: skip
        if not all(isinstance(value, kind) for value, kind in kinds) or len(entry.sha256) != 64:
            raise ValueError("a field has another type")
        if isinstance(entry.person, bool) or (entry.person is not None and entry.person < 0):
            raise ValueError(f"expected a person from 0, got {entry.person}")
        if isinstance(entry.fake, bool) or not (entry.fake is None or 0 <= entry.fake <= 1):
            raise ValueError(f"expected fake from 0 to 1, got {entry.fake!r:.40}")
        if re.fullmatch(r"[0-9a-f]{64}", entry.sha256) is None or re.fullmatch(r"[-\d]{10}", entry.date) is None:
            raise ValueError("expected a SHA-256 and a date")
        if entry.truth not in TRUTHS or entry.label not in (*TRUTHS, "inconclusive"):
            raise ValueError("expected real or fake as truth, and a label")
        if entry.picture is not None and (
            Path(entry.picture).name != entry.picture or entry.picture.startswith(".") or len(entry.picture) > 100
        ):
            raise ValueError("expected the name of a picture in this folder")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"'{path}' is no record of a misjudgement ({why}). Make it again by facewitness misjudged, or take it away."
        ) from error
    return entry


@dataclass(frozen=True, slots=True)
class Outcome:
    """A record and what is said now; None where the file was not at hand or nobody is found on it any more."""

    entry: Misjudged
    label: str | None
    fake: float | None
    by_file: bool = False  # whether what the file says of itself decides now

    @property
    def what(self) -> str:
        """In a word: mended, wrong, worse, open, or missing."""
        if self.label is None:
            return "missing"
        now_wrong = {self.label, self.entry.truth} == {"real", "fake"}
        if now_wrong:
            return "wrong" if self.entry.wrong else "worse"
        return "open" if self.label == "inconclusive" else "mended"


def again(kept: Kept, analyzer: Analyzer, pictures: Path | None = None) -> Iterator[Outcome]:
    """Every record's file through an analyzer.

    Args:
        kept: The records.
        analyzer: Today's.
        pictures: A folder in which files are looked for by their SHA-256, besides those beside the records.

    Raises:
        InputError: The folder holds no records, one is damaged, or some are about what a file says of itself and no
            witness reads that.
    """
    entries = kept.entries()
    of_files = sum(entry.person is None for entry in entries)
    if of_files and not any(getattr(witness, "decisive", False) for witness in analyzer.witnesses):
        asked = ", ".join(witness.name for witness in analyzer.witnesses)
        raise InputError(
            f"'{kept.folder}': expected a witness that reads what a file says of itself, for {of_files} of "
            f"{len(entries)} records are about that, got {asked}. Add --witness provenance."
        )
    wanted = {entry.sha256 for entry in entries if kept.picture_of(entry) is None}
    elsewhere = _by_hash(pictures, wanted) if pictures is not None and wanted else {}
    for entry in entries:
        path = kept.picture_of(entry) or elsewhere.get(entry.sha256)
        report = None if path is None else analyzer.analyze(path)
        if report is None or report.sha256 != entry.sha256 or report.status == "failed":
            yield Outcome(entry, None, None)
        elif entry.person is None:
            of_file = report.verdict  # by the faces where the file decides no more; None without any
            yield Outcome(
                entry,
                "inconclusive" if of_file is None else of_file.label,
                None if of_file is None else of_file.fake,
                bool(by_the_file(report)),
            )
        elif entry.person >= len(report.people):
            yield Outcome(entry, None, None)
        else:
            verdict = report.people[entry.person].verdict
            yield Outcome(entry, verdict.label, verdict.fake)


def _by_hash(folder: Path, wanted: set[str]) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    for path in media.collect([folder]):
        if len(paths) == len(wanted):
            break
        try:
            digest = hashlib.sha256(read_bounded(path, media.limit_of(path))).hexdigest()
        except (FacewitnessError, OSError):
            continue  # what cannot be read is not the file
        if digest in wanted:
            paths.setdefault(digest, path)
    return paths


def page(outcomes: list[Outcome]) -> str:
    """A Markdown table of scores before and now, and a line with the counts.

    Args:
        outcomes: As `again` gives them.
    """
    words = {
        "mended": "right now",
        "open": "undecided now",
        "wrong": "still wrong",
        "worse": "wrong now",
        "missing": "—",
    }
    counts = {name: sum(outcome.what == name for outcome in outcomes) for name in words}
    lines = [
        "| file | is | said with | then | now | |", "|---|---|---|---|---|---|",
        *(
            f"| {o.entry.sha256[:12]} | {_label(o.entry.truth)} | {o.entry.version}, {o.entry.date} | "
            f"{_verdict(o.entry.label, o.entry.fake, o.entry.person is None)} | "
            f"{_verdict(o.label, o.fake, o.by_file)} | {words[o.what]} |"
            for o in outcomes
        ),
        "",
        f"{len(outcomes)} reported: {counts['mended']} right now, {counts['open']} undecided, {counts['wrong']} still "
        f"wrong, {counts['worse']} newly wrong, {counts['missing']} whose file was not at hand.",
    ]  # fmt: skip
    return "\n".join(lines)


def _label(label: str) -> str:
    return {"real": "genuine", "fake": "forged", "inconclusive": "undecided"}[label]


def _verdict(label: str | None, fake: float | None, by_file: bool = False) -> str:
    if label is None:
        return "not at hand"
    if by_file:
        return "fake, by what the file says"
    return {"real": "no sign", "fake": "fake", "inconclusive": "undecided"}[label] + (
        "" if fake is None else f" ({percent(fake)})"
    )
