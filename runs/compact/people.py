"""Finds pictures of one take, room or person among DFDC's genuine faces, whose clips repeat them across the splits.

    python runs/compact/people.py --cache PACK --imagenet mobilenetv2_100_imagenet.safetensors --out groups.json
    python runs/compact/people.py --cache PACK --shows shows.json

Each genuine picture becomes a vector: features of an ImageNet MobileNetV2 at stride 16, pooled on a grid of 3 × 3 over
the picture (who, where, in what light and clothes), centred and whitened. A pair is one group where its cosine is at
least `--threshold`; groups are what such pairs connect, a fake going with its original. Nothing here knows faces as a
recognition network does, so a person in another room stays apart: the groups are a lower bound of what repeats.
`pack --groups groups.json` files the rows by these groups and leaves out `val` rows that share one with `train`.

`--shows` writes whose face the swaps of FaceForensics++ show, which is split by the target: their names end in the
target's number and the donor's. `pack --shows shows.json` leaves swaps out of training that show a face of `val`.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from safetensors.torch import load_file

from facewitness.apps.script import script
from facewitness.builders.pack import Pack
from facewitness.models.compact import Compact


def vectors(data: Pack, rows: list[int], imagenet: Path, kept: int = 256) -> NDArray[np.float32]:
    """One vector of length one a picture, (n, `kept`): whitened principal components of pooled ImageNet features."""
    network = Compact()
    network.start_from(load_file(imagenet))
    backbone = network.backbone.eval()
    found = []
    for start in track(range(0, len(rows), 16), "looking"):
        pictures = [
            cv2.resize(data.pixels(i), (160, 160), interpolation=cv2.INTER_AREA) for i in rows[start : start + 16]
        ]
        x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 128 - 1
        with torch.no_grad():
            y = backbone.bn1(backbone.conv_stem(x))
            for stage in backbone.blocks[:5]:
                y = stage(y)
            found.append(torch.nn.functional.adaptive_avg_pool2d(y, 3).flatten(1).numpy())
    values = np.concatenate(found)
    values -= values.mean(axis=0)
    _, scale, axes = np.linalg.svd(values, full_matrices=False)
    white = values @ axes[:kept].T / (scale[:kept] / np.sqrt(len(values)))
    return np.asarray(white / np.linalg.norm(white, axis=1, keepdims=True), np.float32)


def connected(values: NDArray[np.float32], threshold: float) -> list[int]:
    """For each vector the number of the group that pairs of at least this cosine connect it to."""
    parent = list(range(len(values)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, row in enumerate(values @ values.T):
        for j in np.flatnonzero(row[i + 1 :] >= threshold) + i + 1:
            parent[root(int(j))] = root(i)
    return [root(i) for i in range(len(values))]


def shown(data: Pack) -> dict[str, str]:
    """The number of the donor, whose face it shows, for each swap of FaceForensics++ by "source/file"."""
    swaps = [r for r in data.rows if r["source"].startswith("ffpp_") and r["kind"] == "identity_exchange"]
    pairs = {f"{r['source']}/{r['file']}": re.search(rf"_{re.escape(r['group'])}_(\d+)", r["file"]) for r in swaps}
    return {name: pair[1] for name, pair in pairs.items() if pair}


def main() -> None:
    """Look, connect, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--imagenet", type=Path)
    parser.add_argument("--source", default="dfdc")
    parser.add_argument("--threshold", type=float, default=0.35)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--shows", type=Path, help="write whose faces swaps show, and look at nothing")
    given = parser.parse_args()
    data = Pack(given.cache)
    if given.shows is not None:
        faces = shown(data)
        given.shows.write_text(json.dumps(faces, indent=0))
        print(f"{len(faces)} swaps show faces of {len(set(faces.values()))} others")
        return
    if given.imagenet is None or given.out is None:
        parser.error("expected --imagenet and --out, or --shows")
    rows = [i for i, r in enumerate(data.rows) if r["source"] == given.source and r["label"] == "real"]
    values = vectors(data, rows, given.imagenet)
    numbers = connected(values, given.threshold)
    name = {data.rows[i]["file"]: f"people:{data.rows[rows[n]]['file']}" for i, n in zip(rows, numbers, strict=True)}
    groups = {}
    for row in data.rows:
        if row["source"] == given.source and (group := name.get(row["original"] or row["file"])):
            groups[f"{row['source']}/{row['file']}"] = group
    given.out.write_text(json.dumps(groups, indent=0))
    counts = sorted((numbers.count(n) for n in set(numbers)), reverse=True)
    tested = {name[data.rows[i]["file"]] for i in rows if data.rows[i]["split"] == "val"}
    shared = {name[data.rows[i]["file"]] for i in rows if data.rows[i]["split"] != "val"} & tested
    left = sum(data.rows[i]["split"] == "val" and name[data.rows[i]["file"]] not in shared for i in rows)
    print(
        f"{len(rows)} pictures in {len(counts)} groups, the largest {counts[:5]}; {left} of val share none with train"
    )


if __name__ == "__main__":
    script(main)
