"""Real and Fake Face Detection: faces retouched by Photoshop experts, with the edited parts written in the file names.

Source: Computational Intelligence and Photography Lab, Department of Computer Science, Yonsei University, "Real and
Fake Face Detection" (no paper). 1,081 real and 960 fake pictures, 600×600. Licence: not stated on the page that was
read; ask the lab. How to obtain: the data set ciplab/real-and-fake-face-detection on Kaggle.

    ROOT/training_real/real_00001.jpg
    ROOT/training_fake/easy_1_1010.jpg     {easy,mid,hard}_<number>_<left eye, right eye, nose, mouth: 1 is edited>.jpg

`root` may also be the folder above, real_and_fake_face/. Also read: real/ and fake/ with such names. The order of the
digits is on the data set's page and repeated by several public readers of it; whether "left" is the subject's or the
picture's is on none of them. We take the subject's, as everywhere here; `regions` of the two eyes depend on it.
easy, mid and hard are subjective, says the page; they stand in `method` (retouched easy, …) to be told apart.

A fake joins parts of several faces and nothing says whose, so every picture is its own group and there is no official
split but "train"; the pictures of the test set were never labelled in public.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from facewitness.datasets._disk import PRISTINE, Tell, folder, not_empty, pictures, silent, wanted
from facewitness.types import Sample, Truth

SPLITS = ("train",)
NAME = "Real and Fake Face Detection"
DIGITS = ("left_eye", "right_eye", "nose", "mouth")  # what the four digits stand for, in their order

_CODED = re.compile(r"(easy|mid|hard)_(\d+)_([01]{4})", re.IGNORECASE)


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """All pictures, real ones first. Tells of fakes whose names do not follow the code, and leaves those out.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, ("training_fake", "fake", "real_and_fake_face/training_fake"), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, tell), NAME, split, root)


def _samples(root: Path, tell: Tell) -> Iterator[Sample]:
    inner = root / "real_and_fake_face"
    below = inner if inner.is_dir() else root
    for label in ("real", "fake"):
        where = next((p for p in (below / f"training_{label}", below / label) if p.is_dir()), None)
        if where is None:
            tell(f"{NAME}: {below / f'training_{label}'} does not exist; unpack the archive again")
            continue
        for picture in pictures(where):
            truth = _truth(label, picture.stem)
            file = picture.relative_to(root).as_posix()
            if truth is None:
                tell(f"{NAME}: {picture}: expected a name such as easy_1_1010.jpg; rename it, or use a manifest")
                continue
            yield Sample(file=file, truth=truth, split="train", group=f"{label}/{picture.stem}", dataset=NAME)


def _truth(label: str, stem: str) -> Truth | None:
    if label == "real":
        return PRISTINE
    coded = _CODED.fullmatch(stem)
    if coded is None or "1" not in coded[3]:  # 0000 would be a fake with nothing edited
        return None
    edited = frozenset(part for part, digit in zip(DIGITS, coded[3], strict=True) if digit == "1")
    return Truth("fake", f"retouched {coded[1].lower()}", "attribute_manipulation", regions=edited)
