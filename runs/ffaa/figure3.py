"""Figure 3: what each part of the analysis is worth, by the accuracy of the anchor alone, on seen and unseen sources.

    python runs/ffaa/tables.py OUT/analyses/ffa_vqa.parquet --out OUT
    facewitness train sft runs/ffaa/sft-small.toml --set stop_at_step=100 --forensic OUT/R/ffa_vqa.parquet … \\
        --out OUT/sft-R                                                                  and DR, FR, all
    python runs/ffaa/figure3.py --seen OUT/val.parquet --unseen OUT/unseen.parquet --out OUT/figure3 \\
        R=OUT/sft-R/model DR=OUT/sft-DR/model FR=OUT/sft-FR/model all=OUT/sft-all/model      → runs/ffaa/figure3.json

R is the result alone, DR description and result, FR reasoning and result, all the whole chain of thought. The pictures
are those of mine.py's tables; each model is asked plainly, and its answers are kept in the folder of --out, where a
killed run goes on. `small.mk` has the whole of it.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import asking
import numpy as np
import table3
from PIL import Image

from facewitness.apps.script import script
from facewitness.builders.ffa_vqa import PARTS, QUESTIONS
from facewitness.errors import UnknownName
from facewitness.files import write_whole
from facewitness.grammars import ffa_cot
from facewitness.train import mids

HERE = Path(__file__).parent
TOKENS = {"R": 40, "DR": 80, "FR": 90, "all": 110}  # of an answer, at most; its parts need no more


def models(given: Sequence[str]) -> dict[str, Path]:
    """PARTS=FOLDER as a table. Raises UnknownName for other parts."""
    found = {}
    for one in given:
        parts, _, folder = one.partition("=")
        if parts not in PARTS:
            raise UnknownName("parts of an answer", parts, PARTS)
        found[parts] = Path(folder)
    return found


def answered(rows: Sequence[mids.Mined], ask, batch: int) -> list[mids.Mined]:
    """The rows with the model's plain answer alone."""
    found: list[mids.Mined] = []
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        pixels = [np.asarray(Image.open(io.BytesIO(row.image)).convert("RGB")) for row in part]
        for row, text in zip(part, ask(pixels, [QUESTIONS[2]] * len(part)), strict=True):
            label = ffa_cot.parse(text).label
            said = (label if label in ("real", "fake") else None,)
            found.append(replace(row, answers=(text,), said=said, hypotheses=(None,), easy=True))
        print(f"{len(found)} of {len(rows)}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Asks, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", metavar="PARTS=FOLDER")
    parser.add_argument("--seen", type=Path, required=True)
    parser.add_argument("--unseen", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    sets = {name: mids.read_mined(getattr(given, name)) for name in ("seen", "unseen")}
    draws = {name: table3.drawn_groups(rows) for name, rows in sets.items()}
    said: dict[str, dict[str, table3.Judged]] = {name: {} for name in sets}
    results: dict[str, dict] = {name: {} for name in sets}
    for parts, folder in models(given.models).items():
        ask = asking.model(folder, TOKENS[parts], given.out / f"{parts}.answers.jsonl")
        for name, rows in sets.items():
            found = answered(rows, ask, given.batch)
            one = said[name][parts] = table3.anchors(found)
            against = said[name].get("R") if parts != "R" else None
            numbers = table3.measured([one], draws[name], against)
            results[name][parts] = {
                "faces": len(rows), "no verdict": sum(row.said[0] is None for row in found),
                "called fake": round(float(np.mean([row.said[0] == "fake" for row in found])), 4),
                **{m: numbers[m] for m in ("acc", "auc", "sacc")},
            } | ({} if against is None else {
                f"{m}, less R's": numbers[f"{m}, less the anchor"] for m in ("acc", "auc")
            })  # fmt: skip
            print(name, parts, json.dumps(results[name][parts]), flush=True)
    write_whole(HERE / "figure3.json", json.dumps(results, indent=1).encode())


if __name__ == "__main__":
    script(main)
