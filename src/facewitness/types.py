"""The nouns of facewitness, and the one convention they all keep.

    Path → Clip → Track of Faces → Testimony → Verdict → PersonReport → Report → bytes

A photo is a clip of one frame, and its tracks have one face each. Only a `Frame`, and the `Clip` that holds frames, has
pixels: every other noun says by a `FrameRef` which frame it speaks of, so that a report is small and travels.

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

import importlib
import io
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from facewitness.errors import InputError, in_a_sentence

Box = tuple[float, float, float, float]
Pixels = NDArray[np.uint8]
Landmarks = NDArray[np.float32]
Label = Literal["real", "fake", "inconclusive"]
Status = Literal["ok", "no_face", "failed"]
Hear = Callable[[str], None]  # is given the next piece of an answer while it is written
Cause = Literal["band", "quality", "drawn", "contradiction", "uncalibrated", "silent"]

LABELS: tuple[Label, ...] = ("real", "fake", "inconclusive")
CAUSES: tuple[Cause, ...] = ("band", "quality", "drawn", "contradiction", "uncalibrated", "silent")
KINDS: tuple[str, ...] = ("pristine", "identity_exchange", "attribute_manipulation", "entire_synthesis")

LONGEST = 1e9  # seconds: thirty years of film

GRADES: tuple[tuple[float, str], ...] = ((0.5, "weak"), (0.7, "moderate"), (0.9, "strong"))  # below this: that word


def grade(strength: float | None) -> str | None:
    """A finding's calibrated strength in words: weak < 50 % ≤ moderate < 70 % ≤ strong < 90 % ≤ very strong.

    The whole percent decides, for it is what stands beside the word. None stays None: a strength nobody measured has
    no grade.

    Args:
        strength: In [0, 1]; None for not measured.
    """
    if strength is None:
        return None
    printed = float(f"{strength * 100:.0f}") / 100
    return next((word for bound, word in GRADES if printed < bound), "very strong")


def _check_score(name: str, value: float | None) -> None:
    try:
        right = value is None or ((not hasattr(value, "shape") or value.shape == ()) and bool(0.0 <= value <= 1.0))
    except (TypeError, ValueError):  # a string; NaN fails the comparison
        right = False
    if not right:
        raise InputError(f"{name}: expected a score in [0, 1] or None, got {value!r}. None says: not measured.")


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


@dataclass(frozen=True, slots=True)
class FrameRef:
    """Which frame is spoken of, without its pixels: a photo, or one moment of a film."""

    width: int  # pixels, upright
    height: int
    index: int = 0  # number of the frame in the file, from 0
    seconds: float | None = None  # moment in the film; None for a photo

    @in_a_sentence
    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or self.index < 0:
            raise InputError(
                "FrameRef: expected a width and height of at least 1 and an index of at least 0, "
                f"got {self.width} × {self.height}, {self.index}"
            )
        if self.seconds is not None and not abs(self.seconds) <= LONGEST:  # NaN fails this test too
            raise InputError(f"FrameRef.seconds: expected at most {LONGEST:g} seconds or None, got {self.seconds!r}")

    @property
    def box(self) -> Box:
        """The whole frame as a box."""
        return (0.0, 0.0, float(self.width), float(self.height))


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The pixels of a photo, or of one moment of a film."""

    pixels: Pixels  # RGB uint8 (H, W, 3)
    index: int = 0
    seconds: float | None = None  # moment in the film; None for a photo

    @in_a_sentence
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

    @property
    def at(self) -> FrameRef:
        """Which frame this is."""
        return FrameRef(self.width, self.height, self.index, self.seconds)


@dataclass(frozen=True, slots=True)
class Medium:
    """What kind of file was examined: how large its pictures are, and how many there are in what time."""

    width: int  # pixels, upright
    height: int
    frames: int = 1  # in the file, not only those that were judged
    fps: float | None = None  # frames a second; None for a photo

    @in_a_sentence
    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or self.frames < 1:
            raise InputError(
                f"Medium: expected sizes and a number of frames of at least 1, got {self.width} × {self.height}, "
                f"{self.frames} frames"
            )

    @property
    def seconds(self) -> float | None:
        """How long the film is, as its frame rate has it, LONGEST at most; None for a photo."""
        return min(self.frames / self.fps, LONGEST) if self.fps is not None and self.fps > 0 else None


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A photo or a film, with the pixels of the frames that are judged. A photo is a clip of one frame."""

    source: str  # the path as it was given, or a name for bytes and arrays
    kept: tuple[Frame, ...]  # the frames that are judged, in the order of time
    sha256: str | None = None  # of the file's bytes; None for an array
    fps: float | None = None  # None for a photo
    count: int = 1  # frames in the file
    notes: tuple[str, ...] = ()  # whole sentences: what was decided on the way to the frames
    damage: str = ""  # a sentence: what of the picture is missing, so that no verdict on it can be trusted
    content: bytes | None = None  # the file's bytes, for witnesses that read what stands beside the pixels

    @in_a_sentence
    def __post_init__(self) -> None:
        if not self.kept:
            raise InputError("Clip.kept: expected at least one frame, got none")

    def frames(self) -> Iterator[Frame]:
        """The frames that are judged, in the order of time."""
        return iter(self.kept)

    @property
    def frame(self) -> Frame:
        """A photo's frame; the first one of a film."""
        return self.kept[0]

    @property
    def remarks(self) -> tuple[str, ...]:
        """All notes; those of a film are whole once it has been gone through."""
        return self.notes

    @property
    def tags(self) -> Mapping[str, str]:
        """What a film's container says of itself, name → a stranger's text; empty for a photo."""
        return {}

    def file(self) -> BinaryIO | None:
        """The file, open for reading; whoever asks closes it. None for an array, and where it is gone or changed."""
        return None if self.content is None else io.BytesIO(self.content)

    def at(self, at: FrameRef) -> Frame:
        """The frame that something speaks of, with its pixels.

        Args:
            at: The frame that is spoken of.

        Raises:
            InputError: the clip does not hold this frame.
        """
        for frame in self.kept:
            if frame.index == at.index:
                return frame
        raise InputError(f"Clip: expected a frame that is kept, got number {at.index}; it is of another clip")

    @property
    def medium(self) -> Medium:
        """Its sizes, without pixels."""
        first = self.kept[0]
        return Medium(first.width, first.height, self.count, self.fps)


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A soft mask on a frame, stored as the box where it may differ from zero.

    `values` are sampled evenly over `box`, at any resolution; outside the box the mask is zero. A photo of
    12 megapixels with thirty faces then costs kilobytes, not gigabytes (docs/decisions/002-masks-in-boxes.md).
    """

    box: Box
    values: NDArray[np.float32] = field(repr=False)  # (h, w) in [0, 1]; a printed verdict is no page of numbers

    @in_a_sentence
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

    @in_a_sentence
    def __post_init__(self) -> None:
        for name in ("score", "sharpness", "mesh"):
            _check_score(f"Quality.{name}", getattr(self, name))


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one frame, as a finder found it."""

    at: FrameRef
    box: Box  # tight around the face, brow to chin; may be clipped to the frame
    landmarks: Landmarks | None = None  # (468, 2) or (468, 3): x, y in frame pixels, z in the same scale
    quality: Quality = field(default_factory=Quality)
    unseen: frozenset[str] = frozenset()  # regions that something covers, and "beard" where there is none (`surface`)

    @in_a_sentence
    def __post_init__(self) -> None:
        _check_box("Face.box", self.box)
        m = self.landmarks
        if m is not None and (m.dtype != np.float32 or m.ndim != 2 or m.shape[0] != 468 or m.shape[1] not in (2, 3)):
            raise InputError(f"Face.landmarks: expected float32 (468, 2) or (468, 3), got {m.dtype} {m.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One person's faces in the order of time; in a photo, one face."""

    person: int  # from 0
    faces: tuple[Face, ...]  # in the frames that are judged
    bursts: tuple[tuple[Face, ...], ...] = ()  # in consecutive frames, for evidence that moves; never on the wire

    @in_a_sentence
    def __post_init__(self) -> None:
        if not self.faces:
            raise InputError("Track.faces: expected at least one face, got none")

    @property
    def face(self) -> Face:
        """The face that can be judged best; of equals the first."""
        return max(self.faces, key=lambda face: 0.0 if face.quality.score is None else face.quality.score)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where something is: a frame, a box on it and, where they are known, the region's name and the exact shape."""

    at: FrameRef | None  # None in a text about a picture that the text does not name
    region: str | None  # a name of `regions.py`; None for a place that is no region of a face
    box: Box
    mask: Mask | None = None  # None where only the box is known

    @in_a_sentence
    def __post_init__(self) -> None:
        if self.region == "":
            raise InputError("Place.region: expected the name of a region or None, got an empty one")
        _check_box("Place.box", self.box)


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """Something that gives a forgery away, and where it can be looked at. No claim without a place."""

    places: tuple[Place, ...]  # over time too; the first is where to look first
    claim: str  # one sentence without a grade
    strength: float | None  # calibrated share of such findings that are right; None when nobody measured
    # how much further the log-odds of a forgery fall where its place is painted over than where another place of its
    # shape is; None where nobody tried
    moves: float | None = None

    @in_a_sentence
    def __post_init__(self) -> None:
        if not self.places:
            raise InputError("Finding.places: expected at least one place, got none; no claim without a place")
        _check_score("Finding.strength", self.strength)
        if self.moves is not None and not math.isfinite(self.moves):
            raise InputError(f"Finding.moves: expected a number, got {self.moves}")

    @classmethod
    def on(
        cls,
        region: str | None,
        box: Box,
        mask: Mask | None,
        claim: str,
        strength: float | None,
        at: FrameRef | None = None,
    ) -> Finding:
        """A finding with one place.

        Args:
            region: Name of a region of the tree; None for a place that is none.
            box: In pixels of the frame.
            mask: Inside the box; None where the exact shape is not known.
            claim: A sentence.
            strength: In [0, 1]; None for not measured.
            at: The frame that is spoken of.
        """
        return cls((Place(at, region, box, mask),), claim, strength)

    @property
    def rank(self) -> float:
        """What findings are sorted by: the strength, and below all of them one that was not measured."""
        return -1.0 if self.strength is None else self.strength

    @property
    def region(self) -> str | None:
        """The region of its places; None where they are several regions, or none."""
        regions = {place.region for place in self.places}
        return regions.pop() if len(regions) == 1 else None

    @property
    def here(self) -> tuple[Place, ...]:
        """Its places on the frame to look at first."""
        first = self.places[0].at
        return tuple(place for place in self.places if place.at == first)

    @property
    def box(self) -> Box:
        """The box around its places on the frame to look at first."""
        if len(self.places) == 1:
            return self.places[0].box
        left, top, right, bottom = zip(*(place.box for place in self.here), strict=True)
        return (min(left), min(top), max(right), max(bottom))

    @property
    def mask(self) -> Mask | None:
        """The shape of its place on the frame to look at first; None where it is not known, or there are several."""
        return self.here[0].mask if len(self.here) == 1 else None


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What somebody wants to know. It may point at places instead of naming them."""

    text: str
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """A question that was asked before, and what was answered."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """A finding spoken of inside a text: what a reader can point at between two words."""

    finding: Finding


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """What a text says, before anyone believes it."""

    label: Label | None
    fake: float | None = None
    parts: tuple[str | Mark, ...] = ()  # the answer's own words, with marks where it points; a plain string is one part
    findings: tuple[Finding, ...] = ()
    thought: str = ""  # what was written before the answer: for grammar and reward, and shown nowhere
    refusals: tuple[str, ...] | None = None  # why the text breaks its grammar; None where no grammar was kept to
    hypothesis: Literal["real", "fake"] | None = (
        None  # what the question supposed (FFAA); None where it supposed nothing
    )
    match: float | None = None  # how well the answer fits the picture, by a trained judge of answers (MIDS)
    notes: tuple[str, ...] = ()  # sentences of its witness on it: whether the words agree with what was measured

    @in_a_sentence
    def __post_init__(self) -> None:
        parts: Any = self.parts
        if isinstance(parts, str):
            object.__setattr__(self, "parts", (parts,) if parts else ())
        if self.label is not None:
            _check_label("Reply.label", self.label)
        if self.hypothesis not in (None, "real", "fake"):
            raise InputError(f"Reply.hypothesis: expected real, fake or None, got {self.hypothesis!r}")
        _check_score("Reply.fake", self.fake)
        _check_score("Reply.match", self.match)

    @property
    def text(self) -> str:
        """The words alone."""
        return "".join(part for part in self.parts if isinstance(part, str))


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """The answer for one frame of a film."""

    at: FrameRef
    fake: float | None  # None where this frame could not be judged
    mask: Mask | None = None

    @in_a_sentence
    def __post_init__(self) -> None:
        _check_score("Moment.fake", self.fake)


@dataclass(frozen=True, slots=True, eq=False)
class Testimony:
    """What one witness says about one person, or about a file."""

    witness: str
    fake: float | None  # the witness's own score, before calibration; None when it would not say
    mask: Mask | None = None  # on the frame of the track's best face
    findings: tuple[Finding, ...] = ()
    kind: Mapping[str, float] | None = None  # one score for each of KINDS
    reply: Reply | None = None  # the words that the witness stands by
    considered: tuple[Reply, ...] = ()  # what it weighed on the way: answers under a hypothesis, drafts
    series: tuple[Moment, ...] | None = None  # its answers over time; None for a photo
    problem: str = ""  # what failed on the way, where the rest still holds; the report lists it
    notes: tuple[str, ...] = ()  # what is to be known of it, where nothing failed; they go into the report's notes
    views: Mapping[str, float] | None = None  # a face's score in each of several views; None where there was one view

    @in_a_sentence
    def __post_init__(self) -> None:
        _check_score("Testimony.fake", self.fake)
        for view, score in (self.views or {}).items():
            if score is None:
                raise InputError(f"Testimony.views: expected a score for {view!r}, got None; leave such a view out")
            _check_score(f"Testimony.views[{view}]", score)
        _check_kind("Testimony.kind", self.kind)
        if self.mask is not None and not isinstance(self.mask, Mask):
            raise InputError(f"Testimony.mask: expected a Mask or None, got {type(self.mask).__name__}")
        for finding in self.findings:
            if not isinstance(finding, Finding):
                raise InputError(f"Testimony.findings: expected Findings, got {type(finding).__name__}")


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What the judge makes of the testimonies."""

    label: Label
    fake: float | None  # calibrated probability; None where nothing could be measured
    interval: tuple[float, float] | None = None  # 95 % interval of `fake`
    thresholds: tuple[float, float] | None = None  # (real below, fake from) that this verdict was decided by
    cause: Cause | None = None  # why it is inconclusive; None for real and fake
    reasons: tuple[str, ...] = ()  # in words
    testimonies: tuple[Testimony, ...] = ()

    @in_a_sentence
    def __post_init__(self) -> None:
        _check_label("Verdict.label", self.label)
        _check_score("Verdict.fake", self.fake)
        for name in ("interval", "thresholds"):
            pair = getattr(self, name)
            if pair is not None and not 0.0 <= pair[0] <= pair[1] <= 1.0:
                raise InputError(f"Verdict.{name}: expected 0 <= low <= high <= 1, got {pair!r}")
        if self.cause is not None and (self.cause not in CAUSES or self.label != "inconclusive"):
            raise InputError(
                f"Verdict.cause: expected one of {', '.join(CAUSES)} for an inconclusive verdict and None for any "
                f"other, got {self.cause!r} for {self.label!r}"
            )

    @property
    def is_unjudged(self) -> bool:
        """Whether the face could not be judged at all, so that neither its probability nor its findings are told."""
        return self.cause in ("quality", "drawn")

    @property
    def probability(self) -> float | None:
        """`fake` where it may be told; None of a face that could not be judged, whose number is kept for measuring."""
        return None if self.is_unjudged else self.fake


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an explanation. A claim about the picture names its findings; a caveat has none."""

    text: str
    findings: tuple[int, ...] = ()  # indices into the person's findings


@dataclass(frozen=True, slots=True, eq=False)
class PersonReport:
    """Everything said of one person."""

    track: Track
    verdict: Verdict
    timeline: tuple[Moment, ...] = ()  # calibrated probabilities over time; empty for a photo
    kind: Mapping[str, float] | None = None
    findings: tuple[Finding, ...] = ()
    mask: Mask | None = None  # on the frame of the track's best face
    explanation: tuple[Sentence, ...] = ()

    @in_a_sentence
    def __post_init__(self) -> None:
        _check_kind("PersonReport.kind", self.kind)
        for sentence in self.explanation:
            for index in sentence.findings:
                if not 0 <= index < len(self.findings):
                    raise InputError(
                        f"PersonReport.explanation: a sentence names finding {index}, "
                        f"but there are {len(self.findings)} findings"
                    )

    @property
    def face(self) -> Face:
        """The face that can be judged best; in a photo, the one there is."""
        return self.track.face


@dataclass(frozen=True, slots=True)
class Problem:
    """A step that failed. A report with problems is never shown as clean."""

    step: str  # read | find | examine | judge | explain | render
    message: str


@dataclass(frozen=True, slots=True)
class Exhibit:
    """What was handed in, as it was received."""

    label: str  # such as "MK/1"
    source: str  # who handed it in, or where it was taken from
    received: str  # when, and how, in words
    sha256: str | None = None  # at receipt; None where nobody took it
    dates: tuple[str, ...] = ()  # what is said of when it was made, sent, saved
    custody: tuple[str, ...] = ()  # who had it when, one step each


@dataclass(frozen=True, slots=True)
class Method:
    """Something that was done with the exhibit: by whom or what, how, and what came of it."""

    name: str
    version: str = ""
    settings: str = ""
    scope: str = ""  # what it is made to tell
    finding: str = ""  # what came of it, nothing found included
    limits: str = ""  # what it cannot show


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What the examiner concludes, as a level of a verbal scale: never a per cent by itself."""

    level: str  # one of `scale`
    scale: tuple[str, ...]  # from the weakest to the strongest
    grounds: str  # why
    favours: int | None = None  # 0 or 1: which of the two propositions; None where neither


@dataclass(frozen=True, slots=True)
class Case:
    """What an examiner knows that no picture shows, for a report that stands in a file of a case."""

    reference: str  # the case's own number
    exhibit: Exhibit
    question: str
    propositions: tuple[str, str]  # both ways in which the exhibit may have come about
    examiner: str
    reviewer: str = ""
    methods: tuple[Method, ...] = ()  # beside those of this package
    comparable: str = ""  # how far the material of the error rates compares with the exhibit
    conclusion: Conclusion | None = None
    notes: tuple[str, ...] = ()

    @in_a_sentence
    def __post_init__(self) -> None:
        if len(self.propositions) != 2 or not all(self.propositions) or self.propositions[0] == self.propositions[1]:
            raise InputError(f"Case.propositions: expected two different ones, got {self.propositions!r}")
        end = self.conclusion
        if end is not None and (end.level not in end.scale or end.favours not in (None, 0, 1)):
            raise InputError(f"Case.conclusion: expected a level of its scale, got {end.level!r}")


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """The answer for one file, without pixels. "no_face", "failed" and "inconclusive" are three different answers."""

    source: str
    status: Status
    sha256: str | None = None  # of the file's bytes; None when they could not be read or came as an array
    medium: Medium | None = None  # None where the file could not be read
    notes: tuple[str, ...] = ()  # whole sentences: what was decided while the file was read
    verdict: Verdict | None = None  # the whole file's; None unless somebody could be judged, or the file told by itself
    people: tuple[PersonReport, ...] = ()
    inspections: tuple[Testimony, ...] = ()  # of witnesses that speak of the whole file, not of a person
    problems: tuple[Problem, ...] = ()
    made_by: Mapping[str, Any] = field(default_factory=dict)  # version, options, weight hashes: enough to run it again
    case: Case | None = None  # what an examiner adds; see `facewitness.case`

    @in_a_sentence
    def __post_init__(self) -> None:
        if self.status not in ("ok", "no_face", "failed"):
            raise InputError(f"Report.status: expected ok, no_face or failed, got {self.status!r}")
        if (self.status == "ok") != bool(self.people):
            raise InputError(f"Report: status {self.status!r} with {len(self.people)} people; only 'ok' has people")
        if self.status == "failed" and not self.problems:
            raise InputError("Report: status 'failed' needs a Problem that says why")

    @property
    def faces(self) -> tuple[PersonReport, ...]:
        """The people by another name: in a photo each of them is one face."""
        return self.people

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found about the file as a whole."""
        return tuple(finding for testimony in self.inspections for finding in testimony.findings)

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) of its pictures, upright; None where the file could not be read."""
        return None if self.medium is None else (self.medium.width, self.medium.height)

    # What writes reports stands above the nouns, so these three fetch it by name when they are called.

    def to_json(self) -> str:
        """The report as one line of JSON (`facewitness.report/2`), without a line feed."""
        rendered: bytes = importlib.import_module("facewitness.formats.json").render(self)
        return rendered.decode("utf-8").rstrip("\n")

    def to_dict(self) -> dict[str, Any]:
        """The report as what JSON can hold, in the layout of `facewitness.report/2`.

        Returns:
            As the schema describes it.
        """
        value: dict[str, Any] = importlib.import_module("json").loads(self.to_json())
        return value

    def save(self, path: str | os.PathLike[str], clip: Clip | None = None) -> None:
        """Write the report into a file whose ending names the format: .html, .json, .md, .png …

        Args:
            path: where to; a file that is there is replaced, whole or not at all.
            clip: the pixels, for formats that draw. Without it the file named by `source` is read again, as long as
                it still has the bytes that were examined; where it has not, what can be drawn without pixels is.

        Raises:
            UnknownName: no format has this ending.
            ReportError: the format cannot be written, for instance an overlay without pixels.
        """
        importlib.import_module("facewitness.pipeline").save(self, path, clip)


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """A report and the pixels it speaks of, for whoever draws. Pixels are dropped when only the report is kept."""

    report: Report
    clip: Clip | None  # None where the file could not be read


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

    @in_a_sentence
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
