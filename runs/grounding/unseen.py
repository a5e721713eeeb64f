"""Both grounding systems on a forger that nothing here ever learned from: one region pulled into another shape.

    python runs/grounding/unseen.py --pack PACK --out unseen.json

All of `forge/` is in the compact network's training, where the shared encoder began, so no family of it is clean. This
one stands here alone: the pixels of a region move by a smooth bump, as reshaping tools of phones do, and all else keeps
its values. What moved is the mask. 48 genuine faces of held-out people who chose nothing (the half of `evaluate.py`);
each is forged once, and asked about as it is, too. FiFa's masks are kept to the region named, as its witness does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from facewitness import geometry, regions
from facewitness.apps.script import script
from facewitness.builders.pack import Pack, jittered
from facewitness.files import write_whole
from facewitness.models.fifa import FiFa
from facewitness.models.forgerytalker import ForgeryTalker
from facewitness.train import edits, reports
from facewitness.train import forgerytalker as talker
from facewitness.train.fifa import Asked, Recipe
from facewitness.train.measuring import HALF, detection, half, means, overlap
from facewitness.types import Landmarks, Pixels

sys.path.insert(0, str(Path(__file__).parent.parent / "fifa"))
import evaluate

RUNS = Path(__file__).parent.parent
BATCH = 12


def bump(pixels: Pixels, mesh: Landmarks, name: str, rng: np.random.Generator) -> tuple[Pixels, NDArray[np.float32]]:
    """A picture with a region pulled by a smooth bump, and where pixels moved by at least half of one.

    Args:
        pixels: RGB uint8 (H, W, 3).
        mesh: (468, 2) in its pixels.
        name: Of a region.
        rng: Direction and strength.
    """
    height, width = pixels.shape[:2]
    inside = geometry.fill(list(regions.polygons(name, mesh)), height, width)
    across = float(np.sqrt(inside.sum()))
    wide = cv2.dilate(inside.astype(np.float32), np.ones((3, 3)), iterations=max(1, round(across / 10)))
    window = cv2.GaussianBlur(wide, (0, 0), across / 6) * wide
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.12, 0.25) * across
    dx, dy = np.cos(angle) * far * window, np.sin(angle) * far * window
    if rng.random() < 0.5:  # blown up or shrunk around the middle instead of pulled aside
        factor = rng.uniform(0.15, 0.3) * rng.choice((-1, 1))
        where = inside.nonzero()
        dx, dy = (xs - where[1].mean()) * factor * window, (ys - where[0].mean()) * factor * window
    moved = np.hypot(dx, dy) >= 0.5
    made = cv2.remap(pixels, xs + dx.astype(np.float32), ys + dy.astype(np.float32), cv2.INTER_CUBIC,
                     borderMode=cv2.BORDER_REFLECT)  # fmt: skip
    return np.where(moved[..., None], made, pixels).astype(np.uint8), moved.astype(np.float32)


def drawn(draws: edits.Draws, pack: Path, folder: Path, count: int) -> edits.Edits:
    """Faces of the half of the people that chose nothing, forged and as they are, kept in a folder."""
    if (folder / "rows.json").exists():
        return edits.Edits(folder)
    data = Pack(pack)
    rows = [i for source in draws.sources for i in data.indices("val", [source])
            if data.rows[i]["label"] == "real" and data.landmarks(i) is not None
            and half(f"{data.rows[i]['source']}/{data.rows[i]['group']}") == 1]  # fmt: skip
    found: dict[str, list[Any]] = {"pixels": [], "masks": [], "meshes": [], "rows": []}
    small = draws.size // edits.GRID
    for i in np.random.default_rng(0).permutation(rows).tolist():
        if len(found["rows"]) >= 2 * count:
            break
        rng = np.random.default_rng([1, i])
        picture, mesh = data.pixels(i), data.landmarks(i)
        made, mask = bump(picture, mesh, str(rng.choice(edits.COMPONENTS)), rng)
        affine = edits._unmirrored(jittered(geometry.align(mesh, draws.size, draws.margin), draws.size, rng)[0],
                                   draws.size)  # fmt: skip
        to_small = geometry.compose(np.array([[1 / edits.GRID, 0, 0], [0, 1 / edits.GRID, 0]]), affine)
        there = np.clip(geometry.crop(mask, to_small, small), 0, 1)
        if (there >= HALF).sum() < 12:
            continue
        known = {key: data.rows[i][key] for key in ("source", "file", "group")}
        for fake in (True, False):
            found["pixels"].append(geometry.crop(made if fake else picture, affine, draws.size))
            found["masks"].append((there * 255 * fake).round().astype(np.uint8))
            found["meshes"].append(np.asarray(geometry.transform(affine, mesh), np.float32))
            more = {"family": "bump", "kind": "attribute_manipulation", "record": [{"operation": "replace"}]}
            found["rows"].append(known | {"fake": fake} | (more if fake else {}))
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("pixels", "masks", "meshes"):
        np.save(folder / f"{name}.npy", np.stack(found[name]))
    write_whole(folder / "rows.json", json.dumps(found["rows"]).encode())
    return edits.Edits(folder)


def kept_inside(row: Mapping[str, Any], data: Asked) -> dict[str, Any]:
    """A row of `evaluate.examined` with every mask kept to the region that is named."""
    places = [(name, mask if mask is None or name not in data.concepts else
               mask * cv2.resize(data.polygon(row["at"], name, 112).astype(np.float32), mask.shape[::-1],
                                 interpolation=cv2.INTER_NEAREST))
              for name, mask in row["mentions"]]  # fmt: skip
    return {**row, "mentions": places}


def by_fifa(data: Asked, recipe: Recipe) -> list[dict[str, Any]]:
    """FiFa's answers about every picture, a row each, with masks kept to the region named."""
    card = json.loads((RUNS / "fifa" / "fifa.json").read_text())
    network = FiFa.load(RUNS / "fifa" / "fifa.safetensors")
    return [kept_inside(r, data) for r in evaluate.examined(network, data, range(len(data)), recipe, card["least"])]


def by_forgerytalker(data: Asked) -> list[dict[str, Any]]:
    """ForgeryTalker's mask and areas of every picture, a row each."""
    small = talker.Recipe.read(RUNS / "forgerytalker" / "small.toml")
    speaker = ForgeryTalker.load(RUNS / "forgerytalker" / "forgerytalker.safetensors")
    told = []
    for begin in range(0, len(data), BATCH):
        some = list(range(begin, min(begin + BATCH, len(data))))
        images = data.edits.images(some)
        with torch.inference_mode():
            spoken = speaker.speak_of(images, speaker.encoder(images), small.max_tokens)
        for one, i in zip(spoken, some, strict=True):
            fact = data.edits.rows[i]
            iou, precision, recall = overlap(one.mask, np.asarray(data.edits.masks[i], np.float32) / 255)
            true, said = reports.areas(reports.text(data.sentences[i])), reports.areas(one.text)
            told.append({"at": i, "group": f"{fact['source']}/{fact['group']}", "fake": fact["fake"], "iou": iou,
                         "precision": precision, "recall": recall, "score": max(one.areas.values()),
                         "plm": len(set(true) & set(said)) / max(1, len(set(true) | set(said))),
                         "mask": one.mask, "true": true, "said": said})  # fmt: skip
    return told


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--draws", type=Path, required=True, help="where the forged faces are kept")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    recipe = Recipe.read(RUNS / "fifa" / "small.toml")
    assert recipe.draws is not None
    data = Asked(drawn(recipe.draws, given.pack, given.draws, given.count), recipe.seed)
    rows = by_fifa(data, recipe)
    forged = [r for r in rows if r["fake"]]
    asked = [f"asked by {how}" for how in ("name", "box", "mask", "click")]
    found: dict[str, Any] = {
        "pictures": len(forged), "fifa": evaluate.grounding(forged, data),
    }  # fmt: skip
    found["fifa"] |= means(forged, ("where", "mask_only", *asked))
    found["fifa"]["detection AUC"] = detection(rows)
    found["fifa"]["genuine faces of which nothing is named"] = means([r for r in rows if not r["fake"]],
                                                                     ("silent",))["silent"]  # fmt: skip
    told = by_forgerytalker(data)
    found["forgerytalker"] = means([r for r in told if r["fake"]], ("iou", "precision", "recall", "plm"))
    found["forgerytalker"]["AUC of the score"] = detection(told)
    write_whole(given.out, json.dumps(found, indent=1).encode())
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    torch.set_num_threads(1)
    script(main)
