"""From where on KFD's map is right: fits it on held-out groups of training, and measures it on `val`.

    python runs/kfd/half.py --pack PACK --weights runs/kfd/kfd.safetensors --out DIR [--card]

Forgeries are made of genuine pictures by seed, self-blends and region edits in turn, as `evaluate.py` makes them. Of
thresholds whose mean IoU over both kinds on `calibrate` is within 0.005 of the best one's the highest is taken, for it
marks least of genuine faces. On `val` its IoU stands beside that of one half, with the paired difference, by groups,
and how much of genuine faces either marks. Writes half.md and half.json, and with --card `half` onto the weights' card:
`witnesses/kfd` then shows the map so that this value is one half.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, plugins
from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.bench.conditions import FORGERS, pictures
from facewitness.builders.pack import Pack
from facewitness.files import write_whole
from facewitness.forge import degrade
from facewitness.train.measuring import carded, means, three
from facewitness.types import Clip, Face, Frame, Pixels, Testimony, Track
from facewitness.witnesses import kfd

TRIED = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)

SLACK = 0.005  # of IoU that the highest threshold may be below the best one's: it marks least of genuine faces


def asked(witness: Any, name: str, pixels: Pixels, points: NDArray[np.floating]) -> tuple[Testimony, Frame]:
    """What a witness says of a picture saved as JPEG 95, and the frame it saw."""
    low, high = points.min(axis=0), points.max(axis=0)
    frame = Frame(degrade.jpeg(pixels, 95))
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    face = Face(frame.at, geometry.clip(box, frame.width, frame.height) or box, points.astype(np.float32))
    return witness.examine(Track(0, (face,)), Clip(name, (frame,))), frame


def looked(witness: Any, data: Pack, split: str, limit: int, log: Path) -> list[dict[str, Any]]:
    """From every value on that is tried each forgery's IoU, and how much of a genuine face is marked; kept by lines."""
    held = [json.loads(x) for x in log.read_text().splitlines() if x.endswith("}")] if log.exists() else []
    done = {(row["file"], row["by"]) for row in held}
    with log.open("a", encoding="utf-8") as out:
        for about, pixels, points, mask in pictures(data, split, limit=limit):
            name = f"{about['source']}/{about['file']}"
            if (mask is None and about["label"] != "real") or (name, about["made"]) in done:
                continue
            testimony, frame = asked(witness, name, pixels, points)
            values = testimony.mask.values
            row = {"file": name, "group": f"{about['source']}/{about['group']}", "by": about["made"]}
            for t in TRIED:
                if mask is None:
                    row[str(t)] = float((values >= t).mean())
                    continue
                placed = geometry.place(testimony.mask, frame.height, frame.width)
                row[str(t)] = measures.localisation(kfd.halved(placed, t), mask.astype(np.float32))["iou"]
            held.append(row)
            out.write(json.dumps(row) + "\n")
            out.flush()
    return held


def mean(rows: Sequence[dict[str, Any]], threshold: float) -> float:
    """The mean over both kinds of forgeries of their mean IoU."""
    return float(np.mean([np.mean([r[str(threshold)] for r in rows if r["by"] == by]) for by in FORGERS]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Look, fit, measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=12, help="genuine pictures of each source")
    parser.add_argument("--card", action="store_true", help="put the fit on the weights' card")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    plugins.get("witnesses", "kfd")  # says what to install where a package lacks
    witness, data = kfd.load(weights=str(given.weights)), Pack(given.pack)
    witness.half = 0.5  # the map as it is
    rows = {s: looked(witness, data, s, given.limit, given.out / f"looked-{s}.jsonl") for s in ("calibrate", "val")}
    best = max(mean(rows["calibrate"], t) for t in TRIED)
    half = max(t for t in TRIED if mean(rows["calibrate"], t) >= best - SLACK)
    found: dict[str, Any] = {
        "weights": witness.detector.sha256, "half": half,
        "calibrate": {str(t): round(mean(rows["calibrate"], t), 4) for t in TRIED}, "val": {},
    }  # fmt: skip
    lines = [f"| `val` | forgeries | from 0.5 on | from {half:g} on | difference |", "|---|---|---|---|---|"]
    for by in FORGERS:
        part = [{"group": r["group"], "0.5": r["0.5"], "fitted": r[str(half)], "less": r[str(half)] - r["0.5"]}
                for r in rows["val"] if r["by"] == by]  # fmt: skip
        values = found["val"][by] = means(part, ("0.5", "fitted", "less"))
        lines.append(f"| {by} | {len(part)} | {' | '.join(three(values[k]) for k in ('0.5', 'fitted', 'less'))} |")
    genuine = [{"group": r["group"], "0.5": r["0.5"], "fitted": r[str(half)]} for r in rows["val"] if not r["by"]]
    if genuine:
        values = found["val"]["genuine, marked"] = means(genuine, ("0.5", "fitted"))
        lines.append(f"| genuine, share of the crop that is marked | {len(genuine)} | {three(values['0.5'])} | "
                     f"{three(values['fitted'])} | |")  # fmt: skip
    groups = len({r["group"] for r in rows["calibrate"] if r["by"]})
    tried = ", ".join(f"{t} {value:.3f}" for t, value in found["calibrate"].items())
    count = sum(bool(r["by"]) for r in rows["calibrate"])
    lines += ["", f"Fitted on {count} forgeries of {groups} groups of `calibrate`, mean of both kinds: {tried}."]
    if given.card:
        carded(given.weights, {"half": half})
    write_whole(given.out / "half.json", json.dumps(found, indent=1).encode())
    write_whole(given.out / "half.md", ("\n".join(lines) + "\n").encode())
    print("\n".join(lines))


if __name__ == "__main__":
    script(main)
