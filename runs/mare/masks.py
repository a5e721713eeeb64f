"""Makes DMA data of the pool's own forgeries, by their difference from the pictures that they were made of.

    python runs/mare/masks.py PACK --split train --out OUT [--pictures 250] [--sources dfdc ffpp_c23 deepfacelive]

PACK is of `facewitness build pack`; OUT gets what `facewitness build dma` writes: dma.parquet, chat.json, statistics.
Of each source so many forged pictures are taken whose pristine one lines up with them (`builders/difference`), and as
many genuine ones. Faces are cropped as the witness crops them, and each is asked about as a whole and about two parts
of the face, in the words that DD-VQA asks in.

A part is fake where the mask covers a third of one of its regions. Of a whole face the regions are named that were
changed most, four at most: a swap's mask covers nearly all of them, so they are ranked by how many grey levels they
differ on average, and those are named that differ at least two thirds as much as the first, in MARE's order. Nothing
else is claimed.
Parts of a forged face that were left alone are not asked about: DMA has no answer that calls a fake's part real.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, plugins, regions
from facewitness.apps.script import script
from facewitness.builders import difference, dma
from facewitness.builders.pack import Pack
from facewitness.errors import InputError
from facewitness.phrases import capital, the_regions
from facewitness.types import Landmarks, Sample, Truth
from facewitness.witnesses.mare import MARGIN

SOURCES = ("dfdc", "ffpp_c23", "deepfacelive")  # of the pool, those whose forgeries stand beside their pristine frame
WHOLE = "Does the image looks real/fake?"  # as DD-VQA has it
PARTS = {
    "Do the person's eyes look real/fake?": ("eyes", "look", ("left_eye", "right_eye")),
    "Do the person's eyebrows look real/fake?": ("eyebrows", "look", ("left_eyebrow", "right_eyebrow")),
    "Does the person's nose look real/fake?": ("nose", "looks", ("nose",)),
    "Does the person's mouth look real/fake?": ("mouth", "looks", ("mouth",)),
    "Does the person's skin look real/fake?": ("skin", "looks", ("skin",)),
}
ASKED = 2  # parts of each picture
COVERED = 1 / 3  # of a region, from which on the mask has it
FEW, NEARLY = 4, 2 / 3  # regions that are named at most, and how much of the first one's change they have
SMALLEST = 20  # pixels of a region that is looked at
SIZE = 224  # of a crop, pixels, as DD-VQA's pictures are

MOST = (
    "{Places} {was} changed most.",
    "The most was changed at {places}.",
    "{Places} {differs} most from the photograph that it was made of.",
)
GENUINE = (
    "All parts of the face belong to one photograph.",
    "Nothing in the face was changed after it was photographed.",
)


def changes(
    mask: NDArray[np.float32], levels: NDArray[np.float32], points: Landmarks
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """MARE's regions that a mask covers, and those of them that were changed most; both in MARE's order.

    Args:
        mask: where the picture was changed, (H, W) in [0, 1].
        levels: by how many grey levels, (H, W).
        points: landmarks in pixels of the picture.
    """
    differ: dict[str, float] = {}
    for name in regions.MARE:
        inside = geometry.fill(regions.polygons(name, points), *mask.shape)
        if inside.sum() >= SMALLEST and float(mask[inside].mean()) >= COVERED:
            differ[name] = float(levels[inside].mean())
    ranked = sorted(differ, key=lambda name: -differ[name])
    most = [name for name in ranked if differ[name] >= NEARLY * differ[ranked[0]]][:FEW]
    return tuple(differ), tuple(name for name in differ if name in most)


def answers(covered: Sequence[str] | None, most: Sequence[str], rng: np.random.Generator) -> dict[str, tuple[str]]:
    """Question → what is true of the picture, of the whole and of two parts.

    Args:
        covered: regions that a forgery changed; None of a genuine picture.
        most: those that were changed most.
        rng: draws the parts and the words.
    """
    if covered is None:
        said = {WHOLE: (f"The image looks real. {rng.choice(GENUINE)}",)}
    else:
        many = len(most) > 1 or "teeth" in most
        verbs = {"was": "were", "differs": "differ"} if many else {"was": "was", "differs": "differs"}
        places = the_regions(most)
        words = str(rng.choice(MOST)).format(places=places, Places=capital(places), **verbs)
        said = {WHOLE: (f"The image looks fake. {words}",)}
    open_to = [q for q, (_, _, names) in PARTS.items() if covered is None or set(names) & set(covered)]
    for question in rng.permutation(np.array(open_to, object))[:ASKED]:
        part, look, names = PARTS[question]
        text = f"The person's {part} {look} {'real' if covered is None else 'fake'}."
        if covered is not None:
            places = the_regions([name for name in names if name in covered])
            text += f" {capital(places)} {'were' if ' and ' in places else 'was'} changed."
        said[question] = (text,)
    return said


def samples(data: Pack, split: str, sources: Sequence[str], pictures: int, seed: int = 0) -> Iterator[Sample]:
    """Forged pictures that line up with their pristine ones, and as many genuine ones, of each source.

    Args:
        data: the pack.
        split: of the pack.
        sources: names in it.
        pictures: of each source and label at most.
        seed: draws pictures and words.

    Raises:
        InputError: A source has no forgery beside its pristine picture.
    """
    at = {(row["source"], row["file"]): i for i, row in enumerate(data.rows)}
    for source in sources:
        there = [i for i in data.indices(split, [source]) if data.landmarks(i) is not None]
        drawn = [there[i] for i in np.random.default_rng((seed, zlib.crc32(source.encode()))).permutation(len(there))]
        paired = [i for i in drawn if data.rows[i]["label"] == "fake" and (source, data.rows[i]["original"]) in at]
        if not paired:
            raise InputError(f"masks: expected forgeries of '{source}' beside their pristine pictures, got none")
        forged = 0
        for i in paired:
            made = _forged(data, i, at[source, data.rows[i]["original"]], split, seed) if forged < pictures else None
            forged += made is not None
            if made is not None:
                yield made
        for i in [i for i in drawn if data.rows[i]["label"] == "real"][:forged]:
            yield _sample(data, i, split, Truth("real", questions=answers(None, (), _rng(data, i, seed))))


def _forged(data: Pack, i: int, original: int, split: str, seed: int) -> Sample | None:
    fake, pristine, points = data.pixels(i), data.pixels(original), data.landmarks(i)
    if fake.shape != pristine.shape or points is None:
        return None
    compared = difference.compare(fake, pristine)
    covered, most = changes(compared.mask, difference.amount(fake, pristine), points)
    if not compared.aligned or not most:
        return None
    truth = Truth(
        "fake", data.rows[i]["method"], data.rows[i]["kind"], mask=compared.mask, regions=frozenset(covered),
        questions=answers(covered, most, _rng(data, i, seed)),
    )  # fmt: skip
    return _sample(data, i, split, truth)


def _rng(data: Pack, i: int, seed: int) -> np.random.Generator:
    return np.random.default_rng((seed, zlib.crc32(f"{data.rows[i]['source']}/{data.rows[i]['file']}".encode())))


def _sample(data: Pack, i: int, split: str, truth: Truth) -> Sample:
    row = data.rows[i]
    name = f"{row['source']}/{row['file']}"
    return Sample(name, truth, split, f"{row['source']}/{row['group']}", row["source"], image=data.encoded(i))


def main(arguments: Sequence[str] | None = None) -> None:
    """Build, and say what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--sources", nargs="+", default=list(SOURCES))
    parser.add_argument("--pictures", type=int, default=250, metavar="N", help="of each source and label")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    given = parser.parse_args(arguments)
    counts = dma.Statistics()
    shown = samples(Pack(given.pack), given.split, given.sources, given.pictures, given.seed)
    finder = plugins.get("finders", "facemesh").load()
    made = dma.build(shown, finder, size=SIZE, margin=MARGIN, seed=given.seed, statistics=counts)
    table, *_ = dma.write_all(made, counts, given.out, given.seed)
    left = ", ".join(f"{count} {reason}" for reason, count in counts.left_out.most_common()) or "nothing"
    print(f"{sum(counts.items.values())} items of {counts.samples} pictures: {table}. Left out: {left}")


if __name__ == "__main__":
    script(main)
