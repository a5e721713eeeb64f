"""CelebA: 202,599 photographs of 10,177 celebrities, all of them real.

Paper: Liu, Luo, Wang, Tang, Deep Learning Face Attributes in the Wild, ICCV 2015. Licence: non-commercial research, no
redistribution. How to obtain: mmlab.ie.cuhk.edu.hk/projects/CelebA.html.

    ROOT/Img/img_align_celeba/000001.jpg           also ROOT/img_align_celeba/, img_align_celeba_png/, img_celeba/
    ROOT/Eval/list_eval_partition.txt              "000001.jpg 0": 0 train, 1 val, 2 test; also in ROOT
    ROOT/Anno/identity_CelebA.txt                  "000001.jpg 2880"; also in ROOT

Folders and lists are as public readers of the set name them (torchvision's among them); no copy of the authors' README
was at hand. The official split is by identity, says the paper. The group is the identity, and without
identity_CelebA.txt the picture. A set of one label: measure it together with a set of fakes, as OW-FFA-Bench does with
PGGAN.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facewitness.datasets._disk import PRISTINE, Tell, apart, below, folder, not_empty, read_lines, silent, wanted
from facewitness.errors import InputError
from facewitness.types import Sample

SPLITS = ("train", "val", "test")
NAME = "CelebA"

_LIST, _IDENTITIES = "list_eval_partition.txt", "identity_CelebA.txt"
_FOLDERS = ("img_align_celeba", "img_align_celeba_png", "img_celeba")


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """All pictures in the order of the official list; `split` keeps one split. Tells of pictures that are absent.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, (_LIST, f"Eval/{_LIST}"), any_of=True)
    root = folder(root, NAME, tuple(f"{place}{name}" for place in ("", "Img/") for name in _FOLDERS), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, tell), NAME, split, root)


def _samples(root: Path, split: str | None, tell: Tell) -> Iterator[Sample]:
    where = next((p for place in (root, root / "Img") for name in _FOLDERS if (p := place / name).is_dir()), None)
    if where is None:
        raise InputError(f"{NAME}: expected a folder {' or '.join(_FOLDERS)} in {root}, got none; unpack it again")
    if (where / where.name).is_dir():  # some archives hold the folder in a folder of its own name
        where = where / where.name
    identities = next((p for p in (root / "Anno" / _IDENTITIES, root / _IDENTITIES) if p.is_file()), None)
    if identities is None:
        tell(f"{NAME}: {root / 'Anno' / _IDENTITIES} does not exist, so every picture is its own group; download it")
    person = _pairs(identities) if identities else {}
    table = next((p for p in (root / "Eval" / _LIST, root / _LIST) if p.is_file()), None)
    if table is None:
        raise InputError(f"{NAME}: expected a file {_LIST} in {root}, got none; download it again")
    split_of = {name: _split(table, name, number) for name, number in _pairs(table).items()}
    group = apart(((person.get(name, name), each) for name, each in split_of.items()), NAME, tell)
    for name, each in split_of.items():
        if split not in (None, each):
            continue
        file = below(where, name) or below(where, f"{Path(name).stem}.png")
        if file is None:
            tell(f"{NAME}: {where / name}, listed in {table.name}, does not exist; unpack {where.name} again")
            continue
        yield Sample(
            file=file.relative_to(root).as_posix(),
            truth=PRISTINE,
            split=each,
            group=group[person.get(name, name), each],
            dataset=NAME,
        )


def _split(table: Path, name: str, number: str) -> str:
    if number not in ("0", "1", "2"):
        raise InputError(f"{NAME}: {table}: {name}: expected 0 (train), 1 (val) or 2 (test), got {number}")
    return SPLITS[int(number)]


def _pairs(table: Path) -> dict[str, str]:
    """Picture → the word after it. Raises InputError that names the line."""
    pairs: dict[str, str] = {}
    for number, line in enumerate(read_lines(table, NAME), 1):
        if not line.strip():
            continue
        words = line.split()
        if len(words) != 2 or words[0] in pairs:
            why = "the picture is there twice" if len(words) == 2 else f"got {line!r}"
            raise InputError(
                f"{NAME}: {table}, line {number}: expected a picture and a number, {why}; download it again"
            )
        pairs[words[0]] = words[1]
    return pairs
