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
import inspect
import itertools
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from facewitness import drawn, media, plugins, surface
from facewitness.calibration import Calibration, Profile
from facewitness.errors import (
    FacewitnessError,
    InputError,
    MissingExtra,
    ReportError,
    TooLarge,
    UnknownName,
    UnreadableMedia,
    WeightsError,
    came,
    ended,
    expect,
)
from facewitness.explain import explain
from facewitness.files import sha256, write_whole
from facewitness.film import Film, Sampling
from facewitness.judge import Limits, judge, judge_file, thresholds, timeline
from facewitness.people import reading_order
from facewitness.types import Analysis, Clip, Face, Frame, PersonReport, Problem, Report, Testimony, Track, Verdict
from facewitness.version import __version__

Source = str | PathLike[str] | bytes | NDArray[Any] | Any  # the last: a file object, or a PIL image
Tell = Callable[[str, float | None], None]  # is told the step that is worked on, and the share of it that is done

WITNESSES = ("compact", "provenance")  # who is asked where nobody is named
# Packages whose version can change a score by a rounding error or a decoder's choice.
_LIBRARIES = ("numpy", "pillow", "onnxruntime", "ai-edge-litert", "av")


class Finder(Protocol):
    """What a finder leaf's `load` returns: it looks at one frame.

    One that follows people through a film has `track(clip) -> Iterable[Track]` besides; of a photo, each face that
    `find` gives is a track by itself.
    """

    def find(self, frame: Frame) -> tuple[Face, ...]:
        """All faces of a frame.

        Args:
            frame: One frame, RGB.
        """
        ...


class Witness(Protocol):
    """What a witness leaf's `load` returns. It may have more, which is asked for where it is there:

        calibration     a `Calibration` or its JSON; without one its score decides nothing
        card            sentences on what its weights were measured to be worth, by the names "knows", "does_not_know",
                        "no_sign" (how often forgeries of each kind are told to show no sign), "groups" (errors by
                        group) and "deletion" (whether its places are what moves its score)
        answer(track, clip, question, history, hear) -> Reply      a question put to the witness itself
        inspect(clip) -> Testimony      about the whole file instead of a person; asked where no face is found, too
        decisive        True where what `inspect` says decides by itself, as a generator's signature does
        burst           so many consecutive frames of a film from each judged one on, for evidence that moves
        scope           "photograph" where `examine` looks at the whole photograph, whoever the person is

    A witness that only inspects has no `examine`.
    """

    name: str

    def examine(self, track: Track, clip: Clip) -> Testimony:
        """What it says about one person.

        Args:
            track: One person's faces.
            clip: The file's pixels; a photo is a clip of one frame.
        """
        ...

    def made_by(self) -> Mapping[str, Any]:
        """Its options and its weights' hashes."""
        ...


class Analyzer:
    """Everything it takes to analyse pictures, loaded once. Threads may share one: it takes one picture at a time.

    Args:
        finder: name of a leaf in `finders/`, or an object with `find(frame)`.
        witnesses: names of leaves in `witnesses/`, or objects as the protocol `Witness` has them.
        options: leaf's name → keyword arguments of its `load`, such as {"facemesh": {"max_faces": 10}}.
        limits: when a face is too poor a piece of evidence.
        reading: keyword arguments of `media.read`: its limits on size and pixels.
        profile: file made by `facewitness calibrate`: calibrations and thresholds fitted to somebody's own pictures.

    Raises:
        UnknownName: a leaf or option does not exist.
        MissingExtra, WeightsError: a leaf cannot be loaded here.
    """

    def __init__(
        self,
        *,
        finder: str | Finder = "facemesh",
        witnesses: Sequence[str | Witness] = WITNESSES,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        limits: Limits | None = None,
        reading: Mapping[str, Any] | None = None,
        profile: str | PathLike[str] | None = None,
    ):
        options = {} if options is None else options
        listed = isinstance(witnesses, Iterable) and not isinstance(witnesses, str | bytes | Mapping)
        asked = tuple(witnesses) if listed else ()
        if not asked:
            raise InputError(
                f"Analyzer: expected a list of at least one witness, got {came(witnesses)}. Say ['compact']."
            )
        witnesses = asked
        names = [part for part in (finder, *witnesses) if isinstance(part, str)]
        if not isinstance(options, Mapping) or not all(isinstance(given, Mapping) for given in options.values()):
            raise InputError(f"Analyzer: expected options as {{part: {{option: value}}}}, got {came(options)}")
        reading = _reading("Analyzer.reading", reading)
        expect("Analyzer.limits", limits, (Limits, NoneType), "Limits or None", "Say facewitness.Limits(doubtful=…).")
        for name in options:
            if name not in names:
                raise UnknownName("part to give options to", name, names)
        self.finder: Finder = _loaded("finders", finder, options)
        self.witnesses: tuple[Witness, ...] = tuple(_loaded("witnesses", witness, options) for witness in witnesses)
        self.limits = limits or Limits()
        self.reading = reading
        if len({witness.name for witness in self.witnesses}) < len(self.witnesses):
            raise InputError(f"Analyzer: expected witnesses of different names, got {[w.name for w in self.witnesses]}")
        self.profile = None if profile is None else Profile.read(profile)
        self.calibrations = _calibrations(self.witnesses)
        if self.profile is not None:
            scored = {w.name: w.made_by() for w in self.witnesses if hasattr(w, "examine")}
            self.calibrations |= self.profile.calibrations(scored)
        self.genuine_called_fake = max((c.genuine_called_fake for c in self.calibrations.values()), default=0.0)
        self._whole = frozenset(w.name for w in self.witnesses if getattr(w, "scope", "face") == "photograph")
        self.made_by = self._made_by((finder, *witnesses), options)
        self._one_at_a_time = threading.Lock()  # a network's interpreter holds the picture it works on

    def analyze(self, source: Source) -> Report:
        """The report on one picture; see `analysis`, which keeps the pixels beside it.

        Args:
            source: A path, bytes, an open file, a PIL image or pixels.
        """
        return self.analysis(source).report

    def analysis(
        self,
        source: Source,
        *,
        name: str | None = None,
        reading: Mapping[str, Any] | None = None,
        tell: Tell | None = None,
    ) -> Analysis:
        """The report on one picture, and the picture itself for whoever draws.

        Args:
            source: a path, an encoded picture's bytes, a file object open for reading bytes, a PIL image, or an array
                RGB uint8 (H, W, 3); arrays (H, W), (H, W, 1), (H, W, 4) do too. The report's `source` is the path or
                the file's name, "-" for bytes, "<array>" and "<image>" for the others.
            name: stands for the source in the report and its messages instead.
            reading: for this source alone: what is put over the `reading` of this Analyzer.
            tell: is told each step as it begins, and of finding and examining the share that is done.

        Raises:
            InputError: an array of another type or shape.
            WeightsError, MissingExtra: a part that is loaded with its first picture cannot be had. Everything else
                that goes wrong is in the report.
        """
        expect("Analyzer.analysis: name", name, (str, NoneType), "a name in words or None")
        if tell is not None and not callable(tell):
            raise InputError(f"Analyzer.analysis: expected tell to be a function or None, got {came(tell)}.")
        reading = _reading("Analyzer.analysis: reading", reading)
        name = media.without_secrets(source_name(source) if name is None else name)
        with self._one_at_a_time:
            return self._analysis(source, name, {**self.reading, **reading}, tell or _tell_nobody)

    def _analysis(self, source: Source, name: str, reading: Mapping[str, Any], tell: Tell) -> Analysis:
        step, clip = "read", None
        made_by = self.made_by if reading == self.reading else {**self.made_by, "reading": dict(reading)}
        try:
            tell(step, None)
            clip = media.read(source, name=name, **reading)
            step = "find"
            tell(step, None)
            tracks = self._people(clip, tell)
            step = "examine"
            testimonies, inspections, problems = self._examine(tracks, clip, tell)
            step = "judge"
            tell(step, None)
            film = isinstance(clip, Film)
            # a box without a mesh is no face's measure: it may hold the whole picture
            doubts = [
                "" if film or track.face.landmarks is None else drawn.doubt(track.face.box, clip.frame.pixels)
                for track in tracks
            ]
            verdicts = [
                self._judged(track, person_testimonies, clip.damage, doubt)
                for track, person_testimonies, doubt in zip(tracks, testimonies, doubts, strict=True)
            ]
            decisive = [inspection for witness, inspection in inspections if getattr(witness, "decisive", False)]
            verdict = judge_file(verdicts, self.genuine_called_fake, decisive, film)
            timelines = [timeline(person_testimonies, self.calibrations) for person_testimonies in testimonies]
            step = "explain"
            explanations = [explain(track, verdict) for track, verdict in zip(tracks, verdicts, strict=True)]
        except (WeightsError, MissingExtra):
            raise  # the same for every picture: whoever set this up has to know
        except Exception as error:
            given = isinstance(source, str | PathLike | bytes) or hasattr(source, "read")
            if step == "read" and (not given or type(error) is InputError):
                raise  # a caller's mistake, not a file's
            return Analysis(self._failed(source, name, made_by, step, error, clip), clip)
        unseen = (clip.damage,) if clip.damage and not tracks else ()  # of a face it is a reason
        report = Report(
            source=clip.source,
            status="ok" if tracks else "no_face",
            sha256=clip.sha256,
            medium=clip.medium,
            notes=(
                *unseen,
                *clip.remarks,
                *self._left_out(tracks, film),
                *_notes([*(t for _, t in inspections), *itertools.chain(*testimonies)]),
            ),
            verdict=verdict,
            people=tuple(
                PersonReport(
                    track,
                    verdict,
                    moments,
                    explanation.kind,
                    explanation.findings,
                    explanation.mask,
                    explanation.sentences,
                )
                for track, verdict, moments, explanation in zip(tracks, verdicts, timelines, explanations, strict=True)
            ),
            inspections=tuple(inspection for _, inspection in inspections),
            problems=problems,
            made_by=made_by,
        )
        return Analysis(report, clip)

    def _left_out(self, tracks: Sequence[Track], film: bool) -> tuple[str, ...]:
        """That a photo may show more faces than the finder was told to give at most."""
        most = getattr(self.finder, "max_faces", None)
        if film or not isinstance(most, int) or len(tracks) < most:
            return ()
        faces = "face was" if most == 1 else f"{most:,} faces were"
        return (
            f"Only the largest {faces} examined: no more are looked for, and there may be others. "
            f"--option {self.made_by['finder']['name']}.max_faces=N asks for more.",
        )

    def _people(self, clip: Clip, tell: Tell) -> tuple[Track, ...]:
        """The people in a clip; what a finder does wrong is told with its name, as of a witness.

        Raises:
            WeightsError, MissingExtra: says what to fetch or install.
            UnreadableMedia, TooLarge: the film's fault, which is decoded while somebody looks at it.
            FacewitnessError: the finder failed, or gave something else than people.
        """
        try:
            tracks = self._find(clip, tell)
            _in_the_picture(tracks, clip)
            return tracks
        except (WeightsError, MissingExtra, UnreadableMedia, TooLarge, MemoryError):
            raise
        except (Exception, SystemExit) as error:  # perhaps a stranger's code
            described = self.made_by["finder"]
            package = described.get("package")
            whose = f"{described['name']} of {package}" if package else described["name"]
            raise FacewitnessError(f"The finder {whose} failed. {_sentence(error, package)}") from error

    def _find(self, clip: Clip, tell: Tell) -> tuple[Track, ...]:
        """The people in a clip: of a photo in reading order, of a film in the finder's order."""
        follow = getattr(self.finder, "track", None)
        if follow is None and isinstance(clip, Film):  # any finder of photos can be followed by
            follow = plugins.load("finders", "tracks", {"finder": self.finder}).track
        if follow is not None:
            if isinstance(clip, Film):
                clip.report_progress(lambda share: tell("find", share))
                clip.bursts(max(getattr(witness, "burst", 1) for witness in self.witnesses))
            people = tuple(follow(clip))
            if odd := [person for person in people if not isinstance(person, Track)]:
                raise InputError(f"Expected Tracks, got {came(odd[0])}.")
            return people
        faces = self.finder.find(clip.frame)
        if not isinstance(faces, Sequence) or not all(isinstance(face, Face) for face in faces):
            raise InputError(f"Expected a tuple of Faces, got {came(faces)}.")
        order = reading_order([face.box for face in faces])
        return tuple(Track(person, (surface.seen(faces[i], clip.frame.pixels),)) for person, i in enumerate(order))

    def _examine(
        self, tracks: Sequence[Track], clip: Clip, tell: Tell
    ) -> tuple[list[tuple[Testimony, ...]], list[tuple[Witness, Testimony]], tuple[Problem, ...]]:
        """What the witnesses say of each person and of the file. One that fails is a problem; the others still count.

        Raises FacewitnessError where none of them could testify about anything.
        """
        problems: dict[Problem, None] = {}  # in order, each once
        asking = sum(hasattr(witness, "inspect") for witness in self.witnesses)
        asking += len(tracks) * sum(hasattr(witness, "examine") for witness in self.witnesses)
        asked = itertools.count()
        made = zip(self.witnesses, self.made_by["witnesses"], strict=True)
        packages = {id(witness): described.get("package") for witness, described in made}

        def ask(witness: Witness, question: Callable[[], Testimony]) -> Testimony | None:
            tell("examine", next(asked) / asking)
            try:
                testimony = question()
                if not isinstance(testimony, Testimony):
                    raise InputError(f"Expected a Testimony, got {type(testimony).__name__}.")
                if testimony.witness != witness.name:  # it would be weighed by another one's calibration
                    raise InputError(f"Expected a testimony by '{witness.name}', got one by '{testimony.witness}'.")
                _on_the_picture(testimony, clip)
            except (WeightsError, MissingExtra):
                raise
            except (Exception, SystemExit) as error:  # perhaps a stranger's code
                package = packages[id(witness)]
                whose = f"{witness.name} of {package}" if package else witness.name
                problems[Problem("examine", f"The witness {whose} failed. {_sentence(error, package)}")] = None
                return None
            if testimony.problem:
                problems[Problem("examine", f"The witness {witness.name}: {testimony.problem}")] = None
            return testimony

        inspections = []
        for witness in self.witnesses:
            inspect = getattr(witness, "inspect", None)
            if inspect is not None and (inspection := ask(witness, partial(inspect, clip))) is not None:
                inspections.append((witness, inspection))
        testimonies = []
        for track in tracks:
            answers = [
                ask(witness, partial(examine, track, clip))
                for witness in self.witnesses
                if (examine := getattr(witness, "examine", None)) is not None
            ]
            testimonies.append(
                tuple(surface.without_unseen(testimony, track.faces) for testimony in answers if testimony is not None)
            )
        if problems and not inspections and (tracks and not any(testimonies)):
            raise FacewitnessError(" ".join(problem.message for problem in problems))
        return testimonies, inspections, tuple(problems)

    def _judged(self, track: Track, testimonies: Sequence[Testimony], damage: str, doubt: str) -> Verdict:
        """The verdict on a person, with a sentence of `drawn.doubt` as a poor quality or as no photograph."""
        poor = " ".join(sentence for sentence in (damage, doubt if doubt in drawn.POOR else "") if sentence)
        other = doubt if doubt in drawn.SENTENCES else ""
        return judge(track, testimonies, self.calibrations, self.limits, poor, self._whole, other)

    def _failed(
        self, source: Source, name: str, made_by: Mapping[str, Any], step: str, error: Exception, clip: Clip | None
    ) -> Report:
        """The report on a picture that could not be analysed, with the step that failed and why."""
        return Report(
            source=name,
            status="failed",
            sha256=_sha256(source) if clip is None else clip.sha256,
            medium=None if clip is None else clip.medium,
            notes=() if clip is None else clip.remarks,
            problems=(Problem(step, _sentence(error)),),
            made_by=made_by,
        )

    def _made_by(self, requested: Sequence[object], options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Enough to run it again: version, parts with options and weights, thresholds, libraries. Nothing is random."""
        finder, *witnesses = (
            _described("witnesses" if number else "finders", part, name, options)
            for number, (part, name) in enumerate(zip((self.finder, *self.witnesses), requested, strict=True))
        )
        for witness, described in zip(self.witnesses, witnesses, strict=True):
            if measured := _measured(witness, self.calibrations.get(witness.name)):
                described["measured"] = measured
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


def _on_the_picture(testimony: Testimony, clip: Clip) -> None:
    """Refuse a mask or a place that lies off the picture, as of one of another size: it would mark something else.

    Raises:
        InputError: Something lies more than a pixel outside.
    """
    whole = clip.medium
    marked = [] if testimony.mask is None else [("a mask", testimony.mask.box, whole.width, whole.height)]
    for place in (place for finding in testimony.findings for place in finding.places):
        size = (whole.width, whole.height) if place.at is None else (place.at.width, place.at.height)
        marked.append(("a place", place.box, *size))
    for what, (left, top, right, bottom), width, height in marked:
        if left < -1 or top < -1 or right > width + 1 or bottom > height + 1:
            came = ", ".join(f"{value:g}" for value in (left, top, right, bottom))
            picture = f"the picture, which has {width} × {height} pixels"
            raise InputError(f"Expected {what} on {picture}, got the box {came}.")


def _in_the_picture(tracks: Sequence[Track], clip: Clip) -> None:
    """Refuse a face that lies off the picture: it would be judged by pixels that are not there.

    Raises:
        InputError: It lies more than a pixel outside.
    """
    size = (clip.medium.width, clip.medium.height)
    for face in (face for track in tracks for face in track.faces):
        left, top, right, bottom = face.box
        if left < -1 or top < -1 or right > size[0] + 1 or bottom > size[1] + 1:
            came = ", ".join(f"{value:g}" for value in face.box)
            raise InputError(
                f"Expected a face in the picture, which has {size[0]} × {size[1]} pixels, got the box {came}."
            )


def _reading(where: str, reading: Any) -> dict[str, Any]:
    """Words of `media.read`, of which each has its type; those of a film's sampling, too.

    Raises:
        InputError: One has another type.
        UnknownName: There is no such word.
    """
    expect(where, reading, (Mapping, NoneType), "a mapping of words to values, such as {'max_pixels': 1_000_000}")
    words = dict(reading or {})
    known = sorted(inspect.signature(media.read).parameters.keys() - {"source", "name"})
    for name in words:
        if name not in known:
            raise UnknownName("word of reading", name, known)
    plugins.check(where, media.read, words)
    sampling = words.get("sampling")
    expect(f"{where}.sampling", sampling, (Mapping, NoneType), "a mapping such as {'frames': 16}, or None")
    for name in sampling or {}:
        if name not in (options := inspect.signature(Sampling).parameters):
            raise UnknownName("option of sampling", name, options)
    plugins.check(f"{where}.sampling", Sampling, sampling or {})
    return words


def _tell_nobody(step: str, done: float | None) -> None:
    """Where nobody wants to know how far it is."""


# what a part must be able to do, one of a family's list at least, and how a message puts it
_ABLE = {
    "finders": (("find", "track"), "an object with find(frame)"),
    "witnesses": (("examine", "inspect"), "an object with a name and examine(track, clip), or inspect(clip)"),
}


def _loaded(family: str, part: Any, options: Mapping[str, Mapping[str, Any]]) -> Any:
    """A leaf's object by its name, with its options; an object that is ready comes back as it is.

    Raises:
        InputError: It is no finder or witness, or does not say what it is made of.
    """
    loaded = plugins.load(family, part, options.get(part, {})) if isinstance(part, str) else part
    package = plugins.origin(family, part) if isinstance(part, str) else None
    whose = f"{family}/{part}{f' of {package}' if package else ''}" if isinstance(part, str) else family
    able, expected = _ABLE[family]
    named = family == "finders" or (isinstance(getattr(loaded, "name", None), str) and loaded.name)
    named = named and not isinstance(loaded, str | bytes | bytearray)  # those have a method find
    if not named or not any(callable(getattr(loaded, verb, None)) for verb in able):
        mend = (
            "Mend its load()." if isinstance(part, str) else f"Give one, or a name: {', '.join(plugins.names(family))}."
        )
        raise InputError(f"{whose}: expected {expected}, got {came(loaded)}. {mend}")
    if not hasattr(loaded, "made_by"):
        return loaded
    described = loaded.made_by  # a method by the protocol; whoever wrote a mapping there is told
    try:
        described = described() if callable(described) else described
        if callable(loaded.made_by) and isinstance(described, Mapping):
            json.dumps(dict(described), allow_nan=False)
            return loaded
        why = "" if callable(loaded.made_by) else ", which is no method"
    except (WeightsError, MissingExtra):
        raise  # says what to fetch or install
    except Exception as error:  # a stranger's code
        why = f" ({type(error).__name__}: {error})"
    expected = "made_by() to give a mapping that JSON can hold"
    raise InputError(f"{whose}: expected {expected}, got {came(described)}{why}. Mend it.")


def _calibrations(witnesses: Iterable[Witness]) -> dict[str, Calibration]:
    calibrations = {}
    for witness in witnesses:
        calibration = getattr(witness, "calibration", None)
        if calibration is not None:
            ready = isinstance(calibration, Calibration)
            calibrations[witness.name] = calibration if ready else Calibration.from_json(calibration)
    return calibrations


def _described(family: str, part: Any, requested: object, options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How a part stands in `made_by`: the name it was asked for by, or, for a ready object, its own.

    Of another package's leaf with that package's name and version: a name alone would not tell whose it is.
    """
    name = requested if isinstance(requested, str) else str(getattr(part, "name", type(part).__name__))
    described = part.made_by() if hasattr(part, "made_by") else {}
    package = plugins.origin(family, requested) if isinstance(requested, str) else None
    return {
        "name": name,
        **({"package": package} if package else {}),
        "options": dict(options.get(name, {})),
        **described,
    }


def _measured(witness: Witness, calibration: Calibration | None) -> dict[str, Any]:
    """What was measured of a witness with the weights it has: its error rates, what it knows and what it does not."""
    rates = {} if calibration is None else {"rates": calibration.overall()}
    card = getattr(witness, "card", None)
    if card is None:
        return dict(rates)
    if not isinstance(card, Mapping) or not all(isinstance(x, str) for line in card.items() for x in line):
        raise InputError(
            f"{witness.name}: expected a card of sentences by their names, such as knows, got {str(card)[:80]!r}. "
            "Copy the JSON beside its weights again from where they came."
        )
    return {**rates, **card}


@functools.cache
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
        path = media.file_of(source)
        with suppress(OSError, ValueError):
            return sha256(path, media.MAX_BYTES)  # a pipe would be waited for
    return None


def _notes(testimonies: Sequence[Testimony]) -> tuple[str, ...]:
    """What witnesses want to be known of their testimonies, each once, with their names."""
    return tuple(dict.fromkeys(f"The witness {one.witness}: {note}" for one in testimonies for note in one.notes))


def _sentence(error: BaseException, package: str | None = None) -> str:
    """An error as a sentence: our own say what to do; any other is nobody's fault but the code's that raised it.

    Args:
        error: Whatever was raised.
        package: Whose code it is, where it is not ours.
    """
    if isinstance(error, FacewitnessError):
        return ended(str(error))
    if isinstance(error, MemoryError):
        return "There was not enough memory for this picture. Give it more, or lower the limit on pixels."
    code = f"the code of {package}; mend it, or uninstall {package}" if package else "the code; please report it"
    return f"Unexpected {type(error).__name__}: {' '.join(str(error).split())}. This is a fault in {code}."


def source_name(source: object) -> str:
    """How a source is called in a report.

    Args:
        source: A path, bytes, an open file, a PIL image or pixels.
    """
    if isinstance(source, str | PathLike):
        return str(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return "-"
    if isinstance(source, np.ndarray):
        return "<array>"
    name = getattr(source, "filename", None) or getattr(source, "name", None)  # of a PIL image; of a file
    return name if isinstance(name, str) and name else "-" if hasattr(source, "read") else "<image>"


def portable(source: Source) -> Source:
    """The source as what can travel to another process: an open file and a view of bytes become bytes.

    Args:
        source: A path, bytes, an open file, a PIL image or pixels.
    """
    if isinstance(source, memoryview):
        return bytes(source)
    return source.read(media.MAX_BYTES + 1) if hasattr(source, "read") else source


@functools.cache
def _default() -> Analyzer:
    return Analyzer()


def analyze(source: Source, **options: Any) -> Report:
    """The report on one picture: see `Analyzer.analysis`. `options` are those of `Analyzer`.

    Without options one Analyzer is made and kept; for many pictures with options of your own, make one yourself.

    Args:
        source: A path, bytes, an open file, a PIL image or pixels.
        **options: Further options, by name.
    """
    return (Analyzer(**options) if options else _default()).analyze(source)


def save(report: Report, path: str | PathLike[str], clip: Clip | None = None) -> None:
    """Write a report into a file whose ending names the format; see `Report.save`.

    Args:
        report: A finished analysis.
        path: Its ending names the format.
        clip: The file's pixels, for pictures in the report; None leaves them out.
    """
    expect("Report.save: path", path, (str, PathLike), "the path of a file to write")
    expect(
        "Report.save: clip", clip, (Clip, NoneType), "a Clip or None", "Analyzer.analysis gives it beside the report."
    )
    path = Path(path)
    ending = path.suffix.lower().removeprefix(".")
    leaves = {}
    # ours last: another package's format does not take an ending of ours
    names = reversed(plugins.names("formats"))
    for name in sorted(names, key=lambda name: plugins.origin("formats", name) is None):
        try:
            leaves[plugins.get("formats", name).extension] = name
        except (InputError, MissingExtra):
            if name == ending:  # the others are not asked for
                raise
    if ending not in leaves:
        raise UnknownName("ending of a report's file", ending, leaves)
    if clip is None and report.sha256 is not None:
        clip = _read_again(report)
    write_whole(path, rendered(leaves[ending], report, clip))


def rendered(name: str, report: Report, clip: Clip | None, **settings: Any) -> bytes:
    """A report in a format; what another package's format does wrong is a sentence.

    Args:
        name: Of a leaf of `formats/`, or of a package's format.
        report: A finished analysis.
        clip: The file's pixels; None leaves pictures out.
        **settings: Those that the format's `render` takes.

    Raises:
        ReportError: The format cannot write this report, or does not keep its family's promise.
    """
    leaf, package = plugins.get("formats", name), plugins.origin("formats", name)
    whose = f"{name} of {package}" if package else name
    try:
        content = leaf.render(report, clip, **settings)
    except (Exception, SystemExit) as error:
        if package is None or isinstance(error, FacewitnessError):
            raise
        raise ReportError(f"The format {whose} failed. {_sentence(error, package)}") from error
    if not isinstance(content, bytes):
        raise ReportError(f"The format {whose} failed. Expected bytes, got {type(content).__name__}.")
    return content


def _read_again(report: Report) -> Clip | None:
    """The pixels of the file that a report speaks of; None where it is gone, or holds other bytes by now."""
    with suppress(InputError):
        clip = media.read(report.source)
        if clip.sha256 == report.sha256:
            return clip
    return None
