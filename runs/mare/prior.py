"""Whether a map says which regions MARE's words should name, beyond how often each is named: is there a prior in it?

    python runs/mare/prior.py dma-train.parquet dma-val.parquet --pack PACK --weights FDM --out DIR

Two kinds of forged faces, each fitted on `calibrate`, groups that PACK held out of every training, and measured on
`val`: what people named of DD-VQA's pictures when they were asked about the whole image, and what the four families of
`train/edits` edited. Two maps: the module's own (`models/fdm`), which is all that MARE may see, and the default
witness's, which stands beside it in a report. A logistic regression has the regions' names alone, or besides them the
logits of how far a map covers the region and the most covered other one, as `witnesses/_chosen` knows them.

"order"   how often a region that is forged, or named, is put above one that is not, within a picture (AUC, mean)
"Jaccard" of the set of one to three regions that the fit finds best (`_chosen.medoid`) with the true one

Both with 95 % intervals over groups, and less those of names alone, paired. Writes DIR/prior.json, .md, looked.jsonl.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from facewitness import geometry, plugins, regions
from facewitness.apps.script import script
from facewitness.builders import chats
from facewitness.calibration import logit
from facewitness.files import write_whole
from facewitness.train import edits, paired
from facewitness.train.measuring import means, three
from facewitness.types import Frame, Landmarks, Pixels

_BESIDE = importlib.util.spec_from_file_location("mare_draws", Path(__file__).with_name("draws.py"))
assert _BESIDE is not None and _BESIDE.loader is not None
draws: Any = importlib.util.module_from_spec(_BESIDE)
sys.modules[_BESIDE.name] = draws
_BESIDE.loader.exec_module(draws)

MAPS = ("own", "default")
SPLITS = ("calibrate", "val")
KINDS = ("words", "edits")
TOUCHED = 0.1  # of a region in an edit's mask, from which on it is forged
FEW, AMONG = 3, 6  # regions of a set at most, of so many likeliest ones
EDGE = 1e-4
SOURCES = {
    "celebamask_hq": 0.3,
    "ffhq_140k": 0.2,
    "stylegan2_photos": 0.15,
    "celeb_web": 0.15,
    "aaf": 0.1,
    "utkface": 0.1,
}

Row = dict[str, Any]


covered = draws.evaluate.covered


class Looks:
    """Both maps, on one face of a picture."""

    def __init__(self, weights: Path):
        self.own: Any = plugins.get("witnesses", "mare").load(weights=str(weights))
        self.default: Any = plugins.get("witnesses", "compact").load(views="one")

    def at(self, pixels: Pixels, mesh: Landmarks) -> dict[str, dict[str, float]]:
        """Map → region → coverage.

        Args:
            pixels: RGB uint8 (H, W, 3).
            mesh: in its pixels.
        """
        out = {}
        for name, witness in (("own", self.own), ("default", self.default)):
            size = witness._size
            affine = geometry.align(mesh, size, witness._margin)
            crop = geometry.crop(pixels, affine, size)
            seen = witness.scored(crop)[1] if name == "own" else witness.answers(crop).mask
            out[name] = covered(seen, size, size, geometry.transform(affine, np.asarray(mesh)[:, :2]))
        return out


def asked(table: Path, pack: Path | None, looks: Looks) -> Iterator[Row]:
    """What people named of forged pictures, asked about the whole image."""
    items = draws.evaluate.items(chats.read_dma(table))
    items = items if pack is None else draws.unseen(items, pack)
    finder = plugins.get("finders", "facemesh").load()
    for item in items:
        if not item.whole or item.truth.label != "fake":
            continue
        pixels = np.array(paired.picture(item.row))
        meshes = [face.landmarks for face in finder.find(Frame(pixels)) if face.landmarks is not None]
        if meshes:
            true = {name: float(name in item.truth.regions) for name in regions.MARE}
            yield {"at": item.row["file"], "group": item.row["group"], "true": true, **looks.at(pixels, meshes[0])}


def edited(data: edits.Edits, looks: Looks) -> Iterator[Row]:
    """What was edited of each picture."""
    for i, row in enumerate(data.rows):
        if row["fake"]:
            mesh, mask = np.array(data.meshes[i]), data.masks[i].astype(np.float32) / 255
            true = {name: float(share >= TOUCHED)
                    for name, share in covered(mask, *mask.shape, mesh[:, :2] / edits.GRID).items()}  # fmt: skip
            where = f"{row['source']}/{row['group']}"
            yield {"at": str(i), "group": where, "true": true, **looks.at(np.array(data.pixels[i]), mesh)}


def columns(row: Row, which: str | None) -> tuple[list[str], NDArray[np.float64]]:
    """The regions of a picture, and what is known of each: its name, its coverage's logit, the most covered other's.

    Args:
        row: of a picture.
        which: map; None for names alone.
    """
    known = [name for name in regions.MARE if name in row["true"] and all(name in row[each] for each in MAPS)]
    names = np.array([[name == other for other in regions.MARE] for name in known], np.float64)
    if which is None:
        return known, names
    own = np.array([float(logit(row[which][name], EDGE)) for name in known])
    rivals = np.array([max(np.delete(own, i), default=float(logit(0.0, EDGE))) for i in range(len(own))])
    return known, np.column_stack([names, own, rivals])


def fitted(rows: Sequence[Row], which: str | None) -> LogisticRegression:
    """Whether a region is forged, or named, by what is known of it.

    Args:
        rows: of pictures.
        which: map; None for names alone.
    """
    each = [(columns(row, which), row["true"]) for row in rows]
    x = np.concatenate([known for (_, known), _ in each])
    y = np.concatenate([[true[name] for name in names] for (names, _), true in each])
    return LogisticRegression(C=1.0, max_iter=5000).fit(x, y)


def judged(row: Row, which: str | None, model: LogisticRegression) -> dict[str, float]:
    """Order and Jaccard of one picture."""
    names, known = columns(row, which)
    odds = model.decision_function(known)
    true = np.array([row["true"][name] for name in names], bool)
    order = float(roc_auc_score(true, odds)) if 0 < true.sum() < len(true) else np.nan
    likely = np.argsort(-odds)[:AMONG].tolist()
    sets = [each for n in range(1, FEW + 1) for each in itertools.combinations(likely, n)]
    member = np.array([[i in each for i in range(len(names))] for each in sets])
    values = np.exp(member @ odds - (member @ odds).max())  # ∏ odds of those in it: exactly these, up to a constant
    both, either = (member[:, None] & member[None]).sum(2), (member[:, None] | member[None]).sum(2)
    best = member[int(np.argmax((both / either) @ values))]
    return {"order": order, "Jaccard": float((best & true).sum() / max((best | true).sum(), 1))}


def results(rows: dict[str, list[Row]]) -> dict[str, Any]:
    """Order and Jaccard on `val` by names alone and by each map, and less names alone.

    Args:
        rows: split → rows of pictures.
    """
    models = {which: fitted(rows["calibrate"], which) for which in (None, *MAPS)}
    per = []
    for row in rows["val"]:
        each = {which: judged(row, which, model) for which, model in models.items()}
        line: dict[str, Any] = {"group": row["group"]}
        for which, values in each.items():
            for key, value in values.items():
                line[f"{which or 'names'}, {key}"] = value
                line[f"{which or 'names'}, {key}, more"] = value - each[None][key]
        per.append(line)
    slopes = {which: [round(float(v), 3) for v in models[which].coef_[0][-2:]] for which in MAPS}
    return {"slopes": slopes, "measured": means(per, tuple(per[0])[1:])}


def main(arguments: Sequence[str] | None = None) -> None:
    """Look, fit, measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("fit", type=Path, help="dma.parquet of the split train")
    parser.add_argument("on", type=Path, help="dma.parquet of the split val")
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="of the module")
    parser.add_argument("--pictures", type=int, default=160, help="edits of each split")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    log = given.out / "looked.jsonl"
    given.out.mkdir(parents=True, exist_ok=True)
    if not log.exists():
        looks = Looks(given.weights)
        kept: list[Row] = []
        for split, table, pack in (("calibrate", given.fit, given.pack), ("val", given.on, None)):
            kept += [{"kind": "words", "split": split, **row} for row in asked(table, pack, looks)]
            drawn = edits.Draws(sources=SOURCES, genuine=0.0, measured=given.pictures)
            data = edits.drawn(drawn, given.pack, given.out / "edits", split)
            kept += [{"kind": "edits", "split": split, **row} for row in edited(data, looks)]
        write_whole(log, "".join(json.dumps(row) + "\n" for row in kept).encode())
    held = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    found = {}
    for kind in KINDS:
        rows = {split: [row for row in held if (row["kind"], row["split"]) == (kind, split)] for split in SPLITS}
        found[kind] = {
            "pictures": {split: len(each) for split, each in rows.items()},
            "groups": {split: len({row["group"] for row in each}) for split, each in rows.items()}, **results(rows),
        }  # fmt: skip
    write_whole(given.out / "prior.json", (json.dumps(found, indent=1) + "\n").encode())
    write_whole(given.out / "prior.md", written(found).encode())
    print(written(found), end="")


def written(found: dict[str, Any]) -> str:
    """As Markdown."""
    ways = ("names", *MAPS)
    lines = ["| on `val` | names alone | and the module's map | and the default witness's |", "|---|---|---|---|"]
    for kind, title in (("words", "named by people, DD-VQA"), ("edits", "edited")):
        value = found[kind]["measured"]
        for key in ("order", "Jaccard"):
            lines.append(f"| {title}: {key} | {' | '.join(three(value[f'{way}, {key}']) for way in ways)} |")
            more = " | ".join(three(value[f"{way}, {key}, more"]) for way in MAPS)
            lines.append(f"| … more than by names alone | | {more} |")
    for kind, title in (("words", "DD-VQA"), ("edits", "Edits")):
        each, counts = found[kind], [found[kind][of][split] for split in SPLITS for of in ("pictures", "groups")]
        slopes = "; ".join(f"{which} {own:g} and {rivals:g}" for which, (own, rivals) in each["slopes"].items())
        lines += ["", "{}: fitted on {} pictures of {} groups, measured on {} of {}; ".format(title, *counts)
                  + f"weights of a region's own coverage and of its rival's: {slopes}."]  # fmt: skip
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    script(main)
