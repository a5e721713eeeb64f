"""The main path, top to bottom: read → find → examine → judge → explain. Start reading here.

    report = analyze("photo.jpg")                       one picture; models are loaded once and kept
    analyzer = Analyzer(finder="whole")                 the same with other parts, loaded once by you
    for report in analyze_many(paths, jobs=2): ...      many pictures on several processes: `pool`

A picture that cannot be analysed is a report with the status "failed" and a problem that says why, never an exception;
what cannot be analysed because of how this was called (an array of another shape, an unknown name, missing weights)
is an exception. A report holds no date and no times: the same file, version and options give the same report.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from facewitness import media, plugins
from facewitness.calibration import Calibration, Profile
from facewitness.errors import FacewitnessError, InputError, MissingExtra, UnknownName, WeightsError
from facewitness.explain import explain
from facewitness.judge import Limits, judge, judge_picture, thresholds
from facewitness.types import Face, FaceReport, Frame, Problem, Report, Testimony
from facewitness.version import __version__

Source = str | PathLike[str] | bytes | NDArray[Any]

# Packages whose version can change a score by a rounding error or a decoder's choice.
_LIBRARIES = ("numpy", "pillow", "onnxruntime", "ai-edge-litert")


class Finder(Protocol):
    """What a finder leaf's `load` returns."""

    def find(self, frame: Frame) -> tuple[Face, ...]:
        """All faces of a frame."""
        ...


class Witness(Protocol):
    """What a witness leaf's `load` returns. It may have `calibration`, without which its score decides nothing."""

    name: str

    def examine(self, face: Face, question: str | None = None) -> Testimony:
        """What it says about one face."""
        ...

    def made_by(self) -> Mapping[str, Any]:
        """Its options and its weights' hashes."""
        ...


class Analyzer:
    """Everything it takes to analyse pictures, loaded once. Not for several threads at a time.

    finder      name of a leaf in `finders/`, or an object with `find(frame)`
    witnesses   names of leaves in `witnesses/`, or objects with `name`, `examine(face)`, `made_by()` and `calibration`
    options     leaf's name → keyword arguments of its `load`, such as {"facemesh": {"most": 10}}
    limits      when a face is too poor a piece of evidence
    reading     keyword arguments of `media.read`: its limits on size and pixels
    profile     file made by `facewitness calibrate`: calibrations and thresholds fitted to somebody's own pictures
    Raises UnknownName for a leaf or option that does not exist, MissingExtra or WeightsError where one cannot load.
    """

    def __init__(
        self,
        *,
        finder: str | Finder = "facemesh",
        witnesses: Sequence[str | Witness] = ("compact",),
        options: Mapping[str, Mapping[str, Any]] | None = None,
        limits: Limits | None = None,
        reading: Mapping[str, Any] | None = None,
        profile: str | PathLike[str] | None = None,
    ):
        options = options or {}
        if isinstance(witnesses, str) or not witnesses:
            raise InputError(f"Analyzer: expected a list of at least one witness, got {witnesses!r}")
        names = [part for part in (finder, *witnesses) if isinstance(part, str)]
        for name in options:
            if name not in names:
                raise UnknownName("part to give options to", name, names)
        self.finder: Finder = _loaded("finders", finder, options)
        self.witnesses: tuple[Witness, ...] = tuple(_loaded("witnesses", witness, options) for witness in witnesses)
        self.limits = limits or Limits()
        self.reading = dict(reading or {})
        if len({witness.name for witness in self.witnesses}) < len(self.witnesses):
            raise InputError(f"Analyzer: expected witnesses of different names, got {[w.name for w in self.witnesses]}")
        self.profile = None if profile is None else Profile.read(profile)
        self.calibrations = _calibrations(self.witnesses)
        if self.profile is not None:
            self.calibrations |= self.profile.calibrations({w.name: w.made_by() for w in self.witnesses})
        self.genuine_called_fake = max((c.genuine_called_fake for c in self.calibrations.values()), default=0.0)
        self.made_by = self._made_by((finder, *witnesses), options)

    def analyze(self, source: Source) -> Report:
        """The report on one picture: a path, an encoded picture's bytes, or an array RGB uint8 (H, W, 3).

        Its `source` is the path, "-" for bytes, "<array>" for an array; arrays (H, W), (H, W, 1), (H, W, 4) do too.
        Raises InputError for an array of another type or shape, WeightsError or MissingExtra where a part that is
        loaded with its first picture cannot be had. Everything else that goes wrong is in the report.
        """
        step, picture = "read", None
        try:
            picture = media.read(source, name=source_name(source), **self.reading)
            step = "find"
            faces = self.finder.find(picture.frame)
            step = "examine"
            heard, problems = self._examine(faces)
            step = "judge"
            verdicts = [
                judge(face, said, self.calibrations, self.limits) for face, said in zip(faces, heard, strict=True)
            ]
            verdict = judge_picture(verdicts, self.genuine_called_fake, picture.notes) if faces else None
            step = "explain"
            said = [explain(face, verdict) for face, verdict in zip(faces, verdicts, strict=True)]
        except (WeightsError, MissingExtra):
            raise  # the same for every picture: whoever set this up has to know
        except Exception as error:
            if step == "read" and not isinstance(source, str | PathLike | bytes):
                raise  # a caller's mistake, not a file's
            return self._failed(source, step, error, picture)
        return Report(
            source=picture.source,
            status="ok" if faces else "no_face",
            sha256=picture.sha256,
            size=(picture.frame.width, picture.frame.height),
            verdict=verdict,
            faces=tuple(
                FaceReport(face, verdict, told.kind, told.findings, told.mask, told.sentences)
                for face, verdict, told in zip(faces, verdicts, said, strict=True)
            ),
            problems=problems,
            made_by=self.made_by,
            frame=picture.frame,
        )

    def _examine(self, faces: Sequence[Face]) -> tuple[list[tuple[Testimony, ...]], tuple[Problem, ...]]:
        """What the witnesses say of each face. One that fails is a problem, and the others still count.

        Raises FacewitnessError where none of them could testify about any face.
        """
        heard: list[tuple[Testimony, ...]] = []
        problems: dict[Problem, None] = {}  # in order, each once
        for face in faces:
            testimonies = []
            for witness in self.witnesses:
                try:
                    # Times would make every report differ from the next one on the same file.
                    said = replace(witness.examine(face), seconds=None)
                    testimonies.append(said)
                    if said.problem:
                        problems[Problem("examine", f"The witness {witness.name}: {said.problem}")] = None
                except (WeightsError, MissingExtra):
                    raise
                except Exception as error:
                    problems[Problem("examine", f"The witness {witness.name} failed. {_told(error)}")] = None
            heard.append(tuple(testimonies))
        if faces and not any(heard):
            raise FacewitnessError(" ".join(problem.message for problem in problems))
        return heard, tuple(problems)

    def _failed(self, source: Source, step: str, error: Exception, picture: media.Picture | None) -> Report:
        """The report on a picture that could not be analysed, with the step that failed and why."""
        frame = None if picture is None else picture.frame
        return Report(
            source=source_name(source),
            status="failed",
            sha256=_sha256(source) if picture is None else picture.sha256,
            size=None if frame is None else (frame.width, frame.height),
            problems=(Problem(step, _told(error)),),
            made_by=self.made_by,
            frame=frame,
        )

    def _made_by(self, asked: Sequence[object], options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Enough to run it again: version, parts with options and weights, thresholds, libraries. Nothing is random."""
        finder, *witnesses = (
            _described(part, name, options) for part, name in zip((self.finder, *self.witnesses), asked, strict=True)
        )
        real, fake = thresholds(self.calibrations.values()) if self.calibrations else (None, None)
        return {
            "version": __version__,
            "reading": self.reading,
            "finder": finder,
            "witnesses": witnesses,
            "thresholds": {"real": real, "fake": fake},
            "profile": None if self.profile is None else self.profile.made_by(),
            "limits": asdict(self.limits),
            "libraries": {name: version for name in _LIBRARIES if (version := _version(name)) is not None},
            "seed": None,
        }


def _loaded(family: str, part: Any, options: Mapping[str, Mapping[str, Any]]) -> Any:
    """A leaf's object by its name, with its options; an object that is ready comes back as it is."""
    if not isinstance(part, str):
        return part
    return plugins.load(family, part, options.get(part, {}))


def _calibrations(witnesses: Iterable[Witness]) -> dict[str, Calibration]:
    found = {}
    for witness in witnesses:
        calibration = getattr(witness, "calibration", None)
        if calibration is not None:
            ready = isinstance(calibration, Calibration)
            found[witness.name] = calibration if ready else Calibration.from_json(calibration)
    return found


def _described(part: Any, asked: object, options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How a part stands in `made_by`: the name it was asked for by, or, for a ready object, its own."""
    name = asked if isinstance(asked, str) else str(getattr(part, "name", type(part).__name__))
    said = part.made_by() if hasattr(part, "made_by") else {}
    return {"name": name, "options": dict(options.get(name, {})), **said}


def _version(package: str) -> str | None:
    try:
        return installed_version(package)
    except PackageNotFoundError:
        return None


def _sha256(source: Source) -> str | None:
    """The hash of a file that is no picture; None where its bytes can't be read, or are too many to be."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    if isinstance(source, str | PathLike):
        path = Path(source)
        with suppress(OSError, ValueError):
            if path.is_file() and path.stat().st_size <= media.MOST_BYTES:  # a pipe would be waited for
                return hashlib.sha256(path.read_bytes()).hexdigest()
    return None


def _told(error: BaseException) -> str:
    """An error as a sentence: our own say what to do; any other is nobody's fault but the code's that raised it."""
    if isinstance(error, FacewitnessError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There was not enough memory for this picture. Give it more, or lower the limit on pixels."
    return f"Unexpected {type(error).__name__}: {error}. This is a fault in the code; please report it."


def source_name(source: object) -> str:
    """How a source is called in a report."""
    if isinstance(source, str | PathLike):
        return str(source)
    return "-" if isinstance(source, bytes) else "<array>"


@functools.cache
def _default() -> Analyzer:
    return Analyzer()


def analyze(source: Source, **options: Any) -> Report:
    """The report on one picture: see `Analyzer.analyze`. `options` are those of `Analyzer`.

    Without options one Analyzer is made and kept; for many pictures with options of your own, make one yourself.
    """
    return (Analyzer(**options) if options else _default()).analyze(source)
