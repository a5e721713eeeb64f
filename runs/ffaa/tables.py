"""Of one table of analyses the others that are learned from, without measuring every picture again.

    python runs/ffaa/tables.py OUT/analyses/ffa_vqa.parquet --out OUT

OUT/R, OUT/DR and OUT/FR hold the same pictures and questions with a part of each answer (Figure 3), as
`facewitness build ffa_vqa … --parts R` writes them; in OUT/hypotheses every question supposes the truth, as with
`--hypothetical 1`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from facewitness.apps.script import script
from facewitness.builders import _disk, ffa_vqa


def derived(rows: Iterable[Mapping[str, Any]], which: str) -> Iterator[ffa_vqa.Item]:
    """The rows with parts of their answers, or ("hypotheses") with questions that suppose the truth.

    Args:
        rows: Of a table with whole answers.
        which: One of R, DR, FR, all, or hypotheses.
    """
    for row in rows:
        if which == "hypotheses":
            yield ffa_vqa.Item(
                **{**row, "question": ffa_vqa.HYPOTHESIS.format(label=row["label"]), "hypothesis": row["label"]}
            )
        else:
            yield ffa_vqa.Item(**{**row, "answer": ffa_vqa.reduced(row["answer"], which)})


def main() -> None:
    """Writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("analyses", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows = _disk.read_table(given.analyses, ffa_vqa.SCHEMA.names, "ffa_vqa")
    for which in ("R", "DR", "FR", "hypotheses"):
        table, facts = ffa_vqa.write(derived(rows, which), given.out / which)
        print(f"{table}: {facts['items']} answers of {facts['words_an_answer']} words")


if __name__ == "__main__":
    script(main)
