"""Which of several weights ranks the pool's `val` best, before anything is fitted to them or `unseen` is looked at?

    python runs/compact/compare.py --pack PACK [--limit 25] src/facewitness/weights/compact.onnx OTHER.safetensors …
    python runs/compact/compare.py --pack PACK src/facewitness/weights/compact.onnx --crop 192:1.25 224:1.5

Faces are cropped from the pack as training crops them, in the middle, and each is looked at with its mirror image: as
it came, and after a routine edit and a degradation that are drawn from its row's number, the same for all weights. Two
minutes of one core for 25 rows a source and label. Of two or more files the mean of their spread-out log-odds is a
further row, and of two the share with which one file answers so. `--crop` names sides in pixels and margins to look
through instead of the recipe's; of two networks that answer together in one file it looks at the first. Prints a table;
writes nothing.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from facewitness import geometry
from facewitness.apps.build import Look, look_of
from facewitness.apps.script import script
from facewitness.builders.pack import Pack
from facewitness.errors import InputError
from facewitness.forge import degrade, routine
from facewitness.models.compact import Compact, read_weights
from facewitness.train import compact

HERE = Path(__file__).parent
CONDITIONS = ("as found", "edited")


BACKBONES = ("mobilenetv2_100", "efficientnet_lite0", "efficientnet_lite2")


def network(file: Path) -> Compact:
    """The network that a file of averaged weights belongs to; of two that answer together the first."""
    tensors = read_weights(file)
    for backbone in BACKBONES:
        model = Compact(backbone, noise=True, unit="length" in tensors)
        if all(k in tensors and tensors[k].shape == v.shape for k, v in model.state_dict().items()):
            model.load_state_dict(tensors)
            return model.eval().to(memory_format=torch.channels_last)
    raise InputError(f"'{file}': expected weights of {', '.join(BACKBONES)} with a noise branch, got another network's")


def answers(file: Path, looks: Sequence[Look]) -> Callable[[NDArray[np.uint8]], float]:
    """What a file says of crops (N, 3, S, S): the mean of their log-odds. Exported networks are run as they ship."""
    if file.suffix == ".onnx":
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        if all(look.size == session.get_inputs()[0].shape[1] for look in looks):
            name = session.get_inputs()[0].name
            return lambda crop: float(session.run(["fake"], {name: crop.transpose(0, 2, 3, 1).copy()})[0].mean())
    model = network(file)

    def told(crop: NDArray[np.uint8]) -> float:
        with torch.inference_mode():
            x = torch.from_numpy(crop).float().contiguous(memory_format=torch.channels_last)
            return float(model(x).fake.mean())

    return told


def rows_of(pack: Pack, limit: int) -> list[int]:
    """At most `limit` rows of `val` with a mesh of each source and label, in an order of its own."""
    taken: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i in np.random.default_rng(5).permutation(len(pack.rows)).tolist():
        row = pack.rows[i]
        key = row["source"], row["label"]
        if row["split"] == "val" and len(taken[key]) < limit and pack.landmarks(i) is not None:
            taken[key].append(i)
    return [i for rows in taken.values() for i in rows]


def crops(pack: Pack, i: int, looks: Sequence[Look]) -> dict[tuple[str, Look], NDArray[np.uint8]]:
    """Condition and look → a row's crop and its mirror image, uint8 (2, 3, S, S)."""
    pixels, mesh = pack.pixels(i), pack.landmarks(i)
    rng = np.random.default_rng(i)
    edited = routine.edit(pixels, rng, place=geometry.bounds(mesh)).pixels
    edited, _ = degrade.degrade(edited, rng, strength=float(rng.random()))
    found = {}
    for condition, picture in zip(CONDITIONS, (pixels, edited), strict=True):
        for look in looks:
            crop = geometry.crop(picture, geometry.align(mesh, look.size, look.margin), look.size)
            found[condition, look] = np.ascontiguousarray(np.stack([crop, crop[:, ::-1]]).transpose(0, 3, 1, 2))
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
    parser.add_argument("--crop", type=look_of, nargs="+", metavar="SIZE:MARGIN", help="instead of the recipe's")
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.toml")
    parser.add_argument("--limit", type=int, default=25, help="rows of each source and label (25)")
    given = parser.parse_args(arguments)
    recipe, pack = compact.Recipe.read(given.recipe), Pack(given.pack)
    looks = given.crop or [Look(recipe.stage[-1].size, recipe.margin)]
    rows = rows_of(pack, given.limit)
    models = {file.stem: answers(file, looks) for file in given.weights}
    scores: dict[tuple[str, Look, str], list[float]] = defaultdict(list)
    for i in rows:
        for (condition, look), crop in crops(pack, i, looks).items():
            for name, model in models.items():
                scores[name, look, condition].append(model(crop))
    if len(models) > 1:
        for look in looks:
            for condition in CONDITIONS:
                each = [
                    np.array(scores[name, look, condition]) / np.std(scores[name, look, CONDITIONS[0]])
                    for name in models
                ]
                scores["mean log-odds", look, condition] = np.mean(each, axis=0).tolist()
        if len(models) == 2:
            first, second = (np.std(scores[name, looks[0], CONDITIONS[0]]) for name in models)
            print(f"so spread in one file: facewitness build onnx … --share {first / (first + second):.2f}")
    about = [pack.rows[i] for i in rows]
    for (name, look, condition), values in scores.items():
        found = aucs(np.array(values), about, recipe.genuine)
        mean = np.mean(list(found.values()))
        each_source = "  ".join(f"{s} {v:.2f}" for s, v in found.items())
        print(f"{name:16} {look.size}:{look.margin:<5} {condition:8} {mean:.4f}  {each_source}")


if __name__ == "__main__":
    script(main)
