"""OpenForensics: street photographs with many faces, some of them replaced by generated ones, each with its outline.

Paper: Le, Nguyen, Yamagishi, Echizen, OpenForensics: Large-Scale Challenging Dataset For Multi-Face Forgery Detection
And Segmentation In-The-Wild, ICCV 2021. 115,325 images, 334,136 faces. Licence: for academic use only (README); the
photographs are of Open Images. How to obtain: Zenodo record 5528418.

    ROOT/Train_poly.json  Val_poly.json  Test-Dev_poly.json  Test-Challenge_poly.json
    ROOT/Train/*.jpg      Val/*.jpg      Test-Dev/*.jpg      Test-Challenge/*.jpg

The JSON files follow MS-COCO: images {id, file_name, width, height}, annotations {image_id, category_id, bbox (x, y,
width, height), segmentation (polygons)}, categories 0 Real and 1 Fake. Documented in github.com/ltnghia/openforensics
(README, visualization.py); names of files and folders after several public readers of the set, which unpack it
differently: JSON also in Images/, annotations/, Images/annotations/ or the split's folder, pictures also in
Images/<Split>/ and <Split>/<Split>/.

A sample is one face: `box` says which, and a fake one's mask is its outline. Faces of one picture are one group. A
forged picture and another with the same people cannot be told by name, so none are joined.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from facewitness import geometry
from facewitness.datasets._disk import PRISTINE, Tell, below, folder, not_empty, read_json, silent, wanted
from facewitness.errors import InputError
from facewitness.files import is_there
from facewitness.types import Box, Mask, Sample, Truth

NAME = "OpenForensics"
_MOST_SIDE = 10_000  # pixels: an outline beyond is none, and its mask would fill the memory

_FOLDERS = {"train": "Train", "val": "Val", "test-dev": "Test-Dev", "test-challenge": "Test-Challenge"}
SPLITS = tuple(_FOLDERS)


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """All faces, a picture after the other. Tells of splits without a list, of absent pictures and of empty boxes.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.
    """
    places = ("", "Images/", "annotations/", "Images/annotations/", "*/")
    root = folder(root, NAME, tuple(f"{place}*_poly.json" for place in places), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, tell), NAME, split, root)


def _samples(root: Path, split: str | None, tell: Tell) -> Iterator[Sample]:
    for each, name in _FOLDERS.items():
        if split not in (None, each):
            continue
        places = (root, root / "Images", root / "annotations", root / "Images" / "annotations", root / name)
        table = next((p / f"{name}_poly.json" for p in places if (p / f"{name}_poly.json").is_file()), None)
        if table is None:
            tell(f"{NAME}: {root / f'{name}_poly.json'}, the list of the split '{each}', does not exist; download it")
            continue
        yield from _split(root, each, name, table, tell)


def _split(root: Path, split: str, name: str, table: Path, tell: Tell) -> Iterator[Sample]:
    content = read_json(table, NAME)
    try:
        labels = {c["id"]: str(c["name"]).lower() for c in content["categories"]}
        faces: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for annotation in content["annotations"]:
            faces[annotation["image_id"]].append(annotation)
        images = [(i["id"], str(i["file_name"])) for i in content["images"]]
        repeated = [image for image, times in Counter(image for image, _ in images).items() if times > 1]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{NAME}: {table}: expected images, annotations and categories of MS-COCO ({error!r}); download it again"
        ) from error
    odd = sorted(set(labels.values()) - {"real", "fake"})
    if odd:
        raise InputError(f"{NAME}: {table}: expected the categories Real and Fake, got {', '.join(odd)}")
    if repeated:
        raise InputError(f"{NAME}: {table}: the image id {repeated[0]} is there twice; download the list again")
    for image, listed in images:
        file = _picture(root, name, listed)
        if file is None:
            tell(f"{NAME}: {root / name / PurePosixPath(listed).name}, of {table.name} is absent; unpack all parts")
            continue
        for annotation in faces[image]:
            truth, box = _face(table, annotation, labels)
            if box is None:
                tell(f"{NAME}: {table}: a face of {listed} has an empty box and is left out")
                continue
            yield Sample(
                file=file.relative_to(root).as_posix(),
                truth=truth,
                split=split,
                group=f"{name}/{PurePosixPath(listed).stem}",
                dataset=NAME,
                box=box,
            )


def _picture(root: Path, name: str, listed: str) -> Path | None:
    file = PurePosixPath(listed).name
    folders = (root / name, root / "Images" / name, root / name / name)
    return below(root, listed) or next((p / file for p in folders if is_there(p / file)), None)


def _face(table: Path, annotation: dict[str, Any], labels: dict[Any, str]) -> tuple[Truth, Box | None]:
    try:
        label, (x, y, width, height) = labels[annotation["category_id"]], map(float, annotation["bbox"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{NAME}: {table}: annotation {annotation.get('id')}: expected category_id and a bbox ({error!r})"
        ) from error
    box = (x, y, x + width, y + height) if width > 0 and height > 0 else None
    if label == "real":
        return PRISTINE, box
    segmentation = annotation.get("segmentation")
    rings = segmentation if isinstance(segmentation, list) else []  # MS-COCO's run lengths, of crowds, are not used
    outline = [r for r in rings if isinstance(r, list) and len(r) >= 6 and len(r) % 2 == 0]
    if not all(isinstance(v, int | float) and abs(v) < _MOST_SIDE for ring in outline for v in ring):  # NaN is not
        raise InputError(
            f"{NAME}: {table}: annotation {annotation.get('id')}: expected a segmentation of numbers below "
            f"{_MOST_SIDE:,}, pixels of the picture; download it again"
        )
    # the paper makes new faces with a GAN and blends them in: another identity, so an exchange
    return Truth("fake", "OpenForensics", "identity_exchange", mask=partial(_mask, outline) if outline else None), box


def _mask(outline: list[list[float]]) -> Mask:
    """The inside of polygons [x, y, x, y, …], in the picture's pixels."""
    rings = [np.asarray(ring, np.float64).reshape(-1, 2) for ring in outline]
    points = np.concatenate(rings)
    x1, y1 = (int(v) for v in np.floor(points.min(axis=0)))
    x2, y2 = (int(v) for v in np.ceil(points.max(axis=0)))
    x2, y2 = max(x2, x1 + 1), max(y2, y1 + 1)
    # parts of one face are joined one by one: under the even-odd rule an overlap would be a hole
    inside = np.zeros((y2 - y1, x2 - x1), bool)
    for ring in rings:
        inside |= geometry.fill([ring - (x1, y1)], y2 - y1, x2 - x1)
    return Mask((x1, y1, x2, y2), inside.astype(np.float32))
