"""DFFD, the Diverse Fake Face Dataset: FFHQ portraits, faces edited by FaceApp and StarGAN, made by PGGAN and StyleGAN.

Paper: Dang, Liu, Stehouwer, Liu, Jain, On the Detection of Digital Face Manipulation, CVPR 2020. Licence: for research,
on request. How to obtain: the form on cvlab.cse.msu.edu/dffd-dataset.html; the parts that come from FaceForensics++ and
CelebA are made by hand after the instructions that come with it.

    ROOT/{ffhq,faceapp,stargan,pggan_v1,pggan_v2,stylegan_celeba,stylegan_ffhq}/{train,validation,test}/*.png
    ROOT/{youtube,celeba,celeba_2w,Deepfakes,FaceSwap,Face2Face}/{train,validation,test}/*.png    made by hand; optional

The split (50 % / 5 % / 45 %, by identity) is on the page above. The folders are not on it; they are named after three
public readers of the set, which agree. File names are such as R_FFHQ_17103.png, F_FAP0_01256-3.png, F_STGN_1715-19.png:
the number before the hyphen is taken as the face that was edited, so its edits are one group (not documented). No masks
are read: the authors' masks are differences to pristine pictures that are not part of the distribution we could verify.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from facewitness.datasets._disk import PRISTINE, Tell, apart, folder, not_empty, pictures, silent, wanted
from facewitness.types import Sample, Truth

SPLITS = ("train", "val", "test")
NAME = "DFFD"

_FOLDER_OF = {"train": "train", "val": "validation", "test": "test"}
_KIND_OF = {
    "ffhq": "pristine",
    "faceapp": "attribute_manipulation",
    "stargan": "attribute_manipulation",
    "pggan_v1": "entire_synthesis",
    "pggan_v2": "entire_synthesis",
    "stylegan_celeba": "entire_synthesis",
    "stylegan_ffhq": "entire_synthesis",
}
_BY_HAND = {
    "youtube": "pristine",
    "celeba": "pristine",
    "celeba_2w": "pristine",
    "Deepfakes": "identity_exchange",
    "FaceSwap": "identity_exchange",
    "Face2Face": "attribute_manipulation",
}


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """All pictures, a source after the other. Tells of distributed sources that are absent.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, tuple(_KIND_OF), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, tell), NAME, split, root)


def _samples(root: Path, split: str | None, tell: Tell) -> Iterator[Sample]:
    for source, kind in (_KIND_OF | _BY_HAND).items():
        files = [(picture, each) for each in SPLITS for picture in pictures(root / source / _FOLDER_OF[each])]
        absent = [each for each in SPLITS if split in (None, each) and each not in {there for _, there in files}]
        for each in absent if source in _KIND_OF else ():
            tell(f"{NAME}: {root / source / _FOLDER_OF[each]} holds no picture; unpack {source}.zip again")
        group = apart(((_face(source, picture), each) for picture, each in files), NAME, tell)
        truth = PRISTINE if kind == "pristine" else Truth("fake", source, kind)
        for picture, each in files:
            if split in (None, each):
                file = picture.relative_to(root).as_posix()
                yield Sample(file, truth, each, group[_face(source, picture), each], NAME)


def _face(source: str, picture: Path) -> str:
    """faceapp/01256 of F_FAP0_01256-3; the whole name where it is none of these."""
    named = re.fullmatch(r"[RF]_\w+?_(\d+)(?:-\d+)?", picture.stem)
    return f"{source}/{named[1] if named else picture.stem}"
