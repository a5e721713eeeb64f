"""What each family promises, as checks that anybody can run over a leaf of theirs.

    for check in checks.of("witnesses"):           in a test: one check a parameter, `check.name` says what it is
        check.run(plugins.get("witnesses", "grain"), {"least": 1.0})

    checks.run("witnesses", "grain", {"least": 1.0})   all of them; raises Broken with one sentence a promise

A check tests the promise, not what today's leaves happen to have: what a leaf cannot say is None, and that is kept.
Nothing here needs pytest, a network or weights; the pictures are painted. The promises are the protocols of
`pipeline` and the docstrings of the families (after scikit-learn's `check_estimator`). A leaf that never ends is not
ended here, for its code runs in this process: give the test a time limit (pytest-timeout).
"""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from facewitness import plugins, regions
from facewitness.errors import (
    BackendError,
    FacewitnessError,
    InputError,
    MissingExtra,
    ReportError,
    UnknownName,
    WeightsError,
)
from facewitness.types import (
    LABELS,
    Clip,
    Face,
    Finding,
    Frame,
    Landmarks,
    Medium,
    PersonReport,
    Place,
    Problem,
    Quality,
    Question,
    Reply,
    Report,
    Sample,
    Sentence,
    Testimony,
    Track,
    Truth,
    Verdict,
)

Options = Mapping[str, Any]
MAX_FINDINGS = 1_000  # of one testimony
MAX_CLAIM = 2_000  # characters of one claim
MAX_MADE_BY = 1_000_000  # characters, as JSON: it stands in every report
_LONGEST = 600  # characters of an error that are repeated


class Broken(FacewitnessError, AssertionError):
    """A leaf does not keep its family's promise."""


class _NotLoaded(Exception):
    """A leaf's `load` said in a sentence what it lacks; that breaks no promise."""

    def __init__(self, why: FacewitnessError):
        super().__init__(str(why))
        self.why = why


def _load(leaf: ModuleType, options: Options) -> Any:
    """What the leaf's `load` gives.

    Raises:
        _NotLoaded: It says what it needs: an option, a server's address, a model's folder.
    """
    try:
        return leaf.load(**options)
    except FacewitnessError as error:
        raise _NotLoaded(error) from error


@dataclass(frozen=True, slots=True)
class Check:
    """One promise of a family."""

    family: str
    name: str  # a sentence without its full stop
    test: Callable[[ModuleType, Options], None]

    def run(self, leaf: ModuleType, options: Options | None = None) -> None:
        """Hold a leaf to the promise.

        Args:
            leaf: the module, as `plugins.get` gives it.
            options: keyword arguments of its function, such as the weights of a network that ships without.

        Raises:
            Broken: the leaf does not keep it, with what was expected and what came.
            FacewitnessError: it cannot be loaded with these options, or lacks a package or weights: what to do.
        """
        printed = io.StringIO()
        try:
            with redirect_stdout(printed):
                self.test(leaf, options or {})
        except _NotLoaded as error:
            raise error.why from error
        except (MissingExtra, WeightsError):
            raise  # says what to install or fetch
        except FacewitnessError as error:  # also what our types refuse, such as a score that is NaN
            raise Broken(f"{self._of(leaf)}: {_short(error)}") from error
        except KeyboardInterrupt:  # somebody may have pressed Ctrl-C
            raise
        except BaseException as error:  # sys.exit too: it would end the analysis of all other pictures
            raise Broken(f"{self._of(leaf)}: unexpected {type(error).__name__}: {_short(error)}") from error
        if printed.getvalue():
            raise Broken(
                f"{self._of(leaf)}: expected nothing on standard output, where reports go, got "
                f"{printed.getvalue()[:80]!r}"
            )

    def _of(self, leaf: ModuleType) -> str:
        return f"{self.family}/{leaf.__name__.rpartition('.')[2]}: {self.name}"


def _short(error: BaseException) -> str:
    """What an error says, as far as it can be said and read."""
    try:
        words = str(error)
    except Exception as other:  # an error may be as broken as the code that raised it
        words = f"it cannot be said ({type(other).__name__})"
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"


def of(family: str) -> tuple[Check, ...]:
    """The promises of a family.

    Args:
        family: Name of a family, such as "witnesses".

    Raises:
        UnknownName: For a family that does not exist.
    """
    if family not in plugins.FAMILIES:
        raise UnknownName("family", family, plugins.FAMILIES)
    every = _CHECKS["*"] + _CHECKS.get(family, [])
    return tuple(Check(family, name, test) for name, test in every)


def run(family: str, name: str, options: Options | None = None) -> None:
    """Hold a leaf to all promises of its family.

    Args:
        family: Name of a family, such as "witnesses".
        name: Name of a leaf.
        options: For the leaf's `load`.

    Raises:
        Broken: it does not keep them; the message has one sentence a promise.
        UnknownName, MissingExtra: there is no such leaf, or it cannot be imported here.
    """
    leaf = plugins.get(family, name)
    broken = []
    for check in of(family):
        try:
            check.run(leaf, options)
        except Broken as error:
            broken.append(str(error))
    if broken:
        raise Broken("\n".join(broken))


_CHECKS: dict[str, list[tuple[str, Callable[[ModuleType, Options], None]]]] = {}


def _promise(family: str, name: str) -> Callable[[Callable[[ModuleType, Options], None]], Callable[..., None]]:
    def keep(test: Callable[[ModuleType, Options], None]) -> Callable[[ModuleType, Options], None]:
        _CHECKS.setdefault(family, []).append((name, test))
        return test

    return keep


def _expect(true: object, expected: str, got: object = "") -> None:
    if not true:
        try:
            shown = repr(got)
        except Exception:  # it is a stranger's
            shown = f"a {type(got).__name__} that cannot be shown"
        came = f", got {shown if len(shown) <= 200 else shown[:197] + '...'}" if not isinstance(got, str) or got else ""
        raise Broken(f"expected {expected}{came}")


# ------------------------------------------------------------------------------------------------------ what is shown


def landmarks(width: float, height: float) -> Landmarks:
    """The average face's mesh in the middle of a picture, three fifths of it high: float32 (468, 3).

    Args:
        width: Pixels.
        height: Pixels.

    Returns:
        float32 (468, 3) in pixels.
    """
    mesh = regions.average_landmarks() * (height * 0.6)
    mesh[:, :2] += (width / 2 - mesh[:, 0].mean(), height / 2 - mesh[:, 1].mean())
    return mesh.astype(np.float32)


def photo(width: int, height: int, seed: int = 0, mesh: bool = True) -> tuple[Track, Clip]:
    """A person in a photo of noise, with or without a mesh: what `examine` takes.

    Args:
        width: Pixels.
        height: Pixels.
        seed: Of the noise.
        mesh: Whether the face has landmarks.

    Returns:
        The person's track, and the photo.
    """
    rng = np.random.default_rng(seed)
    frame = Frame(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    if not mesh:
        return Track(0, (Face(frame.at, frame.at.box),)), Clip("photo", (frame,))
    return Track(0, (_face(frame),)), Clip("photo", (frame,))


def film(width: int, height: int, frames: int = 3) -> tuple[Track, Clip]:
    """A person in a film of noise.

    Args:
        width: Pixels.
        height: Pixels.
        frames: How many there are.

    Returns:
        The person's track, and the film.
    """
    rng = np.random.default_rng(frames)
    kept = tuple(
        Frame(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), 5 * index, index / 5) for index in range(frames)
    )
    return Track(0, tuple(map(_face, kept))), Clip("film", kept, fps=25.0, count=5 * frames)


def _face(frame: Frame) -> Face:
    points = landmarks(frame.width, frame.height)
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    x1, y1, x2, y2 = (float(v) for v in (*np.maximum(low, 0), *np.minimum(high, (frame.width, frame.height))))
    return Face(frame.at, (x1, y1, x2, y2), points, Quality(score=0.9, size=min(x2 - x1, y2 - y1)))


def reports() -> dict[str, tuple[Report, Clip | None]]:
    """A report for each answer that there is, with the pixels it speaks of.

    Returns:
        Name of the answer → the report, and its pixels or None.
    """
    track, clip = photo(120, 90)
    at = clip.frame.at
    finding = Finding.on("nose", (40.0, 30.0, 60.0, 50.0), None, "The nose shows traces of forgery.", 0.8, at)
    testimony = Testimony(
        "compact", 0.9, None, (finding,), reply=Reply("fake", None, ("The nose is odd.",), (finding,))
    )
    verdict = Verdict("fake", 0.9, (0.8, 0.95), (0.3, 0.7), None, ("It is over the threshold.",), (testimony,))
    person = PersonReport(track, verdict, (), None, (finding,), None, (Sentence("The nose is odd.", (0,)),))
    undecided = Verdict("inconclusive", None, cause="silent", testimonies=(Testimony("mute", None),))
    made_by = {"version": "0.1.0"}
    ok = Report("photo.jpg", "ok", None, clip.medium, (), verdict, (person,), made_by=made_by)
    return {
        "ok": (ok, clip),
        "problems": (replace(ok, problems=(Problem("examine", "The second witness failed."),)), clip),
        "unmeasured": (replace(ok, verdict=undecided, people=(PersonReport(track, undecided),)), clip),
        "no_face": (Report("photo.jpg", "no_face", None, Medium(120, 90), made_by=made_by), clip),
        "failed": (Report("x.jpg", "failed", problems=(Problem("read", "It is empty."),), made_by=made_by), None),
    }


# -------------------------------------------------------------------------------------------------------- every family


@_promise("*", "it opens with a sentence")
def _opens(leaf: ModuleType, options: Options) -> None:
    first = (leaf.__doc__ or "").strip().split("\n")[0]
    _expect(first.endswith((".", "…", "!", "?")), "a docstring whose first line is a sentence", first)


@_promise("*", "it has its family's function")
def _has_function(leaf: ModuleType, options: Options) -> None:
    family = next((f for f in plugins.FAMILIES if f".{f}." in f".{leaf.__name__}."), None)
    functions = {plugins.FAMILIES[family][0]} if family else {function for function, _ in plugins.FAMILIES.values()}
    _expect(any(callable(getattr(leaf, name, None)) for name in functions), f"{' or '.join(sorted(functions))}()")


# ----------------------------------------------------------------------------------------------------------- witnesses


def _testimony(witness: Any, testimony: Any) -> Testimony:
    if not isinstance(testimony, Testimony):
        raise Broken(f"expected a Testimony, got {type(testimony).__name__}")
    _expect(testimony.witness == witness.name, f"a testimony by {witness.name!r}", testimony.witness)
    fake = testimony.fake
    _expect(not isinstance(fake, bool), "a number as its score", fake)
    _expect(len(testimony.findings) <= MAX_FINDINGS, f"at most {MAX_FINDINGS:,} findings", len(testimony.findings))
    for finding in testimony.findings:
        _expect(isinstance(finding.claim, str) and finding.claim.strip(), "a claim in words", finding.claim)
        _expect(len(finding.claim) <= MAX_CLAIM, f"claims of at most {MAX_CLAIM:,} characters", len(finding.claim))
    return testimony


def _known(testimony: Testimony, track: Track, clip: Clip) -> None:
    """Every place of a testimony is on a frame of the person, or of the clip."""
    known = {face.at for face in track.faces} | {frame.at for frame in clip.kept}
    for finding in testimony.findings:
        for place in finding.places:
            _expect(place.at is None or place.at in known, "places on frames that were shown", place.at)


def _inside(places: Iterator[Place], width: int, height: int) -> None:
    for place in places:
        x1, y1, x2, y2 = place.box
        _expect(0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height, "boxes inside the frame", place.box)
        _expect(place.region is None or place.region in regions.REGIONS, "regions of the tree, or None", place.region)


@_promise("witnesses", "it has a name and speaks of people, or of files")
def _speaks(leaf: ModuleType, options: Options) -> None:
    witness = _load(leaf, options)
    name = getattr(witness, "name", None)
    _expect(isinstance(name, str) and name.strip() and name.isprintable(), "a name in words", name)
    _expect(callable(getattr(witness, "examine", None)) or callable(getattr(witness, "inspect", None)),
            "examine(track, clip) or inspect(clip)")  # fmt: skip


@_promise("witnesses", "made_by() is enough to run it again, and JSON can hold it")
def _made(leaf: ModuleType, options: Options) -> None:
    part = _load(leaf, options)
    if not hasattr(part, "made_by"):
        return  # the analyser then writes down the options it was loaded with
    first, second = part.made_by(), part.made_by()
    try:
        written = json.dumps(first, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise Broken(f"expected what JSON can hold, got {first!r:.200} ({error})") from error
    _expect(len(written) <= MAX_MADE_BY, f"at most {MAX_MADE_BY:,} characters as JSON", len(written))
    _expect(written == json.dumps(second), "the same made_by() twice", second)


@_promise("witnesses", "any face gets a testimony inside the convention")
def _any_face(leaf: ModuleType, options: Options) -> None:
    witness = _load(leaf, options)
    if not hasattr(witness, "examine"):
        return
    for width, height in ((200, 200), (160, 90), (33, 41)):
        for mesh in (True, False):
            track, clip = photo(width, height, width, mesh)
            testimony = _testimony(witness, witness.examine(track, clip))
            _known(testimony, track, clip)
            places = (place for finding in testimony.findings for place in finding.places)
            _inside(places, width, height)
            if testimony.mask is not None:
                x1, y1, x2, y2 = testimony.mask.box
                _expect(0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height, "a mask inside the frame", testimony.mask.box)


@_promise("witnesses", "a person of several frames gets one testimony")
def _any_film(leaf: ModuleType, options: Options) -> None:
    witness = _load(leaf, options)
    if hasattr(witness, "examine"):
        track, clip = film(120, 100)
        testimony = _testimony(witness, witness.examine(track, clip))
        _known(testimony, track, clip)
        known = {face.at for face in track.faces}
        for moment in testimony.series or ():
            _expect(moment.at in known, "a series over the frames of the track", moment.at)


@_promise("witnesses", "the same face gets the same testimony, and the picture stays as it is")
def _same_testimony(leaf: ModuleType, options: Options) -> None:
    witness = _load(leaf, options)
    if hasattr(witness, "examine"):
        track, clip = photo(120, 120)
        before, mesh = clip.frame.pixels.copy(), np.array(track.face.landmarks)
        first, second = (_testimony(witness, witness.examine(track, clip)) for _ in range(2))
        _expect(first.fake == second.fake, "the same score twice", (first.fake, second.fake))
        claims = [[(each.claim, each.strength, each.box) for each in one.findings] for one in (first, second)]
        _expect(claims[0] == claims[1], "the same findings twice", claims)
        _expect(np.array_equal(before, clip.frame.pixels), "pixels that nobody touches")
        _expect(np.array_equal(mesh, np.array(track.face.landmarks)), "landmarks that nobody touches")


@_promise("witnesses", "a file is inspected without a face")
def _inspects(leaf: ModuleType, options: Options) -> None:
    witness = _load(leaf, options)
    if hasattr(witness, "inspect"):
        _, clip = photo(64, 48)
        for given in (clip, replace(clip, content=b"no picture at all"), replace(clip, content=b"")):
            testimony = _testimony(witness, witness.inspect(given))
            _inside((place for finding in testimony.findings for place in finding.places), 64, 48)


@_promise("witnesses", "a question that it can answer gets a reply")
def _answers(leaf: ModuleType, options: Options) -> None:
    witness = _load(leaf, options)
    if hasattr(witness, "answer") and getattr(witness, "answers_questions", True):
        reply = witness.answer(*photo(96, 96), Question("Is this face fake?"))
        _expect(isinstance(reply, Reply), "a Reply", type(reply).__name__)


# ------------------------------------------------------------------------------------------------------------- finders


@_promise("finders", "faces lie on their frame, and the picture stays as it is")
def _faces(leaf: ModuleType, options: Options) -> None:
    finder = _load(leaf, options)
    for width, height in ((200, 160), (64, 64), (1, 1), (300, 1), (1, 300), (5, 7)):
        _, clip = photo(width, height, width)
        before = clip.frame.pixels.copy()
        faces = finder.find(clip.frame)
        _expect(isinstance(faces, tuple), "a tuple of faces", type(faces).__name__)
        for face in faces:
            _expect(isinstance(face, Face) and face.at == clip.frame.at, "faces of the frame that was given", face)
            x1, y1, x2, y2 = face.box
            _expect(0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height, "boxes inside the frame", face.box)
            mesh, quality = face.landmarks, face.quality
            _expect(mesh is None or np.isfinite(mesh).all(), "landmarks that are numbers, or None")
            angles = [getattr(quality, name) for name in ("size", "roll", "yaw", "pitch")]
            _expect(all(v is None or np.isfinite(v) for v in angles), "a quality of numbers, or None", quality)
        _expect(np.array_equal(before, clip.frame.pixels), "pixels that nobody touches")


@_promise("finders", "the same picture gives the same faces")
def _same_faces(leaf: ModuleType, options: Options) -> None:
    _, clip = photo(160, 120)
    first, second = (tuple(_load(leaf, options).find(clip.frame)) for _ in range(2))
    odd = next((face for face in first + second if not isinstance(face, Face)), None)
    _expect(odd is None, "Faces", odd)
    _expect([face.box for face in first] == [face.box for face in second], "the same boxes twice")


# ------------------------------------------------------------------------------------------ grammars, backends, scores

TEXTS = (
    "",
    " ",
    "\0",
    "Yes.",
    "No!",
    "It may be real or fake.",
    "[" * 2_000,
    "<" * 2_000,
    "{}",
    "ſİ\u202e\ud800",
    "下巴",
)


@_promise("grammars", "what it writes it reads again")
def _writes(leaf: ModuleType, options: Options) -> None:
    for label in LABELS:
        for names in ((), ("nose",), ("left_eye", "mouth")):
            findings = tuple(Finding.on(name, (0.0, 0.0, 1.0, 1.0), None, "It is odd.", None) for name in names)
            read = leaf.parse(leaf.render(Reply(label, None, (), findings)))
            _expect(isinstance(read, Reply), "a Reply", type(read).__name__)
            _expect(read.label == label, f"the label {label!r}", read.label)


@_promise("grammars", "no text breaks it")
def _any_text(leaf: ModuleType, options: Options) -> None:
    for text in TEXTS:
        try:
            reply = leaf.parse(text)
        except Exception as error:
            raise Broken(f"expected a reply to {text[:20]!r}, got {type(error).__name__}: {error}") from error
        _expect(isinstance(reply, Reply), "a Reply", type(reply).__name__)


@_promise("backends", "a question gets words, or a BackendError that says why not")
def _asks(leaf: ModuleType, options: Options) -> None:
    try:
        backend = _load(leaf, options)
    except _NotLoaded:
        return  # it says what it needs: a server's address, a model's folder
    _expect(callable(getattr(backend, "ask", None)), "ask(messages, images)")
    _, clip = photo(64, 48)
    for pictures in ((), (clip.frame.pixels,)):
        messages = [
            {"role": "system", "content": "You explain the result of a forensic analysis of a face."},
            {"role": "user", "content": "Is this face fake?"},
        ]
        before = json.dumps(messages), clip.frame.pixels.copy()
        try:
            words = backend.ask(messages, pictures)
            _expect(isinstance(words, str), "words", words)
            if hasattr(backend, "stream"):
                for piece in backend.stream(messages, pictures):
                    _expect(isinstance(piece, str), "words piece by piece", piece)
        except BackendError as error:
            _expect(str(error), "a BackendError with a sentence")
        _expect(before[0] == json.dumps(messages), "messages that nobody touches", messages)
        _expect(np.array_equal(before[1], clip.frame.pixels), "pictures that nobody touches")


@_promise("backends", "made_by() is enough to run it again, and JSON can hold it")
def _backend_made(leaf: ModuleType, options: Options) -> None:
    with suppress(_NotLoaded):
        _made(leaf, options)


@_promise("scores", "it is a number in [0, 1] or None, and never an error")
def _scores(leaf: ModuleType, options: Options) -> None:
    box = (0.0, 0.0, 10.0, 10.0)
    nose, ghost = (Finding.on(name, box, None, "It is odd.", None) for name in ("nose", "third_eye"))
    replies = [Reply(None), Reply("real", None, ("It is real.",))]
    replies += [Reply("fake", 0.9, ("The nose is odd.",), (nose, ghost)), *(Reply(None, None, (t,)) for t in TEXTS[:6])]
    truths = [Truth("real"), Truth("fake"), Truth("fake", regions=frozenset({"nose"}), boxes={"nose": box})]
    truths.append(Truth("fake", mask=np.ones((20, 20), np.float32), texts=("The nose is blurred.",)))
    for reply in replies:
        for truth in truths:
            try:
                value = leaf.score(reply, truth)
            except (MissingExtra, WeightsError):
                raise
            except Exception as error:
                raise Broken(f"expected a number or None, got {type(error).__name__}: {error}") from error
            _expect(value is None or (isinstance(value, int | float) and 0 <= value <= 1), "[0, 1] or None", value)
    again = [leaf.score(replies[2], truth) for truth in truths * 2]
    _expect(again[: len(truths)] == again[len(truths) :], "the same numbers twice", again)


# ------------------------------------------------------------------------------------------------------------- formats


@_promise("formats", "every report becomes bytes, or it is said what is lacking")
def _renders(leaf: ModuleType, options: Options) -> None:
    extension = getattr(leaf, "extension", None)
    is_short = isinstance(extension, str) and extension.isalnum() and extension.islower() and len(extension) <= 16
    _expect(is_short, "extension = 'csv'", extension)
    for name, (report, clip) in reports().items():
        for given in (clip, None):
            try:
                content = leaf.render(report, given)
                _expect(isinstance(content, bytes), f"bytes for the report {name!r}", type(content).__name__)
                _expect(leaf.render(report, given) == content, "the same bytes twice")
            except ReportError as error:
                _expect(given is None and str(error), "a report that can be rendered with its picture", str(error))


# ------------------------------------------------------------------------------------------------------ datasets, forge


@_promise("datasets", "samples(root, split=None) reads a folder, and says where there is none")
def _reads(leaf: ModuleType, options: Options) -> None:
    known = list(inspect.signature(leaf.samples).parameters.values())
    _expect([p.name for p in known[:2]] == ["root", "split"], "samples(root, split=None, …)", [p.name for p in known])
    _expect(known[1].default is None, "split=None", known[1].default)
    if known[0].default is not inspect.Parameter.empty:
        return  # it makes its samples by itself
    nowhere = Path("no-such-folder-anywhere")
    try:
        list(leaf.samples(nowhere))
    except InputError as error:
        _expect(nowhere.name in str(error), "a message that names the folder", str(error))
    else:
        raise Broken("expected InputError for a folder that does not exist, got samples")


@_promise("datasets", "a sample knows its truth, its split and its group")
def _samples(leaf: ModuleType, options: Options) -> None:
    root = inspect.signature(leaf.samples).parameters["root"]
    if "root" not in options and root.default is inspect.Parameter.empty:
        return  # nobody has named one
    for sample, _ in zip(leaf.samples(**options), range(8), strict=False):
        _expect(isinstance(sample, Sample), "a Sample", type(sample).__name__)
        _expect(sample.file and sample.group, "a file and a group", (sample.file, sample.group))
        boxes = [*(sample.truth.boxes or {}).values(), *([] if sample.box is None else [sample.box])]
        for box in boxes:
            _expect(len(box) == 4 and all(np.isfinite(v) for v in box), "boxes of four numbers", box)


@_promise("forge", "a forgery is a picture, the mask of what was changed and a record")
def _forges(leaf: ModuleType, options: Options) -> None:
    if not hasattr(leaf, "forge"):
        return
    asked = inspect.signature(leaf.forge).parameters
    if "model" in asked and asked["model"].default is inspect.Parameter.empty and "model" not in options:
        return  # nobody has named the model that it forges with
    track, clip = photo(160, 160)
    points, pixels = track.face.landmarks, clip.frame.pixels.copy()
    if "donor" in inspect.signature(leaf.forge).parameters and "donor" not in options:
        other, theirs = photo(140, 150, 7)
        options = {**options, "donor": (theirs.frame.pixels, other.face.landmarks)}
    made, again = (leaf.forge(pixels, points, np.random.default_rng(3), **options) for _ in range(2))
    _expect(made.pixels.shape == pixels.shape and made.pixels.dtype == np.uint8, "a picture of the same size")
    _expect(made.mask.shape == pixels.shape[:2] and made.mask.dtype == np.float32, "a mask float32 (H, W)")
    _expect(made.mask.min() >= 0.0 and made.mask.max() <= 1.0, "a mask in [0, 1]", (made.mask.min(), made.mask.max()))
    _expect(np.array_equal(made.pixels, again.pixels), "the same forgery from the same seed")
    _expect(np.array_equal(pixels, clip.frame.pixels), "pixels that nobody touches")


_CHECKS["finders"].append(("made_by() is enough to run it again, and JSON can hold it", _made))
