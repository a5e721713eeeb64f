"""FaceForensics++: 1,000 talking people from YouTube, and each of them forged by five methods.

Paper: Rössler, Cozzolino, Verdoliva, Riess, Thies, Nießner, FaceForensics++: Learning to Detect Manipulated Facial
Images, ICCV 2019; FaceShifter: Li, Bao, Yang, Chen, Wen, CVPR 2020. Licence: FaceForensics terms of use, non-commercial
research and education. How to obtain: the form linked in github.com/ondyari/FaceForensics, which sends a script.

    ROOT/original_sequences/youtube/{raw,c23,c40}/videos/000.mp4
    ROOT/manipulated_sequences/METHOD/{raw,c23,c40}/videos/000_003.mp4     target 000 with the face or motion of 003
    ROOT/manipulated_sequences/METHOD/masks/videos/000_003.mp4             not for FaceShifter
    ROOT/splits/{train,val,test}.json                                      [["953", "974"], …]; also in ROOT

METHOD is Deepfakes, Face2Face, FaceSwap, NeuralTextures or FaceShifter; DeepFakeDetection, which the same script
brings, is the dataset `dfd`. Extracted frames are read from frames/000_003/ or images/000_003/ beside `videos`, and
their masks from pictures of the same name in masks/frames/, masks/images/, masks/ or {raw,c23,c40}/masks/. The upper
folders and the splits (720/140/140 in pairs) are documented in that repository (dataset/README.md, dataset/splits/),
from which the splits are copied by hand; the folders in them, and that FaceShifter has no masks, after DeepfakeBench
(preprocessing/rearrange.py) and other public readers.

A pair of the split was swapped both ways, so it is the group, and no split shares a sequence. The 1,000 sequences come
from 977 videos: whether two of one video are in different splits was not checked. That target comes before source in a
name, and what the colours of a mask mean, is not documented there: a mask is what is clearly brighter than black.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from facewitness.datasets._disk import (
    Tell,
    folder,
    joined,
    not_empty,
    of_video,
    read_json,
    silent,
    sources,
    wanted,
    with_masks,
)
from facewitness.errors import InputError
from facewitness.types import Sample, Truth

SPLITS = ("train", "val", "test")
NAME = "FaceForensics++"

_KIND_OF = {
    "Deepfakes": "identity_exchange",
    "Face2Face": "attribute_manipulation",
    "FaceSwap": "identity_exchange",
    "NeuralTextures": "attribute_manipulation",
    "FaceShifter": "identity_exchange",
}
_PRISTINE = Truth("real", "pristine", "pristine", regions=frozenset())
_COMPRESSIONS = ("raw", "c23", "c40")


def samples(root: str | Path, split: str | None = None, *, frames: int = 32, tell: Tell = silent) -> Iterator[Sample]:
    """The pristine videos, then a method after the other, in every compression that is there.

    `frames` evenly spaced ones of each video; 0 gives one sample for the whole of it. Tells of absent parts and videos.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        frames: How many evenly spaced frames of each video; 0 for one sample a video.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, ("original_sequences/youtube", "manipulated_sequences/*"), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, frames, tell), NAME, split, root)


def _samples(root: Path, split: str | None, frames: int, tell: Tell) -> Iterator[Sample]:
    pairs = _pairs(root)
    group = joined(pair for listed in pairs.values() for pair in listed)
    ids = {each: [(x, x) for pair in listed for x in pair] for each, listed in pairs.items()}
    swaps = {each: [(f"{x}_{y}", x) for a, b in p for x, y in ((a, b), (b, a))] for each, p in pairs.items()}
    for method in ("pristine", *_KIND_OF):
        real = method == "pristine"
        place = root / "original_sequences" / "youtube" if real else root / "manipulated_sequences" / method
        there = [c for c in _COMPRESSIONS if (place / c).is_dir()]
        if not there:
            tell(f"{NAME}: {place} holds none of {', '.join(_COMPRESSIONS)}; download it, or read the table without it")
        masks = {} if real else sources(place / "masks")
        for compression in there:
            clips = sources(place / compression)
            pristine = sources(root / "original_sequences" / "youtube" / compression)
            listed = ids if real else swaps
            _unlisted(place / compression, clips, listed, tell)
            for each in SPLITS:
                for name, target in listed[each] if split in (None, each) else ():
                    if name not in clips:
                        tell(f"{NAME}: {name} of the split '{each}' is not in {place / compression}; download it again")
                        continue
                    origin = None if real else pristine.get(target)
                    made = of_video(
                        root,
                        clips[name],
                        _PRISTINE if real else Truth("fake", method, _KIND_OF[method]),
                        dataset=NAME,
                        split=each,
                        group=group[target],
                        frames=frames,
                        tell=tell,
                        compression=compression,
                        original=origin.relative_to(root).as_posix() if origin else None,
                        name=name,
                    )
                    places = [place / "masks" / name, place / compression / "masks" / name, masks.get(name)]
                    yield from made if real else with_masks(made, places)


def _pairs(root: Path) -> dict[str, list[tuple[str, str]]]:
    """The official pairs of every split. Raises InputError where a file is absent, odd, or two splits share an id."""
    pairs: dict[str, list[tuple[str, str]]] = {}
    seen: dict[str, str] = {}
    for each in SPLITS:
        places = (root / "splits" / f"{each}.json", root / f"{each}.json", root / "dataset" / "splits" / f"{each}.json")
        table = next((p for p in places if p.is_file()), None)
        if table is None:
            raise InputError(
                f"{NAME}: expected the official split {places[0]}, which does not exist; copy dataset/splits/ of "
                f"github.com/ondyari/FaceForensics to {root / 'splits'}"
            )
        content = read_json(table, NAME)
        if not isinstance(content, list) or not all(
            isinstance(p, list) and len(p) == 2 and all(isinstance(x, str) and re.fullmatch(r"\d{3}", x) for x in p)
            for p in content
        ):
            raise InputError(f'{NAME}: {table}: expected pairs of ids such as ["953", "974"]; download it again')
        for x in (x for pair in content for x in pair):
            if x in seen:
                raise InputError(f"{NAME}: {table}: {x} is already in the split '{seen[x]}'; download the splits again")
            seen[x] = each
        pairs[each] = [(a, b) for a, b in content]
    return pairs


def _unlisted(place: Path, clips: dict[str, Path], listed: dict[str, list[tuple[str, str]]], tell: Tell) -> None:
    known = {name for names in listed.values() for name, _ in names}
    odd = [name for name in clips if name not in known]
    if odd:
        tell(f"{NAME}: {place} holds {len(odd)} videos that no split lists ({', '.join(odd[:3])}…); they are left out")
