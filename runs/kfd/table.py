"""Puts several runs side by side: detectors (the ablations, Table 3's shape) or language models (Table 4's shape).

    python runs/kfd/table.py detectors OUT/full OUT/no-text OUT/50 … --out runs/kfd/ablation.md  folders of evaluate.py
    python runs/kfd/table.py answers   OUT/blind OUT/lora … --out runs/kfd/answers.md           folders of bench/answers

A row is a run, called as its folder; a cell a number with its 95 % interval from a bootstrap over groups.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facewitness.apps.script import script
from facewitness.errors import InputError
from facewitness.files import write_whole

DETECTORS = {
    "made/self_blend": "self-blends, AUC",
    "mask_iou/self_blend": "their mask IoU",
    "made/region_edit": "region edits, AUC",
    "mask_iou/region_edit": "their mask IoU",
    "auc/dfdc": "DFDC's own, AUC",
    "auc/ffpp_c40": "FF++ c40's own, AUC",
}
ANSWERS = {
    "verdict": "verdict (half are fake: the paper's “AUC”)",
    "agreement": "says what the detector says",
    "regions": "regions",
}


def _detectors(runs: Sequence[Path]) -> list[tuple[str, list[str]]]:
    rows = []
    for run in runs:
        found = _read(run / "results.json")["numbers"]
        ours = next(values for name, values in found.items() if name.startswith("kfd"))
        rows.append((run.name, [_cell(*ours[name][:3]) if name in ours else "–" for name in DETECTORS]))
    return rows


def _answers(runs: Sequence[Path]) -> list[tuple[str, list[str]]]:
    rows = []
    for run in runs:
        found = _read(run / "answers.json")
        cells = []
        for name in ANSWERS:
            beside = [f"{found[who][name]['value']:.3f}" for who in ("image-blind", "shuffled")]
            cells.append(f"{_of(found['model'][name])}; blind {beside[0]}, shuffled {beside[1]}")
        rows.append((run.name, cells))
    return rows


def _of(value: Mapping[str, Any]) -> str:
    return _cell(value["value"], value["low"], value["high"])


def _cell(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}). Measure that run first.") from error
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["detectors", "answers"])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    heads, rows = (DETECTORS, _detectors) if given.what == "detectors" else (ANSWERS, _answers)
    lines = [f"| | {' | '.join(heads.values())} |", f"|---|{'---|' * len(heads)}"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows(given.runs)]
    text = "\n".join(lines) + "\n"
    write_whole(given.out, text.encode())
    print(text)


if __name__ == "__main__":
    script(main)
