"""WildDeepfake: face sequences from 707 videos that people put on the internet, real and fake, as cropped pictures.

Paper: Zi, Chang, Chen, Ma, Jiang, WildDeepfake: A Challenging Real-World Dataset for Deepfake Detection, ACM Multimedia
2020. Licence (not verified): non-commercial research, on request. How to obtain: the form linked in
github.com/OpenTAI/wild-deepfake.

    ROOT/{real_train,fake_train,real_test,fake_test}/1.tar.gz         as distributed, 1/real/3/0.png … inside
    ROOT/{real_train,…}/1/real/3/0.png                                unpacked, also below real_train/extracted/

Archives and folders are as two public readers of the set take them (also below ROOT/deepfake_in_the_wild/); the README
does not document them. Every folder that holds pictures is one sequence. An archive whose folder is not beside it is
read itself: slower, but nothing needs to be unpacked.

Methods are unknown; the authors speak of faces that were replaced. The group is the numbered archive, one source video
as it seems. Whether a number of real_train and the same one of fake_train are the same video, and whether train and
test share people, is not known.
"""

from __future__ import annotations

import tarfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from facewitness.datasets._disk import (
    PICTURES,
    Tell,
    evenly,
    folder,
    natural,
    not_empty,
    of_video,
    pictures,
    silent,
    wanted,
)
from facewitness.files import ordinary
from facewitness.types import Sample, Truth

SPLITS = ("train", "test")
NAME = "WildDeepfake"

_TRUTH_OF = {
    "real": Truth("real", "pristine", "pristine", regions=frozenset()),
    "fake": Truth("fake", None, "identity_exchange"),
}
_FOLDERS = tuple(f"{label}_{split}" for split in SPLITS for label in _TRUTH_OF)


def samples(root: str | Path, split: str | None = None, *, frames: int = 32, tell: Tell = silent) -> Iterator[Sample]:
    """All sequences, a folder after the other. Tells of folders that are absent or empty and of broken archives.

    `frames` evenly spaced pictures of each sequence; 0 gives the first one for the whole of it.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        frames: How many evenly spaced pictures of each sequence; 0 for the first one.
        tell: Is called with each sentence about what is absent or odd.
    """
    needed = tuple(f"{inner}{name}" for inner in ("", "deepfake_in_the_wild/") for name in _FOLDERS)
    root = folder(root, NAME, needed, any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, frames, tell), NAME, split, root)


def _samples(root: Path, split: str | None, frames: int, tell: Tell) -> Iterator[Sample]:
    above = root / "deepfake_in_the_wild"
    above = above if above.is_dir() else root
    for name in _FOLDERS:
        if split not in (None, name.partition("_")[2]):
            continue
        place = above / name
        archives = sorted((p for p in place.glob("*") if p.name.endswith((".tar", ".tar.gz", ".tgz"))), key=natural)
        unpacked = sorted((p for top in (place, place / "extracted") for p in top.glob("*") if p.is_dir()), key=natural)
        unpacked = [p for p in unpacked if p != place / "extracted"]
        if not archives and not unpacked:
            tell(f"{NAME}: {place} holds neither archives nor folders of pictures; download it again")
        for video in unpacked:
            yield from _folder(root, name, video, frames, tell)
        for archive in archives:
            if archive.name.partition(".")[0] not in {p.name for p in unpacked}:
                yield from _archive(root, name, archive, frames, tell)


def _folder(root: Path, name: str, video: Path, frames: int, tell: Tell) -> Iterator[Sample]:
    label, _, split = name.partition("_")
    sequences = sorted({p.parent for p in pictures(video)}, key=natural)
    if not sequences:
        tell(f"{NAME}: {video} holds no picture; unpack it again")
    for sequence in sequences:
        key = f"{name}/{sequence.relative_to(video.parent).as_posix()}"
        yield from of_video(
            root,
            sequence,
            _TRUTH_OF[label],
            dataset=NAME,
            split=split,
            group=f"{name}/{video.name}",
            frames=frames,
            tell=tell,
            name=key,
        )


def _archive(root: Path, name: str, archive: Path, frames: int, tell: Tell) -> Iterator[Sample]:
    """The samples of an archive, which carry their pictures; nothing is unpacked."""
    label, _, split = name.partition("_")
    made = []
    try:
        with tarfile.open(ordinary(archive)) as opened:
            sequences = defaultdict(list)
            for member in opened.getmembers():
                path = PurePosixPath(member.name)
                if member.isfile() and path.suffix.lower() in PICTURES and not path.name.startswith("."):
                    sequences[path.parent.as_posix()].append(member)
            for sequence, members in sorted(sequences.items(), key=lambda item: natural(item[0])):
                members.sort(key=lambda member: natural(member.name))
                truth = _TRUTH_OF[label]
                for index in evenly(len(members), frames) if frames else (0,):
                    content = opened.extractfile(members[index])
                    made.append(
                        Sample(
                            file=f"{archive.relative_to(root).as_posix()}/{members[index].name}",
                            truth=truth,
                            split=split,
                            group=f"{name}/{archive.name.partition('.')[0]}",
                            dataset=NAME,
                            image=content.read() if content else None,
                            video=f"{NAME}/{truth.method or truth.label}/-/{name}/{sequence}",
                        )
                    )
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        tell(f"{NAME}: {archive} cannot be read to its end ({error}); it is left out, download it again")
        return
    if not made:
        tell(f"{NAME}: {archive} holds no picture; download it again")
    yield from made
