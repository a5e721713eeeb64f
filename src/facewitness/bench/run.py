"""One system over one dataset: a row for every item and speaker, whatever became of it, and nothing done twice.

    samples (a dataset leaf) → items (decoded only where a perturbation needs it) → `analyze_many` → rows → predictions

Who speaks: the report's explanation, each witness in its own words, and the dialogue where the dataset asks questions;
every score of `scores/` is taken of each of them. A killed run goes on with the same command. `shard` splits a dataset
by group, so that a video stays in one process.
"""

from __future__ import annotations

import inspect
import io
import itertools
import json
import platform
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

import facewitness
from facewitness import geometry, media, plugins, regions
from facewitness.bench import listing, measures, perturb, predictions, speakers
from facewitness.bench.kept import THUMBNAIL, Kept, kept, suspicion
from facewitness.bench.predictions import Row
from facewitness.builders import difference
from facewitness.dialogue import Dialogue, as_reply
from facewitness.errors import FacewitnessError, InputError, UnknownName
from facewitness.film import Frames
from facewitness.phrases import is_film
from facewitness.pipeline import Analyzer, Source, Witness
from facewitness.pool import analyze_many
from facewitness.types import (
    Finding,
    Mask,
    Moment,
    PersonReport,
    Pixels,
    Question,
    Reply,
    Report,
    Sample,
    Testimony,
    Truth,
)

FILM_QUESTIONS = ("Is this film fake?", "When does it look fake?", "How sure are you?")


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """What is measured: keyword arguments of `Analyzer`."""

    finder: str = "facemesh"
    witnesses: tuple[str | Witness, ...] = ("compact",)
    options: Mapping[str, Mapping[str, Any]] | None = None
    profile: Path | None = None
    reading: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """How it stands in tables unless it is named."""
        return "+".join(w if isinstance(w, str) else w.name for w in self.witnesses)

    def arguments(self, perturbation: perturb.Perturbation, seed: int) -> dict[str, Any]:
        """For `analyze_many`; a perturbation of crops stands before the finder.

        Args:
            perturbation: The perturbation of this pass.
            seed: Of what perturbations draw.

        Returns:
            Names and values of arguments.
        """
        options = dict(self.options or {})
        finder: Any = self.finder
        if perturbation[0] == "crop_shift":
            share = perturb.value(perturbation)
            assert share is not None
            finder = perturb.ShiftedFinder(self.finder, dict(options.pop(self.finder, {})), share, seed)
        return {
            "finder": finder,
            "witnesses": self.witnesses,
            "options": options,
            "profile": self.profile,
            "reading": self.reading,
        }


def run(
    dataset: str,
    root: str | Path | None,
    out: Path,
    *,
    system: System | None = None,
    split: str | None = None,
    frames: int = 32,
    perturbations: Sequence[perturb.Perturbation] = (("none", 0),),
    reencode: int | None = None,
    shard: tuple[int, int] = (1, 1),
    jobs: int = 1,
    seed: int = 0,
    limit: int | None = None,
    keep: Mapping[str, Sequence[str]] | None = None,
    name: str | None = None,
    thumbnails: int = 24,
    difference_masks: bool = False,
    questions: bool = False,
    films: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> predictions.Coverage:
    """Predict, and return what became of the items.

    Args:
        dataset: A leaf of datasets/.
        root: Its folder; None for one that needs none.
        out: The run's folder.
        system: The analyzer's options; None for the default system.
        split: Which split; None for all.
        frames: Of each video.
        perturbations: As `perturb.parse` makes them.
        reencode: JPEG quality that every picture is saved at first, so that real and fake are encoded alike; None
            leaves files as they are distributed.
        shard: (i, n): the i-th of n shares of the groups.
        jobs: Worker processes.
        seed: Of what perturbations draw.
        limit: The first so many items only.
        keep: Column → values: only samples whose "dataset", "compression" or "method" is among these.
        name: Of the system in tables; its witnesses' names by default.
        thumbnails: How many of the worst mistakes of each label are kept as small pictures; 0 keeps none.
        difference_masks: Make truth masks of fakes whose pristine counterpart is in the dataset
            (`builders/difference`).
        questions: Ask what the dataset asks about a picture (`Truth.questions`), each a row with question and text: the
            answer from the evidence, and with one job that of each witness that can answer; of a film FILM_QUESTIONS
            besides.
        films: Each video file is one item and is analysed as `analyze` does it: people are followed through it,
            `frames` of it are judged, and its score is the plain mean over them, of whoever is likeliest to be forged.
            Pictures, and videos that lie there as folders of pictures, stay what they are.
        progress: Is called with the number of items done.

    Returns:
        How many rows there are of each status, and what was missing.

    Raises:
        InputError: For an unknown split, an empty dataset, an `out` that holds another run or is written to.
    """
    system = system or System()
    if films:
        system = _of_films(system, frames, perturbations, reencode)
    leaf = plugins.get("datasets", dataset)
    files = folder_of(root)
    i, n = shard
    if not 1 <= i <= n:
        raise InputError(f"shard: expected 1 ≤ i ≤ n, got {i}/{n}")
    folder = out if n == 1 else out / f"shard-{i}-of-{n}"
    analyzer = Analyzer(**system.arguments(("none", 0), seed))
    able = _able(analyzer.witnesses, jobs) if questions else []
    scores, lacking = speakers.available()
    meta = {
        "schema": predictions.SCHEMA,
        "name": name or system.name,
        "dataset": dataset, "root_name": None if root is None else Path(root).name, "split": split,
        "frames": frames if "frames" in inspect.signature(leaf.samples).parameters else None,
        "finder": analyzer.made_by["finder"], "witnesses": analyzer.made_by["witnesses"],
        "options": {k: dict(v) for k, v in (system.options or {}).items()},
        "profile": analyzer.made_by.get("profile"),
        "thresholds": analyzer.made_by["thresholds"], "limits": analyzer.made_by["limits"],
        "perturbations": [list(p) for p in perturbations], "reencode": reencode, "seed": seed, "limit": limit,
        "keep": {k: list(v) for k, v in (keep or {}).items()},
        "shard": None if n == 1 else [i, n], "difference_masks": difference_masks,
        "questions": questions, "films": films or None, "scores": list(scores), "scores_lacking": lacking,
        "version": facewitness.__version__, "libraries": analyzer.made_by["libraries"],
        "platform": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }  # fmt: skip
    chosen = _Chosen(leaf, root, split, frames, shard, limit, keep or {}, films)
    data = listing.listed(chosen, files)
    if data.num_rows == 0 and n == 1:
        raise chosen.why_none(dataset)
    with predictions.Writer(folder, meta, data=data) as writer:
        if writer.finished:
            known: predictions.Coverage = predictions.read_meta(folder)["coverage"]
            return known
        originals = _originals(leaf, root, split, frames) if difference_masks else {}
        worst = _Worst(thumbnails)
        done = itertools.count(1)
        try:
            for perturbation in perturbations:
                plain = perturbation[0] == "none"
                items = _items(chosen, files or Path(), perturbation, reencode, seed)
                ready = analyzer if perturbation[0] != "crop_shift" else None
                arguments = system.arguments(perturbation, seed)
                for item, analysis in _in_order(
                    items, writer.done, perturbation, ready, jobs, arguments, pixels=plain and bool(able)
                ):
                    if analysis is None:  # it never became a source
                        writer.add(_row(item, perturbation))
                    else:
                        row, *others = _rows(item, analysis, perturbation, originals, scores if plain else ())
                        row["thumbnail"] = worst.thumbnail(row, analysis)
                        if questions and plain:
                            others += _answers(item.sample, analysis, row, able, scores)
                        writer.add(row, *others)
                    progress(next(done))
        except BaseException:
            writer.flush()  # what was worked out is kept, whatever stopped us
            raise
        covered = writer.finish(chosen.missing, listing.amiss(data) if n == 1 else ())
    if n > 1:
        return predictions.gather(out, n) or covered
    return covered


def _of_films(
    system: System, frames: int, perturbations: Sequence[perturb.Perturbation], reencode: int | None
) -> System:
    """The system with so many frames of each film judged; nothing else may be done to films."""
    if reencode is not None or any(name != "none" for name, _ in perturbations):
        raise InputError("bench run: films are judged as they are; leave out --perturb and --reencode, or --films")
    return replace(system, reading={**(system.reading or {}), "sampling": {"frames": frames}})


def _able(witnesses: Iterable[Witness], jobs: int) -> list[Witness]:
    """The witnesses that answer questions: in this process, for theirs are the pixels."""
    able = [w for w in witnesses if getattr(w, "answers_questions", hasattr(w, "answer"))]
    if able and jobs > 1:
        named = ", ".join(w.name for w in able)
        raise InputError(f"bench run: expected --jobs 1 where a witness answers questions ({named}), got {jobs}")
    return able


# --------------------------------------------------------------------------------------------------- the samples


@dataclass(slots=True, eq=False)
class _Chosen:
    """A run's samples: of its split, its share and what is kept, the first so many. Each pass lists them anew."""

    leaf: Any
    root: str | Path | None
    split: str | None
    frames: int
    shard: tuple[int, int]
    limit: int | None
    keep: Mapping[str, Sequence[str]]
    films: bool
    missing: list[str] = field(default_factory=list)  # what the leaf tells the user
    passed: dict[str, Counter[str]] = field(default_factory=dict)  # what is not kept, by column

    def __iter__(self) -> Iterator[Sample]:
        i, n = self.shard
        self.passed = {column: Counter() for column in self.keep}
        note: Callable[[str], None] = self.missing.append if not self.missing else lambda sentence: None  # once
        samples = samples_of(self.leaf, self.root, self.split, self.frames, note)
        samples = whole_films(samples) if self.films else samples
        number = 0
        for sample in samples:
            if zlib.crc32(sample.group.encode("utf-8", "replace")) % n != i - 1:
                continue
            if not wanted(sample, self.keep):
                for column, values in self.passed.items():
                    values[_columns(sample)[column] or "not named"] += 1
                continue
            if self.limit is not None and number >= self.limit:
                return
            number += 1
            yield sample

    def why_none(self, dataset: str) -> InputError:
        """What to say where there are none: what was not kept, or what is missing."""
        what = f"the split {self.split!r} of {dataset}" if self.split else f"{dataset} at {self.root}"
        if any(self.passed.values()):
            asked = " and ".join(f"{column} {' or '.join(values)}" for column, values in self.keep.items())
            there = "; ".join(
                f"{column} {', '.join(f'{name} ({count})' for name, count in values.most_common(8))}"
                for column, values in self.passed.items()
            )
            return InputError(f"{what}: expected samples with {asked}, found none. There are: {there}.")
        note = f" {self.missing[0]}" if self.missing else ""
        return InputError(f"{what} has no samples.{note} See `facewitness datasets check {dataset} ROOT`.")


def folder_of(root: str | Path | None) -> Path | None:
    """What items' files are below: the root, or the folder of a list that is named as a file.

    Args:
        root: Its folder; None for one that needs none.
    """
    if root is None:
        return None
    root = Path(root)
    return root.parent if root.is_file() else root


def samples_of(
    leaf: Any, root: str | Path | None, split: str | None, frames: int, tell: Callable[[str], None]
) -> Iterator[Sample]:
    """What a dataset leaf gives; leaves of stills take no `frames`, and some have nothing to tell.

    Args:
        leaf: A leaf of datasets/.
        root: Its folder; None for one that needs none.
        split: Which split; None for all.
        frames: Of each video.
        tell: Is called with each sentence that the user should read.
    """
    known = inspect.signature(leaf.samples).parameters
    options: dict[str, Any] = {"tell": tell} if "tell" in known else {}
    if "frames" in known:
        options["frames"] = frames
    yield from leaf.samples(root, split, **options)


def whole_films(samples: Iterable[Sample]) -> Iterator[Sample]:
    """The samples with the frames of each video file as one, which has no frame's mask; all others as they are.

    Args:
        samples: Of a dataset.
    """
    seen: set[tuple[str, str | None]] = set()
    for sample in samples:
        film = sample.frame is not None or Path(sample.file).suffix.lower() in media.FILMS
        if not film or sample.image is not None:
            yield sample
        elif (sample.file, sample.video) not in seen:
            seen.add((sample.file, sample.video))
            truth = sample.truth
            key = "/".join((sample.dataset, truth.method or truth.label, sample.compression or "-", sample.file))
            yield replace(sample, frame=None, box=None, video=sample.video or key, truth=replace(truth, mask=None))


def wanted(sample: Sample, keep: Mapping[str, Sequence[str]]) -> bool:
    """Whether a sample is kept.

    Args:
        sample: The sample.
        keep: Column → values: only samples whose "dataset", "compression" or "method" is among these.

    Raises:
        UnknownName: For a column that samples are not chosen by.
    """
    values = _columns(sample)
    for column in keep:
        if column not in values:
            raise UnknownName("column to keep by", column, values)
    return all(values[column] in wanted for column, wanted in keep.items())


def _columns(sample: Sample) -> dict[str, str | None]:
    """What samples are chosen by."""
    return {"dataset": sample.dataset, "compression": sample.compression, "method": sample.truth.method}


# ----------------------------------------------------------------------------------------------------- the items


@dataclass(slots=True, eq=False)
class _Item:
    """A sample on its way: its source for `analyze`, or why there is none."""

    sample: Sample
    source: Source | None
    failed: str | None = None


def _items(
    samples: Iterable[Sample], root: Path, perturbation: perturb.Perturbation, reencode: int | None, seed: int
) -> Iterator[_Item]:
    """Each sample with what `analyze` takes: bytes or a path where nothing changes them, else pixels."""
    video = Frames()
    changed = perturbation[0] in perturb.PIXELS
    for sample in _announced(samples, root, video):
        try:
            source: Source
            if sample.frame is not None:
                source = video.frame(root / sample.file, sample.frame)
            elif sample.image is not None:
                source = sample.image
            else:
                source = root / sample.file
            if changed or reencode is not None:
                pixels = media.read(source, name=sample.file).frame.pixels
                if changed:
                    pixels = perturb.apply(pixels, perturbation, seed=seed, group=sample.group)
                source = pixels if reencode is None else _encoded(pixels, reencode)
            yield _Item(sample, source)
        except (FacewitnessError, OSError) as error:
            yield _Item(sample, None, str(error))


def _announced(samples: Iterable[Sample], root: Path, video: Frames) -> Iterator[Sample]:
    """The samples; of each video file it is said first which of its frames will be read."""
    for file, members in itertools.groupby(samples, key=lambda s: None if s.frame is None else s.file):
        if file is None:
            yield from members
            continue
        together = list(members)
        video.expect(root / file, [s.frame for s in together if s.frame is not None])
        yield from together


def _sources(
    items: Iterable[_Item], waiting: deque[_Item], done: set[predictions.Key], perturbation: perturb.Perturbation
) -> Iterator[Source]:
    """What is left to analyse; each goes into `waiting`, where its report will look for it."""
    name, strength = perturbation
    for item in items:
        sample = item.sample
        row = Row(
            dataset=sample.dataset,
            file=sample.file,
            frame=sample.frame,
            box=sample.box,
            perturbation=name,
            strength=strength,
        )
        if predictions.key(row) in done:
            continue
        waiting.append(item)
        if item.source is not None:
            source, item.source = item.source, None  # a waiting item keeps no picture
            yield source


def _in_order(
    items: Iterable[_Item],
    done: set[predictions.Key],
    perturbation: perturb.Perturbation,
    ready: Analyzer | None,
    jobs: int,
    options: dict[str, Any],
    *,
    pixels: bool,
) -> Iterator[tuple[_Item, Kept | None]]:
    """Each item without a row, in the listing's order, with its analysis; None where it never became a source."""
    waiting: deque[_Item] = deque()
    for analysis in _analyzed(_sources(items, waiting, done, perturbation), ready, jobs, options, pixels):
        while waiting[0].failed:
            yield waiting.popleft(), None
        yield waiting.popleft(), analysis
    while waiting:
        yield waiting.popleft(), None


def _encoded(pixels: Pixels, quality: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return out.getvalue()


# ---------------------------------------------------------------------------------------------------- the rows


def _analyzed(
    sources: Iterator[Source], ready: Analyzer | None, jobs: int, options: dict[str, Any], pixels: bool
) -> Iterator[Kept]:
    if jobs > 1 or ready is None:
        yield from analyze_many(sources, jobs=jobs, then=kept, **options)
        return
    for source in sources:
        started = time.perf_counter()
        analysis = ready.analysis(source)
        result = kept(analysis)
        yield replace(result, seconds=time.perf_counter() - started, clip=analysis.clip if pixels else None)


def _face_meant(sample: Sample, report: Report) -> PersonReport | None:
    """The face that a sample is about: the one at its box, or the most suspicious one."""
    if sample.box is None:
        return max(report.people, key=suspicion, default=None)
    number = geometry.meant([person.face.box for person in report.people], sample.box)
    return None if number is None else report.people[number]


def _row(item: _Item, perturbation: perturb.Perturbation) -> Row:
    """The item's row, before anything is known of its report."""
    sample, truth = item.sample, item.sample.truth
    row: Row = {
        "dataset": sample.dataset, "file": sample.file, "frame": sample.frame, "box": sample.box, "video": sample.video,
        "group": sample.group, "split": sample.split, "label": truth.label, "method": truth.method,
        "compression": sample.compression, "kind": truth.kind, "perturbation": perturbation[0],
        "strength": perturbation[1], "speaker": "explanation",
    }  # fmt: skip
    return row if item.failed is None else row | {"status": "failed", "problem": f"read: {item.failed}", "faces": 0}


def _rows(
    item: _Item,
    analysis: Kept,
    perturbation: perturb.Perturbation,
    originals: Mapping[str, Callable[[], Pixels]],
    scores: Sequence[str],
) -> list[Row]:
    """The item's row, which is its explanation's, then one for each witness that has words of its own."""
    sample, report = item.sample, analysis.report
    row = _row(item, perturbation)
    problem = "; ".join(f"{p.step}: {p.message}" for p in report.problems) or None
    row |= {"status": report.status, "problem": problem, "faces": len(report.people), "seconds": analysis.seconds}
    face = _face_meant(sample, report)
    if face is None:
        if report.people:  # there are faces, but not the one that is meant
            row |= {"status": "no_face", "problem": problem or "no found face lies at the sample's box"}
        return [row]
    scores_of = [t for t in face.verdict.testimonies if t.fake is not None]
    fake = _over_frames(face.timeline, face.verdict.fake)
    row |= {
        "score": _over_frames(scores_of[0].series or (), scores_of[0].fake) if len(scores_of) == 1 else fake,
        "fake": fake,
        "verdict": face.verdict.label,
        "regions_said": _regions(face.findings),
        "mapped": _mapped(face),
    }
    truth = replace(sample.truth, mask=None)
    try:
        truth = _truth(sample, face, report, originals)
        row |= _located(face, truth, report)
    except (FacewitnessError, OSError) as error:  # a mask that can't be read is no reason to lose the score
        row["problem"] = "; ".join(filter(None, (problem, f"{predictions.TRUTH}{error}")))
    row |= {
        "regions_true": None if truth.regions is None else sorted(truth.regions),
        "boxes_true": None if truth.boxes is None else _boxes(truth),
        "references": list(truth.texts) or None,
    }
    text = " ".join(sentence.text for sentence in face.explanation)
    reply = Reply(face.verdict.label, face.verdict.fake, (text,), face.findings)
    row |= _spoken(reply, truth, scores)
    of_item = cast(Row, {name: value for name, value in row.items() if name in _OF_ITEM})
    others = [
        of_item | _spoken(t.reply, truth, scores) | _by(t) for t in face.verdict.testimonies if t.reply is not None
    ]
    return [row, *others]


def _over_frames(series: Sequence[Moment], whole: float | None) -> float | None:
    """The plain mean over a film's frames, as papers have it; a verdict's own weighs them by quality. Else `whole`."""
    known = [moment.fake for moment in series if moment.fake is not None]
    return float(np.mean(known)) if known and whole is not None else whole


def _spoken(reply: Reply, truth: Truth, scores: Sequence[str]) -> Row:
    """What a speaker said, and what each score makes of it."""
    return {
        "says": reply.label, "text": reply.text, "thought": reply.thought or None,
        "refusals": None if reply.refusals is None else list(reply.refusals),
        "findings": speakers.findings_json(reply.findings), "regions_said": _regions(reply.findings),
        "scores": speakers.scored(reply, truth, scores),
    }  # fmt: skip


def _by(testimony: Testimony) -> Row:
    """A row by a witness: who, its own score, and the grammar its words were read by."""
    grammar = testimony.witness if testimony.witness in plugins.names("grammars") else None
    return {
        "speaker": "witness", "witness": testimony.witness, "score": testimony.fake, "fake": None, "grammar": grammar,
    }  # fmt: skip


def _answers(sample: Sample, analysis: Kept, row: Row, able: Sequence[Witness], scores: Sequence[str]) -> list[Row]:
    """Rows for each question the dataset asks about this picture: the evidence's answer, then witnesses'."""
    face = _face_meant(sample, analysis.report)
    questions = {question: tuple(references) for question, references in (sample.truth.questions or {}).items()}
    if is_film(analysis.report):
        questions |= {question: () for question in FILM_QUESTIONS if question not in questions}
    if face is None or not questions:
        return []
    talk = Dialogue(analysis.report)
    talk.choose(analysis.report.people.index(face))
    of_item = cast(Row, {name: value for name, value in row.items() if name in _OF_ITEM})
    answered: list[Row] = []
    for question, references in questions.items():
        regions_true = row.get("regions_true")
        truth = Truth(
            sample.truth.label,
            regions=None if regions_true is None else frozenset(regions_true),
            boxes=sample.truth.boxes,
            texts=references,
        )
        about: Row = {"speaker": "dialogue", "question": question, "references": [*references]}
        reply = as_reply(talk.ask(question))
        answered.append(of_item | about | _spoken(reply, truth, scores))
        for witness in able:
            try:
                assert analysis.clip is not None
                reply = cast(Any, witness).answer(face.track, analysis.clip, Question(question), ())
                outcome = _spoken(reply, truth, scores)
            except FacewitnessError as error:
                outcome = {"problem": str(error)}
            answered.append(of_item | about | outcome | {"witness": witness.name})
    return answered


_OF_ITEM = (
    "dataset", "file", "frame", "box", "video", "group", "split", "label", "method", "compression", "kind",
    "perturbation", "strength", "status", "faces", "score", "fake", "mapped", "regions_true", "boxes_true",
    "references",
)  # fmt: skip


def _boxes(truth: Truth) -> str:
    return json.dumps({name: [round(float(v), 1) for v in box] for name, box in (truth.boxes or {}).items()})


def _mapped(face: PersonReport) -> str | None:
    """The regions that the witnesses' mask covers, as findings with boxes; None without a mask or a mesh."""
    landmarks, mask = face.face.landmarks, face.mask
    if mask is None or landmarks is None:
        return None
    from facewitness import forge

    width, height = face.face.at.width, face.face.at.height
    placed = geometry.place(mask, height, width)
    covered = sorted(forge.regions_touched(placed, landmarks)) if placed.max() >= _MAPPED else []
    boxes = {name: geometry.clip(_around(name, face), width, height) for name in covered}
    return speakers.findings_json(
        Finding.on(name, box, None, "The mask covers it.", None) for name, box in boxes.items() if box is not None
    )


_MAPPED = 0.5  # a mask below it everywhere says that nothing is forged


def _around(name: str, face: PersonReport) -> Any:
    assert face.face.landmarks is not None
    return geometry.bounds(np.concatenate(regions.polygons(name, face.face.landmarks)))


def _truth(sample: Sample, face: PersonReport, report: Report, originals: Mapping[str, Callable[[], Pixels]]) -> Truth:
    """The truth on the frame: its mask as an array, and the regions that this touches where nobody listed them."""
    truth = _with_mask(sample, report, originals)
    if callable(truth.mask) or not isinstance(truth.mask, np.ndarray):
        return replace(truth, mask=None)
    if truth.regions is None and face.face.landmarks is not None:
        from facewitness import forge

        touched = forge.regions_touched(truth.mask, face.face.landmarks) if truth.mask.max() >= 0.5 else frozenset()
        truth = replace(truth, regions=touched)
    return truth


def _with_mask(sample: Sample, report: Report, originals: Mapping[str, Callable[[], Pixels]]) -> Truth:
    """The truth with its mask loaded as an array on the frame, or made by difference where that is possible."""
    truth = sample.truth
    mask = truth.mask() if callable(truth.mask) else truth.mask
    original = originals.get(sample.original or "")
    if mask is None and original is not None and sample.image is not None:
        pristine = original()
        fake = media.read(sample.image, name=sample.file).frame.pixels
        compared = difference.compare(fake, pristine) if fake.shape == pristine.shape else None
        mask = compared.mask if compared is not None and compared.aligned else None
    if mask is None or report.size is None:
        return truth
    width, height = report.size
    if isinstance(mask, Mask):
        mask = geometry.place(mask, height, width)
    if mask.shape != (height, width):
        geometry.check_fits(mask, height, width)
        scale = Image.fromarray(np.asarray(mask, np.float32)).resize((width, height), Image.Resampling.BILINEAR)
        mask = np.asarray(scale, np.float32)
    return replace(truth, mask=mask)


def _regions(findings: Iterable[Finding]) -> list[str]:
    """The regions that findings have places in, each once, the strongest finding's first."""
    named = (place.region for finding in findings for place in finding.places)
    return list(dict.fromkeys(region for region in named if region is not None))


def _located(face: PersonReport, truth: Truth, report: Report) -> Row:
    """How well the witness's mask lies on the truth's, pixel by pixel."""
    mask = truth.mask
    if mask is None or report.size is None or mask.max() < 0.5:
        return {}
    width, height = report.size
    predicted = np.zeros((height, width), np.float32) if face.mask is None else geometry.place(face.mask, height, width)
    values = measures.localisation(predicted, mask)
    return {
        "mask_precision": values["precision"], "mask_recall": values["recall"], "mask_f1": values["f1"],
        "mask_ap": values["ap"],
    }  # fmt: skip


def _originals(
    leaf: Any, root: str | Path | None, split: str | None, frames: int
) -> Mapping[str, Callable[[], Pixels]]:
    """Pristine pictures that the dataset holds inside, by name, decoded when asked for."""
    originals: dict[str, Callable[[], Pixels]] = {}
    for sample in samples_of(leaf, root, split, frames, lambda sentence: None):
        if sample.truth.label == "real" and sample.image is not None:
            originals[sample.file] = _Decoded(sample.image, sample.file)
    return originals


@dataclass(frozen=True, slots=True)
class _Decoded:
    image: bytes
    name: str

    def __call__(self) -> Pixels:
        return media.read(self.image, name=self.name).frame.pixels


class _Worst:
    """Keeps small pictures of the rows that are most wrong so far; earlier ones are not taken back."""

    def __init__(self, limit: int):
        self._limit = limit
        self._errors: dict[str, list[float]] = {"real": [], "fake": []}

    def thumbnail(self, row: Row, kept: Kept) -> bytes | None:
        """The row's picture as JPEG, if it is among the worst of its label."""
        fake = row.get("fake")
        if self._limit == 0 or kept.picture is None or fake is None or row["perturbation"] != "none":
            return None
        error = fake if row["label"] == "real" else 1 - fake
        errors = self._errors[row["label"]]
        if error < 0.5 or (len(errors) >= self._limit and error <= errors[0]):
            return None
        errors.append(error)
        errors.sort()
        del errors[: -self._limit]
        image = Image.fromarray(kept.picture)
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        return _encoded(np.asarray(image), 80)
