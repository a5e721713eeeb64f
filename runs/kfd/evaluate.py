"""Measures witnesses on the `val` rows of a pack: self-blends made here, and the sources' own forgeries.

    python runs/kfd/evaluate.py --cache DIR --weights OUT/kfd.safetensors --out DIR [--beside compact]

Every picture, genuine or forged, is degraded alike (`--conditions`), encoded once more as JPEG at quality 95, and
examined as `facewitness analyze` does it, with the face that was found in the pack. A forgery is made of every genuine
picture by seed, self-blends and region edits in turn. Pictures without a face are left out and counted.

Writes predictions.csv, results.json and results.md: AUC on the forgeries made here, AUC on each source's own, and the
mean mask IoU on the forgeries made here, each with a 95 % interval from a bootstrap over groups.
"""

from __future__ import annotations

import argparse
import csv
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from facewitness import geometry, plugins
from facewitness.bench import measures
from facewitness.errors import InputError
from facewitness.forge import degrade
from facewitness.train.packed import Pack
from facewitness.types import Face, Frame, Landmarks, Pixels

FORGERS = ("self_blend", "region_edit")
CONDITIONS: dict[str, Callable[[Pixels], Pixels]] = {
    "plain": lambda p: p,
    "jpeg50": lambda p: degrade.jpeg(p, 50),
    "half": lambda p: degrade.resize(p, 0.5),
    "blur": lambda p: degrade.blur(p, 1.5),
}
COLUMNS = ("witness", "condition", "source", "group", "file", "made", "label", "score", "iou")


def pictures(
    data: Pack, split: str, seed: int = 0, most: int | None = None
) -> Iterator[tuple[dict[str, Any], Pixels, Landmarks, Any]]:
    """(what it is, pixels, landmarks, mask or None) of each row with a face, and of a forgery of each genuine one.

    `made` is the forger's name; "" for a picture that is as it came. `touched` are the regions that are known to be
    forged, None where that is not known. `most` rows of each source and label.
    """
    counted: dict[tuple[str, str], int] = {}
    for i, row in enumerate(data.rows):
        points, key = data.landmarks(i), (row["source"], row["label"])
        if row["split"] != split or points is None or counted.get(key, 0) == most:
            continue
        counted[key] = counted.get(key, 0) + 1
        about = {name: row[name] for name in ("source", "group", "file", "label")}
        pixels = data.pixels(i)
        yield about | {"made": "", "touched": () if row["label"] == "real" else None}, pixels, points, None
        if row["label"] == "real":
            draw = zlib.crc32(row["file"].encode())
            name = FORGERS[draw % len(FORGERS)]
            try:
                made = plugins.get("forge", name).forge(pixels, points, np.random.default_rng((seed, draw)))
            except InputError:
                continue  # a mesh half outside its picture
            forged = about | {"label": "fake", "made": name, "touched": tuple(sorted(made.regions))}
            yield forged, made.pixels, points, made.mask / max(made.mask.max(), 1e-6)


def examined(
    witnesses: Sequence[Any], data: Pack, split: str = "val", conditions: Sequence[str] = ("plain",), seed: int = 0,
    most: int | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """A row of COLUMNS for each witness, condition and picture; `iou` is None where there is no true mask.

    Besides, what was `touched` and the strength of each finding, for `fit.py`.
    """
    rows = []
    shown = track(list(pictures(data, split, seed, most)), "examining")
    for about, pixels, points, mask in shown:
        low, high = points.min(axis=0), points.max(axis=0)
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        for condition in conditions:
            frame = Frame(degrade.jpeg(CONDITIONS[condition](pixels), 95))
            face = Face(frame, geometry.clip(box, frame.width, frame.height) or box, points.astype(np.float32))
            for witness in witnesses:
                said = witness.examine(face)
                iou = None
                if mask is not None and said.mask is not None:
                    found = geometry.place(said.mask, frame.height, frame.width)
                    iou = measures.localisation(found, mask.astype(np.float32))["iou"]
                answer = {"witness": witness.name, "condition": condition, "score": said.fake, "iou": iou}
                rows.append(about | answer | {"found": {f.region: f.strength for f in said.findings}})
    return rows


def measured(rows: Sequence[dict[str, Any]], seed: int = 0) -> dict[str, dict[str, measures.Value]]:
    """For each witness and condition ("kfd, plain"): AUC and mask IoU on forgeries made here, AUC of each source.

    made, mask_iou       AUC and mean mask IoU on all that is made here; made/<forger>, mask_iou/<forger> by one forger
    made/<source>        AUC on what was made of a source's genuine pictures
    auc/<source>         AUC on a source's own forgeries, against its genuine pictures as they came
    """
    found: dict[str, dict[str, measures.Value]] = {}
    for key in dict.fromkeys((row["witness"], row["condition"]) for row in rows):
        mine = [row for row in rows if (row["witness"], row["condition"]) == key and row["score"] is not None]
        real = [row for row in mine if row["label"] == "real"]
        made = [row for row in mine if row["made"]]
        values: dict[str, measures.Value] = {}
        for by in ("", *FORGERS):
            these = [row for row in made if by in ("", row["made"])]
            values[f"made/{by}" if by else "made"] = _auc([*real, *these], seed)
            if these:
                iou = np.array([np.nan if row["iou"] is None else row["iou"] for row in these], np.float64)
                name = f"mask_iou/{by}" if by else "mask_iou"
                values |= measures.ratios({name: (iou, np.ones(len(these)))}, _groups(these), seed=seed)
        for source in dict.fromkeys(row["source"] for row in mine):
            here = [row for row in real if row["source"] == source]
            own = [row for row in mine if row["source"] == source and row["label"] == "fake" and not row["made"]]
            values[f"made/{source}"] = _auc([*here, *(row for row in made if row["source"] == source)], seed)
            if own:
                values[f"auc/{source}"] = _auc([*here, *own], seed)
        found[", ".join(key)] = values
    return found


def _auc(rows: Sequence[dict[str, Any]], seed: int) -> measures.Value:
    fake, score = [row["label"] == "fake" for row in rows], [row["score"] for row in rows]
    return measures.detection(fake, score, _groups(rows), only=["auc"], seed=seed)["auc"]


def _groups(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [f"{row['source']}/{row['group']}" for row in rows]


def table(found: dict[str, dict[str, measures.Value]]) -> str:
    """The numbers as Markdown, a column for each witness and condition."""
    names = list(dict.fromkeys(name for values in found.values() for name in values))
    lines = [f"| | {' | '.join(found)} |", f"|---|{'---|' * len(found)}"]
    for name in names:
        cells = [_cell(values.get(name)) for values in found.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(value: measures.Value | None) -> str:
    if value is None or value.value is None:
        return "–"
    interval = "" if value.low is None else f" [{value.low:.3f}, {value.high:.3f}]"
    return f"{value.value:.3f}{interval}, n = {value.n}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Examine, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True, help="the pack: facewitness.train.kfd pack")
    parser.add_argument("--weights", required=True, help="kfd.safetensors of a run")
    parser.add_argument("--beside", nargs="*", default=["compact"], help="other witnesses to measure on the same faces")
    parser.add_argument("--conditions", nargs="*", default=["plain"], choices=list(CONDITIONS))
    parser.add_argument("--split", default="val")
    parser.add_argument("--most", type=int, help="rows of each source and label")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    data = Pack(given.cache)
    witnesses = [plugins.get("witnesses", "kfd").load(weights=given.weights)]
    witnesses += [plugins.get("witnesses", name).load() for name in given.beside]
    rows = examined(witnesses, data, given.split, given.conditions, given.seed, given.most)
    found = measured(rows, given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    with open(given.out / "predictions.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    lost = sum(row["split"] == given.split and data.landmarks(i) is None for i, row in enumerate(data.rows))
    numbers = {
        key: {name: [v.value, v.low, v.high, v.n] for name, v in values.items()} for key, values in found.items()
    }
    about = {
        "split": given.split,
        "seed": given.seed,
        "without_a_face": lost,
        "made_by": [w.made_by() for w in witnesses],
    }
    (given.out / "results.json").write_text(json.dumps(about | {"numbers": numbers}, indent=1), encoding="utf-8")
    text = f"{table(found)}\nPictures of `{given.split}` in which no face was found, left out: {lost}.\n"
    (given.out / "results.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
