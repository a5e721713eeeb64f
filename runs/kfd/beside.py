"""Sets KFD detectors side by side on the same faces: which of them finds more, and which accuses more.

    python runs/kfd/beside.py mean    OLD/kfd.safetensors NEW/kfd.safetensors --share 0.5 --out MEAN/kfd.safetensors
    python runs/kfd/beside.py measure --pack PACK --out DIR runs/kfd/kfd.safetensors NEW/kfd.safetensors …

Every genuine picture stands beside a forgery made of it by seed, self-blends and region edits in turn, and beside the
sources' own forgeries, each looked at as `witnesses/kfd` does. A detector is called as its folder. Of each kind of
forgery the table has AUC and mask IoU; IoU is of the map from the value on that half.py's rule takes on `calibrate`,
and, in a column more, from where the detector marks no more of genuine faces than the first one. `--split val` reads
both from DIR's beside-calibrate.json and fits nothing. Each difference from the first detector is on the same faces;
intervals are by bootstrap over groups.
What was looked at is kept in DIR by lines, so that a killed run goes on. Writes beside-SPLIT.md and -SPLIT.json.

`mean` writes (1 − share) OLD + share NEW (Wortsman et al. 2022, "Model soups"): weights that one start led to may be
averaged.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, plugins
from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.bench.conditions import FORGERS, pictures
from facewitness.builders.pack import Pack
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.models.kfd import KFD
from facewitness.train.measuring import means, three
from facewitness.witnesses import kfd

_HALF = importlib.util.spec_from_file_location("kfd_half", Path(__file__).with_name("half.py"))
assert _HALF is not None and _HALF.loader is not None
half: Any = importlib.util.module_from_spec(_HALF)
sys.modules[_HALF.name] = half
_HALF.loader.exec_module(half)

OWN = ("dfdc", "ffpp_c40", "ffpp_c23")  # whose own forgeries are told beside those made here
Row = dict[str, Any]  # file, group, source, by (forger; "" genuine; "own"), score, and a number for each of half.TRIED


def mean(old: KFD, new: KFD, share: float) -> KFD:
    """(1 − share) of one and share of the other, in the place of the first.

    Args:
        old: A detector.
        new: Another with the same tensors.
        share: Of the new one, in [0, 1].

    Raises:
        InputError: Their tensors differ in name or shape.
    """
    mine, theirs = old.state_dict(), new.state_dict()
    odd = sorted(set(mine) ^ set(theirs) | {k for k in set(mine) & set(theirs) if mine[k].shape != theirs[k].shape})
    if odd:
        raise InputError(f"mean: expected detectors of the same tensors, got others: {', '.join(odd[:5])}")
    for name, value in mine.items():
        if value.is_floating_point():
            value.copy_(((1 - share) * value.double() + share * theirs[name].double()).to(value.dtype))
    return old


def overlap(found: NDArray[Any], truth: NDArray[Any], threshold: float) -> float:
    """IoU of a map from a threshold on, and of a mask from one half on."""
    said, true = found >= threshold, truth >= 0.5
    return float((said & true).sum() / max(int((said | true).sum()), 1))


def looked(witness: Any, data: Pack, split: str, limit: int | None, log: Path) -> list[Row]:
    """What one detector says of every picture; kept by lines."""
    held = [json.loads(x) for x in log.read_text().splitlines() if x.endswith("}")] if log.exists() else []
    done = {(row["file"], row["by"]) for row in held}
    with log.open("a", encoding="utf-8") as out:
        for about, pixels, points, mask in pictures(data, split, limit=limit):
            own = about["label"] == "fake" and not about["made"]
            by, name = "own" if own else about["made"], f"{about['source']}/{about['file']}"
            if (name, by) in done or (own and about["source"] not in OWN):
                continue
            testimony, frame = half.asked(witness, name, pixels, points)
            row = {"file": name, "group": f"{about['source']}/{about['group']}", "source": about["source"], "by": by,
                   "score": testimony.fake}  # fmt: skip
            placed = None if mask is None else geometry.place(testimony.mask, frame.height, frame.width)
            for t in half.TRIED:
                marked = float((testimony.mask.values >= t).mean())
                row[str(t)] = marked if placed is None else overlap(placed, mask, t)
            held.append(row)
            out.write(json.dumps(row) + "\n")
            out.flush()
    return held


def told(rows: Sequence[Row], at: float) -> dict[str, list[float | None]]:
    """Every number of one detector: value, low, high. `at` is from where on its map counts."""
    genuine = [row for row in rows if not row["by"]]
    found: dict[str, list[float | None]] = {}
    for by in FORGERS:
        made = [row for row in rows if row["by"] == by]
        found[f"{by}, AUC"] = _auc(genuine, made)
        found[f"{by}, mask IoU"] = means([{"group": r["group"], "iou": r[str(at)]} for r in made], ["iou"])["iou"]
    for source in OWN:
        own = [row for row in rows if row["by"] == "own" and row["source"] == source]
        if own:
            found[f"{source}'s own, AUC"] = _auc([row for row in genuine if row["source"] == source], own)
    marked = [{"group": r["group"], "share": r[str(at)]} for r in genuine]
    return found | {"genuine, share of the crop marked": means(marked, ["share"])["share"]}


def _auc(genuine: Sequence[Row], forged: Sequence[Row]) -> list[float | None]:
    rows = [*genuine, *forged]
    fake = [False] * len(genuine) + [True] * len(forged)
    value = measures.detection(fake, [r["score"] for r in rows], [r["group"] for r in rows], only=["auc"])["auc"]
    return [value.value, value.low, value.high]


def less(rows: Sequence[Row], first: Sequence[Row], at: float, first_at: float) -> dict[str, list[float | None]]:
    """By how much one detector is above the first one on the same faces: value, low, high."""
    known = {(row["file"], row["by"]): row for row in first}
    both = [(row, known[row["file"], row["by"]]) for row in rows if (row["file"], row["by"]) in known]
    found: dict[str, list[float | None]] = {}
    for by in (*FORGERS, ""):
        pairs = [{"group": r["group"], "more": r[str(at)] - k[str(first_at)]} for r, k in both if r["by"] == by]
        name = f"{by}, mask IoU" if by else "genuine, share of the crop marked"
        found[name] = means(pairs, ["more"])["more"]
        if by:
            found[f"{by}, AUC"] = _auc_more([(r, k) for r, k in both if r["by"] in (by, "")])
    return found


def _auc_more(both: Sequence[tuple[Row, Row]]) -> list[float | None]:
    """The difference of two detectors' AUC on the same faces, over the same draws of groups."""
    fake = [bool(row["by"]) for row, _ in both]
    mine, theirs = (measures.Ranking.of(fake, [pair[k]["score"] for pair in both]) for k in (0, 1))
    gain = measures.auc_gain(mine, theirs, [row["group"] for row, _ in both])
    return [gain.value, gain.low, gain.high]


def thresholds(every: Mapping[str, Sequence[Row]]) -> dict[str, list[float]]:
    """From where on each detector's map counts: as half.py takes it, and where it marks no more than the first does.

    Args:
        every: What each detector said of the pictures of `calibrate`.

    Returns:
        For each its one or two values of half.TRIED; the second is the lowest from which on no more of genuine faces is
        marked than by the first detector from its own value on.
    """
    found: dict[str, list[float]] = {}
    most = float("inf")
    for name, rows in every.items():
        best = max(half.mean(rows, t) for t in half.TRIED)
        found[name] = [max(t for t in half.TRIED if half.mean(rows, t) >= best - half.SLACK)]
        marks = {t: float(np.mean([row[str(t)] for row in rows if not row["by"]])) for t in half.TRIED}
        if most == float("inf"):
            most = marks[found[name][0]]
            continue
        even = [t for t in half.TRIED if marks[t] <= most]
        if even and min(even) != found[name][0]:
            found[name].append(min(even))
    return found


def measure(given: argparse.Namespace) -> None:
    """Look, fit on `calibrate`, write."""
    given.out.mkdir(parents=True, exist_ok=True)
    plugins.get("witnesses", "kfd")  # says what to install where a package lacks
    data, every = Pack(given.pack), {}
    for path in given.weights:
        witness = kfd.load(weights=str(path))
        witness.half = 0.5  # the map as it is
        name, sha = path.parent.name, witness.detector.sha256
        every[name] = looked(witness, data, given.split, given.limit, given.out / f"{given.split}-{sha[:12]}.jsonl")
    if given.split == "calibrate":
        ats = thresholds(every)
    else:
        ats = json.loads((given.out / "beside-calibrate.json").read_text(encoding="utf-8"))["from"]
    first = next(iter(every))
    columns = [(name, at) for name in every for at in ats[name]]
    numbers = {f"{name}, from {at:g} on": told(every[name], at) for name, at in columns}
    more = {f"{name}, from {at:g} on": less(every[name], every[first], at, ats[first][0]) for name, at in columns
            if name != first}  # fmt: skip
    lines = [f"| `{given.split}` | {' | '.join(numbers)} |", f"|---|{'---|' * len(numbers)}"]
    for key in next(iter(numbers.values())):
        cells = []
        for column, values in numbers.items():
            by = more.get(column, {}).get(key)
            cells.append(three(values[key]) + (f"; {three(by)}" if by else ""))
        lines.append(f"| {key} | {' | '.join(cells)} |")
    count = {by: sum(row["by"] == by for row in every[first]) for by in ("", *FORGERS, "own")}
    groups = len({row["group"] for row in every[first]})
    made = f"{count['self_blend']} self-blends, {count['region_edit']} region edits and {count['own']} forgeries of"
    made = f"{count['']} genuine faces, {made} the sources' own, {groups} groups."
    lines += ["", f"{made} After a semicolon: by how much it is above {first} on the same faces."]
    found: Mapping[str, Any] = {"from": ats, "numbers": numbers, f"above {first}": more}
    write_whole(given.out / f"beside-{given.split}.json", json.dumps(found, indent=1).encode())
    write_whole(given.out / f"beside-{given.split}.md", ("\n".join(lines) + "\n").encode())
    print("\n".join(lines))


def main(arguments: Sequence[str] | None = None) -> None:
    """Average, or look and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parts = parser.add_subparsers(dest="what", required=True)
    averaged = parts.add_parser("mean")
    averaged.add_argument("old", type=Path)
    averaged.add_argument("new", type=Path)
    averaged.add_argument("--share", type=float, default=0.5, help="of the new one")
    averaged.add_argument("--out", type=Path, required=True)
    looks = parts.add_parser("measure")
    looks.add_argument(
        "weights", type=Path, nargs="+", help="kfd.safetensors of runs; the first is what others are held against"
    )
    looks.add_argument("--pack", type=Path, required=True)
    looks.add_argument("--split", choices=["calibrate", "val"], default="calibrate")
    looks.add_argument("--limit", type=int, default=12, help="rows of each source and label")
    looks.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    if given.what == "measure":
        measure(given)
        return
    if not 0 <= given.share <= 1:
        parser.error(f"--share: expected a number from 0 to 1, got {given.share:g}")
    old, new = KFD.load(given.old), KFD.load(given.new)
    facts = json.loads(given.new.with_suffix(".json").read_text(encoding="utf-8"))
    detector = mean(old, new, given.share)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    detector.save(given.out, {"crop": facts["crop"], "trained": facts["trained"]})


if __name__ == "__main__":
    script(main)
