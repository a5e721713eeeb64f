"""The wire: a report as one line of strict UTF-8 JSON, and the way back.

`docs/report.schema.json` describes the format; its name and version stand in the field "schema". Everything in a Report
survives the way there and back, except the faces' landmarks, which are too large for a line and can be made again from
the file. Masks travel as greyscale PNG, so their values come back rounded to 1/255; each stands once, in the table
"masks", and is named by its number there. Lines of version 1 are read too: a photo's face is a person with one face.

Many reports of one run share `made_by`: `Lines` writes it with the first one, and its fingerprint into the others.
"""

from __future__ import annotations

import base64
import dataclasses
import difflib
import hashlib
import io
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import numpy as np
from PIL import Image

from facewitness.errors import InputError, ReportError
from facewitness.files import each_once, open_bounded, whole
from facewitness.phrases import json_line, title
from facewitness.types import (
    KINDS,
    Box,
    Case,
    Cause,
    Clip,
    Conclusion,
    Exhibit,
    Face,
    Finding,
    FrameRef,
    Label,
    Mark,
    Mask,
    Medium,
    Method,
    Moment,
    PersonReport,
    Place,
    Problem,
    Quality,
    Reply,
    Report,
    Sentence,
    Status,
    Testimony,
    Track,
    Verdict,
    grade,
)

extension = "json"
SCHEMA = "facewitness.report/2"
READ = (SCHEMA, "facewitness.report/1")  # versions that `parse` reads
_LONGEST = 200_000_000  # bytes of one line, of those to go on from
MASK_PIXELS = 1 << 26  # a mask of more pixels than this is refused before it is decoded
SIDE = 1_000_000  # longest side of a picture, in pixels

T = TypeVar("T")


def render(report: Report, clip: Clip | None = None, *, slim: bool = False) -> bytes:
    """The report as one line of UTF-8 JSON, with its line feed.

    Args:
        report: what is written.
        clip: not needed; every format takes it.
        slim: leave masks out; boxes stay. A report is then a tenth as long, and its masks come back as None.

    Raises:
        ReportError: the report cannot be written as JSON.
    """
    return _line(report, report.made_by, slim)


class Lines:
    """Writes many reports of one run: `made_by` stands in the first line that has it, its fingerprint in the others."""

    def __init__(self, slim: bool = False, written: Iterable[str] = ()):
        """`written` are the fingerprints of what stands in the file already."""
        self._slim, self._written = slim, set(written)

    def render(self, report: Report) -> bytes:
        """The next line, with its line feed.

        Args:
            report: A finished analysis.

        Raises:
            ReportError: Where the report cannot be written as JSON.
        """
        mark = fingerprint(report.made_by)
        known = mark in self._written
        line = _line(report, mark if known else report.made_by, self._slim)
        self._written.add(mark)
        return line


def go_on(path: Path, made_by: Mapping[str, Any], slim: bool = False) -> tuple[Lines, set[tuple[str, str | None]]]:
    """Prepare a file of lines, written in part by a run that was broken off, for the rest of them.

    A last line that was cut off, and lines of files that could not be analysed, are taken out: they come again.

    Args:
        path: the file; it need not be there.
        made_by: of the run that goes on.
        slim: how `Lines` is to write the rest.

    Returns:
        What writes the other lines, and (source, sha256) of the reports that stand in the file and were made in the
        same way.

    Raises:
        ReportError: it is a pipe or a device, or a line in it is no report; it is left as it is.
    """
    if not path.exists():
        return Lines(slim), set()
    mine, known, written = fingerprint(made_by), dict[str, Any](), set[str]()
    done: set[tuple[str, str | None]] = set()
    try:
        old = open_bounded(path, sys.maxsize)
    except OSError as error:
        raise ReportError(f"'{path}': expected lines to go on from ({error.strerror}). Name another file.") from error
    with whole(path) as passing, old, passing.open("wb") as new:
        for number, line in enumerate(iter(lambda: old.readline(_LONGEST), b""), start=1):
            if len(line) == _LONGEST:
                raise ReportError(f"'{path}', line {number}: expected a report, got {_LONGEST:,} bytes and more.")
            if not line.endswith(b"\n"):
                if not _closes(line):
                    break
                line += b"\n"
            if not line.strip():
                continue
            wire = _line_of(line, number, path)
            made = wire["made_by"]
            mark = made if isinstance(made, str) else fingerprint(made)
            if not isinstance(made, str):
                known[mark] = made
            if wire.get("status") == "failed":
                continue
            if mark not in written:  # the line that held it may have been taken out
                if mark not in known:
                    raise ReportError(f"'{path}', line {number}: made_by names no earlier line. Name another file.")
                if isinstance(made, str):
                    wire["made_by"] = known[mark]
                    line = json.dumps(wire, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
                written.add(mark)
            new.write(line)
            if mark == mine:
                done.add((str(wire.get("source")), wire.get("sha256")))
    return Lines(slim, written), done


def _closes(line: bytes) -> bool:
    """Whether a line is a whole value, so that only its line feed is missing, as after an editor took it away."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _line_of(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        wire = json.loads(line, object_pairs_hook=_once)
    except ReportError as error:
        raise ReportError(f"'{path}', line {number}: {error}") from error
    except (ValueError, RecursionError):
        wire = None
    schema = wire.get("schema") if isinstance(wire, dict) else None
    if isinstance(schema, str) and re.fullmatch(r"facewitness\.report/\d+", schema) and schema not in READ:
        raise ReportError(
            f"'{path}', line {number}: this version reads {' and '.join(map(repr, READ))}, got {schema!r}. Install the "
            "version of facewitness that wrote it, or name another file."
        )
    if not isinstance(wire, dict) or schema not in READ or not isinstance(wire.get("made_by"), str | dict):
        raise ReportError(
            f"'{path}', line {number}: expected a report ({SCHEMA}), got something else. Name another file."
        )
    return wire


def fingerprint(made_by: Mapping[str, Any]) -> str:
    """A hash by which lines of one file name the `made_by` that an earlier line holds: "sha256:" and 64 digits.

    Args:
        made_by: What stands in a report of how it was made.
    """
    text = json.dumps(_plain(made_by, "made_by"), sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _line(report: Report, made_by: Mapping[str, Any] | str, slim: bool) -> bytes:
    if report.status == "ok" and (report.verdict is None or report.medium is None):
        lacking = "verdict" if report.verdict is None else "medium"
        raise ReportError(f"{lacking}: a report with status 'ok' needs one on the wire, got None; set Report.{lacking}")
    if report.status == "failed" and report.verdict is not None:
        raise ReportError(f"verdict: expected None where the status is 'failed', got {report.verdict.label!r}")
    writer = _Writer(report.medium, slim)
    wire = {
        "schema": SCHEMA,
        "source": report.source,
        "sha256": report.sha256,
        "status": report.status,
        "medium": None if report.medium is None else dataclasses.asdict(report.medium),
        "notes": report.notes,
        "verdict": None if report.verdict is None else writer.verdict(report.verdict),
        "people": [writer.person(person) for person in report.people],
        "inspections": [writer.testimony(testimony) for testimony in report.inspections],
        "problems": [{"step": problem.step, "message": problem.message} for problem in report.problems],
        "made_by": made_by,
        "masks": writer.masks,
    }
    if report.case is not None:
        wire["case"] = dataclasses.asdict(report.case)
    text = json_line(_plain(wire, "report"), allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"


def parse(data: bytes | str) -> Report:
    """The report from its line. Landmarks are None: they do not travel.

    A line that names its `made_by` by a fingerprint comes back with {"fingerprint": …}; `parse_lines` puts the whole
    one in its place.

    Args:
        data: One report as JSON, in UTF-8.

    Raises:
        ReportError: says where the line leaves the format and what to do.
    """
    if not isinstance(data, str | bytes | bytearray):
        raise ReportError(f"Expected one report as JSON, bytes or text, got {type(data).__name__}. Try json.dumps.")
    try:
        return _read_report(_Value(_loaded(data), ""))
    except RecursionError as error:
        raise ReportError(
            "Expected one report as JSON, got nesting deeper than any report has. Check its source."
        ) from error


def parse_lines(lines: Iterable[bytes | str]) -> Iterator[Report]:
    """The reports from the lines of one file, each with its whole `made_by`. Empty lines are passed over.

    Args:
        lines: JSON lines, bytes or text.

    Raises:
        ReportError: a line leaves the format, or names a `made_by` that no earlier line holds; it says which line.
    """
    known: dict[str, Mapping[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            report = parse(line)
        except ReportError as error:
            raise ReportError(f"Line {number}: {error}") from error
        mark = report.made_by.get("fingerprint")
        if mark is None:
            known[fingerprint(report.made_by)] = report.made_by
        elif mark in known:
            report = dataclasses.replace(report, made_by=known[mark])
        else:
            raise ReportError(
                f"Line {number}: made_by: expected a fingerprint that an earlier line holds, got {mark!r}. Read the "
                "file from its first line."
            )
        yield report


def _loaded(data: bytes | str) -> Any:
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise ReportError(f"Expected UTF-8 text, got other bytes at {error.start}. Is this a {SCHEMA} file?") from error
    except json.JSONDecodeError as error:
        if not text.strip():
            raise ReportError(
                "Expected one report as JSON, got nothing. Make it again: facewitness analyze --json FILE."
            ) from error
        several = error.msg == "Extra data"
        if not several and _breaks_off(text, error):
            raise ReportError(
                f"Expected one report as JSON, got {len(text):,} characters that break off in the midst of it. Copy it "
                "again, or make it again: facewitness analyze --json FILE."
            ) from error
        advice = "give one line at a time" if several else "make it again: facewitness analyze --json FILE"
        raise ReportError(
            f"Expected one report as JSON, got something else at line {error.lineno}, column {error.colno} "
            f"({error.msg}); {advice}."
        ) from error
    except ReportError:
        raise
    except ValueError as error:  # json: an integer with thousands of digits
        raise ReportError(f"Expected one report as JSON, got a number that cannot be read ({error}).") from error


def _breaks_off(text: str, error: json.JSONDecodeError) -> bool:
    """Whether what is wrong with a JSON text is that the end of its object is missing."""
    text = text.strip()
    return text.startswith("{") and (not text.endswith("}") or error.pos >= len(text))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    try:
        return each_once(pairs)
    except ValueError as error:
        raise ReportError(f"Expected a report whose every key stands once, but {error}. Make it again.") from error


# ---------------------------------------------------------------- writing


class _Writer:
    """Turns nouns into what JSON can hold; `masks` gathers each mask once."""

    def __init__(self, medium: Medium | None, slim: bool):
        self.masks: list[dict[str, Any]] = []
        self._medium, self._slim = medium, slim
        self._numbers: dict[tuple[Box, str], int] = {}

    def verdict(self, verdict: Verdict) -> dict[str, Any]:
        return {
            "label": verdict.label,
            "fake": verdict.fake,
            "interval": verdict.interval,
            "thresholds": verdict.thresholds,
            "cause": verdict.cause,
            "reasons": verdict.reasons,
            "testimonies": [self.testimony(testimony) for testimony in verdict.testimonies],
        }

    def testimony(self, testimony: Testimony) -> dict[str, Any]:
        return {
            "witness": testimony.witness,
            "fake": testimony.fake,
            "kind": _kind(testimony.kind),
            "mask": self.mask(testimony.mask),
            "findings": [self.finding(finding) for finding in testimony.findings],
            "reply": None if testimony.reply is None else self.reply(testimony.reply),
            "considered": [self.reply(reply) for reply in testimony.considered],
            "series": None if testimony.series is None else [self.moment(moment) for moment in testimony.series],
            "problem": testimony.problem,
            "views": testimony.views,
        }

    def reply(self, reply: Reply) -> dict[str, Any]:
        return {
            "label": reply.label,
            "fake": reply.fake,
            "parts": [
                {"text": part} if isinstance(part, str) else {"mark": self.finding(part.finding)}
                for part in reply.parts
            ],
            "findings": [self.finding(finding) for finding in reply.findings],
            "notes": list(reply.notes),
            "refusals": reply.refusals,
            "hypothesis": reply.hypothesis,
            "match": reply.match,
        }

    def person(self, person: PersonReport) -> dict[str, Any]:
        return {
            "person": person.track.person,
            "faces": [self.face(face) for face in person.track.faces],
            "verdict": self.verdict(person.verdict),
            "timeline": [self.moment(moment) for moment in person.timeline],
            "kind": _kind(person.kind),
            "findings": [self.finding(finding) for finding in person.findings],
            "mask": self.mask(person.mask),
            "explanation": [{"text": s.text, "findings": s.findings} for s in person.explanation],
        }

    def face(self, face: Face) -> dict[str, Any]:
        quality = {field.name: getattr(face.quality, field.name) for field in dataclasses.fields(Quality)}
        return {"at": self.at(face.at), "box": face.box, "quality": quality, "unseen": sorted(face.unseen)}

    def moment(self, moment: Moment) -> dict[str, Any]:
        return {"at": self.at(moment.at), "fake": moment.fake, "mask": self.mask(moment.mask)}

    def finding(self, finding: Finding) -> dict[str, Any]:
        return {
            "claim": finding.claim,
            "strength": finding.strength,
            "grade": grade(finding.strength),
            "moves": finding.moves,
            "places": [self.place(place) for place in finding.places],
        }

    def place(self, place: Place) -> dict[str, Any]:
        return {
            "at": None if place.at is None else self.at(place.at),
            "region": place.region,
            "title": None if place.region is None else title(place.region),
            "box": place.box,
            "mask": self.mask(place.mask),
        }

    def at(self, at: FrameRef) -> dict[str, Any]:
        """A frame; its size only where it is not the medium's."""
        value: dict[str, Any] = {"index": at.index, "seconds": at.seconds}
        if self._medium is None or (at.width, at.height) != (self._medium.width, self._medium.height):
            value |= {"width": at.width, "height": at.height}
        return value

    def mask(self, mask: Mask | None) -> int | None:
        """The mask's number in the table."""
        if mask is None or self._slim:
            return None
        height, width = mask.values.shape
        file = io.BytesIO()
        Image.fromarray(np.rint(mask.values * 255.0).astype(np.uint8)).save(file, "PNG")
        png = base64.b64encode(file.getvalue()).decode("ascii")
        number = self._numbers.setdefault((mask.box, png), len(self.masks))
        if number == len(self.masks):
            self.masks.append({"box": mask.box, "size": (width, height), "png": png})
        return number


def _kind(kind: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if kind is None else {name: kind[name] for name in KINDS}


def _plain(value: Any, where: str) -> Any:
    """The value with only what JSON can hold: numpy's numbers become Python's, tuples become lists."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise ReportError(f"{where}: expected a finite number, got {value}. What was not measured is None.")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        if strangers := [key for key in value if not isinstance(key, str)]:
            raise ReportError(f"{where}: expected names as keys, got {strangers[0]!r}. Turn it into a string first.")
        return {key: _plain(inner, f"{where}.{key}") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, f"{where}[{index}]") for index, inner in enumerate(value)]
    raise ReportError(
        f"{where}: expected what JSON can hold (numbers, strings, lists, mappings), got {type(value).__name__}. "
        "Turn it into a string or a number before it goes into the report."
    )


# ---------------------------------------------------------------- reading


class _Value:
    """A JSON value and the place where it stands, so that every complaint can say where."""

    def __init__(self, value: Any, where: str):
        self.value, self.where = value, where

    def wrong(self, expected: str) -> NoReturn:
        came = repr(self.value)
        came = came if len(came) <= 60 else f"{came[:57]}..."
        raise ReportError(
            f"{self.where or 'report'}: expected {expected}, got {came}. The format is described in "
            "docs/report.schema.json; make the report again with: facewitness analyze --json FILE"
        )

    def fields(self, *names: str, later: Mapping[str, Any] | None = None) -> list[_Value]:
        """The members of an object that has exactly these names, in this order.

        `later` are fields that the format gained since its first lines, with what stands for an absent one.
        """
        later = later or {}
        known = (*names, *later)
        if not isinstance(self.value, dict):
            self.wrong(f"an object with {', '.join(known)}")
        if missing := [name for name in names if name not in self.value]:
            self.wrong(f"an object with the field {missing[0]!r}")
        if unknown := sorted(set(self.value) - set(known)):
            near = difflib.get_close_matches(unknown[0], known, n=1)
            self.wrong(f"no field {unknown[0]!r}{f' (did you mean {near[0]!r}?)' if near else ''}")
        prefix = f"{self.where}." if self.where else ""
        return [_Value({**later, **self.value}[name], prefix + name) for name in known]

    def each(self, read: Callable[[_Value], T], length: int | None = None) -> tuple[T, ...]:
        if not isinstance(self.value, list) or (length is not None and len(self.value) != length):
            self.wrong("a list" if length is None else f"a list of {length}")
        return tuple(read(_Value(inner, f"{self.where}[{index}]")) for index, inner in enumerate(self.value))

    def maybe(self, read: Callable[[_Value], T]) -> T | None:
        return None if self.value is None else read(self)

    def text(self) -> str:
        return self.value if isinstance(self.value, str) else self.wrong("a string")

    def number(self) -> float:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            self.wrong("a number")
        try:
            number = float(self.value)
        except OverflowError:
            number = math.inf
        return number if math.isfinite(number) else self.wrong("a finite number")

    def whole(self) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self.wrong("a whole number")
        return self.value

    def make(self, noun: Callable[..., T], **parts: Any) -> T:
        """The noun from its parts; what its own check refuses is told with the place."""
        try:
            return noun(**parts)
        except InputError as error:
            where = self.where or "report"
            raise ReportError(f"{where}: {error}. The format is described in docs/report.schema.json.") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ReportError(f"Expected strict JSON, got {name}. What was not measured is null.")


def _read_report(value: _Value) -> Report:
    schema = value.value.get("schema") if isinstance(value.value, dict) else None
    if schema == SCHEMA:
        return _read_2(value)
    if schema in READ:
        return _read_1(value)
    if isinstance(schema, str) and schema.startswith("facewitness.report/"):
        raise ReportError(
            f"schema: this version reads {' and '.join(map(repr, READ))}, got {schema!r}. "
            "Install the version of facewitness that wrote it."
        )
    raise ReportError(f"schema: expected {SCHEMA!r}, got {schema!r}. Is this a report of `facewitness analyze --json`?")


def _read_2(value: _Value) -> Report:
    fields = value.fields(
        "schema", "source", "sha256", "status", "medium", "notes", "verdict", "people", "inspections", "problems",
        "made_by", "masks", later={"case": None},
    )  # fmt: skip
    _, source, sha256, status, medium, notes, verdict, people, inspections, problems, made_by, masks, case = fields
    _needs(status, verdict, medium)
    read = medium.maybe(_read_medium)
    reader = _Reader(read, masks)
    return value.make(
        Report,
        source=source.text(),
        status=cast(Status, status.text()),
        sha256=sha256.maybe(_Value.text),
        medium=read,
        notes=notes.each(_Value.text),
        verdict=verdict.maybe(reader.verdict),
        people=people.each(reader.person),
        inspections=inspections.each(reader.testimony),
        problems=problems.each(_read_problem),
        made_by=_read_made_by(made_by),
        case=case.maybe(_read_case),
    )


def _read_1(value: _Value) -> Report:
    """Version 1: one frame, faces instead of people, masks where they belong, a sentence with at most one finding."""
    _, source, sha256, status, size, verdict, faces, problems, made_by = value.fields(
        "schema", "source", "sha256", "status", "size", "verdict", "faces", "problems", "made_by"
    )
    _needs(status, verdict, size)
    pair = cast(tuple[int, int] | None, size.maybe(lambda v: v.each(_read_side, 2)))
    medium = None if pair is None else Medium(*pair)
    reader = _Reader1(medium)
    return value.make(
        Report,
        source=source.text(),
        status=cast(Status, status.text()),
        sha256=sha256.maybe(_Value.text),
        medium=medium,
        verdict=verdict.maybe(reader.verdict),
        people=faces.each(reader.person),
        problems=problems.each(_read_problem),
        made_by=_read_made_by(made_by),
    )


def _needs(status: _Value, verdict: _Value, size: _Value) -> None:
    if status.value == "ok":
        for needed in (verdict, size):
            if needed.value is None:
                needed.wrong("one where the status is 'ok'")
    elif status.value == "failed" and verdict.value is not None:
        verdict.wrong("null where the status is 'failed'")


def _read_made_by(value: _Value) -> dict[str, Any]:
    if isinstance(value.value, str):
        return {"fingerprint": value.value}
    if not isinstance(value.value, dict):
        value.wrong("an object, or the fingerprint of an earlier line's")
    plain: dict[str, Any] = _plain(value.value, "made_by")
    return plain


def _read_medium(value: _Value) -> Medium:
    width, height, frames, fps = value.fields("width", "height", "frames", "fps")
    return value.make(
        Medium,
        width=_read_side(width),
        height=_read_side(height),
        frames=frames.whole(),
        fps=fps.maybe(_Value.number),
    )


def _read_side(value: _Value) -> int:
    side = value.whole()
    return side if 1 <= side <= SIDE else value.wrong(f"a number of pixels from 1 to {SIDE:,}")


def _read_box(value: _Value) -> Box:
    return cast(Box, value.each(_Value.number, 4))


def _read_pair(value: _Value) -> tuple[float, float]:
    return cast(tuple[float, float], value.each(_Value.number, 2))


def _read_problem(value: _Value) -> Problem:
    step, message = value.fields("step", "message")
    return Problem(step.text(), message.text())


def _read_case(value: _Value) -> Case:
    reference, exhibit, question, propositions, examiner, reviewer, methods, comparable, conclusion, notes = (
        value.fields(*(field.name for field in dataclasses.fields(Case)))
    )
    label, source, received, sha256, dates, custody = exhibit.fields(*(f.name for f in dataclasses.fields(Exhibit)))
    return value.make(
        Case,
        reference=reference.text(),
        exhibit=Exhibit(
            label.text(),
            source.text(),
            received.text(),
            sha256.maybe(_Value.text),
            dates.each(_Value.text),
            custody.each(_Value.text),
        ),
        question=question.text(),
        propositions=propositions.each(_Value.text, 2),
        examiner=examiner.text(),
        reviewer=reviewer.text(),
        methods=methods.each(
            lambda each: Method(*(part.text() for part in each.fields(*(f.name for f in dataclasses.fields(Method)))))
        ),
        comparable=comparable.text(),
        conclusion=conclusion.maybe(_read_conclusion),
        notes=notes.each(_Value.text),
    )


def _read_conclusion(value: _Value) -> Conclusion:
    level, scale, grounds, favours = value.fields(*(field.name for field in dataclasses.fields(Conclusion)))
    return Conclusion(level.text(), scale.each(_Value.text), grounds.text(), favours.maybe(_Value.whole))


def _read_kind(value: _Value) -> dict[str, float]:
    return dict(zip(KINDS, (score.number() for score in value.fields(*KINDS)), strict=True))


def _read_views(value: _Value) -> dict[str, float]:
    if not isinstance(value.value, dict):
        value.wrong("an object of scores")
    return {view: _Value(score, f"{value.where}.{view}").number() for view, score in value.value.items()}


def _read_quality(value: _Value) -> Quality:
    *numbers, reasons = value.fields(*(field.name for field in dataclasses.fields(Quality)))
    names = [field.name for field in dataclasses.fields(Quality)][:-1]
    parts = {name: number.maybe(_Value.number) for name, number in zip(names, numbers, strict=True)}
    return value.make(Quality, **parts, reasons=reasons.each(_Value.text))


def _decoded(value: _Value) -> Mask:
    """A mask from its box, size and PNG. Nothing is decoded before its size is known to be within the limit."""
    box, size, png = value.fields("box", "size", "png")
    width, height = size.each(_read_side, 2)
    if width * height > MASK_PIXELS:
        size.wrong(f"a mask of at most {MASK_PIXELS:,} pixels")
    try:
        image = Image.open(io.BytesIO(base64.b64decode(png.text(), validate=True)), formats=("PNG",))
        if image.mode != "L" or image.size != (width, height):  # the header alone: nothing is decoded yet
            png.wrong(f"a greyscale PNG of {width} × {height} pixels (this one is {image.mode}, {image.size})")
        values = np.asarray(image, dtype=np.float32) / np.float32(255.0)
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, ReportError):
            raise
        png.wrong("a greyscale PNG in base64")
    return value.make(Mask, box=_read_box(box), values=values)


class _Reader:
    """Reads nouns of version 2. `medium` gives a frame its size, `masks` is the table that masks are numbers of."""

    def __init__(self, medium: Medium | None, masks: _Value):
        self._width, self._height = (1, 1) if medium is None else (medium.width, medium.height)
        self._table = masks.each(lambda each: each)
        self._masks: dict[int, Mask] = {}
        self._pixels = 0

    def verdict(self, value: _Value) -> Verdict:
        label, fake, interval, thresholds, cause, reasons, testimonies = value.fields(
            "label", "fake", "interval", "thresholds", "cause", "reasons", "testimonies"
        )
        return value.make(
            Verdict,
            label=cast(Label, label.text()),
            fake=fake.maybe(_Value.number),
            interval=interval.maybe(_read_pair),
            thresholds=thresholds.maybe(_read_pair),
            cause=cast(Cause | None, cause.maybe(_Value.text)),
            reasons=reasons.each(_Value.text),
            testimonies=testimonies.each(self.testimony),
        )

    def testimony(self, value: _Value) -> Testimony:
        witness, fake, kind, mask, findings, reply, considered, series, problem, views = value.fields(
            "witness", "fake", "kind", "mask", "findings", "reply", "considered", "series", "problem",
            later={"views": None},
        )  # fmt: skip
        return value.make(
            Testimony,
            witness=witness.text(),
            fake=fake.maybe(_Value.number),
            mask=mask.maybe(self.mask),
            findings=findings.each(self.finding),
            kind=kind.maybe(_read_kind),
            reply=reply.maybe(self.reply),
            considered=considered.each(self.reply),
            series=series.maybe(lambda v: v.each(self.moment)),
            problem=problem.text(),
            views=views.maybe(_read_views),
        )

    def reply(self, value: _Value) -> Reply:
        label, fake, parts, findings, refusals, hypothesis, match, notes, _ = value.fields(
            "label", "fake", "parts", "findings", "refusals", "hypothesis", "match",
            later={"notes": [], "thought": ""},  # the second was written once, and is not read
        )  # fmt: skip
        return value.make(
            Reply,
            label=cast(Label | None, label.maybe(_Value.text)),
            fake=fake.maybe(_Value.number),
            parts=parts.each(self.part),
            findings=findings.each(self.finding),
            refusals=refusals.maybe(lambda v: v.each(_Value.text)),
            notes=notes.each(_Value.text),
            hypothesis=hypothesis.maybe(_Value.text),
            match=match.maybe(_Value.number),
        )

    def part(self, value: _Value) -> str | Mark:
        if isinstance(value.value, dict) and "mark" in value.value:
            (mark,) = value.fields("mark")
            return Mark(self.finding(mark))
        (text,) = value.fields("text")
        return text.text()

    def person(self, value: _Value) -> PersonReport:
        person, faces, verdict, timeline, kind, findings, mask, explanation = value.fields(
            "person", "faces", "verdict", "timeline", "kind", "findings", "mask", "explanation"
        )
        return value.make(
            PersonReport,
            track=value.make(Track, person=person.whole(), faces=faces.each(self.face)),
            verdict=self.verdict(verdict),
            timeline=timeline.each(self.moment),
            kind=kind.maybe(_read_kind),
            findings=findings.each(self.finding),
            mask=mask.maybe(self.mask),
            explanation=explanation.each(self.sentence),
        )

    def face(self, value: _Value) -> Face:
        at, box, quality, unseen = value.fields("at", "box", "quality", later={"unseen": []})
        return value.make(
            Face,
            at=self.at(at),
            box=_read_box(box),
            quality=_read_quality(quality),
            unseen=frozenset(unseen.each(_Value.text)),
        )

    def moment(self, value: _Value) -> Moment:
        at, fake, mask = value.fields("at", "fake", "mask")
        return value.make(Moment, at=self.at(at), fake=fake.maybe(_Value.number), mask=mask.maybe(self.mask))

    def finding(self, value: _Value) -> Finding:
        # title and grade follow from region and strength; they stand on the wire for those who read it with other tools
        claim, strength, _, places, moves = value.fields("claim", "strength", "grade", "places", later={"moves": None})
        return value.make(
            Finding,
            places=places.each(self.place),
            claim=claim.text(),
            strength=strength.maybe(_Value.number),
            moves=moves.maybe(_Value.number),
        )

    def place(self, value: _Value) -> Place:
        at, region, _, box, mask = value.fields("at", "region", "title", "box", "mask")
        return value.make(
            Place,
            at=at.maybe(self.at),
            region=region.maybe(_Value.text),
            box=_read_box(box),
            mask=mask.maybe(self.mask),
        )

    def at(self, value: _Value) -> FrameRef:
        index, seconds, width, height = value.fields(
            "index", "seconds", later={"width": self._width, "height": self._height}
        )
        return value.make(
            FrameRef,
            width=_read_side(width),
            height=_read_side(height),
            index=index.whole(),
            seconds=seconds.maybe(_Value.number),
        )

    def mask(self, value: _Value) -> Mask:
        number = value.whole()
        if not 0 <= number < len(self._table):
            value.wrong(f"a number of the {len(self._table)} masks of this report, from 0")
        if number not in self._masks:
            mask = _decoded(self._table[number])
            self._pixels += mask.values.size
            if self._pixels > MASK_PIXELS:
                value.wrong(f"masks of at most {MASK_PIXELS:,} pixels together")
            self._masks[number] = mask
        return self._masks[number]

    def sentence(self, value: _Value) -> Sentence:
        text, findings = value.fields("text", "findings")
        return Sentence(text.text(), findings.each(_Value.whole))


class _Reader1(_Reader):
    """Reads what stood otherwise in version 1."""

    def __init__(self, medium: Medium | None):
        super().__init__(medium, _Value([], "masks"))

    def verdict(self, value: _Value) -> Verdict:
        label, fake, interval, reasons, testimonies = value.fields(
            "label", "fake", "interval", "reasons", "testimonies"
        )
        return value.make(
            Verdict,
            label=cast(Label, label.text()),
            fake=fake.maybe(_Value.number),
            interval=interval.maybe(_read_pair),
            reasons=reasons.each(_Value.text),
            testimonies=testimonies.each(self.testimony),
        )

    def testimony(self, value: _Value) -> Testimony:
        witness, fake, _, kind, mask, findings, replies = value.fields(
            "witness", "fake", "seconds", "kind", "mask", "findings", "replies"
        )
        read = replies.each(self.reply)
        return value.make(
            Testimony,
            witness=witness.text(),
            fake=fake.maybe(_Value.number),
            mask=mask.maybe(self.mask),
            findings=findings.each(self.finding),
            kind=kind.maybe(_read_kind),
            reply=read[0] if read else None,
            considered=read[1:],
        )

    def reply(self, value: _Value) -> Reply:
        label, fake, findings, _, text, refusals = value.fields(
            "label", "fake", "findings", "thought", later={"text": "", "refusals": None}
        )
        return value.make(
            Reply,
            label=cast(Label | None, label.maybe(_Value.text)),
            fake=fake.maybe(_Value.number),
            parts=(text.text(),) if text.text() else (),
            findings=findings.each(self.finding),
            refusals=refusals.maybe(lambda v: v.each(_Value.text)),
        )

    def person(self, value: _Value) -> PersonReport:
        box, person, frame, quality, verdict, kind, findings, mask, explanation = value.fields(
            "box", "person", "frame", "quality", "verdict", "kind", "findings", "mask", "explanation"
        )
        face = value.make(Face, at=self.at(frame), box=_read_box(box), quality=_read_quality(quality))
        return value.make(
            PersonReport,
            track=Track(person.whole(), (face,)),
            verdict=self.verdict(verdict),
            kind=kind.maybe(_read_kind),
            findings=findings.each(self.finding),
            mask=mask.maybe(self.mask),
            explanation=explanation.each(self.sentence),
        )

    def finding(self, value: _Value) -> Finding:
        region, _, box, strength, _, claim, mask = value.fields(
            "region", "title", "box", "strength", "grade", "claim", "mask"
        )
        place = value.make(
            Place,
            at=FrameRef(self._width, self._height),
            region=region.text(),
            box=_read_box(box),
            mask=mask.maybe(self.mask),
        )
        return value.make(Finding, places=(place,), claim=claim.text(), strength=strength.maybe(_Value.number))

    def mask(self, value: _Value) -> Mask:
        mask = _decoded(value)
        self._pixels += mask.values.size
        if self._pixels > MASK_PIXELS:
            value.wrong(f"masks of at most {MASK_PIXELS:,} pixels together")
        return mask

    def sentence(self, value: _Value) -> Sentence:
        text, finding = value.fields("text", "finding")
        number = finding.maybe(_Value.whole)
        return Sentence(text.text(), () if number is None else (number,))
