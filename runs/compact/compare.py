"""Which of several weights ranks the pool's `val` best, before anything is fitted to them or `unseen` is looked at?

    python runs/compact/compare.py --pack PACK [--limit 25] runs/compact/last.safetensors OTHER.safetensors …

Faces are cropped from the pack as training crops them, in the middle, and each is looked at with its mirror image: as
it came, and after a routine edit and a degradation that are drawn from its row's number, the same for all weights. Two
minutes of one core for 25 rows a source and label. Of two or more files the mean of their spread-out log-odds is a
further row. Prints a table; writes nothing.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score

from facewitness import geometry
from facewitness.builders.pack import Pack
from facewitness.forge import degrade, routine
from facewitness.models.compact import Compact
from facewitness.train import compact

HERE = Path(__file__).parent
CONDITIONS = ("as found", "edited")


def network(file: Path) -> Compact:
    """The network that a file of averaged weights belongs to."""
    tensors = {k: v.float() if v.dtype == torch.float16 else v for k, v in load_file(file).items()}
    model = Compact(noise=True, unit="length" in tensors)
    model.load_state_dict(tensors)
    return model.eval().to(memory_format=torch.channels_last)


def rows_of(pack: Pack, limit: int) -> list[int]:
    """At most `limit` rows of `val` with a mesh of each source and label, in an order of its own."""
    taken: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i in np.random.default_rng(5).permutation(len(pack.rows)).tolist():
        row = pack.rows[i]
        key = row["source"], row["label"]
        if row["split"] == "val" and len(taken[key]) < limit and pack.landmarks(i) is not None:
            taken[key].append(i)
    return [i for rows in taken.values() for i in rows]


def crops(pack: Pack, i: int, size: int, margin: float) -> dict[str, NDArray[np.uint8]]:
    """Condition → a row's crop and its mirror image, uint8 (2, 3, S, S)."""
    pixels, mesh = pack.pixels(i), pack.landmarks(i)
    rng = np.random.default_rng(i)
    edited = routine.edit(pixels, rng, place=geometry.bounds(mesh)).pixels
    edited, _ = degrade.degrade(edited, rng, strength=float(rng.random()))
    affine = geometry.align(mesh, size, margin)
    found = {}
    for condition, picture in zip(CONDITIONS, (pixels, edited), strict=True):
        crop = geometry.crop(picture, affine, size)
        found[condition] = np.ascontiguousarray(np.stack([crop, crop[:, ::-1]]).transpose(0, 3, 1, 2))
    return found


def aucs(
    scores: NDArray[np.floating], rows: Sequence[Mapping[str, Any]], genuine: Mapping[str, str]
) -> dict[str, float]:
    """Source with forgeries → AUC against its genuine pictures, or those that stand beside it in the recipe."""
    by: dict[tuple[str, str], list[float]] = defaultdict(list)
    for score, row in zip(scores, rows, strict=True):
        by[row["source"], row["label"]].append(float(score))
    found = {}
    for source in sorted({s for s, label in by if label == "fake"}):
        fake, real = by[source, "fake"], by.get((genuine.get(source, source), "real"), [])
        if real:
            found[source] = float(roc_auc_score([1] * len(fake) + [0] * len(real), fake + real))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Score, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.toml")
    parser.add_argument("--limit", type=int, default=25, help="rows of each source and label (25)")
    given = parser.parse_args(arguments)
    recipe, pack = compact.Recipe.read(given.recipe), Pack(given.pack)
    rows = rows_of(pack, given.limit)
    models = {file.stem: network(file) for file in given.weights}
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    with torch.inference_mode():
        for i in rows:
            for condition, crop in crops(pack, i, recipe.stage[-1].size, recipe.margin).items():
                x = torch.from_numpy(crop).float().contiguous(memory_format=torch.channels_last)
                for name, model in models.items():
                    scores[name, condition].append(float(model(x).fake.mean()))
    if len(models) > 1:
        for condition in CONDITIONS:
            each = [np.array(scores[name, condition]) / np.std(scores[name, CONDITIONS[0]]) for name in models]
            scores["mean log-odds", condition] = np.mean(each, axis=0).tolist()
    about = [pack.rows[i] for i in rows]
    for name, condition in scores:
        found = aucs(np.array(scores[name, condition]), about, recipe.genuine)
        mean = np.mean(list(found.values()))
        print(f"{name:16} {condition:8} {mean:.4f}  " + "  ".join(f"{s} {v:.2f}" for s, v in found.items()))


if __name__ == "__main__":
    main()
