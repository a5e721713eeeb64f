"""Measures witnesses on the `val` rows of a pack: self-blends made here, and the sources' own forgeries.

    python runs/kfd/evaluate.py --cache DIR --weights OUT/kfd.safetensors --out DIR [--beside compact]
    python runs/kfd/evaluate.py --read DIR --out DIR                         the same numbers from what was predicted

Every picture, genuine or forged, is degraded alike (`--conditions`), encoded once more as JPEG at quality 95, and
examined as `facewitness analyze` does it, with the face that was found in the pack. A forgery is made of every genuine
picture by seed, self-blends and region edits in turn. Pictures without a face are left out and counted.

What a witness said is kept as predictions of `bench run`, DIR/predictions/WITNESS, which `facewitness bench table` and
`bench compare` read too; every number is worked out from them. Writes results.json and results.md: AUC on the forgeries
made here, AUC on each source's own, and the mean mask IoU on the forgeries made here, each with a 95 % interval from a
bootstrap over groups.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from facewitness import plugins
from facewitness.apps.script import script
from facewitness.bench import measures, predictions
from facewitness.bench.conditions import CONDITIONS, FORGERS, examined, rows_of
from facewitness.builders.pack import Pack
from facewitness.errors import InputError

IOU = f"{predictions.SCORE}mask"


def measured(tables: Mapping[str, pa.Table], seed: int = 0) -> dict[str, dict[str, measures.Value]]:
    """For each witness and condition ("kfd, plain"): AUC and mask IoU on forgeries made here, AUC of each source.

    made, mask_iou       AUC and mean mask IoU on all that is made here; made/<forger>, mask_iou/<forger> by one forger
    made/<source>        AUC on what was made of a source's genuine pictures
    auc/<source>         AUC on a source's own forgeries, against its genuine pictures as they came
    """
    numbers: dict[str, dict[str, measures.Value]] = {}
    for witness, table in tables.items():
        rows = [row for row in predictions.rows(table) if row["score"] is not None]
        for condition in dict.fromkeys(row["perturbation"] for row in rows):
            name = "plain" if condition == "none" else condition
            numbers[f"{witness}, {name}"] = _numbers([row for row in rows if row["perturbation"] == condition], seed)
    return numbers


def _numbers(rows: Sequence[dict[str, Any]], seed: int) -> dict[str, measures.Value]:
    real = [row for row in rows if row["label"] == "real"]
    made = [row for row in rows if row["method"]]
    values: dict[str, measures.Value] = {}
    for by in ("", *FORGERS):
        these = [row for row in made if by in ("", row["method"])]
        values[f"made/{by}" if by else "made"] = _auc([*real, *these], seed)
        if these:
            iou = np.array([np.nan if row[IOU] is None else row[IOU] for row in these], np.float64)
            name = f"mask_iou/{by}" if by else "mask_iou"
            values |= measures.ratios({name: (iou, np.ones(len(these)))}, _groups(these), seed=seed)
    for source in dict.fromkeys(row["dataset"] for row in rows):
        here = [row for row in real if row["dataset"] == source]
        own = [row for row in rows if row["dataset"] == source and row["label"] == "fake" and not row["method"]]
        values[f"made/{source}"] = _auc([*here, *(row for row in made if row["dataset"] == source)], seed)
        if own:
            values[f"auc/{source}"] = _auc([*here, *own], seed)
    return values


def _auc(rows: Sequence[dict[str, Any]], seed: int) -> measures.Value:
    fake, score = [row["label"] == "fake" for row in rows], [row["score"] for row in rows]
    return measures.detection(fake, score, _groups(rows), only=["auc"], seed=seed)["auc"]


def _groups(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [f"{row['dataset']}/{row['group']}" for row in rows]


def table(numbers: Mapping[str, Mapping[str, measures.Value]]) -> str:
    """The numbers as Markdown, a column for each witness and condition."""
    names = list(dict.fromkeys(name for values in numbers.values() for name in values))
    lines = [f"| | {' | '.join(numbers)} |", f"|---|{'---|' * len(numbers)}"]
    for name in names:
        cells = [_cell(values.get(name)) for values in numbers.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(value: measures.Value | None) -> str:
    if value is None or value.value is None:
        return "–"
    interval = "" if value.low is None else f" [{value.low:.3f}, {value.high:.3f}]"
    return f"{value.value:.3f}{interval}, n = {value.n}"


def predicted(
    given: argparse.Namespace, options: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """Examine, and keep what was said; a table for each witness, and what all have in common."""
    data = Pack(given.cache)
    witnesses = [plugins.get("witnesses", "kfd").load(weights=given.weights)]
    witnesses += [plugins.get("witnesses", name).load(**options.get(name, {})) for name in given.beside]
    rows = examined(witnesses, data, given.split, given.conditions, given.seed, given.limit)
    lost = sum(row["split"] == given.split and data.landmarks(i) is None for i, row in enumerate(data.rows))
    about = {"split": given.split, "seed": given.seed, "without_a_face": lost}
    tables = {}
    for witness in witnesses:
        mine = rows_of([row for row in rows if row["witness"] == witness.name], given.split)
        meta = {"name": witness.name, "dataset": "pack", "limit": given.limit, "made_by": witness.made_by(), **about}
        tables[witness.name] = predictions.write(given.out / "predictions" / witness.name, meta, mine)
    return tables, about | {"made_by": [witness.made_by() for witness in witnesses]}


def kept(out: Path) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """What an earlier run predicted, in the order of the witnesses' names."""
    runs = sorted(path.parent for path in (out / "predictions").glob("*/predictions.parquet"))
    if not runs:
        raise InputError(f"'{out}': expected predictions/WITNESS in it, as --out wrote them, got none")
    read = {run.name: predictions.read(run) for run in runs}
    about = next(iter(read.values()))[1]
    facts = {key: about[key] for key in ("split", "seed", "without_a_face")}
    return {name: table for name, (table, _) in read.items()}, facts | {
        "made_by": [m["made_by"] for _, m in read.values()]
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Examine, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, help="the pack: facewitness build pack")
    parser.add_argument("--weights", help="kfd.safetensors of a run")
    parser.add_argument("--read", type=Path, metavar="DIR", help="measure what --out DIR predicted before")
    parser.add_argument("--beside", nargs="*", default=["compact"], help="other witnesses to measure on the same faces")
    parser.add_argument("--option", nargs="*", default=[], help="of those, as mare.weights=fdm.safetensors")
    parser.add_argument("--conditions", nargs="*", default=["plain"], choices=list(CONDITIONS))
    parser.add_argument("--split", default="val")
    parser.add_argument("--limit", type=int, help="rows of each source and label")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    if given.read is None and (given.cache is None or given.weights is None):
        parser.error("expected --cache and --weights, or --read")
    options: dict[str, dict[str, str]] = {}
    for each in given.option:
        place, equals, value = each.partition("=")
        name, dot, key = place.partition(".")
        if not equals or not dot or name not in given.beside:
            parser.error(f"--option: expected WITNESS.KEY=VALUE of a witness of --beside, got {each}")
        options.setdefault(name, {})[key] = value
    tables, about = predicted(given, options) if given.read is None else kept(given.read)
    numbers = measured(tables, about["seed"])
    values = {key: {name: [v.value, v.low, v.high, v.n] for name, v in each.items()} for key, each in numbers.items()}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "results.json").write_text(json.dumps(about | {"numbers": values}, indent=1), encoding="utf-8")
    lost = f"Pictures of `{about['split']}` in which no face was found, left out: {about['without_a_face']}."
    text = f"{table(numbers)}\n{lost}\n"
    (given.out / "results.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    script(main)
