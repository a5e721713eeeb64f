"""Fits how the witness's weights and its network of places say where (`witnesses/_pointing`), and what that is worth.

    facewitness build places runs/kfd/kfd.safetensors src/facewitness/weights/places.onnx
    python runs/compact/places.py look --pack PACK --split calibrate --out DIR          and --split val
    python runs/compact/places.py fit  DIR                            writes `places` into weights/compact.json
    python runs/compact/places.py told DIR --out runs/compact/places.md
    python runs/compact/places.py signs OUT                           of what evaluate.py kept in OUT: do strengths hold

`look` keeps what both say of genuine faces and of a forgery of each by five forgers in turn, as they are and
after a routine edit and a degradation: the mask of the weights on the grid of places, the map of places, the truth.
`fit` reads `calibrate` alone: a logistic regression over drawn places, and the probability under which no place is
marked: the higher it is the less of genuine faces is marked, so it is the highest with which the mean IoU over forged
faces is at most 0.01 below the best that one value for all faces can reach. `told` writes what both splits say of each
network by itself, from the one value that is best for it on `calibrate`, of both together from one such value, and as
the witness has it, from each face's own. The strength of findings rests on this mask and is fitted after it (`fit.py
--places`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fit import listed
from numpy.typing import NDArray
from rich.progress import track
from sklearn.linear_model import LogisticRegression

from facewitness import geometry
from facewitness.apps.script import script
from facewitness.bench.conditions import pictures
from facewitness.builders.pack import Pack
from facewitness.calibration import sigmoid
from facewitness.files import write_whole
from facewitness.forge import degrade, routine
from facewitness.train.measuring import means
from facewitness.types import Face, Frame
from facewitness.witnesses import _pointing, compact

WEIGHTS = Path(compact.__file__).parent.parent / "weights"
CARD, PLACES = WEIGHTS / "compact.json", WEIGHTS / "places.onnx"
FORGERS = ("self_blend", "region_edit", "lip_sync", "inpaint", "resynthesise")
CONDITIONS = ("as found", "edited")
SLACK = 0.01  # of the mean IoU, for less that is marked of genuine faces
BANDS = (0.3, 0.5, 0.7, 0.9, 0.97, 1.01)  # of strength
Way = Callable[
    [NDArray[np.float32], NDArray[np.float32]], NDArray[np.bool_]
]  # both networks' log-odds → what is marked
Told = tuple[float, float, float]  # weight of the first's log-odds, of the second's, offset
FIRST, SECOND = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
LEAST = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)  # probabilities under which no place is marked that are tried
Row = dict[str, Any]


def begun() -> None:
    """Let the JSON of the weights know the network of places at hand where that is another: nothing is fitted yet."""
    facts = json.loads(CARD.read_text(encoding="utf-8"))
    sha256 = hashlib.sha256(PLACES.read_bytes()).hexdigest()
    if facts.get("places", {}).get("sha256") != sha256:
        nothing = {"own": 1.0, "other": 0.0, "offset": 0.0, "least": 0.5}
        facts["places"] = {"sha256": sha256, **nothing, "strength": facts["strength"]}
        write_whole(CARD, (json.dumps(facts, indent=1) + "\n").encode())
    listed(PLACES, CARD)


def look(given: argparse.Namespace) -> None:
    """Keep what both networks say: rows by lines of JSON, and their masks beside the truth."""
    begun()
    witness = compact.load(views="one")
    assert witness.pointer is not None
    size, margin = int(witness.facts["size"]), float(witness.facts["margin"])
    rows: list[Row] = []
    masks: list[NDArray[np.float16]] = []
    every = list(pictures(Pack(given.pack), given.split, limit=given.limit, forgers=FORGERS))
    for about, pixels, mesh, mask in track(every, given.split):
        if about["label"] == "fake" and not about["made"]:
            continue  # where a source's own forgeries were forged is not known to the pixel
        name = f"{about['source']}/{about['file']}/{about['made']}"
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        edited = routine.edit(pixels, rng, place=geometry.bounds(mesh)).pixels
        edited, _ = degrade.degrade(edited, rng, strength=float(rng.random()))
        truth = np.zeros(pixels.shape[:2], np.float32) if mask is None else np.asarray(mask, np.float32)
        for condition, picture in zip(CONDITIONS, (pixels, edited), strict=True):
            face = Face(Frame(picture).at, geometry.bounds(mesh), mesh.astype(np.float32))
            affine = geometry.align(mesh, size, margin)
            answers = witness.answers(geometry.crop(picture, affine, size))
            own, found, way = witness.pointer.seen(answers.mask, face, picture, affine, size)
            side = witness.pointer.size
            true = cv2.resize(geometry.crop(truth, way, side), found.shape, interpolation=cv2.INTER_AREA)
            rows.append({"group": f"{about['source']}/{about['group']}", "made": about["made"], "condition": condition})
            masks.append(np.stack([_pointing.odds(own), _pointing.odds(found), true]).astype(np.float16))
    given.out.mkdir(parents=True, exist_ok=True)
    np.save(given.out / f"{given.split}.npy", np.stack(masks))
    write_whole(given.out / f"{given.split}.json", json.dumps(rows).encode())


def read(folder: Path, split: str) -> tuple[list[Row], NDArray[np.float16]]:
    """What `look` kept: rows, and for each (3, h, h): log-odds of both networks, and the truth."""
    return json.loads((folder / f"{split}.json").read_text()), np.load(folder / f"{split}.npy", mmap_mode="r")


def overlaps(rows: Sequence[Row], masks: NDArray[Any], way: Way) -> dict[str, list[Row]]:
    """Forger → its rows with the IoU; "" → genuine rows with the share of the crop that is marked."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row, (first, second, truth) in zip(rows, masks.astype(np.float32), strict=True):
        marked, true = way(first, second), truth >= 0.5
        if not row["made"]:
            found[""].append({"group": row["group"], "value": float(marked.mean())})
        elif true.any():
            iou = (marked & true).sum() / (marked | true).sum()
            found[row["made"]].append({"group": row["group"], "value": float(iou)})
    return found


def fixed(told: Told) -> Way:
    """One value for all faces: marked is what is likelier than not."""
    own, other, offset = told
    return lambda first, second: own * first + other * second + offset >= 0


def each(told: Told, least: float) -> Way:
    """As the witness has it: from each face's own value on, and never below `least`."""
    own, other, offset = told

    def marked(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.bool_]:
        chances = sigmoid(own * first + other * second + offset)
        return np.asarray(chances >= max(_pointing.marked_from(chances), least), bool)

    return marked


def iou(rows: Sequence[Row], masks: NDArray[Any], way: Way) -> float:
    """The mean over forged faces."""
    return float(np.mean([row["value"] for by, some in overlaps(rows, masks, way).items() if by for row in some]))


def placed(rows: Sequence[Row], masks: NDArray[Any], told: Told) -> Told:
    """The same weights with the offset that is best for the mean IoU where one value is for all faces."""
    own, other, offset = told
    at = {
        offset + more: iou(rows, masks, fixed((own, other, offset + more))) for more in np.linspace(-4, 4, 33).tolist()
    }
    return own, other, max(at, key=lambda o: at[o])


def learned(rows: Sequence[Row], masks: NDArray[Any]) -> Told:
    """How likely a place is forged: a logistic regression over 64 places of every picture."""
    rng = np.random.default_rng(0)
    places = [m.reshape(3, -1)[:, rng.choice(m[0].size, 64, replace=False)] for m in masks.astype(np.float32)]
    drawn = np.concatenate(places, axis=1)
    model = LogisticRegression(max_iter=1000).fit(drawn[:2].T.astype(np.float64), drawn[2] >= 0.5)
    first, second = (float(v) for v in model.coef_[0])
    return first, second, float(model.intercept_[0])


def lowest(rows: Sequence[Row], masks: NDArray[Any], told: Told) -> float:
    """The probability under which nothing is marked: the highest that is as good as one value for all, or nearly."""
    enough = iou(rows, masks, fixed(placed(rows, masks, told))) - SLACK
    return max(least for least in LEAST if iou(rows, masks, each(told, least)) >= enough)


def fitted(given: argparse.Namespace) -> None:
    """Fit on `calibrate`, write beside the weights."""
    rows, masks = read(given.folder, "calibrate")
    told = learned(rows, masks)
    numbers = (*told, lowest(rows, masks, told))
    facts = json.loads(CARD.read_text(encoding="utf-8"))
    # the strength of findings is fitted after it, on this mask
    facts["places"] |= {key: round(v, 4) for key, v in zip(_pointing.KEYS, numbers, strict=True)}
    write_whole(CARD, (json.dumps(facts, indent=1) + "\n").encode())
    listed(CARD)
    print(json.dumps(facts["places"], indent=1))


def told(given: argparse.Namespace) -> None:
    """The table of both splits."""
    fit = json.loads(CARD.read_text(encoding="utf-8"))["places"]
    both: Told = fit["own"], fit["other"], fit["offset"]
    rows, masks = read(given.folder, "calibrate")
    one = {"first": FIRST, "second": SECOND, "both": both}
    ways = {name: fixed(placed(rows, masks, told)) for name, told in one.items()}
    ways["both, each its own"] = each(both, fit["least"])
    about = "Mean mask IoU with 95 % intervals by bootstrap over groups; of genuine faces the share that is marked."
    lines = ["# Where: two networks, and both together", "", f"Written by `places.py told`. {about}", ""]
    for split in ("calibrate", "val"):
        rows, masks = read(given.folder, split)
        columns = {}
        for condition in CONDITIONS:
            at = [i for i, row in enumerate(rows) if row["condition"] == condition]
            for name, way in ways.items():
                found = overlaps([rows[i] for i in at], masks[at], way)
                columns[f"{name}, {condition}"] = {by: means(some, ["value"])["value"] for by, some in found.items()}
        lines += [f"| `{split}` | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
        for by in (*FORGERS, ""):
            cells = (columns[name].get(by) for name in columns)
            words = " | ".join("–" if c is None else f"{c[0]:.3f} ({c[1]:.3f}–{c[2]:.3f})" for c in cells)
            lines.append(f"| {by or 'genuine, marked'} | {words} |")
        lines.append("")
    write_whole(given.out, "\n".join(lines).encode())
    print("\n".join(lines))


def right(rows: Sequence[Row]) -> dict[str, list[tuple[float | None, int]]]:
    """Condition → of signs of each band of strength the share that is right, None without a sign, and their number.

    Of faces that are not cleared and of which is known where they are forged, if at all; whole-face synthesis is not.
    """
    signs: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for row in rows:
        if row["touched"] is not None and row["verdict"] not in (None, "real") and row["method"] != "resynthesise":
            signs[row["condition"]] += [(s, name in row["touched"]) for name, s in (row["findings"] or {}).items()]
    found = {}
    for condition, some in signs.items():
        bands = ([is_so for s, is_so in some if low <= s < high] for low, high in pairwise(BANDS))
        found[condition] = [(float(np.mean(band)) if band else None, len(band)) for band in bands]
    return found


def signs_told(given: argparse.Namespace) -> None:
    """How often signs of a strength are right, by condition."""
    lines = [json.loads(line) for line in (given.folder / "predictions.jsonl").read_text().splitlines()[1:]]
    print("| signs of | " + " | ".join(f"{low:g} on" for low in BANDS[:-1]) + " |\n|---|" + "---|" * (len(BANDS) - 1))
    for condition, bands in right([row for row in lines if row["section"] == "seen"]).items():
        cells = (f"– ({n})" if share is None else f"{share:.2f} ({n})" for share, n in bands)
        print(f"| {condition} | {' | '.join(cells)} |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Look, fit or tell."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("look", help="what both networks say of a split")
    one.add_argument("--pack", type=Path, required=True)
    one.add_argument("--split", default="calibrate", choices=("calibrate", "val"))
    one.add_argument("--limit", type=int, default=40, help="rows of each source and label (40)")
    one.add_argument("--out", type=Path, required=True)
    one.set_defaults(run=look)
    two = commands.add_parser("fit", help="how they count together, of what look kept")
    two.add_argument("folder", type=Path)
    two.set_defaults(run=fitted)
    three = commands.add_parser("told", help="what that is worth")
    three.add_argument("folder", type=Path)
    three.add_argument("--out", type=Path, default=Path(__file__).with_name("places.md"))
    three.set_defaults(run=told)
    four = commands.add_parser("signs", help="how often signs of a strength are right, of what evaluate.py kept")
    four.add_argument("folder", type=Path)
    four.set_defaults(run=signs_told)
    given = parser.parse_args(arguments)
    given.run(given)


if __name__ == "__main__":
    script(main)
