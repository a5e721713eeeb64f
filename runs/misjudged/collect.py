"""The kept misjudgements: rows of `val` that the default witness judges wrongly, now or before, as records.

    python runs/misjudged/collect.py --data DIR --pictures FOLDER [--before OLD/compact.onnx] [--limit 12]
    facewitness bench regressions runs/misjudged/kept --pictures FOLDER --out runs/misjudged/regressions.md

Looks at the first rows of each source and label that `runs/compact/groups.py` looks at, each file as it came. With
`--before` it asks earlier weights, too (the `compact.json` of their time beside them), and a record holds what those
said: the table then has both, and a verdict that became wrong is as visible as one that was mended. Records hold
hashes and scores; the pictures are written to FOLDER alone, where `bench regressions` looks for them by hash.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

from facewitness.apps.script import script
from facewitness.bench.regressions import Kept, Misjudged, record
from facewitness.files import write_whole
from facewitness.pipeline import Analyzer
from facewitness.types import Sample

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "compact"))
from evaluate import chosen  # noqa: E402


def said(analyzer: Analyzer, sample: Sample) -> Misjudged | None:
    """What is said of a row's one face; None where it has another number of faces."""
    report = analyzer.analyze(sample.image)
    if len(report.people) != 1:
        return None
    return record(report, sample.truth.label, f"{sample.dataset}, split val: {Path(sample.file).name}")


def main() -> None:
    """Look, keep."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--before", type=Path, help="the network that shipped before")
    parser.add_argument("--limit", type=int, default=12, help="rows of each source and label")
    parser.add_argument("--groups", type=Path, help="JSON of people.py, to leave out people of training")
    given = parser.parse_args()
    groups = json.loads(given.groups.read_text()) if given.groups else None
    now, kept = Analyzer(witnesses=["compact"]), Kept(HERE / "kept")
    before = now
    if given.before:
        before = Analyzer(witnesses=["compact"], options={"compact": {"model": str(given.before)}})
    looked = 0
    for sample in chosen(given.data, "val", given.limit, groups):
        today, earlier = said(now, sample), said(before, sample) if before is not now else None
        looked += today is not None
        entry = earlier or today
        if entry is None or not any(each is not None and each.wrong for each in (today, earlier)):
            continue
        content = sample.image
        name = f"{hashlib.sha256(content).hexdigest()[:16]}{Path(sample.file).suffix}"
        given.pictures.mkdir(parents=True, exist_ok=True)
        write_whole(given.pictures / name, content)
        kept.add(entry)
    print(f"{looked} faces looked at, {len(kept.entries())} records in {kept.folder}")


if __name__ == "__main__":
    script(main)
