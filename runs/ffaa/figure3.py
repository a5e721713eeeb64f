"""Figure 3: what each part of the analysis is worth, by the accuracy of the anchor alone, on seen and unseen sources.

    for P in R DR FR all; do
      facewitness build ffa_vqa pack PACK --split train --count 1600 --parts $P --out out/$P
      facewitness train sft runs/ffaa/sft-small.toml --forensic out/$P/ffa_vqa.parquet --model out/small \\
          --detector runs/mare/model/fdm.safetensors --out out/sft-$P
      python runs/ffaa/mine.py out/sft-$P/model PACK --split val --count 250 --tuned out/$P/ffa_vqa.parquet --out out/val-$P.parquet
      python runs/ffaa/mine.py out/sft-$P/model --unseen TABLES --count 90 --out out/unseen-$P.parquet
    done
    python runs/ffaa/figure3.py --seen R=out/val-R.parquet … --unseen R=out/unseen-R.parquet …   → runs/ffaa/figure3.json

R is the result alone, DR description and result, FR reasoning and result, all the whole chain of thought.
"""  # noqa: E501  (commands are one line each)

from __future__ import annotations

import argparse
import json
from pathlib import Path

import table3

from facewitness.builders.ffa_vqa import PARTS
from facewitness.errors import UnknownName
from facewitness.files import write_whole
from facewitness.train import mids

HERE = Path(__file__).parent


def tables(given: list[str]) -> dict[str, Path]:
    """PARTS=FILE as a table. Raises UnknownName for other parts."""
    found = {}
    for one in given:
        parts, _, file = one.partition("=")
        if parts not in PARTS:
            raise UnknownName("parts of an answer", parts, PARTS)
        found[parts] = Path(file)
    return found


def main() -> None:
    """Measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("seen", "unseen"):
        parser.add_argument(f"--{name}", nargs="+", default=[], metavar="PARTS=FILE")
    given = parser.parse_args()
    results: dict[str, dict] = {}
    for name in ("seen", "unseen"):
        for parts, file in tables(getattr(given, name)).items():
            rows = mids.read_mined(file)
            found = table3.measured([table3.anchors(rows)], table3.drawn_groups(rows))
            results.setdefault(name, {})[parts] = {"faces": len(rows), **{m: found[m] for m in ("acc", "auc", "sacc")}}
            print(name, parts, json.dumps(results[name][parts]))
    write_whole(HERE / "figure3.json", json.dumps(results, indent=1).encode())


if __name__ == "__main__":
    main()
