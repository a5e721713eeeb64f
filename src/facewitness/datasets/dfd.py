"""DFD, the DeepFakeDetection set of Google and Jigsaw: 28 paid actors in staged scenes, swapped with one another.

Source: Dufour, Gully, Contributing Data to Deepfake Detection Research, Google AI blog, 2019; more than 3,000 fake
videos. Licence: FaceForensics terms of use, non-commercial research. How to obtain: the script of FaceForensics++ (the
form linked in github.com/ondyari/FaceForensics); it lies in the same tree.

    ROOT/original_sequences/actors/{raw,c23,c40}/videos/01__hugging_happy.mp4
    ROOT/manipulated_sequences/DeepFakeDetection/{raw,c23,c40}/videos/01_02__hugging_happy__YVGY8LOK.mp4
    ROOT/manipulated_sequences/DeepFakeDetection/masks/videos/01_02__hugging_happy__YVGY8LOK.mp4

Documented in that repository (README.md, dataset/DeepFakeDetection/README.md); names after public readers. Extracted
frames are read from frames/NAME/ or images/NAME/ beside `videos`, their masks from masks/ or {raw,c23,c40}/masks/.

There is no official split: everything is `all`. That the first number is the actor who was filmed and the second the
face put in follows FaceForensics++ and is not documented for this set; the group is the first. Every actor is filmed
and put in, so groups hold out a scene's actor, not a face.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from facewitness.datasets._disk import Tell, folder, not_empty, of_video, silent, sources, wanted, with_masks
from facewitness.types import Sample, Truth

SPLITS = ("all",)
NAME = "DFD"

_REAL, _FAKE = "original_sequences/actors", "manipulated_sequences/DeepFakeDetection"
_COMPRESSIONS = ("raw", "c23", "c40")
_PRISTINE = Truth("real", "pristine", "pristine", regions=frozenset())
_SWAP = Truth("fake", "DeepFakeDetection", "identity_exchange")


def samples(root: str | Path, split: str | None = None, *, frames: int = 32, tell: Tell = silent) -> Iterator[Sample]:
    """The real videos, then the fake ones, in every compression that is there. Tells of absent parts.

    `frames` evenly spaced ones of each video; 0 gives one sample for the whole of it.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        frames: How many evenly spaced frames of each video; 0 for one sample a video.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, (_REAL, _FAKE), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, frames, tell), NAME, split, root)


def _samples(root: Path, frames: int, tell: Tell) -> Iterator[Sample]:
    for place, truth in ((root / _REAL, _PRISTINE), (root / _FAKE, _SWAP)):
        there = {c: sources(place / c) for c in _COMPRESSIONS if (place / c).is_dir()}
        if not any(there.values()):
            tell(f"{NAME}: {place} holds no video in {', '.join(_COMPRESSIONS)}; download it")
        masks = sources(place / "masks")
        for compression, clips in there.items():
            pristine = sources(root / _REAL / compression) if truth is _SWAP else {}
            for name, video in clips.items():
                swap = re.fullmatch(r"(\d+)_\d+__(.+)__[A-Z0-9]+", name)
                origin = pristine.get(f"{swap[1]}__{swap[2]}") if swap else None
                made = of_video(
                    root,
                    video,
                    truth,
                    dataset=NAME,
                    split="all",
                    group=name.partition("_")[0],
                    frames=frames,
                    tell=tell,
                    compression=compression,
                    original=origin.relative_to(root).as_posix() if origin else None,
                    name=name,
                )
                places = [place / "masks" / name, place / compression / "masks" / name, masks.get(name)]
                yield from with_masks(made, places) if truth is _SWAP else made
