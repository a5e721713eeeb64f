"""What runs in worker processes: what is kept of an analysis, pages and pictures that are drawn, answers.

A stranger's file is decoded here and nowhere else in a server, so one that ends a process ends a worker; of a picture
that comes in the server itself reads the header (`file_kind`).
"""

from __future__ import annotations

import base64
import functools
import inspect
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facewitness import media, plugins
from facewitness.answers import Answer
from facewitness.dialogue import Dialogue
from facewitness.errors import InputError
from facewitness.formats import json as wire
from facewitness.pipeline import Analyzer, rendered
from facewitness.types import Analysis, Clip, Hear, Label, Question, Report


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is kept of one analysis."""

    report: bytes  # one line of facewitness.report/2
    landmarks: bytes | None  # an .npz: they do not travel in the report
    status: str
    label: str  # of the verdict, or the status where there is none
    fake: float | None
    problem: str | None  # why it failed


def outcome(analysis: Analysis) -> Outcome:
    """What a server keeps; runs in the process that analysed the file."""
    report = analysis.report
    return Outcome(
        wire.render(report),
        _packed(report),
        report.status,
        report.status if report.verdict is None else report.verdict.label,
        None if report.verdict is None else report.verdict.probability,
        report.problems[0].message if report.status == "failed" else None,
    )


def described(analyzer: Analyzer) -> Mapping[str, Any]:
    """How a worker's parts describe themselves, as it stands in each report, and who of them can be asked."""
    from facewitness.others import can_answer

    return {
        "made_by": dict(analyzer.made_by),
        "answering": [witness.name for witness in analyzer.witnesses if can_answer(witness)],
    }


def restored(line: bytes, landmarks: bytes | None) -> Report:
    """A report as it was before it travelled, with its faces' landmarks."""
    report = wire.parse(line)
    if landmarks is None:
        return report
    with np.load(io.BytesIO(landmarks), allow_pickle=False) as kept:
        people = []
        for number, person in enumerate(report.people):
            faces = tuple(
                replace(face, landmarks=kept[name] if (name := f"{number}_{index}") in kept.files else None)
                for index, face in enumerate(person.track.faces)
            )
            people.append(replace(person, track=replace(person.track, faces=faces)))
    return replace(report, people=tuple(people))


def _packed(report: Report) -> bytes | None:
    meshes = {
        f"{number}_{index}": face.landmarks
        for number, person in enumerate(report.people)
        for index, face in enumerate(person.track.faces)
        if face.landmarks is not None
    }
    if not meshes:
        return None
    file = io.BytesIO()
    np.savez(file, **meshes)  # type: ignore[arg-type]  # a mapping of arrays is what it takes
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class Kept:
    """What a server keeps of an analysis, as it goes to a worker process."""

    report: bytes
    landmarks: bytes | None
    file: str | None  # the upload; None where it is gone
    reading: Mapping[str, Any]  # how it was read

    def opened(self) -> tuple[Report, Clip | None]:
        """The report, and the file's pixels where it is there still and is the file that was examined."""
        report = restored(self.report, self.landmarks)
        clip = None
        if self.file is not None and report.status != "failed":
            clip = media.read(self.file, name=report.source, **self.reading)
            if report.sha256 is not None and clip.sha256 != report.sha256:
                raise InputError("The stored file is not the one that was examined. Send it again.")
        return report, clip


def drawn(_: Analyzer, kept: Kept, leaf: str, date: str | None) -> bytes:
    """A report in a format of `formats/`. Raises what the format raises."""
    report, clip = kept.opened()
    taken = inspect.signature(plugins.get("formats", leaf).render).parameters
    return rendered(leaf, report, clip, **({"date": date} if date is not None and "date" in taken else {}))


def bundled(_: Analyzer, kept: Kept, original: bool) -> bytes:
    """A report with all that belongs to it as one ZIP that others can check; with `original` the file goes along.

    Raises:
        InputError: the file is too large for a bundle.
    """
    leaf = plugins.get("formats", "bundle")
    report, clip = kept.opened()
    if original and clip is not None and kept.file is not None and clip.content is None:
        file = Path(kept.file)
        if file.stat().st_size > leaf.MOST_BYTES // 2:
            raise InputError(
                f"A bundle holds originals of at most {leaf.MOST_BYTES / 2e6:,.0f} MB, got "
                f"{file.stat().st_size / 1e6:,.0f} MB. Take it without the original, which its hash names."
            )
        clip = replace(clip, content=file.read_bytes())
    content: bytes = leaf.render(report, clip, original=original)
    return content


def frame(_: Analyzer, kept: Kept, index: int | None, longest: int) -> bytes:
    """One frame as JPEG, upright, as it was examined.

    Args:
        kept: the analysis.
        index: the frame's number in a film; None for a photo's, and for the one to look at first.
        longest: pixels of its longer side at most.

    Raises:
        InputError: there is no such frame, or the file is gone.
    """
    from PIL import Image

    report, clip = kept.opened()
    if clip is None:
        raise InputError("The file itself is not kept any more.")
    at = report.people[0].face.at if index is None and report.people else None
    if index is not None:
        at = next((f.at for p in report.people for f in p.track.faces if f.at.index == index), None)
        at = clip.frame.at if at is None and index == clip.frame.index else at
        if at is None:
            raise InputError(f"expected the number of a frame in which a face was judged, got {index}")
    picture = Image.fromarray((clip.frame if at is None else clip.at(at)).pixels)
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=2.0)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def mask_on_frame(_: Analyzer, kept: Kept, number: int, longest: int) -> bytes:
    """A mask of the report on its whole frame, as a grey PNG: 0 nothing … 255 the most.

    Args:
        kept: the analysis.
        number: in the report's table `masks`.
        longest: pixels of the picture's longer side at most.
    """
    from PIL import Image

    line = json.loads(kept.report)
    mask, medium = line["masks"][number], line["medium"]
    scale = min(1.0, longest / max(medium["width"], medium["height"]))
    size = max(1, round(medium["width"] * scale)), max(1, round(medium["height"] * scale))
    left, top, right, bottom = (round(value * scale) for value in mask["box"])
    with Image.open(io.BytesIO(base64.b64decode(mask["png"]))) as small:
        inside = small.convert("L").resize((max(1, right - left), max(1, bottom - top)), Image.Resampling.BILINEAR)
    whole = Image.new("L", size)
    whole.paste(inside, (left, top))
    file = io.BytesIO()
    whole.save(file, "PNG", compress_level=2)
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of the conversation before."""

    question: str
    answer: str
    label: Label | None


def answered(
    report: Report,
    clip: Clip | None,
    question: Question,
    face: int | None,
    before: Sequence[Said],
    memory: Mapping[str, Any] | None,
    backend: Any = None,
    witnesses: Sequence[Any] = (),
    hear: Hear | None = None,
) -> tuple[Answer, dict[str, Any]]:
    """The answer to one question, and what the conversation speaks of after it.

    Args:
        report: what is spoken of.
        clip: the pixels, for those who look at them.
        question: the question with the places it points at.
        face: whom it is about, from 0; None for whom the conversation spoke of.
        before: the conversation.
        memory: what an earlier call returned; None at the beginning.
        backend, witnesses: who else is asked.
        hear: is given the words as they come.

    Raises:
        InputError: an empty question, one that is too long, no such face, or a place on another one.
    """
    dialogue = Dialogue(report, backend, clip, witnesses)
    dialogue.turns = [(turn.question, Answer(turn.answer, turn.label)) for turn in before]
    if memory is not None:
        dialogue.recall(memory)
    if face is not None and face != dialogue.face:
        dialogue.choose(face)
    if face is not None and (apart := dialogue.apart(question.places, face)):
        raise InputError(apart)
    answer = dialogue.ask(question, hear)
    return answer, dialogue.memory


def spoken(
    analyzer: Analyzer,
    kept: Kept,
    backend: tuple[str, str] | None,
    question: Question,
    face: int | None,
    before: Sequence[Said],
    memory: Mapping[str, Any] | None,
    hear: Hear | None = None,
) -> tuple[Answer, dict[str, Any]]:
    """As `answered`, with whoever speaks for themselves: a language model, or a witness that can be asked.

    `backend` is a name of `backends/` and its options as JSON.
    """
    report, clip = kept.opened()
    model = None if backend is None else _backend(*backend)
    return answered(report, clip, question, face, before, memory, model, analyzer.witnesses, hear)


@functools.cache
def _backend(name: str, options: str) -> Any:
    """A language model, loaded once in each process."""
    return plugins.load("backends", name, json.loads(options))


def file_kind(path: Path, name: str, limits: Mapping[str, Any]) -> str:
    """Whether a file is a film or a picture, from its first bytes and, of a picture, its header. Decodes nothing.

    Raises:
        UnreadableMedia: it is neither.
        TooLarge: a picture of more pixels or memory than is allowed.
    """
    from facewitness import film

    with path.open("rb") as file:
        head = file.read(64)
    if film.is_film(head):
        return "film"
    media.check(path, name, **limits)
    return "picture"
