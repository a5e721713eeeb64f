"""KFD's questions and answers, from pristine faces alone: one to three regions are forged, and the answer names them.

    facewitness build sbi_qa DATASET ROOT --out FOLDER [--split train] [--detector kfd.safetensors] [--turns 3]

Yu et al., "Unlocking the Capabilities of Vision-Language Models for Generalizable and Explainable Deepfake Detection",
section 3.3. The forgery is equation 6, I_M = M ⊙ I_affine + (1 − M) ⊙ I_real with M the convex hull of the regions'
landmarks and Poisson blending: `forge/region_edit`. The prompt is `[task description][detector's result] question`.

Every forged face stands beside the pristine one it was made from, and both are asked alike, so the words of a question
tell nothing of its answer: as many verdicts are yes as no, and so are the answers about regions. The "no" to a region
comes from the pristine picture, asked after the very region that is forged in the other one, or from the forged one,
asked after a region that was left alone: half and half, unless `elsewhere` says otherwise. The verdict does not answer
the second; who wants a model to look at the place teaches it more of them. "Yes" always means fake.
Where the paper is silent
    regions        ten that the mesh outlines well (`CHOICES`); a draw in which one of them does not visibly change is
                   drawn again, because the answer names it
    wording        one example each is given; descriptions, questions and answers here are ours and drawn from several
                   dozens of combinations. The detector's result is always the same line, as a program writes it
    forgeries      ours are mixed: a third is blended without Poisson, and seven of ten copies are changed in colour and
                   sharpness first. Equation 6 does neither: --blends poisson --changed 0
    pristine faces one for each forged one, and the answer says that nothing was found
    dialogue       the paper shows several turns about one picture and does not say what they were learned from. With
                   --turns chat.json holds conversations: the verdict first, then questions about regions
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

import cv2
import numpy as np
import pyarrow as pa

from facewitness import geometry, media, plugins, regions
from facewitness.builders import _disk
from facewitness.errors import InputError
from facewitness.forge import Forged
from facewitness.grammars.yes_no import prompt
from facewitness.phrases import the_regions
from facewitness.types import Landmarks, Pixels

CHOICES = (
    "nose", "mouth", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "chin", "forehead", "left_cheek",
    "right_cheek",
)  # fmt: skip
_TRIES = 8
_CHANGED = 1.0  # grey levels: a region whose pixels differ by less on average does not visibly change
_MOST = 1_000  # copies, or pairs of questions, of one face: more is a slip, and takes for ever
_UNTOUCHED = 0.02  # a mask's mean inside a region below which "no" is the truth


# -------------------------------------------------------------------------------------------------------- the words

DESCRIPTIONS = (
    "This is a picture of a face for a deepfake check; a genuine one shows no patch of another colour and no seam.",
    "The task is to find forged faces. Real skin, light and sharpness agree from one part of the face to the next.",
    "You see a face that may have been altered. Signs are blurred borders, doubled edges and local colour casts.",
    "Deepfake detection: a camera leaves the same grain everywhere, while pasted parts often break it.",
    "Look at this face as a forensic examiner. An untouched photograph has no trace of blending around its features.",
    "This face is to be checked for local manipulation, such as a replaced eye, nose or mouth.",
)
VERDICT_QUESTIONS = (
    "Is this a deepfake image?",
    "Is this face fake?",
    "Has this picture been manipulated?",
    "Is any part of this face forged?",
    "Was this photograph tampered with?",
    "Do you see a forgery here, and if so, where?",
    "Is the face in this picture a forgery?",
    "Would you call this face manipulated? Say where.",
)
REGION_QUESTIONS = (
    "{Be} the {region} fake?",
    "{Be} the {region} of this face forged?",
    "{Have} the {region} been manipulated?",
    "Does the forgery include the {region}?",
    "{Were} the {region} replaced or altered?",
    "Look at the {region}: {be} there a forgery?",
)
_FAKE_OPENINGS = ("Yes.", "Yes, this is a deepfake image.", "Yes, this face is fake.", "Yes, it was manipulated.")
_FAKE_BODIES = (
    "The forged part is {places}.",
    "The artifacts are at {places}.",
    "What was altered is {places}.",
    "It was changed at {places}.",
    "The signs of blending are around {places}.",
    "I find traces of forgery at {places}.",
)
_REAL_OPENINGS = ("No.", "No, this is not a deepfake image.", "No, this face is real.", "No, it was not manipulated.")
_REAL_BODIES = (
    "No part of the face shows traces of forgery.",
    "Nothing on the face was altered.",
    "Its features all belong to one photograph.",
    "I find no sign of blending anywhere on it.",
    "Colour and sharpness agree all over the face.",
    "No region looks pasted.",
)
_REGION_YES = (
    "Yes. The {region} {be} fake.",
    "Yes, the {region} {were} altered.",
    "Yes, there are traces of forgery at the {region}.",
    "Yes. The {region} {be} forged.",
)
_REGION_NO = (  # on a forged face
    "No. The {region} {be} untouched; the forged part is {places}.",
    "No, the {region} {be} genuine. The artifacts are at {places}.",
    "No, not the {region}. What was altered is {places}.",
)
_REGION_NO_REAL = (
    "No. The {region} {be} genuine, and so is the rest of the face.",
    "No, the {region} {be} real; this face was not manipulated.",
    "No. Nothing was altered, neither at the {region} nor elsewhere.",
)


def _about(template: str, region: str, places: Sequence[str] = ()) -> str:
    many = region in ("teeth", "eyes", "eyebrows", "nostrils")
    words = {"be": "are", "have": "have", "were": "were"} if many else {"be": "is", "have": "has", "were": "was"}
    words |= {key.capitalize(): word.capitalize() for key, word in words.items()}
    return template.format(region=regions.title(region), places=the_regions(places), **words)


# ------------------------------------------------------------------------------------------------------- the items


@dataclass(frozen=True, slots=True, eq=False)
class Pristine:
    """A genuine face to build from."""

    file: str
    pixels: Pixels  # RGB uint8 (H, W, 3)
    landmarks: Landmarks  # (468, 2+) in pixels
    group: str  # source video or identity: kept, so that splits need not share one


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One question about one picture, with its answer: a row of the table."""

    file: str  # the picture's name: that of the pristine file, then "real.png" or "forged-<copy>.png"
    image: bytes  # PNG
    mask: bytes | None  # PNG, one channel, 255 forged; None for a real face, where nothing is
    label: Literal["real", "fake"]
    group: str
    regions: tuple[str, ...]  # names of `regions.py` that were forged; empty for a real face
    question: str  # alone; `prompt` puts description and score before it
    answer: str
    description: str  # of the task
    asked: str | None  # the region a question is about; None where it asks for a verdict
    score: float | None  # the detector's for this picture, 1 means fake; None where there was no detector
    original: str  # the pristine file

    @property
    def prompt(self) -> str:
        return prompt(self.description, self.score, self.question)


def build(
    faces: Iterable[Pristine],
    *,
    seed: int = 0,
    copies: int = 1,
    size: int | None = 224,  # "All the images are cropped to 224×224"
    margin: float = 1.3,
    choices: Sequence[str] = CHOICES,
    max_regions: int = 3,  # "randomly select 1 to 3 regions"
    blends: Sequence[str] = ("poisson", "poisson", "alpha"),
    changed: float = 0.7,
    pairs: int = 1,
    elsewhere: float = 0.5,
    detector: Callable[[Pixels], float] | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Iterator[Item]:
    """For each face and copy a verdict on the real and on the forged picture, and `pairs` of yes and no about regions.

    The same seed gives the same items, whatever the order of the faces. `size` crops each face upright to a square of
    so many pixels, `margin` times the face, before anything is forged; None leaves pictures as they are. `blends` and
    `changed` are `forge/region_edit`'s: ("poisson",) and 0 are the paper alone. `elsewhere` is the share of a "no" that
    is about an untouched region of the forged picture, as far as there is one. `detector` gives the score of a picture
    (size, size, 3) for the prompt. A face that cannot be forged is left out and `tell` hears of it.

    Args:
        faces: Genuine faces.
        seed: What everything is drawn from.
        copies: Forgeries of each face.
        size: Side of the upright square to which a face is cropped before anything is forged, pixels; None leaves
            pictures as they are.
        margin: Side of the crop over the mesh's longer side.
        choices: Regions of the tree to draw from.
        max_regions: Regions that are forged at most: "randomly select 1 to 3 regions".
        blends: Of `forge/region_edit`; ("poisson",) is the paper alone.
        changed: How often the copy is changed in colour and sharpness first, in [0, 1]; 0 is the paper alone.
        pairs: Of yes and no about regions, for each face and copy.
        elsewhere: Share of a "no" that is about an untouched region of the forged picture, as far as there is one.
        detector: Gives the score of a picture (size, size, 3) for the prompt; None leaves it out.
        tell: Is called with each sentence that the user should read.

    Raises:
        InputError: For numbers that make no sense.
        UnknownName: For a region or blend that does not exist.
    """
    if min(copies, max_regions, pairs) < 1 or not choices:
        raise InputError(
            f"sbi_qa: expected copies, max_regions and pairs of at least 1 and some choices, got {copies}, "
            f"{max_regions}, {pairs}, {choices}"
        )
    if max(copies, pairs) > _MOST:
        raise InputError(f"sbi_qa: expected copies and pairs of at most {_MOST:,}, got {copies:,} and {pairs:,}")
    for name, value in (("elsewhere", elsewhere), ("changed", changed)):
        if not 0 <= value <= 1:
            raise InputError(f"sbi_qa: expected {name} as a share from 0 to 1, got {value}")
    for name in choices:
        regions.title(name)  # raises UnknownName before the first picture is made
    for face in faces:
        for copy in range(copies):
            rng = np.random.default_rng((seed, zlib.crc32(face.file.encode()), copy))
            try:
                pixels, points = (face.pixels, face.landmarks) if size is None else _cropped(face, size, margin)
                forged, names = _forged(pixels, points, rng, choices, max_regions, blends, changed)
            except InputError as error:
                tell(f"{face.file}: left out ({error})")
                continue
            yield from _questions(face, copy, pixels, points, forged, names, choices, pairs, elsewhere, detector, rng)


def _cropped(face: Pristine, size: int, margin: float) -> tuple[Pixels, Landmarks]:
    if not np.isfinite(face.landmarks).all():
        raise InputError("expected finite landmarks, got NaN or infinity; find the face again")
    affine = geometry.align(face.landmarks, size, margin)
    return geometry.crop(face.pixels, affine, size), geometry.transform(affine, face.landmarks[:, :2])


def _forged(
    pixels: Pixels,
    points: Landmarks,
    rng: np.random.Generator,
    choices: Sequence[str],
    max_regions: int,
    blends: Sequence[str],
    changed: float,
) -> tuple[Forged, tuple[str, ...]]:
    """A forgery and the regions drawn for it, each of which visibly changed."""
    region_edit = plugins.get("forge", "region_edit")
    for _ in range(_TRIES):
        forged: Forged = region_edit.forge(
            pixels, points, rng, choices=choices, max_regions=max_regions, blends=blends, changed=changed
        )
        names = tuple(str(step["region"]) for step in forged.record if step["operation"] == "replace")
        difference = cv2.absdiff(forged.pixels, pixels).mean(axis=2)
        if all(_mean_inside(difference, name, points) >= _CHANGED for name in names):
            return forged, names
    raise InputError(f"no draw of {_TRIES} changed its regions visibly; the picture is too flat or too small")


def _mean_inside(values: Any, name: str, points: Landmarks) -> float:
    inside = geometry.fill(regions.polygons(name, points), *values.shape)
    return float(values[inside].mean()) if inside.any() else 0.0


def _untouched(forged: Forged, points: Landmarks, choices: Sequence[str]) -> list[str]:
    """Those of the choices of which the truth is "no": well inside the picture, and out of the mask."""
    height, width = forged.mask.shape
    untouched = []
    for name in choices:
        rings = regions.polygons(name, points)
        corners = np.concatenate(rings)
        visible = bool((corners >= 0).all() and (corners <= (width, height)).all())
        if visible and _mean_inside(forged.mask, name, points) <= _UNTOUCHED and name not in forged.regions:
            untouched.append(name)
    return untouched


def _questions(
    face: Pristine,
    copy: int,
    pixels: Pixels,
    points: Landmarks,
    forged: Forged,
    names: tuple[str, ...],
    choices: Sequence[str],
    pairs: int,
    elsewhere: float,
    detector: Callable[[Pixels], float] | None,
    rng: np.random.Generator,
) -> Iterator[Item]:
    def drawn(templates: Sequence[str]) -> str:
        return templates[int(rng.integers(len(templates)))]

    def items(label: Literal["real", "fake"], picture: Pixels) -> Callable[[str, str, str | None], Item]:
        fake = label == "fake"
        image = _disk.png(picture)
        mask = _disk.png(np.rint(forged.mask * 255).astype(np.uint8)) if fake else None
        score = None if detector is None else float(detector(picture))
        name = f"{face.file}/forged-{copy}.png" if fake else f"{face.file}/real.png"
        forged_regions = names if fake else ()

        def item(question: str, answer: str, asked: str | None = None) -> Item:
            return Item(
                name, image, mask, label, face.group, forged_regions, question, answer, drawn(DESCRIPTIONS), asked,
                score, face.file,
            )  # fmt: skip

        return item

    real, fake = items("real", pixels), items("fake", forged.pixels)
    yield real(drawn(VERDICT_QUESTIONS), f"{drawn(_REAL_OPENINGS)} {drawn(_REAL_BODIES)}", None)
    body = drawn(_FAKE_BODIES).format(places=the_regions(names))
    yield fake(drawn(VERDICT_QUESTIONS), f"{drawn(_FAKE_OPENINGS)} {body}", None)
    untouched = _untouched(forged, points, choices)
    for _ in range(pairs):
        region = str(rng.choice(names))
        yield fake(_about(drawn(REGION_QUESTIONS), region), _about(drawn(_REGION_YES), region), region)
        if untouched and rng.random() < elsewhere:
            other = str(rng.choice(untouched))
            yield fake(_about(drawn(REGION_QUESTIONS), other), _about(drawn(_REGION_NO), other, names), other)
        else:
            yield real(_about(drawn(REGION_QUESTIONS), region), _about(drawn(_REGION_NO_REAL), region), region)


# ------------------------------------------------------------------------------------------------------- on the disk

SCHEMA = pa.schema(
    [
        ("file", pa.string()), ("image", pa.binary()), ("mask", pa.binary()), ("label", pa.string()),
        ("group", pa.string()), ("regions", pa.list_(pa.string())), ("question", pa.string()), ("answer", pa.string()),
        ("description", pa.string()), ("asked", pa.string()), ("score", pa.float64()), ("original", pa.string()),
    ]
)  # fmt: skip


class Row(TypedDict):
    """A row of such a table as it is read: SCHEMA without the mask."""

    file: str
    image: bytes
    label: str
    group: str
    regions: list[str] | None
    question: str
    answer: str
    description: str
    asked: str | None
    score: float | None
    original: str | None


_NOTHING = "sbi_qa: expected at least one pristine face that can be forged, got none"


def write_parquet(items: Iterable[Item], path: Path, rows: int = 512) -> Path:
    """One row an item (`SCHEMA`); see `_disk.write_table`.

    Args:
        items: What was built.
        path: Of the file.
        rows: Rows of the table that are written at once.

    Raises:
        InputError: For no items.
    """
    return _disk.write_table(items, SCHEMA, path, _NOTHING, rows)


def read_parquet(path: Path) -> list[Row]:
    """The rows of such a table but for their masks; see `_disk.read_table`.

    Args:
        path: Of the file.
    """
    return cast(list[Row], _disk.read_table(path, list(Row.__annotations__), "sbi_qa"))


def conversations(items: Iterable[Item], turns: int) -> Iterator[list[Item]]:
    """Questions about one picture in turn, at most `turns` of them: first the verdict, then regions, each once.

    Args:
        items: As `build` gives them: those about one face together, a verdict before the regions.
        turns: At least 1; with 1 each question is a conversation of its own.
    """
    talks: dict[str, list[Item]] = {}
    original: str | None = None
    for item in items:
        if item.original != original:
            yield from talks.values()
            talks, original = {}, item.original
        talk = talks.get(item.file)
        if talk is not None and item.asked is not None and any(before.asked == item.asked for before in talk):
            continue
        if talk is not None and len(talk) < turns and item.asked is not None:
            talk.append(item)
            continue
        if talk is not None:
            yield talk
        if item.asked is None or turns == 1:
            talks[item.file] = [item]
        else:
            talks.pop(item.file, None)
    yield from talks.values()


def of_turns(turns: int) -> None:
    """Refuse what no conversation can have: it begins with the verdict, and asks about each region once.

    Args:
        turns: Questions of a conversation, at most.

    Raises:
        InputError: It is less than 1, or more than there are questions.
    """
    most = 1 + len(regions.REGIONS)
    if not 1 <= turns <= most:
        raise InputError(
            f"sbi_qa: expected turns from 1 to {most}, the verdict and each region of the tree once, got {turns:,}"
        )


def write_chat(items: Iterable[Item], folder: Path, turns: int = 1) -> Path:
    """`folder/chat.json` and its pictures, `turns` questions a conversation; see `_disk.write_chat`.

    The description of the task, and the detector's result where there is one, stand in the first question alone.

    Args:
        items: What was built.
        folder: The folder to write into.
        turns: How many questions a conversation holds.

    Raises:
        InputError: For no items, or turns that `of_turns` refuses.
    """
    of_turns(turns)
    talks = ([item] for item in items) if turns == 1 else conversations(items, turns)
    written = ((t[0].image, t[0].prompt, t[0].answer, [(i.question, i.answer) for i in t[1:]]) for t in talks)
    return _disk.write_chat(written, folder, _NOTHING)


# --------------------------------------------------------------------------------------------------------- by command


def pristine(
    dataset: str, root: Path, split: str | None = None, limit: int | None = None, finder: str = "facemesh",
    every: int = 1, tell: Callable[[str], Any] = print,
) -> Iterator[Pristine]:  # fmt: skip
    """The real pictures of a dataset in which exactly one face is found, at most `limit`; videos are passed over.

    A picture that cannot be read is told, and left out.

    `every` takes each so-manieth real picture only: a part of a large dataset, from all of it.

    Args:
        dataset: A leaf of datasets/.
        root: The dataset's folder, as it is unpacked.
        split: Of the dataset; None for all.
        limit: How many pictures; None for all.
        finder: Name of a leaf of finders/.
        every: Takes each so-manieth real picture only: a part of a large dataset, from all of it.
        tell: Is called with each sentence that the user should read.
    """
    find, count, number = plugins.get("finders", finder).load(), 0, -1
    samples, below = _disk.samples_of(dataset, root, split, tell)
    for sample in samples:
        if count == limit:
            return
        if sample.truth.label != "real" or sample.frame is not None:
            continue
        number += 1
        if number % every:
            continue
        source = below / sample.file if sample.image is None else sample.image
        try:
            frame = media.read(source, name=sample.file).frame
        except InputError as error:
            tell(f"left out: {error}")
            continue
        faces = find.find(frame)
        if len(faces) == 1 and faces[0].landmarks is not None:
            count += 1
            yield Pristine(sample.file, frame.pixels, faces[0].landmarks, sample.group)


def scorer(path: Path) -> tuple[Callable[[Pixels], float], int]:
    """A saved KFD as a function of a picture, and the side of the pictures it reads.

    Args:
        path: A detector that `facewitness train kfd` saved.

    Returns:
        The function, and the side in pixels.
    """
    import torch  # only where a detector is asked for

    from facewitness.models.kfd import KFD

    model = KFD.load(path)

    def score(pixels: Pixels) -> float:
        with torch.inference_mode():
            return float(model(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()).score)

    return score, model.encoders.size
