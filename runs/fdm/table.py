"""Puts the runs of table 5's ablation into one table: each row of losses, over its seeds, with intervals.

    python runs/fdm/table.py OUT --out runs/fdm/ablation.md          OUT has the folders f-0, fi-0 … fira-2
    python runs/fdm/table.py --needed runs/fdm/ablation.json         what it would take to tell a point from none

A cell is the mean over the seeds, [the middle 95 % of a bootstrap over groups of that mean], and between which values
the seeds lie: the first says what other faces would change, the second what other weights would. "against L_f" is the
paired difference on the same faces. The probe's share is of identities told from features by a linear classifier.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.errors import InputError
from facewitness.files import write_whole

ROWS = {"f": "L_f", "fi": "L_f + L_I", "fir": "L_f + L_I + L_r", "fira": "L_f + L_I + L_r, adversarial heads"}
MEASURES: dict[str, Callable[[Any], float | None]] = {"AUC": measures.auc, "F1": measures.f1}


@dataclass(frozen=True)
class Run:
    """One training: its scores by source, and the identity probe."""

    scores: Mapping[str, Mapping[str, tuple[bool, float, str]]]  # source → file → fake, score, group
    probe: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Raises InputError where a run has not ended."""
        try:
            results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
            lines = list(csv.DictReader((folder / "predictions.csv").read_text(encoding="utf-8").splitlines()))
        except OSError as error:
            raise InputError(f"{folder}: expected a run that has ended; {error.strerror}: {error.filename}") from error
        scores: dict[str, dict[str, tuple[bool, float, str]]] = defaultdict(dict)
        for line in lines:
            if line["score"]:
                scores[line["source"]][line["file"]] = (line["label"] == "fake", float(line["score"]), line["group"])
        return cls(scores, results.get("probe", {}))


def table(runs: Mapping[str, Sequence[Run]]) -> tuple[str, dict[str, Any]]:
    """The table as Markdown, and its numbers. Raises InputError where the runs were measured on different faces."""
    first = next(iter(runs.values()))[0]
    found: dict[str, Any] = {}
    for source in first.scores:
        files = sorted(first.scores[source])
        if any(sorted(run.scores[source]) != files for several in runs.values() for run in several):
            raise InputError(f"{source}: expected the same faces in all runs. Pack once, and train them all on that.")
        fake = [first.scores[source][file][0] for file in files]
        group = [first.scores[source][file][2] for file in files]
        rankings = {
            name: [measures.Ranking.of(fake, [run.scores[source][file][1] for file in files]) for run in several]
            for name, several in runs.items()
        }
        draws = [None, *measures.drawn(group, measures.draws_for(len(files)))]
        for measure, of in MEASURES.items():
            values = {  # (seeds, 1 + draws)
                name: np.array([[of(measures.Weighted(ranking, w)) for w in draws] for ranking in several], np.float64)
                for name, several in rankings.items()
            }
            for name, value in values.items():
                gain = value.mean(0) - values["f"].mean(0) if "f" in values else None
                found.setdefault(name, {})[f"{source} {measure}"] = _with_interval(value.mean(0)) | {
                    "seeds": value[:, 0].tolist(),
                    "n": len(files),
                    "against L_f": None if gain is None or name == "f" else _with_interval(gain),
                }
    for name, several in runs.items():
        for features in ("trace", "identity"):
            after = [run.probe["after"][features]["value"] for run in several if run.probe]
            before = [run.probe["before"][features]["value"] for run in several if run.probe]
            found[name][f"identity from {features}"] = {"before": before, "after": after}
    return _markdown(found, {name: len(several) for name, several in runs.items()}), found


def needed(found: Mapping[str, Any], point: float = 0.01) -> str:
    """What it would take for the interval of a difference in AUC to be narrower than a point on either side.

    Other weights: as many seeds as bring 1.96 standard errors of the paired differences below it, a seed at a time.
    Other faces: as many times the faces as bring the bootstrap's half interval below it.

    Args:
        found: The numbers of `table`.
        point: Half an interval.
    """
    lines = ["| against L_f | set | AUC | seeds needed | times the faces |", "|---|---|---|---|---|"]
    for row, values in found.items():
        for name, value in values.items():
            gain = value.get("against L_f")
            if not name.endswith(" AUC") or gain is None or len(value["seeds"]) < 2:
                continue
            apart = np.subtract(value["seeds"], found["f"][name]["seeds"]).std(ddof=1)
            seeds = max(2, int(np.ceil((1.96 * apart / point) ** 2)))
            faces = max(1.0, ((gain["high"] - gain["low"]) / 2 / point) ** 2)
            lines.append(f"| {ROWS[row]} | {name[:-4]} | {_gain(value)} | {seeds} | {faces:.1f} |")
    return "\n".join(lines) + "\n"


def _with_interval(values: NDArray[np.float64]) -> dict[str, float | None]:
    low, high = measures.interval(values[1:].tolist()) or (None, None)
    return {"value": float(values[0]), "low": low, "high": high}


def _markdown(found: Mapping[str, Any], seeds: Mapping[str, int]) -> str:
    measured = [name for name in next(iter(found.values())) if not name.startswith("identity")]
    lines: list[str] = []
    for source in dict.fromkeys(name.rsplit(" ", 1)[0] for name in measured):
        names = [f"{source} {measure}" for measure in MEASURES]
        lines += [f"| {source}: losses | seeds |" + "".join(f" {name} | seeds | against L_f |" for name in MEASURES)]
        lines += [f"|---|---|{'---|---|---|' * len(names)}"]
        for row, values in found.items():
            cells = [f"{_cell(values[n])} | {_span(values[n]['seeds'])} | {_gain(values[n])}" for n in names]
            lines.append(f"| {ROWS[row]} | {seeds[row]} | {' | '.join(cells)} |")
        lines.append("")
    lines += ["| losses | identity from the traces, before → after | from the identity features, before → after |"]
    lines.append("|---|---|---|")
    for row, values in found.items():
        lines.append(f"| {ROWS[row]} | {_probe(values, 'trace')} | {_probe(values, 'identity')} |")
    return "\n".join(lines) + "\n"


def _cell(value: Mapping[str, Any]) -> str:
    between = "" if value["low"] is None else f" [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{value['value']:.3f}{between}"


def _gain(value: Mapping[str, Any]) -> str:
    gain = value["against L_f"]
    return "" if gain is None else f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"


def _span(values: Sequence[float]) -> str:
    return f"{min(values):.3f} – {max(values):.3f}"


def _probe(values: Mapping[str, Any], features: str) -> str:
    found = values[f"identity from {features}"]
    if not found["after"]:
        return "–"
    return f"{np.mean(found['before']):.2f} → {np.mean(found['after']):.2f} ({_span(found['after'])})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read every run, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path, nargs="?", help="folder of the runs' folders")
    parser.add_argument("--out", type=Path, help="Markdown file; the numbers go beside it, .json")
    parser.add_argument("--needed", type=Path, metavar="JSON", help="numbers of an earlier table")
    given = parser.parse_args(arguments)
    if given.needed is not None:
        print(needed(json.loads(given.needed.read_text(encoding="utf-8"))), end="")
        return
    if given.runs is None or given.out is None:
        parser.error("expected the runs' folder and --out, or --needed")
    runs = {name: [Run.read(folder) for folder in sorted(given.runs.glob(f"{name}-*"))] for name in ROWS}
    runs = {name: several for name, several in runs.items() if several}
    if not runs:
        raise InputError(f"{given.runs}: expected folders such as f-0 and fira-2, found none.")
    text, found = table(runs)
    write_whole(given.out.with_suffix(".json"), json.dumps(found, indent=1).encode())
    write_whole(given.out, text.encode())
    print(text)


if __name__ == "__main__":
    script(main)
