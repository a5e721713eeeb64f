"""Shows witnesses found faces, as they are and degraded: what calibrations are fitted to and numbers come from.

    rows = examined([witness], Pack(folder), "calibrate", list(CONDITIONS))

Every picture, genuine or forged, is degraded alike, encoded once more as JPEG at quality 95, and examined as
`facewitness analyze` does it, with the face that was found in the pack. Where forgeries are to be made, one is made of
every genuine picture by seed, by each forger in turn.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypedDict

import numpy as np
from rich.progress import track

from facewitness import geometry, plugins
from facewitness.bench import measures, predictions
from facewitness.errors import InputError
from facewitness.forge import degrade
from facewitness.types import Clip, Face, Frame, Landmarks, Pixels, Track

FORGERS: Sequence[str] = ("self_blend", "region_edit")
CONDITIONS: dict[str, Callable[[Pixels], Pixels]] = {
    "plain": lambda p: p,
    "jpeg50": lambda p: degrade.jpeg(p, 50),
    "half": lambda p: degrade.resize(p, 0.5),
    "blur": lambda p: degrade.blur(p, 1.5),
}


class Faces(Protocol):
    """Pictures with a face each, as a pack for training holds them."""

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """What each picture is: its source, group, file, label and split."""
        ...

    def pixels(self, i: int) -> Pixels:
        """RGB uint8 (H, W, 3).

        Args:
            i: Number of the row.

        Returns:
            RGB uint8 (H, W, 3).
        """
        ...

    def landmarks(self, i: int) -> Landmarks | None:
        """(468, 2) in pixels; None where no face was found.

        Args:
            i: Number of the row.

        Returns:
            float32 (468, 2) in pixels; None where no face was found.
        """
        ...


class About(TypedDict):
    """What a picture is."""

    source: str
    group: str
    file: str
    label: str
    made: str  # the forger's name; "" for a picture that is as it came
    touched: tuple[str, ...] | None  # the regions known to be forged; None where that is not known


class Row(About):
    """What a witness says of a picture."""

    witness: str
    condition: str
    score: float | None
    iou: float | None  # of the testimony's mask; None where there is no true one
    strengths: dict[str, float | None]  # strength of each finding, by region


def pictures(
    data: Faces, split: str, seed: int = 0, limit: int | None = None, sources: Collection[str] | None = None,
    forgers: Sequence[str] = FORGERS,
) -> Iterator[tuple[About, Pixels, Landmarks, Any]]:  # fmt: skip
    """(what it is, pixels, landmarks, mask or None) of each row with a face, and of a forgery of each genuine one.

    `limit` rows of each source and label; without `forgers` nothing is made.

    Args:
        data: Where the pictures and their meshes come from.
        split: Which split of the pack: "train", "val" or "test".
        seed: Of forgeries and degradations.
        limit: Rows of each source and label; None for all.
        sources: Only these; None for all.
        forgers: Names of forge/ by which genuine pictures are forged as well; none makes nothing.

    Returns:
        For each picture what it is, its pixels, its mesh, and its mask or None.
    """
    counted: dict[tuple[str, str], int] = {}
    for i, row in enumerate(data.rows):
        points, key = data.landmarks(i), (row["source"], row["label"])
        if sources is not None and row["source"] not in sources:
            continue
        if row["split"] != split or points is None or counted.get(key, 0) == limit:
            continue
        counted[key] = counted.get(key, 0) + 1
        about: About = {
            "source": row["source"],
            "group": row["group"],
            "file": row["file"],
            "label": row["label"],
            "made": "",
            "touched": () if row["label"] == "real" else None,
        }
        pixels = data.pixels(i)
        yield about, pixels, points, None
        if row["label"] == "real" and forgers:
            draw = zlib.crc32(row["file"].encode())
            name = forgers[draw % len(forgers)]
            try:
                made = plugins.get("forge", name).forge(pixels, points, np.random.default_rng((seed, draw)))
            except InputError:
                continue  # a mesh half outside its picture
            forged: About = {**about, "label": "fake", "made": name, "touched": tuple(sorted(made.regions))}
            yield forged, made.pixels, points, made.mask / max(made.mask.max(), 1e-6)


def examined(
    witnesses: Sequence[Any], data: Faces, split: str = "val", conditions: Sequence[str] = ("plain",), seed: int = 0,
    limit: int | None = None, sources: Collection[str] | None = None, forgers: Sequence[str] = FORGERS,
) -> list[Row]:  # fmt: skip
    """A row for each witness, condition and picture of `pictures`.

    Args:
        witnesses: Who examines.
        data: Where the pictures and their meshes come from.
        split: Which split of the pack: "train", "val" or "test".
        conditions: Names of ways to degrade a picture; "plain" is none.
        seed: Of forgeries and degradations.
        limit: Rows of each source and label; None for all.
        sources: Only these; None for all.
        forgers: Names of forge/ by which genuine pictures are forged as well; none makes nothing.
    """
    rows: list[Row] = []
    shown = track(list(pictures(data, split, seed, limit, sources, forgers)), "examining")
    for about, pixels, points, mask in shown:
        low, high = points.min(axis=0), points.max(axis=0)
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        for condition in conditions:
            frame = Frame(degrade.jpeg(CONDITIONS[condition](pixels), 95))
            face = Face(frame.at, geometry.clip(box, frame.width, frame.height) or box, points.astype(np.float32))
            person, clip = Track(0, (face,)), Clip(about["file"], (frame,))
            for witness in witnesses:
                testimony = witness.examine(person, clip)
                iou = None
                if mask is not None and testimony.mask is not None:
                    placed = geometry.place(testimony.mask, frame.height, frame.width)
                    iou = measures.localisation(placed, mask.astype(np.float32))["iou"]
                row: Row = {
                    **about,
                    "witness": witness.name,
                    "condition": condition,
                    "score": testimony.fake,
                    "iou": iou,
                    "strengths": {f.region: f.strength for f in testimony.findings},
                }
                rows.append(row)
    return rows


def rows_of(rows: Iterable[Row], split: str) -> list[predictions.Row]:
    """What witnesses said as predictions of `bench run`, for every table and comparison that reads those.

    The condition is the perturbation, the forger the method, and the mask's IoU the score of that name.

    Args:
        rows: As `examined` gives them.
        split: Its name.
    """
    return [
        {
            "dataset": row["source"], "file": f"{row['file']}#{row['made']}" if row["made"] else row["file"],
            "frame": None, "group": row["group"], "split": split, "label": row["label"],
            "method": row["made"] or None, "perturbation": "none" if row["condition"] == "plain" else row["condition"],
            "strength": int(row["condition"] != "plain"), "status": "ok", "faces": 1, "score": row["score"],
            "regions_true": None if row["touched"] is None else list(row["touched"]),
            "regions_said": sorted(str(name) for name in row["strengths"]), "speaker": "explanation",
            "scores": {"mask": row["iou"]},
        }
        for row in rows
    ]  # fmt: skip
