"""FFIW10K, Face Forensics in the Wild: videos of several people, of whom only some have been swapped.

Paper: Zhou, Wang, Liang, Shen, Face Forensics in the Wild, CVPR 2021. 10,000 fake videos. Licence: the authors' terms
of use, non-commercial research. How to obtain: the form linked in github.com/tfzhou/FFIW.

    ROOT/source/{train,val}/*.mp4         real
    ROOT/target/{train,val}/*.mp4         fake
    ROOT/target_mask/{train,val}/*.mp4    where the fake ones are forged

The folders are documented in that repository; that `source` is real and `target` is fake after a public reader of the
set. Names were not documented: a real video, its fake and its mask are taken to have one name (a fake without a real
video of its name has no original, and is its own group). Extracted frames are read from source/train/frames/NAME/.

A frame of a fake video also shows real people: a score of one face needs the mask to know which is meant. The group is
the name within its split; whether train and val share people is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facewitness.datasets._disk import Tell, folder, not_empty, of_video, silent, sources, wanted, with_masks
from facewitness.types import Sample, Truth

SPLITS = ("train", "val")
NAME = "FFIW10K"

_TRUTH_OF = {
    "source": Truth("real", "pristine", "pristine", regions=frozenset()),
    "target": Truth("fake", "FFIW10K", "identity_exchange"),
}


def samples(root: str | Path, split: str | None = None, *, frames: int = 32, tell: Tell = silent) -> Iterator[Sample]:
    """The real videos of a split, then its fake ones. Tells of absent folders and of fakes without mask or original.

    `frames` evenly spaced ones of each video; 0 gives one sample for the whole of it.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        frames: How many evenly spaced frames of each video; 0 for one sample a video.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, tuple(f"{side}/{each}" for side in _TRUTH_OF for each in SPLITS), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, frames, tell), NAME, split, root)


def _samples(root: Path, split: str | None, frames: int, tell: Tell) -> Iterator[Sample]:
    for each in SPLITS:
        if split not in (None, each):
            continue
        real, masks = sources(root / "source" / each), sources(root / "target_mask" / each)
        for side, truth in _TRUTH_OF.items():
            clips = sources(root / side / each)
            if not clips:
                tell(f"{NAME}: {root / side / each} holds no video; unpack it again")
            for what, there in (("mask", masks), ("real video", real)) if side == "target" else ():
                without = [name for name in clips if name not in there]
                if without:
                    tell(f"{NAME}: {len(without)} fakes in {root / side / each} have no {what} ({without[0]}, …)")
            for name, video in clips.items():
                origin = real.get(name) if side == "target" else None
                made = of_video(
                    root,
                    video,
                    truth,
                    dataset=NAME,
                    split=each,
                    group=f"{each}/{name}",
                    frames=frames,
                    tell=tell,
                    original=origin.relative_to(root).as_posix() if origin else None,
                    name=f"{each}/{name}",
                )
                yield from with_masks(made, [masks[name]]) if side == "target" and name in masks else made
