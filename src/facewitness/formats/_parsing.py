"""The way back of the wire: a line of JSON to a report, strict, with the place of whatever leaves the format.

`json` writes what is read here, and describes both. A value knows where it stands (`_Value`); what a noun's own check
refuses is told with that place, too.
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
from facewitness.files import each_once
from facewitness.types import (
    KINDS,
    Box,
    Case,
    Cause,
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
)

SCHEMA = "facewitness.report/2"
READ = (SCHEMA, "facewitness.report/1")  # versions that `parse` reads
MASK_PIXELS = 1 << 26  # a mask of more pixels than this is refused before it is decoded
SIDE = 1_000_000  # longest side of a picture, in pixels

T = TypeVar("T")


def parsed(data: bytes | str) -> Report:
    """The report from its line, as `json.parse` gives it.

    Args:
        data: One report as JSON, in UTF-8.

    Raises:
        ReportError: The line leaves the format.
        RecursionError: It is nested deeper than any report.
    """
    return _read_report(_Value(_loaded(data), ""))


def _loaded(data: bytes | str) -> Any:
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=once)
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


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON whose every key stands once.

    Args:
        pairs: As `json.loads` gives them.

    Raises:
        ReportError: A key stands twice.
    """
    try:
        return each_once(pairs)
    except ValueError as error:
        raise ReportError(f"Expected a report whose every key stands once, but {error}. Make it again.") from error


def plain(value: Any, where: str) -> Any:
    """The value with only what JSON can hold: numpy's numbers become Python's, tuples become lists.

    Args:
        value: Of a report.
        where: Its place, for messages.

    Raises:
        ReportError: It is something else.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise ReportError(f"{where}: expected a finite number, got {value}. What was not measured is None.")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        if strangers := [key for key in value if not isinstance(key, str)]:
            raise ReportError(f"{where}: expected names as keys, got {strangers[0]!r}. Turn it into a string first.")
        return {key: plain(inner, f"{where}.{key}") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, f"{where}[{index}]") for index, inner in enumerate(value)]
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
    made_by: dict[str, Any] = plain(value.value, "made_by")
    return made_by


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
