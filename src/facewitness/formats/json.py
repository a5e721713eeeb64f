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
import hashlib
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facewitness.errors import ReportError
from facewitness.files import open_bounded, whole
from facewitness.formats._parsing import READ, SCHEMA, once, parsed, plain
from facewitness.phrases import json_line, title
from facewitness.types import (
    KINDS,
    Box,
    Clip,
    Face,
    Finding,
    FrameRef,
    Mask,
    Medium,
    Moment,
    PersonReport,
    Place,
    Quality,
    Reply,
    Report,
    Testimony,
    Verdict,
    grade,
)

extension = "json"
_LONGEST = 200_000_000  # bytes of one line, of those to go on from


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
        wire = json.loads(line, object_pairs_hook=once)
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
    text = json.dumps(plain(made_by, "made_by"), sort_keys=True, separators=(",", ":"))
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
    text = json_line(plain(wire, "report"), allow_nan=False, separators=(",", ":"))
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
        return parsed(data)
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
