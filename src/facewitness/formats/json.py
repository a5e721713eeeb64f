"""The wire: a report as one line of strict UTF-8 JSON, and the way back.

`docs/report.schema.json` describes the format; its name and version stand in the field "schema". Everything in a
Report survives the way there and back, except what is too large for a line and can be made again from the file: the
picture's pixels and the faces' landmarks. Masks travel as greyscale PNG, so their values come back rounded to 1/255.
"""

from __future__ import annotations

import base64
import dataclasses
import difflib
import io
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar, cast

import numpy as np
from PIL import Image

from facewitness.errors import InputError, ReportError
from facewitness.phrases import title
from facewitness.types import (
    KINDS,
    Box,
    Face,
    FaceReport,
    Finding,
    Frame,
    Label,
    Mask,
    Problem,
    Quality,
    Reply,
    Report,
    Sentence,
    Status,
    Testimony,
    Verdict,
    grade,
)

extension = "json"
SCHEMA = "facewitness.report/1"
MASK_PIXELS = 1 << 26  # a mask of more pixels than this is refused before it is decoded
SIDE = 1_000_000  # longest side of a picture, in pixels

T = TypeVar("T")


def render(report: Report) -> bytes:
    """One line of UTF-8 JSON, with its line feed. Raises ReportError where the report cannot be written as JSON."""
    if report.status == "ok" and (report.verdict is None or report.size is None):
        lacking = "verdict" if report.verdict is None else "size"
        raise ReportError(f"{lacking}: a report with status 'ok' needs one on the wire, got None; set Report.{lacking}")
    if report.status != "ok" and report.verdict is not None:
        raise ReportError(f"verdict: expected None where the status is {report.status!r}, got {report.verdict.label!r}")
    wire = {
        "schema": SCHEMA,
        "source": report.source,
        "sha256": report.sha256,
        "status": report.status,
        "size": report.size,
        "verdict": None if report.verdict is None else _verdict(report.verdict),
        "faces": [_face(face) for face in report.faces],
        "problems": [{"step": problem.step, "message": problem.message} for problem in report.problems],
        "made_by": report.made_by,
    }
    text = json.dumps(_plain(wire, "report"), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for separator in ("\x7f", "\x85", "\u2028", "\u2029"):  # some readers end a line at these; JSON leaves them raw
        text = text.replace(separator, f"\\u{ord(separator):04x}")
    # A file name that is not UTF-8 holds lone surrogates. "backslashreplace" writes them as \udcXX, the JSON escape.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def parse(data: bytes | str) -> Report:
    """The report from its line. Raises ReportError, which says where the line leaves the format and what to do.

    `Report.frame` is None, landmarks are None, and each `Face.frame` is black: the picture itself does not travel.
    """
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        value = json.loads(text, parse_constant=_refuse_constant)
        return _read_report(_Value(value, ""))
    except UnicodeDecodeError as error:
        raise ReportError(f"Expected UTF-8 text, got other bytes at {error.start}. Is this a {SCHEMA} file?") from error
    except RecursionError as error:
        raise ReportError(
            "Expected one report as JSON, got nesting deeper than any report has. Check its source."
        ) from error
    except json.JSONDecodeError as error:
        several = error.msg == "Extra data"
        advice = "give one line at a time" if several else "make it again: facewitness analyze --json FILE"
        raise ReportError(
            f"Expected one report as JSON, got something else at line {error.lineno}, column {error.colno} "
            f"({error.msg}); {advice}."
        ) from error
    except ReportError:
        raise
    except ValueError as error:  # json: an integer with thousands of digits
        raise ReportError(f"Expected one report as JSON, got a number that cannot be read ({error}).") from error


# ---------------------------------------------------------------- writing


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "label": verdict.label,
        "fake": verdict.fake,
        "interval": verdict.interval,
        "reasons": verdict.reasons,
        "testimonies": [
            {
                "witness": said.witness,
                "fake": said.fake,
                "seconds": said.seconds,
                "kind": _kind(said.kind),
                "mask": _mask(said.mask),
                "findings": [_finding(finding) for finding in said.findings],
                "replies": [
                    {
                        "label": reply.label,
                        "fake": reply.fake,
                        "findings": [_finding(finding) for finding in reply.findings],
                        "thought": reply.thought,
                        "text": reply.text,
                        "refusals": reply.refusals,
                    }
                    for reply in said.replies
                ],
            }
            for said in verdict.testimonies
        ],
    }


def _face(said: FaceReport) -> dict[str, Any]:
    face = said.face
    return {
        "box": face.box,
        "person": face.person,
        "frame": {"index": face.frame.index, "seconds": face.frame.seconds},
        "quality": {field.name: getattr(face.quality, field.name) for field in dataclasses.fields(Quality)},
        "verdict": _verdict(said.verdict),
        "kind": _kind(said.kind),
        "findings": [_finding(finding) for finding in said.findings],
        "mask": _mask(said.mask),
        "explanation": [{"text": sentence.text, "finding": sentence.finding} for sentence in said.explanation],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "region": finding.region,
        "title": title(finding.region),
        "box": finding.box,
        "strength": finding.strength,
        "grade": grade(finding.strength),
        "claim": finding.claim,
        "mask": _mask(finding.mask),
    }


def _kind(kind: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if kind is None else {name: kind[name] for name in KINDS}


def _mask(mask: Mask | None) -> dict[str, Any] | None:
    if mask is None:
        return None
    height, width = mask.values.shape
    file = io.BytesIO()
    Image.fromarray(np.rint(mask.values * 255.0).astype(np.uint8)).save(file, "PNG")
    return {"box": mask.box, "size": (width, height), "png": base64.b64encode(file.getvalue()).decode("ascii")}


def _plain(value: Any, where: str) -> Any:
    """The value with only what JSON can hold: numpy's numbers become Python's, tuples become lists."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise ReportError(f"{where}: expected a finite number, got {value}. What was not measured is None.")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        if stranger := next((key for key in value if not isinstance(key, str)), None):
            raise ReportError(f"{where}: expected names as keys, got {stranger!r}. Turn it into a string first.")
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
    if schema != SCHEMA:
        if isinstance(schema, str) and schema.startswith("facewitness.report/"):
            raise ReportError(
                f"schema: this version reads {SCHEMA!r}, got {schema!r}. "
                "Install the version of facewitness that wrote it."
            )
        raise ReportError(
            f"schema: expected {SCHEMA!r}, got {schema!r}. Is this a report of `facewitness analyze --json`?"
        )
    _, source, sha256, status, size, verdict, faces, problems, made_by = value.fields(
        "schema", "source", "sha256", "status", "size", "verdict", "faces", "problems", "made_by"
    )
    if status.value == "ok":
        for needed in (verdict, size):
            if needed.value is None:
                needed.wrong("one where the status is 'ok'")
    elif verdict.value is not None:
        verdict.wrong(f"null where the status is {status.value!r}")
    if not isinstance(made_by.value, dict):
        made_by.wrong("an object")
    pair = cast(tuple[int, int] | None, size.maybe(lambda v: v.each(_read_side, 2)))
    width, height = pair or (1, 1)
    # One black pixel seen everywhere: a frame of the right size that takes no memory.
    black = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (height, width, 3))
    return value.make(
        Report,
        source=source.text(),
        status=cast(Status, status.text()),
        sha256=sha256.maybe(_Value.text),
        size=pair,
        verdict=verdict.maybe(_read_verdict),
        faces=faces.each(lambda v: _read_face(v, black)),
        problems=problems.each(_read_problem),
        made_by=_plain(made_by.value, "made_by"),
    )


def _read_side(value: _Value) -> int:
    side = value.whole()
    return side if 1 <= side <= SIDE else value.wrong(f"a number of pixels from 1 to {SIDE:,}")


def _read_box(value: _Value) -> Box:
    return cast(Box, value.each(_Value.number, 4))


def _read_problem(value: _Value) -> Problem:
    step, message = value.fields("step", "message")
    return Problem(step.text(), message.text())


def _read_kind(value: _Value) -> dict[str, float]:
    return dict(zip(KINDS, (score.number() for score in value.fields(*KINDS)), strict=True))


def _read_verdict(value: _Value) -> Verdict:
    label, fake, interval, reasons, testimonies = value.fields("label", "fake", "interval", "reasons", "testimonies")
    return value.make(
        Verdict,
        label=cast(Label, label.text()),
        fake=fake.maybe(_Value.number),
        interval=interval.maybe(lambda v: v.each(_Value.number, 2)),
        reasons=reasons.each(_Value.text),
        testimonies=testimonies.each(_read_testimony),
    )


def _read_testimony(value: _Value) -> Testimony:
    witness, fake, seconds, kind, mask, findings, replies = value.fields(
        "witness", "fake", "seconds", "kind", "mask", "findings", "replies"
    )
    return value.make(
        Testimony,
        witness=witness.text(),
        fake=fake.maybe(_Value.number),
        mask=mask.maybe(_read_mask),
        findings=findings.each(_read_finding),
        kind=kind.maybe(_read_kind),
        replies=replies.each(_read_reply),
        seconds=seconds.maybe(_Value.number),
    )


def _read_reply(value: _Value) -> Reply:
    label, fake, findings, thought, text, refusals = value.fields(
        "label", "fake", "findings", "thought", later={"text": "", "refusals": None}
    )
    return value.make(
        Reply,
        label=cast(Label | None, label.maybe(_Value.text)),
        fake=fake.maybe(_Value.number),
        findings=findings.each(_read_finding),
        thought=thought.text(),
        text=text.text(),
        refusals=refusals.maybe(lambda v: v.each(_Value.text)),
    )


def _read_face(value: _Value, black: np.ndarray) -> FaceReport:
    box, person, frame, quality, verdict, kind, findings, mask, explanation = value.fields(
        "box", "person", "frame", "quality", "verdict", "kind", "findings", "mask", "explanation"
    )
    index, seconds = frame.fields("index", "seconds")
    face = value.make(
        Face,
        frame=Frame(black, index=index.whole(), seconds=seconds.maybe(_Value.number)),
        box=_read_box(box),
        person=person.whole(),
        quality=_read_quality(quality),
    )
    return value.make(
        FaceReport,
        face=face,
        verdict=_read_verdict(verdict),
        kind=kind.maybe(_read_kind),
        findings=findings.each(_read_finding),
        mask=mask.maybe(_read_mask),
        explanation=explanation.each(_read_sentence),
    )


def _read_quality(value: _Value) -> Quality:
    *numbers, reasons = value.fields(*(field.name for field in dataclasses.fields(Quality)))
    names = [field.name for field in dataclasses.fields(Quality)][:-1]
    parts = {name: number.maybe(_Value.number) for name, number in zip(names, numbers, strict=True)}
    return value.make(Quality, **parts, reasons=reasons.each(_Value.text))


def _read_finding(value: _Value) -> Finding:
    # title and grade follow from region and strength; they stand on the wire for those who read it with other tools
    region, _, box, strength, _, claim, mask = value.fields(
        "region", "title", "box", "strength", "grade", "claim", "mask"
    )
    return value.make(
        Finding,
        region=region.text(),
        box=_read_box(box),
        mask=mask.maybe(_read_mask),
        claim=claim.text(),
        strength=strength.maybe(_Value.number),
    )


def _read_mask(value: _Value) -> Mask:
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


def _read_sentence(value: _Value) -> Sentence:
    text, finding = value.fields("text", "finding")
    return Sentence(text.text(), finding.maybe(_Value.whole))
