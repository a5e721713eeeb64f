"""What each choice is worth: the `val` rows under one change at a time, same weights, same crops.

    python runs/compact/ablate.py --cache DIR --run out/3

Measured without training: test-time flips, the weight average, the input size, the noise branch silenced. `--run` is
the folder of a training run (its `last.safetensors` and `resume.safetensors`); `--also NAME=FOLDER:SIZE` adds other
runs, for what only training can tell (self-made forgeries, the size of the crops). Prints Markdown.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.progress import track
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score

from facewitness.apps.script import script
from facewitness.errors import InputError
from facewitness.forge import degrade
from facewitness.models.compact import Compact
from facewitness.train import compact

SETS = ("dfdc", "ffpp_c40", "stylegan2_photos", "self_blend", "region_edit", "swap", "inpaint", "resynthesise")
FORGERS = SETS[3:]


def faces(data: compact.Pack, size: int, margin: float) -> tuple[np.ndarray, list[tuple[str, str, str]]]:
    """Crops (n, 3, S, S) of `val` rows and of self-made forgeries, and (source, label, method) of each."""
    index = {(r["source"], r["file"]): i for i, r in enumerate(data.rows)}
    chosen = [i for i, r in enumerate(data.rows) if r["split"] == "val" and data.landmarks(i) is not None]
    chosen = [i for n, i in enumerate(chosen) if data.rows[i]["source"] != "dfdc" or (n // 2) % 2]
    crops, tags, donor = [], [], None
    for n, i in enumerate(chosen):
        row, item = data.rows[i], compact.item_of_row(data, i, index)
        made = [(item, row["method"])]
        if row["label"] == "real":
            forger = FORGERS[n % len(FORGERS)]
            try:
                forged = compact.item_forged(item, forger, np.random.default_rng(n), donor or item)
                made.append((forged, forger))
            except InputError:
                pass
            donor = item
        for one, method in made:
            one.pixels = degrade.jpeg(one.pixels, 90)
            crops.append(compact.crop_item(one, size, margin)["x"])
            tags.append((row["source"], "fake" if one.fake else "real", method))
    return np.stack(crops), tags


def scores(model: Compact, crops: np.ndarray) -> np.ndarray:
    """Logits (n, 2): of the crop alone, and averaged with its mirror image."""
    out = []
    with torch.inference_mode():
        for k in range(0, len(crops), 64):
            x = torch.from_numpy(crops[k : k + 64]).float().contiguous(memory_format=torch.channels_last)
            one, other = model(x).fake, model(x.flip(3)).fake
            out.append(torch.stack([one, (one + other) / 2], 1).numpy())
    return np.concatenate(out)


def line(name: str, s: np.ndarray, tags: list[tuple[str, str, str]]) -> str:
    """A row of the table: AUC in each set; a self-made forgery stands against all genuine faces."""
    source, label, method = (np.array(column) for column in zip(*tags, strict=True))
    cells = []
    for name_of_set in SETS:
        own = np.isin(method, FORGERS)
        part = (method == name_of_set) | (label == "real") if name_of_set in FORGERS else (source == name_of_set) & ~own
        cells.append(f"{roc_auc_score(label[part] == 'fake', s[part]):.3f}")
    return f"| {name} | " + " | ".join(cells) + " |"


def load(tensors: dict[str, torch.Tensor], recipe: compact.Recipe) -> Compact:
    """The network with these weights, ready to answer."""
    noisy = any(k.startswith("noise.") for k in tensors)
    parsing = any(k.startswith("to_parsing.") for k in tensors)
    model = Compact(recipe.backbone, noise=noisy, parsing=parsing)
    model.load_state_dict(tensors)
    return model.eval().to(memory_format=torch.channels_last)


def main() -> None:
    """One table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=Path(__file__).with_name("recipe.toml"))
    parser.add_argument("--also", action="append", default=[], metavar="NAME=FOLDER:SIZE")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    recipe = compact.Recipe.read(given.recipe)
    size, data = recipe.stage[-1].size, compact.Pack(given.cache)
    average = load_file(given.run / "last.safetensors")
    state = load_file(given.run / "resume.safetensors")
    raw = {k[6:]: v for k, v in state.items() if k.startswith("model.")}
    silent = {k: torch.zeros_like(v) if k == "noise.join.weight" else v for k, v in average.items()}
    cases = [("as shipped (average of weights, flip)", average, size, 1), ("no flip", average, size, 0),
             ("last weights, no average", raw, size, 1), ("noise branch silenced", silent, size, 1)]  # fmt: skip
    cases += [(f"crops of {s} px, not retrained", average, s, 1) for s in (128, 160, 224) if s != size]
    for entry in given.also:
        name, _, place = entry.partition("=")
        folder, _, at = place.rpartition(":")
        cases.append((name, load_file(Path(folder) / "last.safetensors"), int(at), 1))
    crops = {s: faces(data, s, recipe.margin) for s in track(sorted({c[2] for c in cases}), "crops")}
    print("| AUC, face level | " + " | ".join(SETS) + " |\n|---|" + "---|" * len(SETS))
    for name, tensors, s, flip in cases:
        pictures, tags = crops[s]
        print(line(name, scores(load(tensors, recipe), pictures)[:, flip], tags), flush=True)


if __name__ == "__main__":
    script(main)
