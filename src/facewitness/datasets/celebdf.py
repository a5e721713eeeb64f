"""Celeb-DF, first and second version: interviews of celebrities from YouTube, and face swaps between them.

Paper: Li, Yang, Sun, Qi, Lyu, Celeb-DF: A Large-scale Challenging Dataset for DeepFake Forensics, CVPR 2020. Version 1
has 408 real and 795 fake videos, version 2 has 890 and 5,639. Licence: Celeb-DF terms of use, non-commercial research.
How to obtain: the form linked in github.com/yuezunli/celeb-deepfakeforensics.

    ROOT/Celeb-real/id0_0000.mp4               video 0000 of celebrity 0
    ROOT/YouTube-real/00000.mp4                other people, never swapped
    ROOT/Celeb-synthesis/id0_id1_0000.mp4      id0_0000 with the face of celebrity 1
    ROOT/List_of_testing_videos.txt            "1 YouTube-real/00170.mp4": here 1 is real and 0 is fake

Folders and list are documented in the README of each version there; names and the meaning of 1 and 0 after many public
readers of the set. Files are also read from Celeb-real/videos/, extracted frames from Celeb-real/frames/id0_0000/. The
official split is the list (test) and the rest (train).

Both versions look alike. The version is read from the folder's name (a v1 or v2 in it); otherwise a set of more than 13
celebrities is version 2, since the README of version 1 counts 13; the choice is then told.

The official split shares celebrities between train and test, so it does not hold identities out. The group is the
source video (a swap and the video it was made from are one); where the split divides even that, the group carries the
split's name, and it is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from facewitness.datasets._disk import Tell, apart, folder, not_empty, of_video, read_lines, silent, sources, wanted
from facewitness.errors import InputError
from facewitness.types import Sample, Truth

SPLITS = ("train", "test")
NAME = "Celeb-DF"

_LIST = "List_of_testing_videos.txt"
_LABEL_OF = {"Celeb-real": "real", "YouTube-real": "real", "Celeb-synthesis": "fake"}
_CELEBRITIES_OF_V1 = 13
_PRISTINE = Truth("real", "pristine", "pristine", regions=frozenset())
_SWAP = Truth("fake", "Celeb-synthesis", "identity_exchange")


def samples(root: str | Path, split: str | None = None, *, frames: int = 32, tell: Tell = silent) -> Iterator[Sample]:
    """The real videos, then the swaps; `split` keeps one split. Tells of folders and of listed videos that are absent.

    `frames` evenly spaced ones of each video; 0 gives one sample for the whole of it.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        frames: How many evenly spaced frames of each video; 0 for one sample a video.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, (_LIST,))
    root = folder(root, NAME, tuple(_LABEL_OF), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, frames, tell), NAME, split, root)


def _samples(root: Path, split: str | None, frames: int, tell: Tell) -> Iterator[Sample]:
    clips = {place: sources(root / place) for place in _LABEL_OF}
    for place, there in clips.items():
        if not there:
            tell(f"{NAME}: {root / place} holds no video; unpack the whole archive again")
    test = _tested(root / _LIST)
    dataset = _version(
        root, [name for place, there in clips.items() for name in there if place != "YouTube-real"], tell
    )
    for place, name in test:
        if name not in clips[place]:
            tell(f"{dataset}: {place}/{name}, listed in {_LIST}, does not exist; unpack {place} again")
    splits = {(p, n): "test" if (p, n) in test else "train" for p, there in clips.items() for n in there}
    group = apart(((_source(p, n), s) for (p, n), s in splits.items()), dataset, tell)
    for (place, name), each in splits.items():
        if split not in (None, each):
            continue
        real = _LABEL_OF[place] == "real"
        pristine = None if real else clips["Celeb-real"].get(_source(place, name).partition("/")[2])
        yield from of_video(
            root,
            clips[place][name],
            _PRISTINE if real else _SWAP,
            dataset=dataset,
            split=each,
            group=group[_source(place, name), each],
            frames=frames,
            tell=tell,
            original=pristine.relative_to(root).as_posix() if pristine else None,
            name=f"{place}/{name}",
        )


def _source(place: str, name: str) -> str:
    """Celeb-real/id0_0000 of the swap id0_id1_0000; a real video is its own."""
    swap = re.fullmatch(r"(id\d+)_id\d+_(\d+)", name)
    return f"Celeb-real/{swap[1]}_{swap[2]}" if swap and place == "Celeb-synthesis" else f"{place}/{name}"


def _tested(table: Path) -> dict[tuple[str, str], None]:
    """(folder, name) of the videos in the list, in its order. Raises InputError that names the line."""
    tested: dict[tuple[str, str], None] = {}
    for number, line in enumerate(read_lines(table, NAME), 1):
        if not line.strip():
            continue
        named = re.fullmatch(r"([01])\s+([\w-]+)/(\S+)\.\w+", line.strip())
        if not named or named[2] not in _LABEL_OF:
            raise InputError(
                f"{NAME}: {table}, line {number}: expected a line such as '1 YouTube-real/00170.mp4', got {line!r}; "
                "download it again"
            )
        if (named[1] == "1") != (_LABEL_OF[named[2]] == "real"):
            raise InputError(
                f"{NAME}: {table}, line {number}: expected 1 for real and 0 for fake, got {line!r}; take the list of "
                "the authors, not one with the labels turned round"
            )
        if (named[2], named[3]) in tested:
            raise InputError(f"{NAME}: {table}, line {number}: {named[2]}/{named[3]} is there twice; download it again")
        tested[named[2], named[3]] = None
    if not tested:
        raise InputError(f"{NAME}: {table}: expected the videos of the test split, found none; download it again")
    return tested


def _version(root: Path, names: list[str], tell: Tell) -> str:
    celebrities = {celebrity for name in names for celebrity in re.findall(r"id\d+", name)}
    counted = 2 if len(celebrities) > _CELEBRITIES_OF_V1 else 1
    named = re.search(r"v(?:ersion)?[-_ ]?([12])(?!\d)", root.resolve().name.lower())
    if named is None:
        tell(
            f"{NAME}: the name of {root} says neither v1 nor v2; its {len(celebrities)} celebrities make it version "
            f"{counted}. If that is wrong, name the folder Celeb-DF-v1 or Celeb-DF-v2"
        )
        return f"{NAME}-v{counted}"
    if int(named[1]) < counted:
        tell(f"{NAME}: {root} is named version 1, but has {len(celebrities)} celebrities, as only version 2; rename it")
    return f"{NAME}-v{named[1]}"
