"""What further looks at a face are worth to KFD's score, and which self-blends it misses.

    python runs/kfd/views.py look  --pack PACK --weights runs/kfd/kfd.safetensors --split calibrate --out DIR
    python runs/kfd/views.py table --split calibrate --out DIR

Genuine faces and the forgeries that `evaluate.py` makes of them, each saved as JPEG 95 and cropped in four ways: as the
witness crops it (margin 1.3), nearer, farther, and moved by 4.5 px; each way as it is and mirrored (`--looks` for some
of them). A score is the mean logit of some of these, and a table has its AUC, and by how much it is above the witness's
two looks on the same faces, with intervals by bootstrap over groups.

Of each forgery is known: the ratio of its blend; how much of the crop it covers; and by how many grey levels the crop
inside the mask differs from the genuine picture's, where both were saved as JPEG: `changed`, beside `noise`, what
saving alone changes there. A blend whose `changed` is not above its `noise` shows nothing that JPEG does not hide.

What was looked at is kept in DIR by lines, so that a killed run goes on. Choose on `calibrate`; look at `val` once.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facewitness import geometry, plugins
from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.bench.conditions import FORGERS
from facewitness.builders.pack import Pack
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.forge import degrade
from facewitness.train.measuring import three

FIVE = ("celebamask_hq", "dfdc", "ffpp_c40", "stylegan2_photos", "utkface")  # results.md's sources
WAYS = {"as it is": (1.3, 0.0), "nearer": (1.15, 0.0), "farther": (1.5, 0.0), "moved": (1.3, 4.5)}  # margin, pixels
LOOKS = tuple(f"{way}{side}" for way in WAYS for side in ("", ", mirrored"))
SHIPPED = ("as it is", "as it is, mirrored")
SETS: dict[str, tuple[str, ...]] = {
    "one look": ("as it is",),
    "and mirrored, as it ships": SHIPPED,
    "one, and one moved": ("as it is", "moved"),
    "one, and one moved and mirrored": ("as it is", "moved, mirrored"),
    "one, and one farther": ("as it is", "farther"),
    "one, and one farther and mirrored": ("as it is", "farther, mirrored"),
    "one, and one nearer and mirrored": ("as it is", "nearer, mirrored"),
    "one nearer, and one farther and mirrored": ("nearer", "farther, mirrored"),
    **{f"as it ships, and both {way}": (*SHIPPED, way, f"{way}, mirrored") for way in ("nearer", "farther", "moved")},
    "one, moved and mirrored, nearer": ("as it is", "moved, mirrored", "nearer"),
    "nearer and moved, one mirrored each": ("as it is", "as it is, mirrored", "nearer", "moved, mirrored"),
    "each way, two of them mirrored": ("as it is", "nearer, mirrored", "farther", "moved, mirrored"),
    "all eight": LOOKS,
}
RATIOS = (0.25, 0.5, 0.75, 1.0)


def looks(pixels: Any, points: NDArray[np.floating], size: int, names: Sequence[str]) -> NDArray[np.uint8]:
    """The crops of one picture, (N, S, S, 3), each as its name in `LOOKS` has it."""
    views = []
    for name in names:
        way, _, mirrored = name.partition(", ")
        margin, moved = WAYS[way]
        affine = geometry.align(points, size, margin)
        affine = geometry.compose(np.array([[1, 0, moved], [0, 1, moved]]), affine)
        crop = geometry.crop(pixels, affine, size)
        views.append(crop[:, ::-1] if mirrored else crop)
    return np.stack(views)


def faces(data: Pack, split: str, sources: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """(row, file, forger) of each genuine face and of the forgery that is made of it, in an order by their names."""
    rows = [i for i, row in enumerate(data.rows) if row["split"] == split and row["label"] == "real"
            and row["source"] in sources and data.landmarks(i) is not None]  # fmt: skip
    for i in sorted(rows, key=lambda i: zlib.crc32(f"views {data.rows[i]['file']}".encode())):
        file = data.rows[i]["file"]
        yield i, file, ""
        yield i, file, FORGERS[zlib.crc32(file.encode()) % len(FORGERS)]


def looked(given: argparse.Namespace) -> None:
    """Every picture's logits and what is known of its forgery, by lines."""
    witness, data = plugins.get("witnesses", "kfd").load(weights=str(given.weights)), Pack(given.pack)
    size, log = witness.detector.encoders.size, given.out / f"{given.split}.jsonl"
    given.out.mkdir(parents=True, exist_ok=True)
    done = {(row["source"], row["file"], row["by"]) for row in kept(log)}
    with log.open("a", encoding="utf-8") as out:
        for i, file, by in faces(data, given.split, given.sources):
            row = data.rows[i]
            if (row["source"], file, by) in done or by not in ("", *given.forgers):
                continue
            pixels, points = data.pixels(i), np.array(data.landmarks(i))
            line = {"source": row["source"], "file": file, "by": by, "group": f"{row['source']}/{row['group']}"}
            shown = degrade.jpeg(pixels, 95)
            if by:
                try:
                    made = plugins.get("forge", by).forge(
                        pixels, points, np.random.default_rng((0, zlib.crc32(file.encode())))
                    )
                except InputError:
                    continue  # a mesh half outside its picture
                genuine, shown = shown, degrade.jpeg(made.pixels, 95)
                line |= known(pixels, genuine, shown, made, geometry.align(points, size, 1.3), size)
            with torch.inference_mode():
                views = looks(shown, points, size, given.looks).transpose(0, 3, 1, 2)
                logits = witness.detector(torch.from_numpy(views.copy()).float()).logit.double().tolist()
            line["logits"] = {name: round(value, 4) for name, value in zip(given.looks, logits, strict=True)}
            out.write(json.dumps(line) + "\n")
            out.flush()


def known(pixels: Any, genuine: Any, shown: Any, made: Any, affine: geometry.Affine, size: int) -> dict[str, Any]:
    """Ratio of the blend, share of the crop, and what changed inside the mask beside what saving alone changes."""
    peak = float(made.mask.max())
    inside = geometry.crop(made.mask / max(peak, 1e-6), affine, size) >= 0.5
    crops = [geometry.crop(each, affine, size).astype(np.float32) for each in (pixels, genuine, shown)]
    if not inside.any():
        return {"ratio": round(peak, 3), "share": 0.0, "changed": 0.0, "noise": 0.0}
    changed, noise = (float(np.abs(crops[1] - crops[k])[inside].mean()) for k in (2, 0))
    ratio = min(RATIOS, key=lambda r: abs(r - peak)) if made.kind == "identity_exchange" else peak
    return {"ratio": ratio, "share": round(float(inside.mean()), 4), "changed": round(changed, 3),
            "noise": round(noise, 3)}  # fmt: skip


def kept(log: Path) -> list[dict[str, Any]]:
    """The lines of a log; one that a killed run cut off is none."""
    return [json.loads(x) for x in log.read_text().splitlines() if x.endswith("}")] if log.exists() else []


def score(row: dict[str, Any], names: Sequence[str]) -> float:
    """The mean logit of some looks."""
    return float(np.mean([row["logits"][name] for name in names]))


def auc(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> list[float | None]:
    """AUC of the mean of some looks: value, low, high."""
    fake, group = [bool(row["by"]) for row in rows], [row["group"] for row in rows]
    value = measures.detection(fake, [sigmoid(score(row, names)) for row in rows], group, only=["auc"])["auc"]
    return [value.value, value.low, value.high]


def more(rows: Sequence[dict[str, Any]], names: Sequence[str], than: Sequence[str]) -> list[float | None]:
    """By how much the AUC of some looks is above that of others, on the same faces and over the same draws."""
    fake = [bool(row["by"]) for row in rows]
    mine, theirs = (measures.Ranking.of(fake, [sigmoid(score(row, each)) for row in rows]) for each in (names, than))
    gain = measures.auc_gain(mine, theirs, [row["group"] for row in rows])
    return [gain.value, gain.low, gain.high]


def sigmoid(logit: float) -> float:
    """A probability, which the measures expect."""
    return float(1 / (1 + np.exp(-logit)))


def table(given: argparse.Namespace) -> None:
    """The looks beside each other, and the self-blends by what is known of them."""
    rows = kept(given.out / f"{given.split}.jsonl")
    genuine = [row for row in rows if not row["by"]]
    made = {by: [row for row in rows if row["by"] == by] for by in FORGERS}
    made = {by: each for by, each in made.items() if each}
    head = " | ".join(f"{by}, AUC | more" for by in made)
    lines = [f"| `{given.split}`, mean of | {head} |", f"|---|{'---|---|' * len(made)}"]
    for name, names in SETS.items():
        cells = []
        for each in ([*genuine, *rows_] for rows_ in made.values()):
            if all(look in row["logits"] for row in each for look in names):
                cells += [three(auc(each, names)), three(more(each, names, SHIPPED))]
            else:
                cells += ["–", "–"]  # other --looks
        if set(cells) == {"–"}:
            continue
        lines.append(f"| {name} | {' | '.join(cells)} |")
    blends = made["self_blend"]
    lines += ["", "| self-blends | share of them | AUC |", "|---|---|---|"]
    kinds = {f"ratio {r:g}": [b for b in blends if b["ratio"] == r] for r in RATIOS}
    kinds["all but ratio 0.25"] = [b for b in blends if b["ratio"] > RATIOS[0]]
    for name, each in quarters(blends, "share", "quarter by their share of the crop"):
        kinds[name] = each
    for name, each in quarters(blends, "changed", "quarter by grey levels changed"):
        kinds[name] = each
    kinds["no more changed than by saving"] = [b for b in blends if b["changed"] <= b["noise"]]
    kinds["all but these"] = [b for b in blends if b["changed"] > b["noise"]]
    for source in dict.fromkeys(row["source"] for row in blends):
        kinds[f"of {source}, among its own genuine faces"] = [b for b in blends if b["source"] == source]
    for name, each in kinds.items():
        beside = genuine
        if name.startswith("of "):
            beside = [g for g in genuine if each and g["source"] == each[0]["source"]]
        value = three(auc([*beside, *each], SHIPPED)) if each else "–"
        lines.append(f"| {name} | {len(each) / max(len(blends), 1):.3f} | {value} |")
    count = ", ".join(f"{len(each)} {by}" for by, each in made.items())
    lines += ["", f"{len(genuine)} genuine faces, {count}, {len({r['group'] for r in rows})} groups."]
    write_whole(given.out / f"views-{given.split}.md", ("\n".join(lines) + "\n").encode())
    print("\n".join(lines))


def quarters(rows: Sequence[dict[str, Any]], by: str, called: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A name and the rows of each quarter of them by a number, the lowest first."""
    ends = np.quantile([row[by] for row in rows], (0, 0.25, 0.5, 0.75, 1))
    for k, which in enumerate(("first", "second", "third", "fourth")):
        name = f"{which} {called}, {ends[k]:.2g} to {ends[k + 1]:.2g}"
        yield name, [row for row in rows if int(np.searchsorted(ends[1:4], row[by], "right")) == k]


def main(arguments: Sequence[str] | None = None) -> None:
    """Look, or print the tables of what was looked at."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["look", "table"])
    parser.add_argument("--pack", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--sources", nargs="*", default=list(FIVE))
    parser.add_argument("--forgers", nargs="*", default=list(FORGERS), choices=list(FORGERS))
    parser.add_argument("--looks", nargs="*", default=list(LOOKS), choices=LOOKS)
    parser.add_argument("--split", choices=["calibrate", "val"], default="calibrate")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    if given.what == "table":
        table(given)
        return
    if given.pack is None or given.weights is None:
        parser.error("look: expected --pack and --weights")
    looked(given)


if __name__ == "__main__":
    script(main)
