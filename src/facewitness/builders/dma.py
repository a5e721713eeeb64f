"""MARE's multimodal alignment data (DMA): what people wrote about a face, and a box for every region they name.

    facewitness build dma DATASET ROOT --out FOLDER [--split train] [--size 224]

Xu et al., "MARE: Multimodal Alignment and Reinforcement for Explainable Deepfake Detection", section 3.2, Eq. 1:

    r = E(t, P_key)     the regions a text names by the keywords of Table 6         `regions.mentioned`
    b = L(v, r)         for each the smallest box around its landmarks              min and max of `regions.polygons`

So an item is ⟨v, q, t, b⟩: a picture, a question, one annotation, its boxes. The samples may be of any dataset with
texts, and any finder with landmarks finds the faces. "Left" and "right" are the subject's, in words and boxes.
Where the paper is silent
    boxes      whole pixels, rounded outwards and cut off where the picture ends. A region with nothing on the picture
               gets none. Hair and ears have no landmarks: `regions` lays them outside the mesh
    "face"     is a keyword of the skin in Table 6, so "The face looks fake" names the skin, and the skin gets a box
    real faces their answers name no place that gives something away, so they have no boxes. (Equation 1 as it stands
               boxes what any text names; the format asks for regions "that serve as evidence")
    thoughts   ours, from a dozen of wordings: where to look, without the verdict
    descriptions   DD-VQA's answers about real faces end in a list of features ("The person has thick eyebrows, a full
               mouth"): no reason for a verdict, and a model that learns them recites them of faces it did not look at.
               Replies to learn from leave such sentences out (`grammars/mare`), references keep them. The paper
               cuts nothing; `--descriptions` does as it does
    several    people's answers to one question are one item each, and all of them its references
Left out, counted and explained in `Statistics`: see `REASONS`. The same samples and seed give the same bytes. Items are
written as they are made: a dataset may be larger than the memory.
"""

from __future__ import annotations

import io
import json
import math
import re
import textwrap
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from facewitness import geometry, media, regions, words
from facewitness.builders import _disk
from facewitness.errors import InputError, MissingExtra, WeightsError
from facewitness.files import write_whole
from facewitness.film import Frames
from facewitness.grammars import mare
from facewitness.phrases import capital, the_regions, utf8
from facewitness.types import Box, Face, Finding, Frame, Landmarks, Mask, Reply, Sample, Truth

QUESTION = "Does this face look real or fake, and why?"  # where people were asked none

REASONS: Mapping[str, str] = {
    "unreadable": "the picture or its mask could not be read",
    "no text": "nobody wrote anything about the picture",
    "not text": "what stands where an annotation should is no text",
    "finder failed": "looking for faces failed, so whether there is one is not known",
    "no face": "no face was found, or none where the dataset has it",
    "no mesh": "the face has no landmarks that can be believed, so no region has a place",
    "another language": "too few of the words that tell languages apart are English",
    "contradiction": "the text says the opposite of the label, or both",
    "no region": "the text about a fake names no region, so there is nothing to box",
    "outside": "every region that the text names lies outside the picture",
}
_EXAMPLES = 3  # of what was left out, for each reason

_FAKE_THOUGHTS = (
    "I compare the parts of the face with each other. {Places} {call} for a closer look.",
    "I go through the face from the hairline to the chin. What stands out is at {places}.",
    "Skin, light and sharpness should agree everywhere. They do not at {places}.",
    "First the outline, then eyes, nose and mouth. I stop at {places}.",
    "I look for seams, blur and odd shapes. {Places} {have} something of the kind.",
    "The question is whether every part belongs to one photograph. {Places} {raise} doubt.",
)
_REAL_THOUGHTS = (
    "I compare the parts of the face with each other. Nothing calls for a closer look.",
    "I go through the face from the hairline to the chin. Nothing stands out.",
    "Skin, light and sharpness should agree everywhere, and they do.",
    "First the outline, then eyes, nose and mouth. I find nothing to stop at.",
    "I look for seams, blur and odd shapes. I see none.",
    "The question is whether every part belongs to one photograph. Nothing raises doubt.",
)
# What tells English from other languages, besides the words for regions. What another language uses about as often (of
# seventeen, in the frequency lists of the package `wordfreq`) decides nothing, be it a word for a region.
_ENGLISH = frozenset(
    """about above abruptly across added and appear appears around artifact asymmetric asymmetrical authentic because
    been behind below beneath between blemish blend blended blending blurred blurring blurry both boundary bright
    brighter coloring colour compared consistent corner could curved darker deformed differ different discolored
    distorted does doesn edge edited every everything evidence exhibit feature flaw from generated genuine ghosting
    glasses good highlight how identical inconsistencies inconsistent indicating into it its lack lacking lifeless
    lighting little look looked looking made make manipulated many matches misaligned mismatch mismatched missing more
    much naturally near nearly neck nothing one other outline overly own pasted picture pixelated pointed properly
    realistic reflection round seam seem shadow shape sharp sharpness she shiny should sign slightly smear smeared
    smearing smile smooth smoothness something stain stiff straight strange stretched such suggest swapped symmetric
    symmetrical than that the their there they thick thin this too two unclear uneven unnatural unnaturally unrealistic
    unusual unusually very warped weird well what where which while who whole with without would wrinkle wrong you
    your""".split()  # noqa: SIM905
) | frozenset(" ".join((*regions.MORE_KEYWORDS, *sum(regions.KEYWORDS.values(), ()))).split())  # fmt: skip
_SHARED = frozenset(
    """ai all also an any are area artificial as at be but by can color complexion computer dermal detail details
    digital do even evident expression face fake for general had has have he her him his image in iris irregular is
    just like line lip man manipulation match me men nasal natural no normal not ocular of on or original over person
    philtrum photo proper pupil real region same show so some style temple texture these to tone transition under us
    visible was we will""".split()  # noqa: SIM905
)  # fmt: skip
_FOREIGN = frozenset(
    """au aux avec ce ces cette che con da dans das dat de del della delle dem den der des deze di die dit dos du ein
    eine einem einen einer el elle em en er es esta est et geen gli ha het il isso ist keine la las le les lijkt los
    mais met mit muy na nas ne nel nicht niet non op os ou para parece pas pero que questo qui se sembra semble sich
    sieht sind sono sont su sur te tem uit uma un una und une van von voor wie wirkt zijn zonder zu""".split()  # noqa: SIM905
)  # fmt: skip
_ENGLISH_SHARE = 0.25  # the least of DD-VQA's 9,858 answers has 0.43
_WORD = re.compile(r"[^\W\d_]{2,}")  # a single letter is a word in many languages

_DOUBTED = 0.1  # `Quality.mesh` below which finders/facemesh leaves a mesh out
_LIKENESS = 0.9  # at least 0.986 on 581 meshes of finders/facemesh, 0.01 for points at random
_FLATTEST, _SMALLEST = 0.3, 4.0  # those meshes have at least 0.77; pixels: with fewer an eye is none wide


class Finder(Protocol):
    """What a leaf of finders/ loads."""

    def find(self, frame: Frame) -> tuple[Face, ...]:
        """The faces of one frame.

        Args:
            frame: One frame, RGB.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One annotation of one picture: a row of the table."""

    file: str
    image: bytes  # JPEG or PNG as the dataset has it, else PNG
    mask: bytes | None  # PNG of the image's size, white where forged; None where the dataset has none
    size: tuple[int, int]  # (width, height)
    label: Literal["real", "fake"]
    group: str
    split: str
    dataset: str
    question: str
    text: str
    texts: tuple[str, ...]  # this one, then the others to the same question
    regions: tuple[str, ...]  # names of regions.MARE that a text about a fake names; empty for a real face
    boxes: tuple[Box | None, ...]  # of each region, in pixels of the image; None outside it
    reply: str  # in the grammar `mare`

    @property
    def prompt(self) -> str:
        return mare.prompt(self.question)


@dataclass(slots=True)
class Statistics:
    """What went in and what came out; filled while `build` is read."""

    samples: int = 0
    annotations: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  # reason → samples or annotations
    examples: dict[str, list[str]] = field(default_factory=dict)  # reason → file and text, the first few
    items: Counter[str] = field(default_factory=Counter)  # label → items
    splits: Counter[str] = field(default_factory=Counter)
    regions: Counter[str] = field(default_factory=Counter)  # region → boxes
    clipped: int = 0  # boxes that the picture's border cuts
    outside: int = 0  # regions without a box in items that have others
    several_faces: int = 0  # samples where the largest was taken
    words: int = 0  # in all texts of items
    cut: int = 0  # replies about real faces that lost a description of features

    def leave_out(self, reason: str, file: str, text: str = "") -> None:
        """Count one sample or annotation for one of `REASONS`.

        Args:
            reason: One of REASONS.
            file: Whose it was.
            text: The text.
        """
        self.left_out[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append(utf8(f"{file}: {text[:200]}" if text else file))

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with every reason in words.

        Returns:
            Counts by name.
        """
        explained = {
            reason: {"count": self.left_out[reason], "why": why, "examples": self.examples.get(reason, [])}
            for reason, why in REASONS.items()
        }
        made = sum(self.items.values())
        return {
            "samples": self.samples,
            "annotations": self.annotations,
            "items": made,
            "labels": dict(sorted(self.items.items())),
            "splits": dict(sorted(self.splits.items())),
            "boxes": sum(self.regions.values()),
            "boxes_of_region": {name: self.regions[name] for name in regions.MARE},
            "boxes_clipped": self.clipped,
            "regions_outside": self.outside,
            "several_faces": self.several_faces,
            "words_a_text": round(self.words / made, 2) if made else None,
            "descriptions_cut": self.cut,
            "left_out": explained,
        }


_MOST_SIDE = 4096  # pixels of a crop: a larger one fits into no memory


def build(
    samples: Iterable[Sample],
    finder: Finder,
    *,
    root: Path | None = None,
    size: int | None = None,
    margin: float = 1.5,
    questions: bool = True,
    descriptions: bool = False,
    seed: int = 0,
    statistics: Statistics | None = None,
) -> Iterator[Item]:
    """An item ⟨v, q, t, b⟩ (equation 1) for every annotation that can be used, in the order of the samples.

    Args:
        samples: Of any data set with texts.
        finder: Finds faces with landmarks.
        root: Where the samples' files lie; samples that hold their picture need none.
        size: Crops the face upright to a square of so many pixels, and goes on with the border's pixels where the
            picture ends; None leaves pictures as they are.
        margin: Side of that square over the mesh's longer side.
        questions: Whether the answers to a sample's questions are its annotations; without, or where there are none,
            its texts are.
        descriptions: Whether replies about real faces keep what describes them (see the file's head).
        seed: Draws the thoughts.
        statistics: Counts what cannot be used; nothing in a sample raises.

    Yields:
        Items, whose boxes are whole pixels of their picture.

    Raises:
        InputError: Numbers that make no sense.
        WeightsError: The finder lacks its weights.
        MissingExtra: The finder lacks a package.
    """
    if (size is not None and not 16 <= size <= _MOST_SIDE) or not 1 <= margin <= 10:
        raise InputError(f"dma: expected a size of 16 to {_MOST_SIDE} and a margin of 1 to 10, got {size} and {margin}")
    counts = Statistics() if statistics is None else statistics
    video = Frames()
    for sample in samples:
        counts.samples += 1
        asked = _annotations(sample, questions)
        counts.annotations += sum(map(len, asked.values()))
        usable = {question: _usable(sample, texts, counts) for question, texts in asked.items()}
        if not asked:
            counts.leave_out("no text", sample.file)
        if not any(usable.values()):
            continue  # no picture is opened in vain
        picture = _picture(sample, finder, root, video, size, margin, counts)
        if picture is None:
            continue
        for question, texts in usable.items():
            for text in texts:
                others = tuple(other for other in texts if other != text)
                item = _item(sample, picture, question, text, others, descriptions, seed, counts)
                if item is not None:
                    yield item


# ------------------------------------------------------------------------------------------------- what people wrote


def _annotations(sample: Sample, questions: bool) -> dict[str, tuple[str | None, ...]]:
    """Question → its answers, each once; None for what is no text."""
    truth = sample.truth
    asked = truth.questions if questions and truth.questions else {QUESTION: truth.texts}
    if not questions and truth.questions:  # the texts are answers to one of them: which, where it can be told
        asked = {next((q for q, a in truth.questions.items() if a == truth.texts), QUESTION): truth.texts}
    tidy = {q: tuple(dict.fromkeys(map(_tidy, texts or ()))) for q, texts in asked.items()}
    texts_of = {question: tuple(text for text in texts if text != "") for question, texts in tidy.items()}
    return {question: texts for question, texts in texts_of.items() if texts}


def _tidy(text: object) -> str | None:
    return " ".join(utf8(text).split()) if isinstance(text, str) else None


def _usable(sample: Sample, texts: Iterable[str | None], counts: Statistics) -> tuple[str, ...]:
    """The annotations that can stand as an answer, by their words alone."""
    kept = []
    for text in texts:
        if text is None:
            counts.leave_out("not text", sample.file)
        elif not is_english(text):
            counts.leave_out("another language", sample.file, text)
        elif words.verdict(f"{sample.truth.label}. {text}", mare.STRICT) != sample.truth.label:
            counts.leave_out("contradiction", sample.file, text)
        elif sample.truth.label == "fake" and not regions.mentioned(text):
            counts.leave_out("no region", sample.file, text)
        else:
            kept.append(text)
    return tuple(kept)


def is_english(text: str) -> bool:
    """Whether English words, less the foreign ones, are at least a quarter of the words that tell languages apart.

    Words for regions and of reports are English; little words of six other languages and letters beyond a to z are
    foreign; what several languages share ("no", "real", "image") is not looked at, and decides nothing by itself.

    Args:
        text: The text.
    """
    spelt = [word.lower() for word in _WORD.findall(text)]
    telling = [word for word in spelt if word not in _SHARED]
    english = sum(word in _ENGLISH or word.removesuffix("s") in _ENGLISH for word in telling)
    foreign = sum(word in _FOREIGN or not word.isascii() for word in telling)
    return bool(spelt) and english - foreign >= _ENGLISH_SHARE * len(telling)


# ------------------------------------------------------------------------------------------------------- the picture


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    """What is shown of one sample."""

    image: bytes
    mask: bytes | None
    size: tuple[int, int]  # (width, height)
    landmarks: Landmarks


def _picture(
    sample: Sample,
    finder: Finder,
    root: Path | None,
    video: Frames,
    size: int | None,
    margin: float,
    counts: Statistics,
) -> _Picture | None:
    """The face that is meant; None where there is none."""
    step = "unreadable"
    try:
        sample.file.encode()  # a name that is not UTF-8 can stand in no table
        frame, content = _read(sample, root, video)
        mask = _mask(sample.truth, frame)
        step = "finder failed"
        faces = finder.find(frame)
    except (WeightsError, MissingExtra):
        raise  # the same for every picture: whoever set this up has to know
    except Exception as error:  # a mask may be any function, and one bad sample is no reason to lose the others
        counts.leave_out(step, sample.file, f"{type(error).__name__}: {error}")
        return None
    face = _face(sample, faces, counts)
    if face is None:
        counts.leave_out("no face", sample.file)
        return None
    points, pixels = _mesh(face), frame.pixels
    if points is None:
        counts.leave_out("no mesh", sample.file)
        return None
    if size is not None:
        affine = geometry.align(points, size, margin)
        points, pixels, content = geometry.transform(affine, points), geometry.crop(pixels, affine, size), None
        mask = None if mask is None else geometry.crop(mask, affine, size)
    height, width = pixels.shape[:2]
    return _Picture(
        png(pixels) if content is None else content, None if mask is None else png(mask), (width, height), points
    )


def _mesh(face: Face) -> Landmarks | None:
    """A face's landmarks (468, 2) where they can be believed, else None.

    A photograph shows a head nearly as a linear map from space to the picture does. So the points are a face's where
    the best such map of the average face explains nine tenths of their variance, and does not flatten it to a line or
    shrink it to a dot.
    """
    if face.landmarks is None or not np.isfinite(face.landmarks).all():
        return None
    if face.quality.mesh is not None and face.quality.mesh < _DOUBTED:
        return None
    points = face.landmarks[:, :2].astype(np.float64)
    points -= points.mean(axis=0)
    average = regions.average_landmarks().astype(np.float64)
    average -= average.mean(axis=0)
    linear = np.linalg.lstsq(average, points)[0]
    wide, narrow = np.linalg.svd(linear, compute_uv=False)  # pixels to the height of the average face
    left = np.square(points - average @ linear).sum()
    if left > (1 - _LIKENESS) * np.square(points).sum() or narrow < max(_SMALLEST, _FLATTEST * wide):
        return None
    return face.landmarks[:, :2]


def _mask(truth: Truth, frame: Frame) -> NDArray[np.uint8] | None:
    """The true mask on the frame, 255 where forged; None where the dataset has none, or nothing is.

    Raises InputError for what is no mask, and whatever a mask that is a function raises.
    """
    mask = truth.mask if truth.label == "fake" else None
    mask = mask() if callable(mask) else mask
    if mask is None:
        return None
    if isinstance(mask, Mask):
        mask = geometry.place(mask, frame.height, frame.width)
    values = np.asarray(mask, np.float32)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise InputError(f"expected a mask (H, W) of finite numbers, got one of shape {values.shape}")
    geometry.check_fits(values, frame.height, frame.width)
    grey = Image.fromarray(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8))
    return np.asarray(grey.resize((frame.width, frame.height), Image.Resampling.BILINEAR))


def _read(sample: Sample, root: Path | None, video: Frames) -> tuple[Frame, bytes | None]:
    """The picture, and its bytes as the dataset has them where they show it as it is."""
    if sample.image is None and root is None:
        raise InputError("expected the folder of the samples' files, got none; give it as root")
    if sample.image is None and sample.frame is not None:
        return Frame(video.frame(Path(root or "") / sample.file, sample.frame)), None
    source = Path(root or "") / sample.file if sample.image is None else sample.image
    read = media.read(source, name=sample.file)
    content = source.read_bytes() if isinstance(source, Path) else source
    as_it_is = (
        content.startswith((_disk.PNG, _disk.JPEG)) and not read.notes
    )  # what was turned or converted is written anew
    return read.frame, content if as_it_is else None


def _face(sample: Sample, faces: Sequence[Face], counts: Statistics) -> Face | None:
    """The face at the sample's box, else the largest."""
    if sample.box is not None:
        meant = sample.box
        best = max(faces, key=lambda face: geometry.iou(face.box, meant), default=None)
        return best if best is not None and geometry.iou(best.box, meant) > 0.1 else None
    counts.several_faces += len(faces) > 1
    return max(faces, key=lambda f: (f.box[2] - f.box[0]) * (f.box[3] - f.box[1]), default=None)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A picture as Pillow writes it, without loss.

    Args:
        pixels: RGB uint8 (H, W, 3), or grey (H, W).
    """
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


# --------------------------------------------------------------------------------------------------------- the items


def box_of(name: str, landmarks: Landmarks, width: int, height: int) -> Box | None:
    """Equation 1, b = L(v, r): the smallest box of whole pixels around a region's landmarks, clipped to the picture.

    Args:
        name: A region of the tree.
        landmarks: (468, 2+) in pixels.
        width: Of the picture, pixels, as `height`.
        height: Of the picture.

    Returns:
        (x1, y1, x2, y2); None with nothing on the picture.

    Raises:
        UnknownName: There is no such region.
    """
    return geometry.clip(_around(name, landmarks), width, height)


def _around(name: str, landmarks: Landmarks) -> Box:
    x1, y1, x2, y2 = geometry.bounds(np.concatenate(regions.polygons(name, landmarks)))
    return math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2)


def _item(
    sample: Sample,
    picture: _Picture,
    question: str,
    text: str,
    others: tuple[str, ...],
    descriptions: bool,
    seed: int,
    counts: Statistics,
) -> Item | None:
    fake = sample.truth.label == "fake"
    names = regions.mentioned(text) if fake else ()
    boxes = tuple(box_of(name, picture.landmarks, *picture.size) for name in names)
    if names and not any(boxes):
        counts.leave_out("outside", sample.file, text)
        return None
    placed = {name: box for name, box in zip(names, boxes, strict=True) if box is not None}
    findings = tuple(Finding.on(name, box, None, "", None) for name, box in placed.items())
    rng = np.random.default_rng((seed, zlib.crc32(sample.file.encode()), zlib.crc32(text.encode())))
    template = str(rng.choice(_FAKE_THOUGHTS if fake else _REAL_THOUGHTS))
    explanation = text if fake or descriptions else mare.without_descriptions(text)
    counts.cut += explanation != text
    reply = Reply(sample.truth.label, None, (explanation,), findings, _thought(template, list(placed)))
    counts.items[sample.truth.label] += 1
    counts.splits[sample.split] += 1
    counts.outside += boxes.count(None)
    counts.words += len(text.split())
    for name, box in placed.items():
        counts.regions[name] += 1
        counts.clipped += box != _around(name, picture.landmarks)
    return Item(
        sample.file, picture.image, picture.mask, picture.size, sample.truth.label, sample.group, sample.split,
        sample.dataset, question, text, (text, *others), names, boxes, mare.render(reply),
    )  # fmt: skip


def _thought(template: str, names: Sequence[str]) -> str:
    where = the_regions(names)
    verbs = {"call": "calls", "have": "has", "raise": "raises"}
    if len(names) > 1 or "teeth" in names:
        verbs = {verb: verb for verb in verbs}
    return template.format(places=where, Places=capital(where), **verbs)


# -------------------------------------------------------------------------------------------------------- on the disk

SCHEMA = pa.schema(
    [
        ("file", pa.string()), ("image", pa.binary()), ("mask", pa.binary()), ("size", pa.list_(pa.int32(), 2)),
        ("label", pa.string()), ("group", pa.string()), ("split", pa.string()), ("dataset", pa.string()),
        ("question", pa.string()), ("text", pa.string()), ("texts", pa.list_(pa.string())),
        ("regions", pa.list_(pa.string())), ("boxes", pa.list_(pa.list_(pa.float64(), 4))), ("reply", pa.string()),
    ]
)  # fmt: skip


_NOTHING = "dma: expected at least one annotation that can be used, got none; the statistics say why each was left out"


def write_all(items: Iterable[Item], statistics: Statistics, folder: Path, seed: int = 0) -> tuple[Path, Path, Path]:
    """Table, chats and contact sheet of items that are read once, and their statistics.

    Args:
        items: Of `build`.
        statistics: Those that `build` fills while the items are read.
        folder: Where all is written.
        seed: Draws the items of the contact sheet.

    Returns:
        The paths of the first three.

    Raises:
        InputError: There is no item; the statistics alone are written. Where an item raises, nothing is.
    """
    path, shown = folder / "dma.parquet", dict[int, Item]()
    with _disk.table(SCHEMA, path, _NOTHING) as add_row, _disk.chat(folder, _NOTHING) as add_turn:
        for item in _drawing(items, shown, seed):
            add_row(item)
            add_turn(item.image, item.prompt, item.reply)
        write_statistics(statistics, folder / "statistics.json")
    return path, folder / "chat.json", write_whole(folder / "contact.png", contact_sheet(list(shown.values())))


def _drawing(items: Iterable[Item], drawn: dict[int, Item], seed: int, limit: int = 12) -> Iterator[Item]:
    """The items as they come. `drawn` (number → item) holds `limit` of those that came, each as likely, in order."""
    rng = np.random.default_rng(seed)
    for number, item in enumerate(items):
        if number >= limit and (place := rng.integers(number + 1)) < limit:
            del drawn[list(drawn)[place]]
        if len(drawn) < limit:
            drawn[number] = item
        yield item


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


def write_chat(items: Iterable[Item], folder: Path) -> Path:
    """`folder/chat.json` and its pictures; see `_disk.write_chat`.

    Args:
        items: What was built.
        folder: The folder to write into.

    Raises:
        InputError: For no items.
    """
    return _disk.write_chat(((i.image, i.prompt, i.reply) for i in items), folder, _NOTHING)


def write_statistics(statistics: Statistics, path: Path) -> Path:
    """What went in, came out and was left out, as JSON.

    Args:
        statistics: Is filled with what was left out, and why.
        path: Of the file.
    """
    return write_whole(path, json.dumps(statistics.as_dict(), ensure_ascii=False, indent=1).encode())


# ---------------------------------------------------------------------------------------------------- a look at them

_INK, _PAPER, _YELLOW = (16, 18, 20), (255, 255, 255), (255, 214, 10)


def contact_sheet(items: Sequence[Item], *, limit: int = 12, columns: int = 4, side: int = 240) -> bytes:
    """Items, evenly taken, with their boxes drawn, named, and their texts below.

    It shows faces: of photographs of people it is for the eyes of whoever may see them.

    Args:
        items: To take from.
        limit: So many at most.
        columns: Of the sheet.
        side: Of each picture, pixels.

    Returns:
        A PNG.

    Raises:
        InputError: There are no items.
    """
    if not items:
        raise InputError(_NOTHING)
    shown = [items[int((i + 0.5) * len(items) / limit)] for i in range(limit)] if len(items) > limit else list(items)
    lines, step, font = 7, 13, ImageFont.load_default(11)
    height = side + lines * step + 6
    sheet = Image.new("RGB", (columns * side, math.ceil(len(shown) / columns) * height), _INK)
    draw = ImageDraw.Draw(sheet)
    for number, item in enumerate(shown):
        left, top = number % columns * side, number // columns * height
        picture = Image.fromarray(media.read(item.image, name=item.file).frame.pixels)
        scale = side / max(picture.size)
        sheet.paste(picture.resize([max(1, round(v * scale)) for v in picture.size]), (left, top))
        for name, box in zip(item.regions, item.boxes, strict=True):
            if box is None:
                continue
            x1, y1, x2, y2 = (round(v * scale) for v in box)
            place = (left + x1, top + y1, left + max(x1 + 1, x2 - 1), top + max(y1 + 1, y2 - 1))
            draw.rectangle(place, outline=_YELLOW)
            draw.text(place[:2], regions.title(name), _YELLOW, font, stroke_width=1, stroke_fill=_INK)
        wrapped = textwrap.wrap(_typed(f"{item.label}: {item.text}"), side // 6)
        for row, line in enumerate(wrapped[:lines]):
            draw.text((left + 4, top + side + 2 + row * step), line, _PAPER, font)
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def _typed(text: str) -> str:
    """Text in the letters that Pillow's own font has."""
    return text.encode("ascii", "replace").decode("ascii")


# --------------------------------------------------------------------------------------------------------- by command
