"""MultiFFDI: pictures of the Global Multimedia Deepfake Detection challenge of 2024, many forgery methods mixed.

Paper: Zhang et al., Inclusion 2024 Global Multimedia Deepfake Detection Challenge: Towards Multi-dimensional Face
Forgery Detection, arXiv 2412.20833, 2024; its image track. Licence: the competition's rules (not read). How to obtain:
the competition multi-ffdi on Kaggle; unpack its archive of phase 1.

    ROOT/phase1/trainset/<md5>.jpg      ROOT/phase1/trainset_label.txt     img_name,target   (0 real, 1 fake)
    ROOT/phase1/valset/<md5>.jpg        ROOT/phase1/valset_label.txt

`root` may also be phase1/. Tree and columns are those of several public entries to the competition, which agree (some
copies call the first column img_path). Which method made a fake is not given, nor who is shown: method and kind are
unknown and every picture is its own group, so the bootstrap treats relatives as independent.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facewitness.datasets._disk import PRISTINE, Tell, below, folder, not_empty, read_lines, silent, wanted
from facewitness.errors import InputError
from facewitness.files import absence
from facewitness.types import Sample, Truth

SPLITS = ("train", "val")
NAME = "MultiFFDI"


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """All pictures in the order of the lists. Tells of absent lists and pictures.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.
    """
    lists = tuple(f"{each}set_label.txt" for each in SPLITS)
    root = folder(root, NAME, (*lists, *(f"phase1/{name}" for name in lists)), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, tell), NAME, split, root)


def _samples(root: Path, split: str | None, tell: Tell) -> Iterator[Sample]:
    inner = root / "phase1" if (root / "phase1").is_dir() else root
    split_of: dict[str, str] = {}
    for each in SPLITS:
        table = inner / f"{each}set_label.txt"
        if split not in (None, each):
            continue
        if not table.is_file():
            tell(f"{NAME}: {table}, the labels of the split '{each}', {absence(table)}; unpack phase 1 again")
            continue
        for name, label in _labels(table):
            if name in split_of:
                raise InputError(f"{NAME}: {table}: {name} is there twice, or in {split_of[name]} as well; keep one")
            split_of[name] = each
            file = below(inner / f"{each}set", name)
            if file is None:
                absent = inner / f"{each}set" / name
                tell(f"{NAME}: {absent}, listed in {table.name}, {absence(absent)}; unpack phase 1 again")
                continue
            yield Sample(
                file=file.relative_to(root).as_posix(),
                truth=PRISTINE if label == "0" else Truth("fake"),
                split=each,
                group=name,
                dataset=NAME,
            )


def _labels(table: Path) -> Iterator[tuple[str, str]]:
    first, *lines = read_lines(table, NAME) or [""]
    if first.count(",") != 1 or not first.endswith(",target"):
        raise InputError(f"{NAME}: {table}: expected the columns img_name,target in its first line, got {first!r}")
    for number, line in enumerate(lines, 2):
        name, _, label = (part.strip() for part in line.partition(","))
        if not line.strip():
            continue
        if not name or label not in ("0", "1"):
            raise InputError(f"{NAME}: {table}, line {number}: expected a picture and 0 or 1, got {line!r}")
        yield name, label
