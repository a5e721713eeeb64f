"""Reports for tests: real objects about painted faces, one for every answer facewitness can give.

`REPORTS` maps a name to a report; each is made once and frozen. A painted face is the average face mesh, filled region
by region, so that every finding has a true place and the reports look like those of photographs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from facewitness import geometry, regions
from facewitness.types import (
    KINDS,
    Box,
    Cause,
    Clip,
    Face,
    Finding,
    Frame,
    Label,
    Landmarks,
    Mark,
    Mask,
    Medium,
    PersonReport,
    Problem,
    Quality,
    Reply,
    Report,
    Sentence,
    Testimony,
    Track,
    Verdict,
)

SHA256 = "5b1f4a0c6f3be4d8c7d3f0f4f6f7e3a1c0d9b8a7968574635241302f1e0dfceb"
MADE_BY = {
    "version": "0.1.0",
    "finder": {"name": "facemesh", "weights": {"face_landmark.tflite": "1055cb9d" * 8}},
    "witnesses": [{"name": "compact", "options": {"flip": True}, "weights": {"compact.onnx": "0123456789abcdef" * 4}}],
    "thresholds": {"real": 0.35, "fake": 0.7},
    "options": {"witness": ["compact"], "max_faces": 30},
}
PAINT = {"skin": "#c99a80", "hairline": "#4a3428", "left_eyebrow": "#4a3428", "right_eyebrow": "#4a3428"} | {
    "left_eye": "#f4f4f4", "right_eye": "#f4f4f4", "nose": "#b98468", "mouth": "#a8524e", "teeth": "#f0ece2",
}  # fmt: skip


def landmarks(left: float, top: float, height: float) -> Landmarks:
    """The average face mesh with its upper left corner and its height in pixels: float32 (468, 3)."""
    mesh = regions.average_landmarks() * np.float32(height)
    return (mesh - [mesh[:, 0].min() - left, -top, 0.0]).astype(np.float32)


def painted(width: int, height: int, *meshes: Landmarks) -> Frame:
    """A frame with faces painted where the meshes are."""
    shade = np.linspace(205, 120, height)[:, None, None] * [0.82, 0.92, 1.0]
    image = Image.fromarray(np.broadcast_to(shade, (height, width, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for mesh in meshes:
        for name, colour in PAINT.items():
            for polygon in regions.polygons(name, mesh):
                draw.polygon([(float(x), float(y)) for x, y in polygon], fill=colour)
    return Frame(np.asarray(image))


def forged_mask(frame: Frame, mesh: Landmarks, *names: str, side: int = 48) -> Mask:
    """A soft mask over regions of a face, as a witness gives it: about `side` samples along a box around the face."""
    x1, y1, x2, y2 = geometry.bounds(mesh)
    margin = 0.2 * (y2 - y1)
    box = geometry.clip((x1 - margin, y1 - margin, x2 + margin, y2 + margin), frame.width, frame.height)
    assert box is not None
    columns, rows = side, round(side * (box[3] - box[1]) / (box[2] - box[0]))
    y, x = np.mgrid[0:rows, 0:columns] + 0.5
    values = np.zeros((rows, columns))
    for name in names:
        for polygon in regions.polygons(name, mesh):
            to_grid = (polygon - box[:2]) / (box[2] - box[0]) * columns
            (cx, cy), spread = to_grid.mean(axis=0), np.ptp(to_grid, axis=0) / 1.7 + 1.0
            values = np.maximum(values, np.exp(-(((x - cx) / spread[0]) ** 2 + ((y - cy) / spread[1]) ** 2)))
    # In steps of 1/255, as masks travel: a report then comes back from the wire exactly as it left.
    return Mask(box, (np.rint(values * 255) / np.float32(255)).astype(np.float32))


def finding(frame: Frame, mesh: Landmarks, name: str, claim: str, strength: float | None, mask: bool = True) -> Finding:
    """A finding at a region of a painted face; without a mask it has its box only."""
    box = geometry.clip(geometry.bounds(np.concatenate(regions.polygons(name, mesh))), frame.width, frame.height)
    assert box is not None
    return Finding.on(name, box, forged_mask(frame, mesh, name) if mask else None, claim, strength, frame.at)


def kind(*scores: float) -> dict[str, float]:
    return dict(zip(KINDS, scores, strict=True))


def examined(
    frame: Frame,
    mesh: Landmarks,
    label: Label,
    fake: float | None,
    interval: tuple[float, float] | None = None,
    findings: tuple[Finding, ...] = (),
    explanation: tuple[Sentence, ...] = (),
    mask: Mask | None = None,
    kind: dict[str, float] | None = None,
    reasons: tuple[str, ...] = (),
    quality: Quality | None = None,
    person: int = 0,
    reply: Reply | None = None,
    thresholds: tuple[float, float] | None = (0.35, 0.7),
    cause: Cause | None = None,
) -> PersonReport:
    box: Box = geometry.clip(geometry.bounds(mesh), frame.width, frame.height) or (0.0, 0.0, 1.0, 1.0)
    face = Face(frame.at, box, mesh, quality or Quality(score=0.9, size=min(box[2] - box[0], box[3] - box[1])))
    testimony = Testimony("compact", fake, mask, findings, kind, reply)
    verdict = Verdict(label, fake, interval, thresholds, cause, reasons, (testimony,))
    return PersonReport(Track(person, (face,)), verdict, (), kind, findings, mask, explanation)


def report(
    source: str,
    frame: Frame,
    verdict: Verdict,
    *people: PersonReport,
    sha256: str | None = SHA256,
    made_by: dict[str, Any] = MADE_BY,
    **more: Any,
) -> Report:
    return Report(source, "ok", sha256, Medium(frame.width, frame.height), (), verdict, people, made_by=made_by, **more)


def _two_faces() -> Report:
    left, right = landmarks(90, 110, 250), landmarks(420, 150, 190)
    frame = painted(640, 480, left, right)
    findings = (
        finding(frame, left, "left_eye", "The left eye shows traces of forgery.", 0.92),
        finding(frame, left, "mouth", "The mouth shows traces of forgery.", 0.74),
        finding(frame, left, "nose", "The nose shows traces of forgery.", 0.41, mask=False),
    )
    sentences = (
        Sentence("The left eye shows very strong traces of forgery.", (0,)),
        Sentence("The mouth shows strong traces of forgery.", (1,)),
        Sentence("The nose shows weak traces of forgery.", (2,)),
        Sentence("The findings are places to look at, not proof of how the picture was made."),
    )
    forged = examined(
        frame, left, "fake", 0.91, (0.84, 0.953), findings, sentences,
        mask=forged_mask(frame, left, "left_eye", "mouth"), kind=kind(0.06, 0.71, 0.2, 0.03),
        quality=Quality(score=0.93, size=187.5, sharpness=0.71, roll=-2.4, yaw=6.1, pitch=-3.0, mesh=0.97),
    )  # fmt: skip
    genuine = examined(
        frame, right, "real", 0.08, (0.031, 0.14), mask=forged_mask(frame, right), kind=kind(0.9, 0.05, 0.04, 0.01),
        explanation=(Sentence("Nothing on this face gave a forgery away. That does not prove that it is genuine."),),
        quality=Quality(score=0.62, size=141.0, sharpness=0.33, roll=8.0, yaw=-21.0, pitch=0.0, mesh=0.9,
                        reasons=("The picture is blurred here.",)),
        person=1,
    )  # fmt: skip
    verdict = Verdict("fake", None, reasons=("2 faces: 1 no sign, 0 undecided, 1 fake.", "Face 1 is judged fake."))
    note = "The picture carries an EXIF orientation and was turned upright."
    mark = frame.at.box
    signed = Finding.on(None, mark, None, "The file's metadata names the camera Painted One.", None, frame.at)
    about = (Testimony("papers", None, findings=(signed,)),)
    return replace(report("portraits/two.png", frame, verdict, forged, genuine, inspections=about), notes=(note,))


THOUGHT = "I look for seams, blur and odd shapes. I see none."  # written before an answer, and shown nowhere
NOTE = "The words contradict the score, 0.90, which says real."


def _inconclusive() -> Report:
    mesh = landmarks(50, 40, 60)
    frame = painted(160, 140, mesh)
    reasons = ("The face is small: 44 px.", "The witnesses disagree: compact says 20 %, mare says 90 %.")
    found = finding(frame, mesh, "ear", "The ear shows traces of forgery.", None, mask=False)
    reply = Reply(
        "fake", None, ("The ear ", Mark(found), "looks fake."), (found,), THOUGHT, ("no box",), notes=(NOTE,)
    )  # fmt: skip
    hint = Sentence("The ear may be forged.", (0,))
    said = examined(
        frame, mesh, "inconclusive", 0.5, (0.3, 0.72), (found,), (hint,), reasons=reasons, reply=reply,
        cause="contradiction",
    )  # fmt: skip
    verdict = Verdict("inconclusive", 0.5, (0.3, 0.72), (0.35, 0.7), "contradiction", reasons)
    return report("small.jpg", frame, verdict, said)


def _unmeasured() -> Report:
    """Everything that may be None is None."""
    mesh = landmarks(20, 20, 80)
    frame = painted(120, 120, mesh)
    track = Track(0, (Face(frame.at, geometry.bounds(mesh)),))
    verdict = Verdict("inconclusive", None, cause="silent", reasons=("No witness would speak.",))
    said = PersonReport(track, Verdict("inconclusive", None, testimonies=(Testimony("mute", None),)))
    return report("array", frame, verdict, said, sha256=None, made_by={})


def _no_face() -> Report:
    return Report("landscape.webp", "no_face", SHA256, Medium(320, 200), made_by=MADE_BY)


def _failed() -> Report:
    problem = Problem("read", "notes.jpg: expected a picture, got a text file. Give a JPEG, PNG, WebP or AVIF file.")
    return Report("notes.jpg", "failed", None, None, problems=(problem,), made_by=MADE_BY)


def _problems() -> Report:
    mesh = landmarks(30, 30, 120)
    frame = painted(200, 200, mesh)
    said = examined(frame, mesh, "real", 0.1, (0.05, 0.2))
    problems = (
        Problem("examine", "mare: expected its weights, found none. Install them or leave out --witness mare."),
        Problem("explain", "The findings of face 1 could not be put into words."),
    )
    verdict = Verdict("real", 0.1, (0.05, 0.2), (0.35, 0.7))
    return report("half.png", frame, verdict, said, problems=problems)


HOSTILE = '<script>alert("x")</script>\n| `a` | [l](javascript:x) *b* & \u202egnp.exe\udcff\u2028'


def _hostile() -> Report:
    """Every text that comes from outside tries to be markup."""
    mesh = landmarks(30, 30, 120)
    frame = painted(200, 200, mesh)
    x1, y1, x2, y2 = geometry.bounds(mesh)
    found = Finding.on("</svg><img src=x onerror=alert(1)>", (x1, y1, x2, y2), None, HOSTILE, 0.6, frame.at)
    reply = Reply("fake", 0.6, (HOSTILE,), (found,), HOSTILE, (HOSTILE,))
    said = examined(
        frame, mesh, "fake", 0.8, (0.7, 0.9), (found,), (Sentence(HOSTILE, (0,)), Sentence(HOSTILE)),
        reasons=(HOSTILE,), quality=Quality(reasons=(HOSTILE,)), reply=reply,
    )  # fmt: skip
    made_by = {"version": "0.1.0; rm -rf /", HOSTILE: [{"</style>": HOSTILE}, 1, None]}
    verdict = Verdict("fake", 0.8, (0.7, 0.9), (0.35, 0.7), None, (HOSTILE,))
    problem = Problem(HOSTILE, HOSTILE)
    about = (Testimony(HOSTILE, None, findings=(found,), reply=reply),)
    whole = report(f"/x/{HOSTILE}.png", frame, verdict, said, made_by=made_by, problems=(problem,), inspections=about)
    return replace(whole, notes=(HOSTILE,))


def _unicode() -> Report:
    mesh = landmarks(-30, 60, 140)  # partly outside of the picture
    frame = painted(160, 180, mesh)
    found = finding(frame, mesh, "chin", "Das Kinn zeigt Spuren; подбородок; 下巴.", 0.999)
    said = examined(frame, mesh, "fake", 0.999, (0.99, 1.0), (found,), (Sentence("下巴 – Kinn.", (0,)),))
    verdict = Verdict("fake", 0.999, (0.99, 1.0), (0.35, 0.7))
    name = "фото 写真 👩‍👧 it's.png"
    return report(name, frame, verdict, said)


def clip_of(report: Report) -> Clip | None:
    """A picture of the size that a report speaks of, painted where its faces are; None for a file that was not read."""
    if report.medium is None:
        return None
    meshes = [person.face.landmarks for person in report.people if person.face.landmarks is not None]
    return Clip(report.source, (painted(report.medium.width, report.medium.height, *meshes),), report.sha256)


REPORTS: dict[str, Report] = {
    "two_faces": _two_faces(),
    "inconclusive": _inconclusive(),
    "unmeasured": _unmeasured(),
    "no_face": _no_face(),
    "failed": _failed(),
    "problems": _problems(),
    "hostile": _hostile(),
    "unicode": _unicode(),
}
