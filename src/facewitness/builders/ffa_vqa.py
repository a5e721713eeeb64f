"""FFAA's data: faces of all kinds of forgery, each with an analysis in its chain of thought, asked in many wordings.

    facewitness build ffa_vqa pack PACK --out OUT --split train --count 1200        from what is known, no server
    facewitness build ffa_vqa faceforensics FF++ --out OUT --annotator openai --option openai.model=gpt-4o …

Huang et al., "FFAA: Multimodal Large Language Model based Explainable Open-World Face Forgery Analysis Assistant",
section "Dataset" and appendix A. Pictures are crops of 224 px, in the shares of Multi-attack (`MULTI_ATTACK`) or of
FFA-VQA (`FFA_VQA`). An annotator gets a system prompt of four parts (role, forgery types, chain of thought,
requirements), a prompt that says what is known of the picture, and the original or a mask as reference; what it writes
is checked (`check`: format, language, result, probability, each refusal counted), and people may look at it
(`builders/review`). Ten wordings of one question are dealt out; a third of the conversations supposes the truth instead
("Fine-tuning MLLM with Hypothetical Prompts").

Without a server `Evidence` writes the answer from what is known to be true: who forged what and where (operation, mask
by difference), what of the picture can be measured (`portrait`), and what its dataset knows of the person. It sees no
more than that, and says no more.

Where the paper is silent
    low probability   under 0.6
    Table 4           its lines lost their names in the text at hand; of 25K, 18K and 24K fakes we take attribute
                      manipulation, entire synthesis and identity exchange, the order of the next paragraph there
    the wordings      ours, as are all prompts; the paper's are in a figure
    misleading        a share of hypotheses that are wrong, with the true answer; published is none
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facewitness import geometry, media, phrases, plugins, portrait, regions
from facewitness.builders import _disk, annotate, difference, dma, review
from facewitness.builders.pack import Pack
from facewitness.errors import FacewitnessError, InputError, UnknownName
from facewitness.files import write_whole
from facewitness.film import Frames
from facewitness.grammars import ffa_cot
from facewitness.types import KINDS, Landmarks, Pixels, Sample

SIZE = 224  # pixels: "uniformly resized them to 224x224"
MARGIN = 1.3  # side of a crop over the mesh's longer side; dlib's boxes, which the paper crops by, are about as wide
LEAST_PROBABILITY = 0.6
# "Data Sources" (Table 4) and "Data Source Composition for FFA-VQA", pictures by kind
MULTI_ATTACK = {
    "pristine": 27_000, "attribute_manipulation": 25_000, "entire_synthesis": 18_000, "identity_exchange": 24_000,
}  # fmt: skip
FFA_VQA = {
    "pristine": 8_073, "attribute_manipulation": 4_014, "entire_synthesis": 4_025, "identity_exchange": 4_030,
}  # fmt: skip
SHARES = {"multi_attack": MULTI_ATTACK, "ffa_vqa": FFA_VQA}
PARTS = ("R", "DR", "FR", "all")  # what of an answer is taught: the columns of the paper's Figure 3

QUESTIONS = (
    "This image shows somebody's face. Is the face genuine or forged, and what tells you?",
    "Look at this human face. Was it photographed as it is, or has it been manipulated? Give your reasons.",
    "Is the face in this picture real or fake? Explain how you come to that.",
    "A human face is shown here. Decide whether it is authentic, and say on which observations you rest that.",
    "Would you trust this face? Say whether it is real or fake and why.",
    "Examine the face in the image: original or forgery? Justify the answer.",
    "Can this face be taken for a genuine photograph, or was it altered or generated? Argue your case.",
    "Please judge the authenticity of the face that you see, and describe what led you there.",
    "Here is a portrait. Real person or fabricated face? What speaks for it?",
    "Tell me whether this human face is a fake, with the evidence that you find in the picture.",
)
HYPOTHESIS = "This is a {label} human face. What evidence do you have?"  # the paper's hypothetical prompt

SYSTEM = """You are an expert in the forensic examination of photographs of faces. You are shown one face and asked \
whether it is genuine or forged; your analysis will teach others to look.

Forgery types. Identity exchange: the face was replaced by that of another person. Facial attribute manipulation: the \
person stays, but an attribute of the face, its expression included, was changed. Entire face synthesis: the face was \
made by a generator, and no such person was photographed.

Work in this order. First describe the image: the person, the expression, the pose, the light, how sharp and how large \
the face is, and what is around it. Then reason about a forgery: go over skin, eyes, brows, nose, mouth, teeth, hair, \
outline and light, and say what fits a photograph and what does not. Only then give the result, with your probability \
for it and the type.

Requirements. Write English, without Markdown and without line breaks inside a field. Say "left" and "right" as the \
person in the picture would. Never mention that you were told the answer, a mask or a reference. Name only what can be \
seen in the target image. Answer in exactly these five lines:
Image description: …
Forgery reasoning: …
Analysis result: real or fake
Probability: a number from 0.5 to 1
Forgery type: Real, Identity exchange, Facial attribute manipulation, or Entire face synthesis"""

_TOLD = {
    "pristine": "The face in the target image is genuine: it was photographed, and nothing in it was changed.",
    "identity_exchange": "The face in the target image is fake: it was exchanged for another person's{by}.",
    "attribute_manipulation": "The face in the target image is fake: attributes of it were manipulated{by}.",
    "entire_synthesis": "The face in the target image is fake: a generator made it as a whole{by}.",
    None: "The face in the target image is fake{by}; which type is not known, so judge the type by what you see.",
}
_REFERENCES = {
    "original": " The second image is the original, before the forgery: compare, and describe only the target.",
    "mask": " The second image is a mask: white where the target was changed. Describe what you see there.",
    "": "",
}
_REFUSING = ("i'm sorry", "i am sorry", "i cannot", "i can't", "i'm unable", "i am unable", "as an ai", "i won't")


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One face, as the builder works on it.

    Attributes:
        file: Its name in the dataset.
        pixels: RGB uint8 (224, 224, 3), the upright crop.
        points: The mesh on the crop (468, 2).
        frame, mesh: The whole picture and the mesh on it, for what is measured.
        reference: The same crop of the original, where there is one; changed   where they differ, float32 in [0, 1].
        known: What the dataset knows of the person: "age", "wears".
    """

    file: str
    label: Literal["real", "fake"]
    kind: str | None
    method: str | None
    group: str
    split: str
    dataset: str
    pixels: Pixels
    points: Landmarks
    frame: Pixels
    mesh: Landmarks
    reference: Pixels | None = None
    changed: NDArray[np.float32] | None = None
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.dataset}/{self.file}"


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One question and answer about one picture: a row of the table."""

    file: str
    image: bytes
    mask: bytes | None
    label: str
    kind: str | None
    method: str | None
    group: str
    split: str
    dataset: str
    question: str
    hypothesis: str | None  # what the question supposes
    answer: str
    annotator: str


SCHEMA = pa.schema(
    [
        ("file", pa.string()), ("image", pa.binary()), ("mask", pa.binary()), ("label", pa.string()),
        ("kind", pa.string()), ("method", pa.string()), ("group", pa.string()), ("split", pa.string()),
        ("dataset", pa.string()), ("question", pa.string()), ("hypothesis", pa.string()), ("answer", pa.string()),
        ("annotator", pa.string()),
    ]
)  # fmt: skip
_NOTHING = "ffa_vqa: expected at least one answer that can stand, got none"


# ---------------------------------------------------------------------------------------------------- the pictures


def of_pack(pack: Pack, split: str, sources: Sequence[str] = (), tell: Callable[[str], Any] = print) -> Pictures:
    """The faces of a pack's split; without sources, of all.

    Args:
        pack: The pack.
        split: Which split of the pack: "train", "val" or "test".
        sources: Of the pack; none for all.
        tell: Is called with each sentence that the user should read.

    Raises:
        UnknownName: For a source that the pack has not.
    """
    known = {row["source"] for row in pack.rows}
    for name in sources:
        if name not in known:
            raise UnknownName("source", name, known)
    by_file = {(row["source"], row["file"]): i for i, row in enumerate(pack.rows)}
    rows = [i for i in pack.indices(split, sources or known) if pack.landmarks(i) is not None]

    def make(i: int) -> Picture:
        row, mesh = pack.rows[i], pack.landmarks(i)
        assert mesh is not None
        original = by_file.get((row["source"], row["original"])) if row["label"] == "fake" else None
        parsing = pack.parsing(i)
        return _picture(
            row["file"], row["label"], row["kind"], row["method"], row["group"], row["split"], row["source"],
            pack.pixels(i), mesh, None if original is None else pack.pixels(original),
            _known(row["source"], row["file"], parsing),
        )  # fmt: skip

    heads = [(f"{pack.rows[i]['source']}/{pack.rows[i]['file']}", pack.rows[i]["kind"]) for i in rows]
    return Pictures(heads, lambda number: make(rows[number]), tell)


def of_samples(
    samples: Iterable[Sample], finder: Any, root: Path | None, tell: Callable[[str], Any] = print
) -> Pictures:
    """The faces of a dataset, each picture's largest; one without a mesh is told of when its turn comes.

    Args:
        samples: Of a dataset.
        finder: Finds faces with a mesh.
        root: Where the samples' files lie.
        tell: Is called with each sentence that the user should read.
    """
    listed = list(samples)
    by_file = {sample.file: sample for sample in listed}
    video = Frames()

    def frame(sample: Sample) -> Pixels:
        if sample.frame is not None:
            return video.frame((root or Path()) / sample.file, sample.frame)
        source = sample.image if sample.image is not None else (root or Path()) / sample.file
        return media.read(source, name=sample.file).frame.pixels

    def make(number: int) -> Picture | None:
        sample = listed[number]
        pixels = frame(sample)
        faces = [face for face in finder.find(media.read(pixels).frame) if face.landmarks is not None]
        if not faces:
            tell(f"{sample.file}: no face with a mesh was found; it is left out")
            return None
        best = max(faces, key=lambda f: (f.box[2] - f.box[0]) * (f.box[3] - f.box[1]))
        other = by_file.get(sample.original or "")
        return _picture(
            sample.file, sample.truth.label, sample.truth.kind, sample.truth.method, sample.group, sample.split,
            sample.dataset, pixels, np.asarray(best.landmarks)[:, :2], None if other is None else frame(other),
            _known(sample.dataset, sample.file, None),
        )  # fmt: skip

    heads = [(f"{sample.dataset}/{sample.file}", sample.truth.kind) for sample in listed]
    return Pictures(heads, make, tell)


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Pictures that are opened when asked for: (name, kind) of each, and how to open one."""

    heads: Sequence[tuple[str, str | None]]
    open: Callable[[int], Picture | None]
    tell: Callable[[str], Any] = print

    def chosen(
        self, count: int | None = None, shares: Mapping[str, int] | None = None, seed: int = 0
    ) -> Iterator[Picture]:
        """So many of them, in the shares of the kinds; all without a count.

        A kind of which there is too little gives what it has, and is told of. The order is that of a hash of the names
        and the seed, so a larger count holds the smaller one.

        Args:
            count: How many; None for all.
            shares: Kind → its share.
            seed: What everything is drawn from.
        """
        order = sorted(range(len(self.heads)), key=lambda i: zlib.crc32(f"{seed} {self.heads[i][0]}".encode()))
        wanted = _counts(count, shares)
        taken: Counter[str] = Counter()
        for number in order:
            kind = self.heads[number][1] or "unknown"
            if wanted is not None and taken[kind] >= wanted.get(kind, 0):
                continue
            try:
                picture = self.open(number)
            except FacewitnessError as error:
                self.tell(f"{self.heads[number][0]}: {error}")
                continue
            if picture is not None:
                taken[kind] += 1
                yield picture
        for kind, number in (wanted or {}).items():
            if taken[kind] < number:
                self.tell(f"{kind}: {number} pictures were asked for, and there are {taken[kind]}")


def _counts(count: int | None, shares: Mapping[str, int] | None) -> dict[str, int] | None:
    """How many of each kind, by the largest remainders."""
    if shares is None and count is None:
        return None
    shares = dict(shares or FFA_VQA)
    total = sum(shares.values())
    count = total if count is None else count
    exact = {kind: count * share / total for kind, share in shares.items()}
    whole = {kind: int(value) for kind, value in exact.items()}
    for kind in sorted(exact, key=lambda k: whole[k] - exact[k])[: count - sum(whole.values())]:
        whole[kind] += 1
    return whole


def _picture(
    file: str, label: Any, kind: str | None, method: str | None, group: str, split: str, dataset: str,
    frame: Pixels, mesh: Landmarks, original: Pixels | None, known: Mapping[str, str],
) -> Picture:  # fmt: skip
    affine = geometry.align(mesh, SIZE, MARGIN)
    crop = np.asarray(geometry.crop(frame, affine, SIZE))
    reference = changed = None
    if label == "fake" and original is not None and original.shape == frame.shape:
        comparison = difference.compare(frame, original)
        if comparison.aligned:
            reference = np.asarray(geometry.crop(original, affine, SIZE))
            changed = np.asarray(geometry.crop(comparison.mask, affine, SIZE), np.float32)
    points = geometry.transform(affine, mesh)
    return Picture(
        file, label, kind, method, group, split, dataset, crop, points, frame, mesh, reference, changed, known
    )


def _known(dataset: str, file: str, parsing: NDArray[np.uint8] | None) -> dict[str, str]:
    """What a dataset knows of the person: UTKFace's age, and what CelebAMask-HQ's parsing shows them wearing."""
    known: dict[str, str] = {}
    age = Path(file).name.split("_")[0]
    if dataset == "utkface" and age.isdecimal():
        years = int(age)
        known["age"] = (
            "a small child" if years < 5 else "a child" if years < 13 else "a young person" if years < 20
            else "an adult" if years < 60 else "an elderly person"
        )  # fmt: skip
    if parsing is not None:
        names = (("eye_g", "glasses"), ("hat", "a hat"), ("ear_r", "earrings"), ("neck_l", "a necklace"))
        worn = [word for name, word in names if (parsing == regions.CELEBAMASK.index(name)).mean() > 0.002]
        if worn:
            known["wears"] = phrases.listed(worn)
    return known


# --------------------------------------------------------------------------------------------------- the annotators


def task(picture: Picture) -> annotate.Task:
    """What an annotator is asked about one picture: it is told the truth, and shown the original or the mask.

    Args:
        picture: One face with its truth.
    """
    by = f" ({picture.method})" if picture.method and picture.label == "fake" else ""
    pictures = [dma.png(picture.pixels)]
    shown = ""
    if picture.reference is not None:
        pictures.append(dma.png(picture.reference))
        shown = "original"
    elif picture.changed is not None:
        pictures.append(dma.png((picture.changed * 255).round().astype(np.uint8)))
        shown = "mask"
    truth = _TOLD[picture.kind if picture.label == "fake" else "pristine"].format(by=by)
    about = {"label": picture.label, "kind": picture.kind, "file": picture.key}
    return annotate.Task(
        picture.key, SYSTEM, f"The first image is the target. {truth}{_REFERENCES[shown]}", tuple(pictures), about
    )


def check(asked: annotate.Task, text: str) -> str:
    """Why an answer cannot stand, "reason: detail", by the names of `annotate.REASONS`; empty where it can.

    Args:
        asked: The request.
        text: The answer.
    """
    return refused(text, str(asked.about["label"]), asked.about.get("kind"))


def refused(text: str, label: str, kind: str | None) -> str:
    """`check` for a text and what is known of its picture.

    Args:
        text: The answer.
        label: What the picture is, "real" or "fake".
        kind: Which kind of forgery.
    """
    begun = text.strip().lower().replace("’", "'")
    answer = ffa_cot.read(text)
    if begun.startswith(_REFUSING) or (answer.result is None and any(word in begun[:200] for word in _REFUSING)):
        return "refused: it says that it will not"
    if not dma.is_english(text):
        return "another language: expected English"
    if answer.refusals:
        return f"format: {answer.refusals[0]}"
    if answer.result != label:
        return f"wrong result: expected {label}, got {answer.result}"
    if label == "fake" and kind in KINDS and answer.kind != kind:
        return f"wrong result: expected the type {ffa_cot.TYPES[kind]}, got {answer.kind}"
    if answer.probability is not None and answer.probability < LEAST_PROBABILITY:
        return f"low probability: expected at least {LEAST_PROBABILITY}, got {answer.probability:g}"
    return ""


def edit_refused(item: review.Item, content: Mapping[str, Any]) -> str:
    """Why a person's edit cannot stand; the same check as an annotator's answer.

    Args:
        item: One item.
        content: As the person left it.
    """
    text = content.get("text")
    if not isinstance(text, str):
        return "expected a text"
    return refused(text, str(item.about.get("label")), item.about.get("kind"))


class Evidence:
    """Writes an analysis from what is known and measured; every clause is true of the picture, and none is guessed.

    Which of the true clauses are said, and in which words, is drawn from the picture's name and `seed`.
    """

    name = "evidence/1"

    def __init__(self, seed: int = 0):
        self.seed = seed

    def write(self, picture: Picture) -> str:
        """The answer in FFAA's chain of thought.

        Args:
            picture: One face with its truth.
        """
        rng = np.random.default_rng((self.seed, zlib.crc32(picture.key.encode())))
        seen = portrait.measure(picture.frame, picture.mesh)
        reasons, probability = self._reasons(picture, seen, rng)
        return ffa_cot.write(
            self._description(picture, seen), " ".join(reasons), picture.label, probability,
            picture.kind if picture.kind in KINDS else None,
        )  # fmt: skip

    def _description(self, picture: Picture, seen: portrait.Portrait) -> str:
        who = picture.known.get("age", "a person")
        worn = f", wearing {picture.known['wears']}" if "wears" in picture.known else ""
        return f"The face of {who}, {', '.join(portrait.described(seen))}{worn}."

    def _reasons(self, picture: Picture, seen: portrait.Portrait, rng: np.random.Generator) -> tuple[list[str], float]:
        rim = abs(seen.seam) > portrait.SEAM
        if picture.label == "real":
            reasons = [str(rng.choice(_WHOLE))]
            reasons.append(_RIM_REAL if rim else _RIM_SAME)
            if seen.noise > portrait.NOISY:
                reasons.append("The noise is that of a camera: it lies over skin and surroundings alike.")
            return reasons, 0.95 if not rim else 0.9
        if picture.kind == "entire_synthesis":
            reasons = [str(rng.choice(_SYNTHETIC)), _RIM_NONE if not rim else _RIM_FAKE]
            if seen.noise < portrait.SMOOTH:
                reasons.append("The skin is smoother than photographs of this size have it.")
            return reasons, 0.95 if seen.noise < portrait.SMOOTH else 0.85
        named = changed_regions(picture)
        reasons = [str(rng.choice(_SWAPPED if picture.kind == "identity_exchange" else _EDITED))]
        if named:
            reasons.append(f"What does not belong is at {phrases.the_regions(named)}.")
        reasons += compared(picture)
        if rim:
            reasons.append(_RIM_FAKE)
        return reasons, 0.95 if len(reasons) > 2 else 0.8


_WHOLE = (
    "All parts of the face belong to one photograph.",
    "Eyes, nose, mouth and skin agree in light and sharpness with what surrounds them.",
    "Nothing in the face was changed after it was photographed.",
)
_SYNTHETIC = (
    "The face as a whole was made by a generator: no part of it was photographed.",
    "This is no photograph of a person; the whole face is synthetic.",
    "The entire face was generated, with its skin, eyes and outline at once.",
)
_SWAPPED = (
    "The face is that of somebody else, put over the person who was photographed.",
    "Another person's face was put in place of the original one.",
    "The identity was exchanged: the inner face comes from another source than its surroundings.",
)
_EDITED = (
    "The person was photographed, but features of the face were changed afterwards.",
    "An attribute of the face was manipulated while the rest stayed as it was.",
    "Features were altered after the photograph was taken.",
)
_RIM_SAME = "Noise and fine detail go on across the outline of the face."
_RIM_REAL = "Fine detail differs across the outline, as face and background do."
_RIM_FAKE = "Fine detail differs between the two sides of the outline."
_RIM_NONE = "There is no seam along the outline, since nothing was pasted."


def changed_regions(picture: Picture, least: float = 0.3, limit: int = 4) -> tuple[str, ...]:
    """MARE's regions that the mask covers by at least a share, the most covered first; none without a mask.

    Args:
        picture: One face with its truth.
        least: Share of the region that the mask has to cover.
        limit: How many regions at most.
    """
    if picture.changed is None:
        return ()
    covered: dict[str, float] = {}
    for name in regions.MARE:
        inside = geometry.fill(regions.polygons(name, picture.points), SIZE, SIZE)
        if inside.sum() >= 20:
            covered[name] = float(picture.changed[inside].mean())
    ranked = sorted(covered, key=lambda name: -covered[name])
    return tuple(name for name in ranked if covered[name] >= least)[:limit]


def compared(picture: Picture) -> list[str]:
    """What the forgery did to the changed places, against the original: sharpness, light and colour.

    Args:
        picture: One face with its truth.
    """
    if picture.reference is None or picture.changed is None or not (inside := picture.changed > 0.5).any():
        return []
    sentences = []
    fake, original = (_fine(pixels)[inside].mean() for pixels in (picture.pixels, picture.reference))
    ratio = float(np.log((fake + 0.5) / (original + 0.5)))
    if abs(ratio) > 0.12:
        sentences.append(
            f"Fine detail there is {'weaker' if ratio < 0 else 'stronger'} than in the rest of the picture."
        )
    means = [pixels[inside].astype(np.float64).mean(axis=0) for pixels in (picture.pixels, picture.reference)]
    shift = means[0] - means[1]
    if abs(shift.mean()) > 6:
        sentences.append(f"The skin there is {'lighter' if shift.mean() > 0 else 'darker'} than it should be.")
    elif np.abs(shift - shift.mean()).max() > 5:
        sentences.append("The colour of the skin there is off.")
    return sentences


def _fine(pixels: Pixels) -> NDArray[np.float32]:
    luma = pixels.astype(np.float32).mean(axis=2)
    down, across = np.abs(np.diff(luma, axis=0, append=luma[-1:])), np.abs(np.diff(luma, axis=1, append=luma[:, -1:]))
    return np.asarray(down + across, np.float32)


# ---------------------------------------------------------------------------------------------------- the questions


def reduced(answer: str, parts: str) -> str:
    """An answer of which only some parts are taught (Figure 3): R, DR, FR or all.

    Args:
        answer: The whole answer.
        parts: "R", "DR", "FR" or "all".

    Raises:
        UnknownName: For other parts.
    """
    if parts not in PARTS:
        raise UnknownName("parts of an answer", parts, PARTS)
    if parts == "all":
        return answer
    left_out = {"R": ffa_cot.FIELDS[:2], "DR": ffa_cot.FIELDS[1:2], "FR": ffa_cot.FIELDS[:1]}[parts]
    return "\n".join(line for line in answer.split("\n") if not line.startswith(tuple(f"{name}:" for name in left_out)))


def questions(
    pictures: Iterable[tuple[Picture, str, str]],
    hypothetical: float = 1 / 3,
    misleading: float = 0.0,
    parts: str = "all",
    seed: int = 0,
) -> Iterator[Item]:
    """Items of (picture, answer, annotator): one conversation a picture.

    Args:
        pictures: What was written about each.
        hypothetical: Share of the conversations whose question supposes an answer: "We randomly select one-third".
        misleading: Share of those that suppose the opposite of the truth, with the true answer; published is 0.
        parts: What of the answers is taught.
        seed: Which conversation gets which question.
    """
    if not (0 <= hypothetical <= 1 and 0 <= misleading <= 1):
        raise InputError(f"ffa_vqa: expected shares from 0 to 1, got {hypothetical} and {misleading}")
    for picture, answer, annotator in pictures:
        rng = np.random.default_rng((seed, 1, zlib.crc32(picture.key.encode())))
        draw, wrong, wording = rng.random(), rng.random(), int(rng.integers(len(QUESTIONS)))
        supposed: str | None = None
        if draw < hypothetical:
            opposite = "real" if picture.label == "fake" else "fake"
            supposed = opposite if wrong < misleading else picture.label
        question = QUESTIONS[wording] if supposed is None else HYPOTHESIS.format(label=supposed)
        mask = None if picture.changed is None else dma.png((picture.changed * 255).round().astype(np.uint8))
        yield Item(
            picture.key, dma.png(picture.pixels), mask, picture.label, picture.kind, picture.method, picture.group,
            picture.split, picture.dataset, question, supposed, reduced(answer, parts), annotator,
        )  # fmt: skip


def hypothetical_prompts(anchor: str) -> tuple[tuple[str, Literal["real", "fake"]], ...]:
    """The two further prompts after an anchor answer: the opposite hypothesis, then the same (as the authors' code).

    Args:
        anchor: The answer without a hypothesis, "real" or "fake".

    Returns:
        (prompt, hypothesis), twice.
    """
    same: Literal["real", "fake"] = "real" if anchor == "real" else "fake"
    other: Literal["real", "fake"] = "fake" if same == "real" else "real"
    return (HYPOTHESIS.format(label=other), other), (HYPOTHESIS.format(label=same), same)


# -------------------------------------------------------------------------------------------------------- on disk


def to_review(picture: Picture, answer: str, annotator: str) -> tuple[review.Item, dict[str, bytes]]:
    """What people are shown of one answer, and its pictures.

    Args:
        picture: One face with its truth.
        answer: The whole answer.
        annotator: Who wrote it.

    Returns:
        The item, and its pictures' bytes by name.
    """
    name = review.identity(picture.key, answer)
    files = {f"pictures/{name}-1.png": dma.png(picture.pixels)}
    if picture.reference is not None:
        files[f"pictures/{name}-2.png"] = dma.png(picture.reference)
    about = {"label": picture.label, "kind": picture.kind, "method": picture.method, "file": picture.key}
    return review.Item(name, "ffa_vqa", {"text": answer}, tuple(files), about, annotator), files


def write(items: Iterable[Item], out: Path) -> tuple[Path, dict[str, Any]]:
    """The table `out/ffa_vqa.parquet`, and what is in it, which stands beside it in statistics.json.

    Args:
        items: What was built.
        out: The folder to write into.

    Returns:
        Path of the table, and its statistics.
    """
    count: Counter[str] = Counter()
    words = 0
    with _disk.table(SCHEMA, out / "ffa_vqa.parquet", _NOTHING) as add:
        for item in items:
            add(item)
            count["items"] += 1
            count[f"kind {item.kind or 'unknown'}"] += 1
            count["hypothetical"] += item.hypothesis is not None
            count["misleading"] += item.hypothesis not in (None, item.label)
            words += len(item.answer.split())
    facts = dict(sorted(count.items())) | {"words_an_answer": round(words / count["items"], 1)}
    write_whole(out / "statistics.json", json.dumps(facts, indent=1).encode())
    return out / "ffa_vqa.parquet", facts


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of such a table but for their masks.

    Args:
        path: Of the file.

    Raises:
        InputError: The file is no such table.
    """
    return _disk.read_table(path, [name for name in SCHEMA.names if name != "mask"], "ffa_vqa")


def write_llava(items: Iterable[Item], out: Path) -> Path:
    """The same in LLaVA's format, which `datasets/ffa_vqa` reads: OUT/imgs and OUT/<name>.json.

    Args:
        items: What was built.
        out: The folder to write into.
    """
    entries, seen = list[dict[str, Any]](), dict[str, str]()
    for item in items:
        if item.file not in seen:
            seen[item.file] = f"{len(seen):06}.png"
            write_whole(out / "imgs" / seen[item.file], item.image)
        turns = [{"from": "human", "value": f"<image>\n{item.question}"}, {"from": "gpt", "value": item.answer}]
        entries.append({"id": f"{len(entries):06}", "image": f"imgs/{seen[item.file]}", "conversations": turns})
    if not entries:
        raise InputError(_NOTHING)
    return write_whole(out / f"{out.resolve().name}.json", json.dumps(entries, ensure_ascii=False, indent=1).encode())


@cache
def _finder(name: str) -> Any:
    return plugins.get("finders", name).load()


def by_command(dataset: str, root: Path, split: str | None, finder: str, tell: Callable[[str], Any]) -> Pictures:
    """The pictures of a dataset, or of a pack where `dataset` is "pack".

    Args:
        dataset: A leaf of datasets/, or "pack".
        root: Where the samples' files lie.
        split: Of the dataset; None for all.
        finder: Finds faces with a mesh.
        tell: Is called with each sentence that the user should read.
    """
    if dataset == "pack":
        return of_pack(Pack(root), split or "train", tell=tell)
    samples, below = _disk.samples_of(dataset, root, split, tell)
    return of_samples(samples, _finder(finder), below, tell)
