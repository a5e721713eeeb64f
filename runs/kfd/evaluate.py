"""Measures witnesses on the `val` rows of a pack: self-blends made here, and the sources' own forgeries.

    python runs/kfd/evaluate.py --cache DIR --weights OUT/kfd.safetensors --out DIR [--beside compact]

Every picture, genuine or forged, is degraded alike (`--conditions`), encoded once more as JPEG at quality 95, and
examined as `facewitness analyze` does it, with the face that was found in the pack. A forgery is made of every genuine
picture by seed, self-blends and region edits in turn. Pictures without a face are left out and counted.

Writes predictions.csv, results.json and results.md: AUC on the forgeries made here, AUC on each source's own, and the
mean mask IoU on the forgeries made here, each with a 95 % interval from a bootstrap over groups.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facewitness import plugins
from facewitness.bench import measures
from facewitness.bench.conditions import CONDITIONS, FORGERS, examined
from facewitness.builders.pack import Pack

COLUMNS = ("witness", "condition", "source", "group", "file", "made", "label", "score", "iou")


def measured(rows: Sequence[dict[str, Any]], seed: int = 0) -> dict[str, dict[str, measures.Value]]:
    """For each witness and condition ("kfd, plain"): AUC and mask IoU on forgeries made here, AUC of each source.

    made, mask_iou       AUC and mean mask IoU on all that is made here; made/<forger>, mask_iou/<forger> by one forger
    made/<source>        AUC on what was made of a source's genuine pictures
    auc/<source>         AUC on a source's own forgeries, against its genuine pictures as they came
    """
    found: dict[str, dict[str, measures.Value]] = {}
    for key in dict.fromkeys((row["witness"], row["condition"]) for row in rows):
        mine = [row for row in rows if (row["witness"], row["condition"]) == key and row["score"] is not None]
        real = [row for row in mine if row["label"] == "real"]
        made = [row for row in mine if row["made"]]
        values: dict[str, measures.Value] = {}
        for by in ("", *FORGERS):
            these = [row for row in made if by in ("", row["made"])]
            values[f"made/{by}" if by else "made"] = _auc([*real, *these], seed)
            if these:
                iou = np.array([np.nan if row["iou"] is None else row["iou"] for row in these], np.float64)
                name = f"mask_iou/{by}" if by else "mask_iou"
                values |= measures.ratios({name: (iou, np.ones(len(these)))}, _groups(these), seed=seed)
        for source in dict.fromkeys(row["source"] for row in mine):
            here = [row for row in real if row["source"] == source]
            own = [row for row in mine if row["source"] == source and row["label"] == "fake" and not row["made"]]
            values[f"made/{source}"] = _auc([*here, *(row for row in made if row["source"] == source)], seed)
            if own:
                values[f"auc/{source}"] = _auc([*here, *own], seed)
        found[", ".join(key)] = values
    return found


def _auc(rows: Sequence[dict[str, Any]], seed: int) -> measures.Value:
    fake, score = [row["label"] == "fake" for row in rows], [row["score"] for row in rows]
    return measures.detection(fake, score, _groups(rows), only=["auc"], seed=seed)["auc"]


def _groups(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [f"{row['source']}/{row['group']}" for row in rows]


def table(found: dict[str, dict[str, measures.Value]]) -> str:
    """The numbers as Markdown, a column for each witness and condition."""
    names = list(dict.fromkeys(name for values in found.values() for name in values))
    lines = [f"| | {' | '.join(found)} |", f"|---|{'---|' * len(found)}"]
    for name in names:
        cells = [_cell(values.get(name)) for values in found.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(value: measures.Value | None) -> str:
    if value is None or value.value is None:
        return "–"
    interval = "" if value.low is None else f" [{value.low:.3f}, {value.high:.3f}]"
    return f"{value.value:.3f}{interval}, n = {value.n}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Examine, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True, help="the pack: facewitness.train.kfd pack")
    parser.add_argument("--weights", required=True, help="kfd.safetensors of a run")
    parser.add_argument("--beside", nargs="*", default=["compact"], help="other witnesses to measure on the same faces")
    parser.add_argument("--conditions", nargs="*", default=["plain"], choices=list(CONDITIONS))
    parser.add_argument("--split", default="val")
    parser.add_argument("--most", type=int, help="rows of each source and label")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    data = Pack(given.cache)
    witnesses = [plugins.get("witnesses", "kfd").load(weights=given.weights)]
    witnesses += [plugins.get("witnesses", name).load() for name in given.beside]
    rows = examined(witnesses, data, given.split, given.conditions, given.seed, given.most)
    found = measured(rows, given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    with open(given.out / "predictions.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    lost = sum(row["split"] == given.split and data.landmarks(i) is None for i, row in enumerate(data.rows))
    numbers = {
        key: {name: [v.value, v.low, v.high, v.n] for name, v in values.items()} for key, values in found.items()
    }
    about = {
        "split": given.split,
        "seed": given.seed,
        "without_a_face": lost,
        "made_by": [w.made_by() for w in witnesses],
    }
    (given.out / "results.json").write_text(json.dumps(about | {"numbers": numbers}, indent=1), encoding="utf-8")
    text = f"{table(found)}\nPictures of `{given.split}` in which no face was found, left out: {lost}.\n"
    (given.out / "results.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
