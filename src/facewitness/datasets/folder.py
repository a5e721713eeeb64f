"""Your own pictures and films, in a folder of real ones and a folder of fakes.

Paper, licence: none; the pictures are yours. How to obtain: nothing to obtain. Expected tree, without or with splits:

    ROOT/real/**.jpg                     ROOT/train/real/**.jpg
    ROOT/fake/**.jpg                     ROOT/train/fake/StyleGAN2/**.jpg   a folder below fake/ names the method
                                         ROOT/val/… ROOT/test/…

Also read: 0_real/ and 1_fake/, pristine/, original/, forged/, manipulated/, with any capitals; valid/ and validation/
for val/. Pictures without a split above them have the split "all". Folders say nothing of who is shown, so every
picture is a group of its own: where several show one person or come from one video, write a manifest with a `group`.
Of a film (MP4, MOV, WebM, MKV, AVI) so many `frames` are read, spread evenly; it is a group, too, and so are the pages
of a TIFF, each of which is a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facewitness import media
from facewitness.datasets._disk import (
    PRISTINE,
    VIDEOS,
    Tell,
    folder,
    left_out,
    links,
    natural,
    not_empty,
    of_video,
    pictures,
    silent,
    videos,
    wanted,
)
from facewitness.errors import InputError
from facewitness.types import Sample, Truth

SPLITS = ("train", "val", "test", "all")
_PAGED = {".tif", ".tiff"}

_SPLIT_OF = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
             "testing": "test"}  # fmt: skip
_LABEL_OF = {"real": "real", "0_real": "real", "pristine": "real", "original": "real",
             "fake": "fake", "1_fake": "fake", "forged": "fake", "manipulated": "fake"}  # fmt: skip


def samples(root: str | Path, split: str | None = None, *, frames: int = 32, tell: Tell = silent) -> Iterator[Sample]:
    """All pictures, and `frames` of each film, in natural order, real ones first; `split` keeps one split.

    Tells of a split that holds pictures of one label only, of pictures outside real/ and fake/, and of files inside
    that are no pictures.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        frames: How many evenly spaced frames of each film; 0 for one sample a film.
        tell: Is called with each sentence about what is absent or odd.

    Raises:
        InputError: For a folder without any of both, and for a split that is not there.
    """
    if root is not None and Path(root).is_file():
        raise InputError(f"folder: expected a folder, got the file {root}. If it is a list, read it as manifest.")
    root = folder(root, "folder", ())
    name = root.resolve().name
    labelled = {"all": _labelled(root)} if _labelled(root) else {}
    for below in sorted(p for p in root.iterdir() if p.is_dir() and p.name.lower() in _SPLIT_OF):
        if _labelled(below):
            labelled.setdefault(_SPLIT_OF[below.name.lower()], []).extend(_labelled(below))
    if not labelled:
        there = ", ".join(sorted(p.name for p in root.iterdir())[:8]) or "nothing"
        raise InputError(
            f"{name}: expected the folders real and fake in {root}, or in its train, val and test; it holds {there}. "
            f"Move the pictures into such folders, or list them in a manifest"
        )
    wanted(split, labelled, name)
    return not_empty(_samples(root, name, labelled, split, frames, tell), name, split, root)


def _labelled(below: Path) -> list[tuple[str, Path]]:
    """The folders of a folder that say what they hold, the real ones first."""
    named = [
        (_LABEL_OF[p.name.lower()], p) for p in sorted(below.iterdir()) if p.is_dir() and p.name.lower() in _LABEL_OF
    ]
    return sorted(named, key=lambda pair: pair[0] == "fake")


def _samples(
    root: Path, name: str, labelled: dict[str, list[tuple[str, Path]]], split: str | None, frames: int, tell: Tell
) -> Iterator[Sample]:
    for each in (s for s in SPLITS if s in labelled and split in (None, s)):
        labels = set()
        for label, where in labelled[each]:
            for picture in sorted([*pictures(where), *videos(where, deep=True)], key=natural):
                labels.add(label)
                inside = picture.relative_to(where).parts
                forged = Truth("fake", inside[0] if len(inside) > 1 else None)
                file = picture.relative_to(root).as_posix()
                truth = PRISTINE if label == "real" else forged
                if picture.suffix.lower() in VIDEOS:
                    yield from of_video(
                        root, picture, truth, dataset=name, split=each, group=file, frames=frames, tell=tell
                    )
                    continue
                pages = media.parts(picture) if picture.suffix.lower() in _PAGED else [str(picture)]
                for page in pages:  # each by its own name, as `analyze` has it: scan.tif#2
                    own = file + page.removeprefix(str(picture))
                    yield Sample(file=own, truth=truth, split=each, group=file, dataset=name)
        for _, where in labelled[each]:
            if kinds := left_out(where):
                tell(
                    f"{name}: files in {where} that are no pictures we read are left out: {kinds}; convert what is one"
                )
            if linked := links(where):
                tell(
                    f"{name}: links to folders in {where} are not followed, and what is behind them is left out: "
                    f"{', '.join(linked[:3])}{', …' * (len(linked) > 3)}; put the pictures there, or list them"
                )
        for absent in sorted({"real", "fake"} - labels):
            tell(f"{name}: the split '{each}' has no {absent} picture; AUC needs both labels: put some into {absent}/")
        for around in sorted({where.parent for _, where in labelled[each]}):
            if stray := pictures(around, deep=False):
                tell(f"{name}: {len(stray)} pictures in {around} are neither in real/ nor in fake/ and are left out")
