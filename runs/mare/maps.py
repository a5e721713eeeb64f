"""What MARE's map alone names, from which coverage on, and its answers as replies of their own.

    python runs/mare/maps.py MODEL --fit dma-train.parquet --unseen PACK --table dma-val.parquet --out DIR

A region is named where the module's map covers it on average from a threshold on: `evaluate.COVERED`, a third, as KFD's
map alone names regions (`runs/kfd/words.py`), for the column "map alone". DIR/maps.md has other thresholds beside it,
each on questions of the split `train` whose pictures PACK held out of the module's training, as `draws.py` takes them,
and on those of the other table; bold is the one that names regions best (Jaccard) on the former.

DIR/predictions are the map's answers to the questions of the other table in MARE's grammar, so that `facewitness bench
replies DIR/predictions OUT/predictions dma-val.parquet` has a model's replies less the map's, paired, in every reward.
Boxes are those of the face's mesh, by which DMA's boxes were made (equation 1): a region that is named rightly has the
right box, and one that is named in vain costs nothing there. So boxes say how many of the regions were named.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from facewitness.apps.script import script
from facewitness.bench import measures, predictions, speakers
from facewitness.builders import chats
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.grammars import mare
from facewitness.train.measuring import three
from facewitness.witnesses.mare import Prompted

_BESIDE = importlib.util.spec_from_file_location("mare_draws", Path(__file__).with_name("draws.py"))
assert _BESIDE is not None and _BESIDE.loader is not None
draws: Any = importlib.util.module_from_spec(_BESIDE)
sys.modules[_BESIDE.name] = draws
_BESIDE.loader.exec_module(draws)
evaluate: Any = draws.evaluate

TRIED = (0.2, 0.25, 0.3, 1 / 3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
SCORES = ("regions", "boxes", "label")


def table_of(asked: Sequence[Any], maps: Mapping[str, Any], least: float) -> pa.Table:
    """Rows in which a map names what it covers, of the pictures that have one.

    Args:
        asked: the questions.
        maps: file → what its map covers.
        least: from which coverage on a region is named.
    """
    there = [item for item in asked if item.row["file"] in maps]
    rows = evaluate.rows_of(there, [""] * len(there), [None] * len(there))
    for row in rows:
        row["mapped"] = evaluate.mapped(maps[row["file"]], least)
    kept = [{name: row.get(name) for name in predictions.COLUMNS.names} for row in rows]
    return pa.Table.from_pylist(kept, predictions.COLUMNS)


def scored(asked: Sequence[Any], maps: Mapping[str, Any], least: float) -> dict[str, Any]:
    """Regions, boxes and verdict of a map's answers, with intervals over groups."""
    table = table_of(asked, maps, least)
    said = speakers.CONTROLS["map alone"](table, 0.5)
    values = speakers.all_scored(said, speakers.truths(table), SCORES)
    return measures.ratios({k: (v, np.ones(len(v))) for k, v in values.items()}, measures.groups(table))


def replies(asked: Sequence[Any], maps: Mapping[str, Any], least: float) -> list[str | None]:
    """The map's answers in MARE's grammar; None of a picture without one."""
    table = table_of(asked, maps, least)
    said = iter(speakers.CONTROLS["map alone"](table, 0.5))
    return [mare.render(next(said)) if item.row["file"] in maps else None for item in asked]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, answer, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--fit", type=Path, required=True, help="dma.parquet of the split train")
    parser.add_argument("--unseen", type=Path, required=True, help="the pack that the module learned from")
    parser.add_argument("--table", type=Path, required=True, help="dma.parquet of the questions that are answered")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    fit = draws.unseen(evaluate.items(chats.read_dma(given.fit)), given.unseen)
    asked = evaluate.items(chats.read_dma(given.table))
    model = Prompted(str(given.model), "cpu", 384).model
    elsewhere, maps = evaluate.maps_of(model, fit), evaluate.maps_of(model, asked)
    if not elsewhere or not maps:
        raise InputError(f"'{given.model}': expected a model with MARE's module, and pictures with a face's mesh")
    by_threshold = {least: scored(fit, elsewhere, least) for least in TRIED}
    best = max(TRIED, key=lambda least: by_threshold[least]["regions"].value or 0.0)
    lines = ["| a region is named from | fitted on: regions | boxes | verdict | answered: regions | boxes | verdict |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for least in TRIED:
        both = [by_threshold[least], scored(asked, maps, least)]
        cells = [three((each[name].value, each[name].low, each[name].high)) for each in both for name in SCORES]
        mark = "**" if least == best else ""
        lines.append(f"| {mark}{least:.2f}{mark} | {' | '.join(cells)} |")
    counts = [f"{sum(i.row['file'] in m for i in a)} questions about {len(m)} pictures" for a, m in
              ((fit, elsewhere), (asked, maps))]  # fmt: skip
    lines += ["", f"Fitted on {counts[0]}, answered {counts[1]}; bold: the best where it was fitted."]
    write_whole(given.out / "maps.md", ("\n".join(lines) + "\n").encode())
    digest = hashlib.sha256(given.table.read_bytes()).hexdigest()
    meta = {"name": "map alone", "dataset": "dma", "questions": True, "model": given.model.name, "table_sha256": digest}
    rows = evaluate.rows_of(asked, replies(asked, maps, evaluate.COVERED), evaluate.traces_of(model, asked), maps)
    predictions.write(given.out / "predictions", meta, rows)
    print("\n".join(lines))


if __name__ == "__main__":
    script(main)
