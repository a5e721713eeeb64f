"""DeeperForensics-1.0: actors' faces swapped into the videos of FaceForensics++ by DF-VAE, clean and disturbed.

Paper: Jiang, Li, Wu, Qian, Loy, DeeperForensics-1.0: A Large-Scale Dataset for Real-World Face Forgery Detection, CVPR
2020. 11 × 1,000 fake videos. Licence: the authors' terms of use, non-commercial research. How to obtain: the form
linked in github.com/EndlessSora/DeeperForensics-1.0.

    ROOT/manipulated_videos/end_to_end/000_M101.mp4      target 000 of FaceForensics++ with the face of actor M101
    ROOT/manipulated_videos/VARIANT/000_M101.mp4         the same, disturbed or made otherwise
    ROOT/lists/splits/{train,val,test}.txt               "000_M101.mp4"

Layout, names and splits are documented in that repository (dataset/README.md). VARIANT, here the `compression` of a
sample, is end_to_end, reenact_postprocess, end_to_end_level_1 to _5, end_to_end_random_level or
end_to_end_mix_2_distortions to _4_. Extracted frames are read from VARIANT/frames/000_M101/.

A set of fakes only. Its authors say that their recordings of actors (source_videos) are not its real part: that is the
pristine videos of FaceForensics++ (c23), which they may not hand on; measure the two together. The official split is by
actor, and so is the group. The targets of all its splits are those of FaceForensics++: a system trained there has seen
the scenes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from facewitness.datasets._disk import Tell, apart, folder, not_empty, of_video, read_lines, silent, sources, wanted
from facewitness.errors import InputError
from facewitness.types import Sample, Truth

SPLITS = ("train", "val", "test")
NAME = "DeeperForensics-1.0"

_VARIANTS = (
    "end_to_end",
    "reenact_postprocess",
    *(f"end_to_end_level_{level}" for level in range(1, 6)),
    "end_to_end_random_level",
    *(f"end_to_end_mix_{number}_distortions" for number in range(2, 5)),
)
_SWAP = Truth("fake", "DF-VAE", "identity_exchange")


def samples(root: str | Path, split: str | None = None, *, frames: int = 32, tell: Tell = silent) -> Iterator[Sample]:
    """The fake videos, a variant after the other. Tells of absent variants and of listed videos that are absent.

    `frames` evenly spaced ones of each video; 0 gives one sample for the whole of it.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        frames: How many evenly spaced frames of each video; 0 for one sample a video.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, ("manipulated_videos", *(f"lists/splits/{each}.txt" for each in SPLITS)))
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, frames, tell), NAME, split, root)


def _samples(root: Path, split: str | None, frames: int, tell: Tell) -> Iterator[Sample]:
    listed = _listed(root)
    group = apart(((_actor(name), each) for name, each in listed.items()), NAME, tell)
    for variant in _VARIANTS:
        place = root / "manipulated_videos" / variant
        if not place.is_dir():
            tell(f"{NAME}: {place} does not exist; unpack it, or read the table without this variant")
            continue
        clips = sources(place)
        odd = [name for name in clips if name not in listed]
        if odd:
            tell(f"{NAME}: {place} holds {len(odd)} videos that no split lists ({', '.join(odd[:3])}…), left out")
        for name, each in listed.items():
            if split not in (None, each):
                continue
            if name not in clips:
                tell(f"{NAME}: {name} of the split '{each}' is not in {place}; unpack it again")
                continue
            yield from of_video(
                root,
                clips[name],
                _SWAP,
                dataset=NAME,
                split=each,
                group=group[_actor(name), each],
                frames=frames,
                tell=tell,
                compression=variant,
                name=name,
            )


def _actor(name: str) -> str:
    return name.partition("_")[2]


def _listed(root: Path) -> dict[str, str]:
    """Video → its split. Raises InputError that names the line."""
    split_of: dict[str, str] = {}
    for each in SPLITS:
        table = root / "lists" / "splits" / f"{each}.txt"
        for number, line in enumerate(read_lines(table, NAME), 1):
            if not line.strip():
                continue
            name = PurePosixPath(line.split()[0]).stem
            if not _actor(name):
                raise InputError(f"{NAME}: {table}, line {number}: expected a name such as 000_M101.mp4, got {line!r}")
            if name in split_of:
                raise InputError(
                    f"{NAME}: {table}, line {number}: {name} is already in the split '{split_of[name]}'; "
                    "unpack it again"
                )
            split_of[name] = each
    return split_of
