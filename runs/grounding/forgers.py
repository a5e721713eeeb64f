"""Both grounding systems on forgers left out of their training, each on the same faces, beside two controls.

    python runs/grounding/redraw.py FOLDER PACK REDRAWN    # for the two upscaling networks, left out without it
    python runs/grounding/forgers.py --pack PACK --redrawn REDRAWN --draws DRAWS --out runs/grounding/forgers.json

lip_sync, resynthesise   of `forge/`; neither system and not their encoder's masks learned from them. The default
                         network of that day, at which the encoder began, had seen both (the second on whole faces only)
decode                   regions as a small decoder draws them, fitted to the picture: no network here was shown it then
realesrgan, srgan        regions as two upscaling networks draw them: neither was any of their pictures

80 genuine faces at most of held-out people who chose nothing, one picture a person, forged once by each, under the
recipe's degradations; the same faces as they are stand beside them. *Shuffled* deals the explanations, with their
masks, out to other pictures of the same forger. *Constant* names one region on every face, with the whole of its
outline as the mask: the region with which that goes best, chosen on the truth itself. What is done stays in --out's
JSON, so that a run goes on where it stopped; beside it stands the table.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from facewitness import geometry, plugins
from facewitness.apps.script import script
from facewitness.builders.pack import Pack, jittered
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.forge import Forged, degrade
from facewitness.train import edits
from facewitness.train.fifa import Asked, Recipe
from facewitness.train.measuring import HALF, dealt, detection, jaccard, means, overlap, three
from facewitness.types import Landmarks, Pixels

sys.path.insert(0, str(Path(__file__).parent.parent / "fifa"))
sys.path.insert(0, str(Path(__file__).parent))
import evaluate
import redraw
import unseen

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {  # forger → leaf of forge/, and what is asked of it
    "lip_sync": ("lip_sync", {}),
    "resynthesise": ("resynthesise", {"whole": 0.0, "parts": 1.0}),
    "decode": ("resynthesise", {"whole": 0.0, "parts": 1.0, "traces": ("decode",)}),
    **{net: ("resynthesise", {"whole": 0.0, "parts": 1.0}) for net in redraw.NETS},
}
_TRIES = 4
_FEWEST = 12  # samples of a mask that are forged: fewer lie outside the crop
NAMES = ("AGE mIoU per mention", "mentions with a right mask", "hallucinated regions", "edited regions that are named")


def faces(draws: edits.Draws, pack: Pack, folder: Path, of: str, make: Callable[..., Forged] | None) -> edits.Edits:
    """The faces forged in one way (None: as they are), as crops with the truth, kept in a folder.

    Args:
        draws: The recipe's, for the crop and the degradations.
        pack: Where the faces are.
        folder: Where they are kept.
        of: The forger's name.
        make: A row's number, picture, mesh and a generator → the forgery.
    """
    if (folder / "rows.json").exists():
        return edits.Edits(folder)
    small = draws.size // edits.GRID
    found: dict[str, list[Any]] = {"pixels": [], "masks": [], "meshes": [], "rows": []}
    for at in redraw.faces(pack.rows):
        picture, mesh = pack.pixels(at), pack.landmarks(at)
        if mesh is None:
            continue
        for attempt in range(_TRIES):
            rng = np.random.default_rng([5, at, attempt])
            row: dict[str, Any] = {key: pack.rows[at][key] for key in ("source", "file", "group")}
            row["fake"], shown, mask = make is not None, picture, np.zeros((small, small), np.float32)
            affine = edits._unmirrored(jittered(geometry.align(mesh, draws.size, draws.margin), draws.size, rng)[0],
                                       draws.size)  # fmt: skip
            if make is not None:
                try:
                    made = make(at, picture, mesh, rng)
                except InputError:  # a mouth outside the picture
                    continue
                to_small = geometry.compose(np.array([[1 / edits.GRID, 0, 0], [0, 1 / edits.GRID, 0]]), affine)
                mask = np.clip(geometry.crop(made.mask / max(float(made.mask.max()), 1e-6), to_small, small), 0, 1)
                if (mask >= HALF).sum() < _FEWEST:
                    continue
                row |= {"family": of, "kind": made.kind, "record": list(made.record)}
                shown = made.pixels
            shown, _ = degrade.degrade(
                shown, rng, strength=float(rng.uniform(0, draws.strength)), counts=draws.degradation
            )
            found["pixels"].append(geometry.crop(shown, affine, draws.size))
            found["masks"].append((mask * 255).round().astype(np.uint8))
            found["meshes"].append(np.asarray(geometry.transform(affine, mesh), np.float32))
            found["rows"].append(row)
            break
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("pixels", "masks", "meshes"):
        np.save(folder / f"{name}.npy", np.stack(found[name]))
    write_whole(folder / "rows.json", json.dumps(found["rows"]).encode())
    return edits.Edits(folder)


def maker(name: str, redrawn: Path | None) -> Callable[..., Forged] | None:
    """How a forger is asked; None where what it needs is not at hand."""
    leaf, options = OPTIONS[name]
    forge = plugins.get("forge", leaf).forge
    if name in redraw.NETS and redrawn is None:
        return None

    def make(at: int, picture: Pixels, mesh: Landmarks, rng: np.random.Generator) -> Forged:
        more: dict[str, Any] = {}
        if name in redraw.NETS:
            assert redrawn is not None
            with Image.open(redrawn / f"{at}-{name}.png") as image:
                more["drawn"] = np.asarray(image.convert("RGB"))
        made: Forged = forge(picture, mesh, rng, **options, **more)
        return made

    return make


def constant(forged: Sequence[dict[str, Any]], data: Asked) -> tuple[str, list[dict[str, Any]]]:
    """The region that is best named on every face, and the rows of who does so with its whole outline."""
    ways = {name: [{**r, "segs": 1, "mentions": [(name, data.polygon(r["at"], name, 112).astype(np.float32))]}
                   for r in forged] for name in data.concepts}  # fmt: skip
    best = max(ways, key=lambda name: evaluate.grounding(ways[name], data)[NAMES[0]][0] or 0.0)
    return best, ways[best]


def of_fifa(forged: Sequence[dict[str, Any]], genuine: Sequence[dict[str, Any]], data: Asked) -> dict[str, Any]:
    """FiFa's numbers about one forger."""
    asked = [f"asked by {how}" for how in ("name", "box", "mask", "click")]
    name, blind = constant(forged, data)
    shuffled = dealt(len(forged)).tolist()
    return {
        "own": evaluate.grounding(forged, data), "shuffled": evaluate.grounding(forged, data, shuffled),
        f"constant: {name}": evaluate.grounding(blind, data),
        "mentions": sum(len(r["mentions"]) for r in forged),
        **means(forged, ("where", "mask_only", "silent", *asked)), "detection AUC": detection([*forged, *genuine]),
    }  # fmt: skip


def of_talker(told: Sequence[dict[str, Any]], genuine: Sequence[dict[str, Any]], data: Asked) -> dict[str, Any]:
    """ForgeryTalker's numbers about one forger, its masks and areas shuffled beside them."""
    rows = []
    for row, k in zip(told, dealt(len(told)).tolist(), strict=True):
        truth = np.asarray(data.edits.masks[row["at"]], np.float32) / 255
        rows.append({**row, "iou, shuffled": overlap(told[k]["mask"], truth)[0],
                     "plm, shuffled": jaccard(row["true"], told[k]["said"])})  # fmt: skip
    names = ("iou", "iou, shuffled", "precision", "recall", "plm", "plm, shuffled")
    return {**means(rows, names), "detection AUC": detection([*told, *genuine])}


def headed(*columns: str) -> list[str]:
    """A table's first two lines."""
    return [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]


def table(found: dict[str, Any]) -> str:
    """The page."""
    lines = headed(
        "forger", "pictures", "mentions", "AGE mIoU per mention", "right masks", "hallucinated", "edited regions named",
        "names nothing",
    )  # fmt: skip
    for name, values in found["forgers"].items():
        fifa = values["fifa"]
        for who in [key for key in fifa if key in ("own", "shuffled") or key.startswith("constant")]:
            first = who == "own"
            begin = [name, str(values["pictures"]), str(fifa["mentions"])] if first else [f"– {who}", "", ""]
            last = three(fifa["silent"]) if first else ""
            lines.append(f"| {' | '.join([*begin, *(three(fifa[who][n]) for n in NAMES), last])} |")
    lines += ["", *headed("forger", "map IoU", "encoder's own", "asked by name", "box", "mask", "click", "AUC")]
    for name, values in found["forgers"].items():
        fifa = values["fifa"]
        columns = ("where", "mask_only", "asked by name", "asked by box", "asked by mask", "asked by click",
                   "detection AUC")  # fmt: skip
        lines.append(f"| {name} | {' | '.join(three(fifa[c]) for c in columns)} |")
    lines += ["", *headed("ForgeryTalker", "IoU", "shuffled", "precision", "recall", "PLM", "shuffled", "AUC")]
    for name, values in found["forgers"].items():
        lines.append(f"| {name} | {' | '.join(three(v) for v in values['forgerytalker'].values())} |")
    genuine = found["genuine"]
    lines += ["", f"Of {genuine['pictures']} genuine faces FiFa names nothing on {three(genuine['silent'])}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--redrawn", type=Path, help="the folder that redraw.py wrote")
    parser.add_argument("--draws", type=Path, required=True, help="where the forged faces are kept")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    recipe = Recipe.read(unseen.RUNS / "fifa" / "small.toml")
    assert recipe.draws is not None
    pack = Pack(given.pack)
    found: dict[str, Any] = json.loads(given.out.read_text()) if given.out.exists() else {"forgers": {}}
    todo = [name for name in OPTIONS if name not in found["forgers"] and maker(name, given.redrawn) is not None]
    if not todo:
        print(table(found))
        return
    data = Asked(faces(recipe.draws, pack, given.draws / "genuine", "genuine", None), recipe.seed)
    genuine, cleared = unseen.by_fifa(data, recipe), unseen.by_forgerytalker(data)
    found["genuine"] = {"pictures": len(genuine), **means(genuine, ("silent",))}
    for name in todo:
        make = maker(name, given.redrawn)
        data = Asked(faces(recipe.draws, pack, given.draws / name, name, make), recipe.seed)
        forged, told = unseen.by_fifa(data, recipe), unseen.by_forgerytalker(data)
        found["forgers"][name] = {"pictures": len(forged), "fifa": of_fifa(forged, genuine, data),
                                  "forgerytalker": of_talker(told, cleared, data)}  # fmt: skip
        write_whole(given.out, json.dumps(found, indent=1).encode())
        write_whole(given.out.with_suffix(".md"), table(found).encode())
    print(table(found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    script(main)
