"""Questions and answers whose words carry masks, in eleven tasks: Fake-in-Facext's data, made of our own forgeries.

    facewitness build fifa DATASET ROOT --out FOLDER [--families every]

The paper's annotator (arXiv 2510.20531) describes only what is proven to be manipulated:

    D = the 5 % of pixels in which a forgery differs most from its original            `difference_mask`
    concepts = those of the tree that D covers                                          `concepts`
    text about these concepts only, held to them                                        `grounded.faults`

Its forgeries come from one editing app, whose masks nobody knows. Ours come from every forger of this house, which
know what they changed: beside D stands the known mask ∩ concept, and `agreement` measures how far the two agree, so
that it can be seen what annotation by difference is worth. Why 5 % the paper does not say; `largest` is an argument.

The abstract names the benchmark's eleven tasks in part. Ours, with what a question may hold and an answer gives:

    detection            picture                      real or fake
    classification       picture                      the kind of forgery
    image_explanation    picture                      text (TOE, all of it)
    text_explanation     picture, asked for words     text without masks (TOE)
    grounding            picture                      text with a mask for each place (AGE)
    region_question      a region by name             whether it was manipulated, and what gives it away
    box_question         a box                        the same
    region_explanation   a mask or a click            text about this place
    region_parsing       a region by name             its mask, forged or not
    localisation         picture                      one mask over all that was changed (Loc)
    region_detection     picture                      the names of the manipulated regions with a mask each (Det)
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facewitness import regions
from facewitness.builders import _disk, difference, grounded, mmtt
from facewitness.builders.grounded import Bools, Drawn
from facewitness.errors import FacewitnessError, InputError, UnknownName
from facewitness.grammars import interleaved
from facewitness.phrases import KIND_WORDS, listed
from facewitness.types import Box, Landmarks, Pixels

SIZE = 224  # FaRL's pictures
LARGEST = 0.05  # "the largest 5 % of differences"
COVERED = 0.2  # ours: a concept is manipulated where D covers a fifth of it; at 5 % of a picture D is thin
TASKS: tuple[str, ...] = (
    "detection", "classification", "image_explanation", "text_explanation", "grounding", "region_question",
    "box_question", "region_explanation", "region_parsing", "localisation", "region_detection",
)  # fmt: skip
FAMILIES = tuple(name for name in grounded.EVERY if name != "diffusion")  # every forger that needs no hub

_QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "detection": ("Is this face real or fake?", "Was this face manipulated?"),
    "classification": ("What kind of forgery is this, if any?", "How was this face manipulated?"),
    "image_explanation": (
        "Is this face real or fake, and why?",
        "Is this face authentic, and why?",
    ),
    "text_explanation": ("Describe in words what gives this face away.", "Why does this face look the way it does?"),
    "grounding": (
        "Explain what gives this face away, with a mask for every place.",
        "Point at every artefact while you explain it.",
    ),
    "region_question": ("Was the {region} manipulated?", "Was anything changed at the {region}?"),
    "box_question": ("Was the part in the box manipulated?", "Was anything in the box changed?"),
    "region_explanation": ("What is wrong with this part?", "Describe this part of the face."),
    "region_parsing": ("Segment the {region}.", "Where is the {region}?"),
    "localisation": ("Segment everything that was manipulated.", "Where was this face changed?"),
    "region_detection": ("Which regions were manipulated?", "Name every manipulated region."),
}


# ------------------------------------------------------------------------------------------------- what was manipulated


def difference_mask(forged: Pixels, original: Pixels, largest: float = LARGEST) -> Bools:
    """The share `largest` of pixels in which two pictures differ most, bool (H, W); fewer where fewer differ at all.

    Differences are the largest over the channels, smoothed by a pixel so that D is made of places and not of grain.

    Args:
        forged: The forgery, RGB uint8 (H, W, 3).
        original: What it was made of, of the same size.
        largest: Share of pixels, in (0, 1].

    Raises:
        InputError: For pictures of two sizes, and for a share outside (0, 1].
    """
    if forged.shape != original.shape:
        raise InputError(f"difference mask: expected two pictures of one size, got {forged.shape} and {original.shape}")
    if not 0 < largest <= 1:
        raise InputError(f"difference mask: expected a share above 0 and at most 1, got {largest}")
    soft = difference.amount(forged, original)
    count = max(1, round(largest * soft.size))
    bound = float(np.partition(soft.ravel(), -count)[-count])
    return np.asarray(soft >= max(bound, 1.0), bool)


def concepts(mask: Bools, landmarks: Landmarks, least: float = COVERED) -> dict[str, Bools]:
    """The atomic concepts of which a mask covers at least `least`, each with mask ∩ concept; without hidden ones.

    Args:
        mask: What was changed, bool (H, W).
        landmarks: The face's mesh, (468, 2+), in pixels of the picture.
        least: Share of a concept that the mask has to cover, in [0, 1].

    Returns:
        Concept → its pixels, bool (H, W).
    """
    return grounded.manipulated(mask, landmarks, regions.ATOMIC, least)


@dataclass(slots=True)
class Agreement:
    """How far annotation by difference agrees with what is known to have been changed, over all items."""

    right: int = 0  # concepts by difference that were changed
    invented: int = 0  # that were not
    missed: int = 0  # changed concepts that the difference leaves out
    overlaps: list[float] = field(default_factory=list)  # IoU of D ∩ concept and known ∩ concept, where both have it

    def add(self, drawn: Drawn, largest: float = LARGEST) -> None:
        """Count one forgery.

        Args:
            drawn: One face with its truth, of `grounded.draw` or `grounded.genuine`.
            largest: Share of pixels, in (0, 1].
        """
        by_difference = concepts(difference_mask(drawn.pixels, drawn.original, largest), drawn.landmarks)
        known = concepts(drawn.mask >= 0.5 * drawn.mask.max(), drawn.landmarks, grounded.TOUCHED)
        self.right += len(by_difference.keys() & known.keys())
        self.invented += len(by_difference.keys() - known.keys())
        self.missed += len(known.keys() - by_difference.keys())
        for name in by_difference.keys() & known.keys():
            a, b = by_difference[name], known[name]
            self.overlaps.append(float((a & b).sum() / max(1, (a | b).sum())))

    def as_dict(self) -> dict[str, float | int | None]:
        """Precision and recall of concepts, mean IoU; None where nothing was counted.

        Returns:
            Numbers by name.
        """
        named, true = self.right + self.invented, self.right + self.missed
        return {
            "concepts_by_difference": named,
            "concepts_changed": true,
            "precision": self.right / named if named else None,
            "recall": self.right / true if true else None,
            "mask_iou": float(np.mean(self.overlaps)) if self.overlaps else None,
        }


# ---------------------------------------------------------------------------------------------------------- the tasks


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One question about one picture, with its answer: a row of the table.

    Attributes:
        task: One of TASKS.
        question: Its words; what it points at stands beside.
        answer: With <p>…</p> [SEG].
        masks: PNG for each [SEG], in order.
        pointer: How the question points, by "name", "box", "mask" or "click"; None where it is about the whole picture.
        region: The region that is asked about.
        box: The box that a question shows, or the one around its place.
        click: The point (x, y), pixels.
        place: PNG of the mask that a question shows.
    """

    file: str
    image: bytes
    mask: bytes | None
    difference: bytes | None
    label: str
    kind: str
    family: str | None
    group: str
    split: str
    task: str
    question: str
    answer: str
    masks: tuple[bytes, ...]
    regions: tuple[str, ...]
    pointer: str | None = None
    region: str | None = None
    box: Box | None = None
    click: tuple[float, float] | None = None
    place: bytes | None = None
    landmarks: bytes | None = None  # float32 (468, 2), pixels: where the regions are that an answer may name


def items(
    drawn: Drawn, rng: np.random.Generator, *, file: str, group: str, split: str, tasks: Sequence[str] = TASKS
) -> Iterator[Item]:
    """A question of each task about one face. `grounded.draw` and `grounded.genuine` make faces.

    Args:
        drawn: One face with its truth, of `grounded.draw` or `grounded.genuine`.
        rng: What everything is drawn from; the same state gives the same result.
        file: Its name in the table.
        group: Who is shown.
        split: What the items are to be under.
        tasks: Names of the tasks.

    Raises:
        UnknownName: For a task that does not exist.
    """
    for task in tasks:
        if task not in TASKS:
            raise UnknownName("task of FiFa", task, TASKS)
    image = _disk.png(drawn.pixels)
    fake = drawn.label == "fake"
    union = drawn.mask >= 0.5 * drawn.mask.max() if fake else np.zeros(drawn.mask.shape, bool)
    mask = _disk.png(union * 255) if fake else None
    by_difference = _disk.png(difference_mask(drawn.pixels, drawn.original) * 255) if fake else None

    for task in tasks:
        answer, masks, points = _answer(task, drawn, union, rng)
        if answer is None:
            continue
        wording = _QUESTIONS[task][int(rng.integers(len(_QUESTIONS[task])))]
        title = regions.title(points["region"]) if points.get("region") else ""
        yield Item(
            file, image, mask, by_difference, drawn.label, drawn.kind, drawn.family, group, split, task,
            wording.format(region=title), answer, tuple(_disk.png(each * 255) for each in masks), drawn.named,
            landmarks=np.ascontiguousarray(drawn.landmarks, np.float32).tobytes(), **points,
        )  # fmt: skip


def _answer(
    task: str, drawn: Drawn, union: Bools, rng: np.random.Generator
) -> tuple[str | None, list[Bools], dict[str, Any]]:
    """An answer, the masks of its [SEG], and what its question points at; None where the face has none for the task."""
    fake = drawn.label == "fake"
    verdict = f"This face is {drawn.label}."
    shown = [drawn.places[name] for name in drawn.named]
    plain = drawn.text if drawn.text.startswith("This face is") else f"{verdict} {drawn.text}"
    written = drawn.interleaved if fake and plain == drawn.text else f"{verdict} {drawn.interleaved}" if fake else plain
    match task:
        case "detection":
            return verdict, [], {}
        case "classification":
            return (
                (f"This face is fake: {KIND_WORDS[drawn.kind]}." if fake else "This face is real: untouched."),
                [],
                {},
            )
        case "image_explanation" | "text_explanation":
            return plain, [], {}
        case "grounding":
            return written, shown if fake else [], {}
        case "localisation":
            if not fake:
                return "This face is real. Nothing was manipulated.", [], {}
            return "This face is fake. The <p>manipulated part</p> [SEG] is shown.", [union], {}
        case "region_detection":
            if not fake:
                return "This face is real. No region was manipulated.", [], {}
            places = listed([f"the <p>{regions.title(name)}</p> [SEG]" for name in drawn.named])
            return f"This face is fake. Manipulated are {places}.", shown, {}
    name = _asked(drawn, rng)
    if name is None:
        return None, [], {}
    area = grounded.outline(name, drawn.landmarks, *union.shape)
    title = f"<p>{regions.title(name)}</p> [SEG]"
    if task == "region_parsing":
        return f"The {title} is shown.", [area], {"pointer": "name", "region": name}
    forged = drawn.places.get(name)
    if forged is None:
        sentence = f"The {regions.title(name)} shows no traces of manipulation."
        masks: list[Bools] = []
    else:
        cues = drawn.artefacts.get(name) or grounded.cues(forged, drawn, name, rng)
        sentence = f"The {title} {' and '.join(grounded.worded(cue, name, rng) for cue in cues)}."
        masks = [forged]
    lead = "" if task == "region_explanation" else "Yes. " if forged is not None else "No. "
    return lead + sentence, masks, _pointing(task, name, area, rng)


def _asked(drawn: Drawn, rng: np.random.Generator) -> str | None:
    """A region to ask about: as often one that was changed as one that was not, and that can be seen."""
    changed = [name for name in drawn.named if name in drawn.places]
    if changed and rng.random() < 0.5:
        return changed[int(rng.integers(len(changed)))]
    hidden = regions.hidden(drawn.landmarks)
    height, width = drawn.mask.shape
    peak = max(float(drawn.mask.max()), 1e-6)
    names = [name for name in grounded.NAMES if name not in hidden and name not in drawn.places]
    for index in rng.permutation(len(names))[:24].tolist():
        name = names[index]
        corners = np.concatenate(regions.polygons(name, drawn.landmarks))
        if not ((corners >= 0).all() and (corners <= (width, height)).all()):
            continue
        area = grounded.outline(name, drawn.landmarks, height, width)
        if area.sum() >= grounded.SMALLEST and float(drawn.mask[area].mean()) <= 0.02 * peak:
            return name
    return changed[0] if changed else None


def _pointing(task: str, name: str, area: Bools, rng: np.random.Generator) -> dict[str, Any]:
    """What a question shows of a region."""
    box = grounded.boxed(area).box
    if task == "region_question":
        return {"pointer": "name", "region": name}
    if task == "box_question":
        return {"pointer": "box", "region": name, "box": box}
    if rng.random() < 0.5:
        return {"pointer": "mask", "region": name, "box": box, "place": _disk.png(area * 255)}
    ys, xs = np.nonzero(area)
    index = int(rng.integers(len(ys)))
    return {"pointer": "click", "region": name, "box": box, "click": (xs[index] + 0.5, ys[index] + 0.5)}


# ----------------------------------------------------------------------------------------------------------- building


@dataclass(slots=True)
class Statistics:
    """What was built, and how good the annotation is."""

    faces: Counter[str] = field(default_factory=Counter)  # by family; "genuine" too
    items: Counter[str] = field(default_factory=Counter)  # by task
    left_out: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)  # of texts, by kind, and of [SEG] against masks
    agreement: Agreement = field(default_factory=Agreement)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready.

        Returns:
            Numbers by name.
        """
        return {
            "faces": dict(self.faces), "items": dict(self.items), "left_out": dict(self.left_out),
            "faults": dict(self.faults), "annotation_by_difference": self.agreement.as_dict(),
        }  # fmt: skip


def build(
    portraits: Iterable[mmtt.Portrait],
    *,
    seed: int = 0,
    copies: int = 2,
    size: int = SIZE,
    margin: float = 1.6,
    families: Sequence[str] = FAMILIES,
    tasks: Sequence[str] = TASKS,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    statistics: Statistics | None = None,
) -> Iterator[Item]:
    """For each portrait its genuine face and `copies` forgeries, with a question of every task about each.

    Arguments are those of `mmtt.build`. An answer whose text names what was not changed, or whose [SEG] and masks do
    not match, is counted and left out.

    Args:
        portraits: Genuine faces.
        seed: What everything is drawn from.
        copies: Forgeries of each face.
        size: Side of the square crop, pixels.
        margin: Side of the crop over the mesh's longer side.
        families: Of `grounded.EVERY`.
        tasks: Names of the tasks.
        options: For a family's forger: {"diffusion": {"model": NAME}}.
        statistics: What was counted.

    Raises:
        UnknownName: a family or task that does not exist.
        InputError: numbers that make no sense.
    """
    if copies < 0 or not families:
        raise InputError(f"fifa: expected copies of at least 0 and some families, got {copies} and {len(families)}")
    counts = Statistics() if statistics is None else statistics
    for name in families:
        if name not in grounded.EVERY:
            raise UnknownName("family of forgeries", name, grounded.EVERY)
    donor: mmtt.Portrait | None = None
    number = 0
    for portrait in portraits:
        rng = np.random.default_rng((seed, zlib.crc32(portrait.file.encode())))
        split = mmtt.split_of(portrait.group, seed)
        try:
            pixels, points = grounded.cropped(portrait.pixels, portrait.landmarks, size, margin)
        except FacewitnessError as error:
            counts.left_out[str(error).split(":")[0][:60]] += 1
            continue
        faces = [(f"{portrait.file}/real.png", grounded.genuine(pixels, points, rng))]
        other = None if donor is None or donor.group == portrait.group else (donor.pixels, donor.landmarks)
        for copy in range(copies):
            family = families[number % len(families)]
            number += 1
            try:
                made = grounded.draw(
                    pixels, points, rng, family=family, donor=other, options=(options or {}).get(family)
                )
            except InputError as error:
                counts.left_out[f"{family}: {str(error).split(': ', 1)[-1][:60]}"] += 1
                continue
            faces.append((f"{portrait.file}/{family}-{copy}.png", made))
            counts.agreement.add(made)
        for file, drawn in faces:
            counts.faces[drawn.family or "genuine"] += 1
            for item in items(drawn, rng, file=file, group=portrait.group, split=split, tasks=tasks):
                if wrong := faults(item, drawn):
                    counts.faults.update(reason.split(":")[0] for reason in wrong)
                    continue
                counts.items[item.task] += 1
                yield item
        donor = portrait


def faults(item: Item, drawn: Drawn) -> tuple[str, ...]:
    """Why an item cannot stand: its text against the mask, and its [SEG] against its masks.

    Args:
        item: One item.
        drawn: One face with its truth, of `grounded.draw` or `grounded.genuine`.
    """
    grounded_mentions = len([mention for mention in interleaved.mentions(item.answer) if mention.seg is not None])
    wrong: list[str] = []
    if grounded_mentions != len(item.masks):
        wrong.append(f"masks: expected one for each [SEG], got {grounded_mentions} [SEG] and {len(item.masks)} masks")
    explains = item.task in ("image_explanation", "text_explanation", "grounding", "region_detection")
    if explains and drawn.label == "fake":
        wrong += grounded.faults(item.answer, drawn.mask, drawn.landmarks)
    return tuple(wrong)


# -------------------------------------------------------------------------------------------------------- on the disk

SCHEMA = pa.schema(
    [
        ("file", pa.string()), ("image", pa.binary()), ("mask", pa.binary()), ("difference", pa.binary()),
        ("label", pa.string()), ("kind", pa.string()), ("family", pa.string()), ("group", pa.string()),
        ("split", pa.string()), ("task", pa.string()), ("question", pa.string()), ("answer", pa.string()),
        ("masks", pa.list_(pa.binary())), ("regions", pa.list_(pa.string())), ("pointer", pa.string()),
        ("region", pa.string()), ("box", pa.list_(pa.float32())), ("click", pa.list_(pa.float32())),
        ("place", pa.binary()), ("landmarks", pa.binary()),
    ]
)  # fmt: skip
_NOTHING = "fifa: expected at least one face, got none"


def write(items: Iterable[Item], folder: Path, rows: int = 512) -> Path:
    """`folder/fifa.parquet`, one row an item.

    Args:
        items: What was built.
        folder: The folder to write into.
        rows: Rows of the table that are written at once.

    Raises:
        InputError: For no items.
    """
    return _disk.write_table(items, SCHEMA, folder / "fifa.parquet", _NOTHING, rows)


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of such a table; rows of one picture share its bytes.

    Args:
        path: Of the file.

    Raises:
        InputError: For what is no such table.
    """
    return _disk.read_table(path, [field.name for field in SCHEMA], "fifa")


def summary(statistics: Statistics, tell: Callable[[str], None]) -> None:
    """Say what was built, in a few lines.

    Args:
        statistics: What was counted.
        tell: Is called with each sentence that the user should read.
    """
    numbers = statistics.as_dict()
    tell(f"faces: {json.dumps(numbers['faces'])}")
    tell(f"questions: {json.dumps(numbers['items'])}")
    tell(f"left out: {json.dumps(numbers['left_out'])}; faults of texts: {json.dumps(numbers['faults'])}")
    about: Mapping[str, Any] = numbers["annotation_by_difference"]
    if about["precision"] is not None and about["recall"] is not None:
        tell(
            f"annotation by the largest {LARGEST:.0%} of differences: {about['precision']:.0%} of its concepts were "
            f"changed, {about['recall']:.0%} of the changed ones are in it"
        )


def as_array(content: bytes) -> NDArray[np.bool_]:
    """A mask of the table, bool (H, W).

    Args:
        content: PNG.

    Returns:
        bool (H, W).
    """
    import cv2

    values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if values is None:
        raise InputError("fifa: expected a PNG as mask, got something else; build the table again")
    return np.asarray(values > 127, bool)
