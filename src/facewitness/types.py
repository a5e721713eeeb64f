"""The nouns of facewitness, and the one convention they all keep.

    Path → Frame → Face → Testimony → Verdict → Report → bytes

The convention
    pixels     RGB uint8, (H, W, 3)
    boxes      (x1, y1, x2, y2) in pixels of the original frame, floats; x2 and y2 are excluded
    masks      float32 in [0, 1] on that frame; kept as `Mask`, which stores only the box that is not zero
    scores     in [0, 1]; **1 means fake**
    time       seconds
    sides      left and right are the subject's
    unknown    "not measured" is None, never 0 and never 0.5

Objects are frozen, checked once when they are made, and trusted afterwards. Standard library and numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facewitness.errors import InputError

Box = tuple[float, float, float, float]
Pixels = NDArray[np.uint8]
Landmarks = NDArray[np.float32]
Label = Literal["real", "fake", "inconclusive"]
Status = Literal["ok", "no_face", "failed"]

LABELS: tuple[Label, ...] = ("real", "fake", "inconclusive")
KINDS: tuple[str, ...] = ("pristine", "identity_exchange", "attribute_manipulation", "entire_synthesis")

GRADES: tuple[tuple[float, str], ...] = ((0.5, "weak"), (0.7, "moderate"), (0.9, "strong"))  # below this: that word


def grade(strength: float | None) -> str | None:
    """A finding's calibrated strength in words: weak < 50 % ≤ moderate < 70 % ≤ strong < 90 % ≤ very strong.

    None stays None: a strength nobody measured has no grade.
    """
    if strength is None:
        return None
    return next((word for bound, word in GRADES if strength < bound), "very strong")


def _check_score(name: str, value: float | None) -> None:
    if value is not None and not (0.0 <= value <= 1.0):  # NaN fails this test too
        raise InputError(f"{name}: expected a score in [0, 1] or None, got {value!r}")


def _check_box(name: str, box: Box) -> None:
    if len(box) != 4 or not all(np.isfinite(v) for v in box):
        raise InputError(f"{name}: expected four finite numbers (x1, y1, x2, y2), got {box!r}")
    if box[2] <= box[0] or box[3] <= box[1]:
        raise InputError(f"{name}: expected x1 < x2 and y1 < y2, got {box!r}")


def _check_label(name: str, label: str) -> None:
    if label not in LABELS:
        raise InputError(f"{name}: expected one of {', '.join(LABELS)}, got {label!r}")


def _check_kind(name: str, kind: Mapping[str, float] | None) -> None:
    if kind is None:
        return
    if set(kind) != set(KINDS):
        raise InputError(f"{name}: expected a score for each of {', '.join(KINDS)}, got {sorted(kind)}")
    for key, value in kind.items():
        _check_score(f"{name}[{key}]", value)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture: a photo, or one moment of a video."""

    pixels: Pixels  # RGB uint8 (H, W, 3)
    index: int = 0
    seconds: float | None = None  # moment in the video; None for a photo

    def __post_init__(self) -> None:
        p = self.pixels
        if not isinstance(p, np.ndarray) or p.dtype != np.uint8 or p.ndim != 3 or p.shape[2] != 3 or p.size == 0:
            came = f"{p.dtype} {p.shape}" if isinstance(p, np.ndarray) else type(p).__name__
            raise InputError(f"Frame.pixels: expected RGB uint8 (H, W, 3), got {came}")

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A soft mask on a frame, stored as the box where it may differ from zero.

    `values` are sampled evenly over `box`, at any resolution; outside the box the mask is zero. A photo of
    12 megapixels with thirty faces then costs kilobytes, not gigabytes (docs/decisions/002-masks-in-boxes.md).
    """

    box: Box
    values: NDArray[np.float32]  # (h, w) in [0, 1]

    def __post_init__(self) -> None:
        _check_box("Mask.box", self.box)
        v = self.values
        if not isinstance(v, np.ndarray) or v.dtype != np.float32 or v.ndim != 2 or v.size == 0:
            came = f"{v.dtype} {v.shape}" if isinstance(v, np.ndarray) else type(v).__name__
            raise InputError(f"Mask.values: expected float32 (h, w), got {came}")
        if not (v.min() >= 0.0 and v.max() <= 1.0):
            raise InputError(f"Mask.values: expected values in [0, 1], got {v.min()}..{v.max()}")


@dataclass(frozen=True, slots=True)
class Quality:
    """How far a face can be trusted as evidence, measured by the finder. None is not measured."""

    score: float | None = None  # 0 useless … 1 good, everything below taken together
    size: float | None = None  # pixels, shorter side of the face box
    sharpness: float | None = None  # 0 blurred … 1 sharp
    roll: float | None = None  # degrees in the plane; 0 upright, positive turned clockwise in the picture
    yaw: float | None = None  # degrees; positive when the subject turns to the subject's left
    pitch: float | None = None  # degrees; positive when the subject looks up
    mesh: float | None = None  # 0 garbage … 1 a mesh shaped like a face
    reasons: tuple[str, ...] = ()  # in words: what lowers the score

    def __post_init__(self) -> None:
        for name in ("score", "sharpness", "mesh"):
            _check_score(f"Quality.{name}", getattr(self, name))


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one frame, as a finder found it."""

    frame: Frame
    box: Box  # tight around the face, brow to chin; may be clipped to the frame
    landmarks: Landmarks | None = None  # (468, 2) or (468, 3): x, y in frame pixels, z in the same scale
    person: int = 0  # the same number for the same person across frames; within a photo, the face's number
    quality: Quality = field(default_factory=Quality)

    def __post_init__(self) -> None:
        _check_box("Face.box", self.box)
        m = self.landmarks
        if m is not None and (m.dtype != np.float32 or m.ndim != 2 or m.shape[0] != 468 or m.shape[1] not in (2, 3)):
            raise InputError(f"Face.landmarks: expected float32 (468, 2) or (468, 3), got {m.dtype} {m.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A place that gives something away. No claim without a place."""

    region: str  # a name of `regions.py`
    box: Box
    mask: Mask | None  # None where a witness knows the box only
    claim: str  # one sentence without a grade
    strength: float | None  # calibrated share of such findings that are right; None when nobody measured

    def __post_init__(self) -> None:
        if not self.region:
            raise InputError("Finding.region: expected the name of a region, got an empty one")
        _check_box("Finding.box", self.box)
        _check_score("Finding.strength", self.strength)


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """What a text says, before anyone believes it."""

    label: Label | None
    fake: float | None = None
    findings: tuple[Finding, ...] = ()
    thought: str = ""  # what was reasoned before the answer
    text: str = ""  # the answer's own words, without markup
    refusals: tuple[str, ...] | None = None  # why the text breaks its grammar; None where no grammar was kept to


@dataclass(frozen=True, slots=True, eq=False)
class Testimony:
    """What one witness says about one face."""

    witness: str
    fake: float | None  # the witness's own score, before calibration; None when it would not say
    mask: Mask | None = None
    findings: tuple[Finding, ...] = ()
    kind: Mapping[str, float] | None = None  # one score for each of KINDS
    replies: tuple[Reply, ...] = ()
    seconds: float | None = None
    problem: str = ""  # what failed on the way, where the rest still holds; the report lists it

    def __post_init__(self) -> None:
        _check_score("Testimony.fake", self.fake)
        _check_kind("Testimony.kind", self.kind)


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What the judge makes of the testimonies."""

    label: Label
    fake: float | None  # calibrated probability; None where nothing could be measured
    interval: tuple[float, float] | None = None  # 95 % interval of `fake`
    reasons: tuple[str, ...] = ()  # in words
    testimonies: tuple[Testimony, ...] = ()

    def __post_init__(self) -> None:
        _check_label("Verdict.label", self.label)
        _check_score("Verdict.fake", self.fake)
        if self.interval is not None:
            low, high = self.interval
            if not 0.0 <= low <= high <= 1.0:
                raise InputError(f"Verdict.interval: expected 0 <= low <= high <= 1, got {self.interval!r}")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an explanation. A claim about the picture names its finding; a caveat has none."""

    text: str
    finding: int | None = None  # index into the face's findings


@dataclass(frozen=True, slots=True, eq=False)
class FaceReport:
    """Everything said of one face."""

    face: Face
    verdict: Verdict
    kind: Mapping[str, float] | None = None
    findings: tuple[Finding, ...] = ()
    mask: Mask | None = None
    explanation: tuple[Sentence, ...] = ()

    def __post_init__(self) -> None:
        _check_kind("FaceReport.kind", self.kind)
        for sentence in self.explanation:
            if sentence.finding is not None and not 0 <= sentence.finding < len(self.findings):
                raise InputError(
                    f"FaceReport.explanation: a sentence names finding {sentence.finding}, "
                    f"but there are {len(self.findings)} findings"
                )


@dataclass(frozen=True, slots=True)
class Problem:
    """A step that failed. A report with problems is never shown as clean."""

    step: str  # read | find | examine | judge | explain | render
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """The answer for one file. "no_face", "failed" and "inconclusive" are three different answers."""

    source: str
    status: Status
    sha256: str | None = None  # of the file's bytes; None when they could not be read or came as an array
    size: tuple[int, int] | None = None  # (width, height) of the frame, upright
    verdict: Verdict | None = None  # the whole picture's; None unless status is "ok"
    faces: tuple[FaceReport, ...] = ()
    problems: tuple[Problem, ...] = ()
    made_by: Mapping[str, Any] = field(default_factory=dict)  # version, options, weight hashes: enough to run it again
    frame: Frame | None = None  # the picture itself, for formats that draw; never on the JSON wire

    def __post_init__(self) -> None:
        if self.status not in ("ok", "no_face", "failed"):
            raise InputError(f"Report.status: expected ok, no_face or failed, got {self.status!r}")
        if (self.status == "ok") != bool(self.faces):
            raise InputError(f"Report: status {self.status!r} with {len(self.faces)} faces; only 'ok' has faces")
        if self.status == "failed" and not self.problems:
            raise InputError("Report: status 'failed' needs a Problem that says why")


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What a dataset says about a sample."""

    label: Literal["real", "fake"]
    method: str | None = None  # "pristine" for real
    kind: str | None = None  # one of KINDS
    mask: Any = None  # (H, W) float32, a Mask, a function without arguments that gives one, or None where unknown
    regions: frozenset[str] | None = None  # names of regions.MARE; None where unknown; empty for a pristine face
    boxes: Mapping[str, Box] | None = None  # region -> box of what is forged there
    texts: tuple[str, ...] = ()  # what people wrote about it
    questions: Mapping[str, tuple[str, ...]] | None = None  # question -> its reference answers
    parsing: bytes | None = None  # PNG, one of CelebAMask-HQ's 19 class ids a pixel

    def __post_init__(self) -> None:
        if self.label not in ("real", "fake"):
            raise InputError(f"Truth.label: expected real or fake, got {self.label!r}")
        if self.kind is not None and self.kind not in KINDS:
            raise InputError(f"Truth.kind: expected one of {', '.join(KINDS)} or None, got {self.kind!r}")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One item of a dataset: a picture, a frame of a video, or one of several faces in either."""

    file: str  # below the root; the item's name where the dataset holds its pictures inside (Parquet)
    truth: Truth
    split: str
    group: str  # the source video or identity: splits never share one
    dataset: str
    original: str | None = None  # the pristine counterpart's file
    image: bytes | None = None  # the encoded picture, where the dataset holds it inside (Parquet)
    frame: int | None = None  # index of the frame, where `file` is a video
    video: str | None = None  # what video-level scores are keyed by: dataset/method/compression/name
    compression: str | None = None  # raw, c23, c40, …
    box: Box | None = None  # which face of the picture is meant, where it has several
